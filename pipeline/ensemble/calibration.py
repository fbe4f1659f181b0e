"""Calibration of a blend's probabilities: of rows predicted 30 %, 30 % are positive.

Letters: n fit rows, k new rows, c columns. `ensemble.postprocessing` registers both methods and
checks their input.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.isotonic import IsotonicRegression

from pipeline.ensemble.fitted import State
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, Task

STEEPEST = 100.0  # temperatures lie between 1 / 100 and 100


class Temperature:
    """Log-odds or log-softmax divided by the temperature with the least log loss (Guo et al. 2017).

    One temperature, or one per label; hard predictions and rank order stay. The prior on the
    temperature: docs/method.md, "Post-processing".
    """

    def fit(self, blend: Floats, target: Target) -> State:
        """Factor = 1 / temperature."""
        raw = target.task.to_raw(blend)
        if target.task.name == "binary":
            raw = np.column_stack([np.zeros(len(raw)), raw])
        return {"factor": [_factor(raw, target.y)]}

    def meaning(self, state: State, columns: Sequence[str], task: Task) -> str:
        return "temperature " + ", ".join(f"{1 / f:.4g}" for f in state["factor"])

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        factor = np.asarray(state["factor"])
        return np.where(factor == 1, new, task.to_prediction(factor * task.to_raw(new)))


def _factor(raw: Floats, codes: NDArray[np.int64]) -> float:
    """1 / temperature from (n, classes) log-probabilities and (n,) true codes."""
    if np.all(codes == codes[:1]):
        return 1.0
    against_truth = raw - raw[np.arange(len(raw)), codes][:, None]

    def loss(log_factor: float) -> float:
        log_loss = np.logaddexp.reduce(np.exp(log_factor) * against_truth, axis=1).sum()
        return float(log_loss + log_factor**2 / 2)

    bound = np.log(STEEPEST)
    return float(np.exp(minimize_scalar(loss, bounds=(-bound, bound), method="bounded").x))


class Isotonic:
    """Monotone curve of least squared error, column by column (Zadrozny & Elkan 2002).

    Classes are normalised afterwards. Two added rows keep log loss finite: docs/method.md,
    "Post-processing".
    """

    def fit(self, blend: Floats, target: Target) -> State:
        """Corners of each column's curve; None for a column with constant targets."""
        labels = target.as_columns(blend.shape[1])
        return {"curves": [self._fit(p, label) for p, label in zip(blend.T, labels.T, strict=True)]}

    def _fit(self, p: Floats, label: Floats) -> State | None:
        if np.ptp(label) == 0:
            return None
        curve = IsotonicRegression()
        curve.fit(np.append(p, [p.min(), p.max()]), np.append(label, [1.0, 0.0]))
        return {"at": curve.X_thresholds_, "value": curve.y_thresholds_}

    def meaning(self, state: State, columns: Sequence[str], task: Task) -> str:
        corners = [0 if curve is None else len(curve["at"]) for curve in state["curves"]]
        return f"isotonic curves of {', '.join(map(str, corners))} corners"

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        calibrated, curves = new.copy(), state["curves"]
        for j, curve in enumerate(curves):
            if curve is not None:
                calibrated[:, j] = np.interp(new[:, j], curve["at"], curve["value"])
        if task.name != "multiclass" or not any(curves):
            return calibrated
        return calibrated / calibrated.sum(axis=1, keepdims=True)
