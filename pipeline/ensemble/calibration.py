"""Calibration of one blend's probabilities: said 30 %, true of 30 % of the rows.

Letters: n fit rows, k new rows, c columns, a cases: what one probability is said about, a row or
one label of a row. `ensemble.postprocessing` registers and checks what is here.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from pipeline.ensemble.fitted import State
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, Task

STEEPEST = 100.0  # no temperature below 1 / 100 or above 100


class Temperature:
    """Log-odds or log-softmax divided by the temperature with the least log loss (Guo et al. 2017).

    One temperature, for each label of a multilabel task, and no bias: no row changes sides of 0.5
    and no order is lost. Its logarithm is taken to be normal about 0 with a standard deviation of
    1, or a few rows that are all on the right side would ask for certainty.
    """

    def fit(self, blend: Floats, target: Target) -> State:
        """One over the temperature, for all classes or for each label."""
        raw, y = target.task.to_raw(blend), target.y
        if target.task.name == "multiclass":
            return {"factor": _factor(raw, y)}
        columns = y.reshape(len(y), -1).astype(np.int64)
        sides = [np.column_stack([np.zeros(len(y)), raw[:, j]]) for j in range(raw.shape[1])]
        factors = [_factor(s, column) for s, column in zip(sides, columns.T, strict=True)]
        return {"factor": np.array(factors)}

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        factor = np.asarray(state["factor"])
        return np.where(factor == 1, new, task.to_prediction(factor * task.to_raw(new)))


def _factor(raw: Floats, codes: NDArray[np.int64]) -> float:
    """One over the temperature of (a, classes) logarithms of odds whose truth is (a,) codes."""
    if np.all(codes == codes[:1]):
        return 1.0
    against_truth = raw - raw[np.arange(len(raw)), codes][:, None]

    def loss(log_factor: float) -> float:
        surprise = np.logaddexp.reduce(np.exp(log_factor) * against_truth, axis=1).sum()
        return float(surprise + log_factor**2 / 2)

    bound = np.log(STEEPEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))


class Isotonic:
    """The rising curve of the least squared error, column by column (Zadrozny & Elkan 2002).

    Classes are each held against the rest and sum to 1 again. Two imagined cases keep log loss
    finite: one of the label at the lowest probability and one without it at the highest, so that
    an end of s rows that are all alike says 1 / (s + 1) rather than never.
    """

    def fit(self, blend: Floats, target: Target) -> State:
        """Corners of each column's curve; None for a column whose targets are all equal."""
        labels = target.as_columns(blend.shape[1])
        return {"curves": [self._fit(p, of_p) for p, of_p in zip(blend.T, labels.T, strict=True)]}

    def _fit(self, p: Floats, label: Floats) -> State | None:
        if np.ptp(label) == 0:
            return None
        curve = IsotonicRegression()
        curve.fit(np.append(p, [p.min(), p.max()]), np.append(label, [1.0, 0.0]))
        return {"at": curve.X_thresholds_, "value": curve.y_thresholds_}

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        calibrated, is_fitted = new.copy(), False
        for j, curve in enumerate(state["curves"]):
            if curve is not None:
                calibrated[:, j] = np.interp(new[:, j], curve["at"], curve["value"])
                is_fitted = True
        if task.name != "multiclass" or not is_fitted:
            return calibrated
        return calibrated / calibrated.sum(axis=1, keepdims=True)
