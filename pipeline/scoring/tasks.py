"""The four tasks and the shapes of their targets and predictions. Letters: n rows, c columns.

Targets `y` are (n, c) float64 for regression and multilabel, NaN where a cell is missing, and (n,)
integer codes for binary (1 is the positive class) and multiclass. Predictions are always (n, c)
float64: targets in target units, the probability of the positive class (c = 1), of every class, or
of every label.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit, softmax

Floats = NDArray[np.float64]
Rows = NDArray[Any] | slice  # a mask or numbers of rows

TINY = 1e-15  # keeps the log-odds of probabilities 0 and 1 finite
ROUNDING = 1e-6  # of a sum in float32, which may exceed 1
ROUNDED = 0.0051  # of a probability with two digits, as files may hold them
SUM_TOLERANCE = 0.05  # of the sum of rounded probabilities, however many they are


@dataclass(frozen=True)
class Task:
    """A task and its raw scale.

    Attributes:
        has_classes: `y` holds integer codes, not values.
        is_probability: predictions are probabilities.
        to_raw: maps (..., c) predictions to the scale on which the folds of a member are averaged:
            values, log-odds or log-softmax.
        to_prediction: the inverse of `to_raw`.
    """

    name: str
    has_classes: bool
    is_probability: bool
    to_raw: Callable[[Floats], Floats]
    to_prediction: Callable[[Floats], Floats]


def spread(values: Floats) -> Floats:
    """Standard deviation of each column without NaNs, 1 where all values are equal."""
    # the range, because rounding may give a constant a positive standard deviation
    varies = np.nanmax(values, axis=0) > np.nanmin(values, axis=0)
    return np.where(varies, np.nanstd(values, axis=0), 1.0)


def rows_with(column: NDArray[Any]) -> Rows:
    """The rows of (n,) targets that are not missing; all rows are a slice, which copies nothing."""
    missing = np.isnan(column)
    return np.flatnonzero(~missing) if missing.any() else slice(None)


def _from_log(logs: Floats) -> Floats:
    """The inverse of log1p; values below 0, which no target has, become 0."""
    return np.maximum(np.expm1(logs), 0.0)


# by name in the YAML: a function of targets, and its inverse
TRANSFORMS: dict[str | None, tuple[Callable[[Floats], Floats], Callable[[Floats], Floats]]] = {
    None: (lambda y: y, lambda y: y),
    "log1p": (np.log1p, _from_log),
}


@dataclass(frozen=True)
class Scaling:
    """Scale on which a unit learns the targets of a regression; other tasks have none.

    Attributes:
        mean, sd: (c,) of the training rows' targets, after the transform, without missing cells.
        transform: a name in `TRANSFORMS`.
    """

    mean: list[float]
    sd: list[float]
    transform: str | None = None

    @staticmethod
    def of(y: Floats, transform: str | None = None) -> "Scaling":
        y = TRANSFORMS[transform][0](y)
        return Scaling(np.nanmean(y, axis=0).tolist(), spread(y).tolist(), transform)

    def standardise(self, y: Floats) -> Floats:
        return (TRANSFORMS[self.transform][0](y) - np.array(self.mean)) / np.array(self.sd)

    def restore(self, standardised: Floats) -> Floats:
        restored = standardised * np.array(self.sd) + np.array(self.mean)
        return TRANSFORMS[self.transform][1](restored)


def _to_log_odds(values: Floats) -> Floats:
    return logit(np.clip(values, TINY, 1 - TINY))


def _to_log_softmax(values: Floats) -> Floats:
    return log_softmax(np.log(np.clip(values, TINY, None)), axis=-1)


def as_columns(task: str, y: NDArray[Any], n_columns: int) -> Floats:
    """(n, c) targets on the prediction scale: 0 and 1 where predictions are probabilities."""
    if task == "multiclass":
        return np.eye(n_columns)[y]
    return y.reshape(len(y), -1).astype(np.float64)


def decide(task: str, predictions: Floats) -> NDArray[np.int64]:
    """Hard predictions at 0.5 or by argmax: (n,) codes, or (n, c) of 0 and 1 for multilabel."""
    if task == "multiclass":
        return predictions.argmax(axis=1)
    decided = (predictions >= 0.5).astype(np.int64)
    return decided[:, 0] if task == "binary" else decided


def as_probabilities(task: str, blend: Floats) -> Floats:
    """(n, c) blends clipped to [0, 1]; classes sum to 1 again. Regression stays as it is."""
    if not TASKS[task].is_probability:
        return blend
    clipped = np.clip(blend, 0, 1)
    if task == "multiclass" and (off := (blend < 0).any(axis=1)).any():
        clipped[off] /= clipped[off].sum(axis=1, keepdims=True)
    return clipped


def out_of_range(task: str, predictions: Floats) -> NDArray[np.bool_]:
    """(n,) rows that hold NaN, infinity, or probabilities beyond [0, 1] or of a wrong sum."""
    bad = np.asarray(~np.isfinite(predictions).all(axis=1))
    if TASKS[task].is_probability:
        bad = bad | (np.abs(predictions - 0.5) > 0.5 + ROUNDING).any(axis=1)
    if task == "multiclass":
        most = min(ROUNDED * predictions.shape[1], SUM_TOLERANCE)
        bad = bad | (np.abs(predictions.sum(axis=1) - 1) > most)
    return bad


TASKS: dict[str, Task] = {
    "regression": Task("regression", False, False, lambda raw: raw, lambda raw: raw),
    "binary": Task("binary", True, True, _to_log_odds, expit),
    "multiclass": Task(
        "multiclass", True, True, _to_log_softmax, lambda raw: softmax(raw, axis=-1)
    ),
    "multilabel": Task("multilabel", False, True, _to_log_odds, expit),
}
