"""Scores by the names of metric and task."""

from typing import Any

from pipeline.scoring.target import Target


def score(metric: str, task: str, y: Any, predictions: Any, labels: Any = None) -> float:
    return Target.of(y, task, metric, labels=labels).score(predictions)


def column_scores(metric: str, task: str, y: Any, predictions: Any) -> Any:
    return Target.of(y, task, metric).column_scores(predictions)
