"""The four tasks: what their targets and predictions look like. Letters: n rows, c columns.

Targets `y` are (n, c) float64 for regression and multilabel, (n,) integer codes for binary (1 is
the positive class) and multiclass. Predictions are always (n, c) float64: targets in target units,
the probability of the positive class (c = 1), of every class, or of every label.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit, softmax

Floats = NDArray[np.float64]

TINY = 1e-15  # keeps log-odds of a probability of exactly 0 or 1 finite
SUM_TOLERANCE = 1e-3  # files written with few digits still count as summing to 1


@dataclass(frozen=True)
class Task:
    """One task's scale.

    Attributes:
        has_classes: `y` holds integer codes, not values.
        is_probability: predictions are probabilities.
        to_raw: (..., c) predictions to the scale on which models of one member are averaged:
            as they are, log-odds, or log-softmax.
        to_prediction: the inverse.
    """

    name: str
    has_classes: bool
    is_probability: bool
    to_raw: Callable[[Floats], Floats]
    to_prediction: Callable[[Floats], Floats]


def spread(values: Floats) -> Floats:
    """Standard deviation of each column, 1 where all values are equal."""
    # not std > 0: rounding lets the deviation of a constant differ from 0
    return np.where(np.ptp(values, axis=0) > 0, values.std(axis=0), 1.0)


@dataclass(frozen=True)
class Scaling:
    """Mean and standard deviation (c,) of a unit's regression targets; other tasks have none."""

    mean: list[float]
    sd: list[float]

    @staticmethod
    def of(y: Floats) -> "Scaling":
        return Scaling(y.mean(axis=0).tolist(), spread(y).tolist())

    def standardise(self, y: Floats) -> Floats:
        return (y - np.array(self.mean)) / np.array(self.sd)

    def restore(self, standardised: Floats) -> Floats:
        return standardised * np.array(self.sd) + np.array(self.mean)


def _identity(values: Floats) -> Floats:
    return values


def _to_log_odds(values: Floats) -> Floats:
    return logit(np.clip(values, TINY, 1 - TINY))


def _to_log_softmax(values: Floats) -> Floats:
    return log_softmax(np.log(np.clip(values, TINY, None)), axis=-1)


def _from_log_softmax(values: Floats) -> Floats:
    return softmax(values, axis=-1)


def prediction_columns(task: str, targets: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Names of the prediction columns: the classes for multiclass, the targets otherwise."""
    return list(classes if task == "multiclass" else targets)


def as_columns(task: str, y: NDArray[Any], n_columns: int) -> Floats:
    """(n, c) targets on the scale of the predictions: 0 and 1 where these are probabilities."""
    if task == "multiclass":
        return np.eye(n_columns)[y]
    return y.reshape(len(y), -1).astype(np.float64)


def decide(task: str, predictions: Floats) -> NDArray[np.int64]:
    """Hard decisions: (n,) codes by 0.5 or argmax; (n, c) of 0/1 for multilabel."""
    if task == "multiclass":
        return predictions.argmax(axis=1)
    decisions = (predictions >= 0.5).astype(np.int64)
    return decisions[:, 0] if task == "binary" else decisions


def as_probabilities(task: str, blend: Floats) -> Floats:
    """(n, c) blends as predictions of the task, where negative weights left [0, 1].

    Clipped; classes of a row that was clipped at 0 sum to 1 again. Targets stay as they are.
    """
    if not TASKS[task].is_probability:
        return blend
    clipped = np.clip(blend, 0, 1)
    if task == "multiclass" and (off := (blend < 0).any(axis=1)).any():
        clipped[off] /= clipped[off].sum(axis=1, keepdims=True)
    return clipped


def out_of_range(task: str, predictions: Floats) -> NDArray[np.bool_]:
    """(n,) rows that cannot be predictions of the task.

    Not finite, a probability outside [0, 1], or probabilities of classes that do not sum to 1.
    """
    bad = np.asarray(~np.isfinite(predictions).all(axis=1))
    if TASKS[task].is_probability:
        bad = bad | ((predictions < 0) | (predictions > 1)).any(axis=1)
    if task == "multiclass":
        bad = bad | (np.abs(predictions.sum(axis=1) - 1) > SUM_TOLERANCE)
    return bad


TASKS: dict[str, Task] = {
    "regression": Task("regression", False, False, _identity, _identity),
    "binary": Task("binary", True, True, _to_log_odds, expit),
    "multiclass": Task("multiclass", True, True, _to_log_softmax, _from_log_softmax),
    "multilabel": Task("multilabel", False, True, _to_log_odds, expit),
}
