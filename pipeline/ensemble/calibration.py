"""Calibration of one blend's probabilities: said 30 %, true of 30 % of the rows.

Letters: n fit rows, k new rows, c columns, a cases: what one probability is said about, a row or
one label of a row. `ensemble.postprocessing` registers and checks what is here.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from pipeline.scoring.tasks import TASKS, Floats, as_columns

STEEPEST = 100.0  # no temperature below 1 / 100 or above 100


def temperature(
    blend: Floats, y: NDArray[Any], new_blend: Floats, *, task: str, metric: str
) -> Floats:
    """Log-odds or log-softmax divided by the temperature with the least log loss (Guo et al. 2017).

    One temperature, for each label of a multilabel task, and no bias: no row changes sides of 0.5
    and no order is lost. Its logarithm is taken to be normal about 0 with a standard deviation of
    1, or a few rows that are all on the right side would ask for certainty.
    """
    raw, new_raw = TASKS[task].to_raw(blend), TASKS[task].to_raw(new_blend)
    if task == "multiclass":
        factor = np.array(_factor(raw, y))
    else:
        columns = y.reshape(len(y), -1).astype(np.int64)
        sides = [np.column_stack([np.zeros(len(y)), raw[:, j]]) for j in range(raw.shape[1])]
        factor = np.array([_factor(s, column) for s, column in zip(sides, columns.T, strict=True)])
    return np.where(factor == 1, new_blend, TASKS[task].to_prediction(factor * new_raw))


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


def isotonic(
    blend: Floats, y: NDArray[Any], new_blend: Floats, *, task: str, metric: str
) -> Floats:
    """The rising curve of the least squared error, column by column (Zadrozny & Elkan 2002).

    Classes are each held against the rest and sum to 1 again. Two imagined cases keep log loss
    finite: one of the label at the lowest probability and one without it at the highest, so that
    an end of s rows that are all alike says 1 / (s + 1) rather than never.
    """
    n_columns = blend.shape[1]
    labels = as_columns(task, y, n_columns)
    calibrated = new_blend.copy()
    for j in range(n_columns):
        p, label = blend[:, j], labels[:, j]
        if np.ptp(label) > 0:
            curve = IsotonicRegression(out_of_bounds="clip")
            curve.fit(np.append(p, [p.min(), p.max()]), np.append(label, [1.0, 0.0]))
            calibrated[:, j] = curve.predict(new_blend[:, j])
    changed = task == "multiclass" and np.ptp(y) > 0
    return calibrated / calibrated.sum(axis=1, keepdims=True) if changed else calibrated
