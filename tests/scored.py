"""Scores by the names of metric and task, and targets and predictions to score."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from pipeline.scoring.names import Setting
from pipeline.scoring.target import Target


def score(metric: Setting, task: str, y: Any, predictions: Any, labels: Any = None) -> float:
    return Target.of(y, task, metric, labels=labels).score(predictions)


def column_scores(metric: Setting, task: str, y: Any, predictions: Any) -> Any:
    return Target.of(y, task, metric).column_scores(predictions)


def target_of(y: Any, groups: Any = None, metric: Setting = "rmse") -> Target:
    return Target.of(y, "regression", metric, groups)


def errors(n: int = 200, scales: Sequence[float] = (1.0, 1.3), seed: int = 0) -> tuple[Any, Any]:
    """A target and predictions of these root mean squared errors."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 1))
    return y, [y + scale * rng.normal(size=(n, 1)) for scale in scales]


def observed(task: str, signal: Any, raw: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Targets that follow (n, c) signals, and the predictions of (n, ..., c) raw ones."""
    if task == "regression":
        return 2 * signal, raw
    if task == "multiclass":
        return (2 * signal + rng.gumbel(size=signal.shape)).argmax(axis=1), softmax(raw, axis=-1)
    y = (rng.random(signal.shape) < expit(2 * signal)).astype(float)
    return (y[:, 0].astype(int) if task == "binary" else y), expit(raw)


class Shift:
    """A post-processing that shows what it was fitted on: it adds the mean error."""

    def fit(self, blend: Any, target: Target) -> Any:
        error = (target.y - blend).mean(axis=0)
        return SimpleNamespace(apply=lambda new: new + error)
