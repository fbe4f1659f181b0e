"""Scores by the names of metric and task, and states after a round trip through JSON."""

import json
from typing import Any

import numpy as np

from pipeline.scoring.target import Target


def score(metric: str, task: str, y: Any, predictions: Any, labels: Any = None) -> float:
    return Target.of(y, task, metric, labels=labels).score(predictions)


def column_scores(metric: str, task: str, y: Any, predictions: Any) -> Any:
    return Target.of(y, task, metric).column_scores(predictions)


def through_json(state: Any) -> Any:
    """Plain data written as JSON and read back: arrays come back as lists."""

    def plain(value: Any) -> Any:
        assert isinstance(value, np.ndarray | np.generic)  # or json knows it itself
        return value.tolist()

    return json.loads(json.dumps(state, default=plain))
