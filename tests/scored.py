"""Scores by the names of metric and task."""

from typing import Any

from pipeline.scoring.names import Setting
from pipeline.scoring.target import Target


def score(metric: Setting, task: str, y: Any, predictions: Any, labels: Any = None) -> float:
    return Target.of(y, task, metric, labels=labels).score(predictions)


def column_scores(metric: Setting, task: str, y: Any, predictions: Any) -> Any:
    return Target.of(y, task, metric).column_scores(predictions)
