"""Calls of the user's own metric: a trial before anything is trained, and what many will cost."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.files.messages import duration
from pipeline.scoring.own import REMEDY
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_TIMED = 5  # calls


def try_metric(target: Target, n_columns: int, parts: Sequence[NDArray[Any]] = ()) -> str | None:
    """Call a metric of the user's own on predictions half-way from a constant to the truth.

    Args:
        n_columns: of predictions.
        parts: rows that will be scored alone, such as those of a fold.
    Returns:
        A warning if the constant itself scores better.
    Raises:
        ValueError: the function fails, or returns no number; NaN is one on parts only.
    """
    if target.metric.own is None:
        return None
    constant = target.constant(n_columns, len(target))
    better = (constant + target.as_columns(n_columns)) / 2
    for rows in parts:
        target[rows].score(better[rows])
    score, of_constant = target.score(better), target.score(constant)
    label = target.metric.label
    if np.isnan(score):
        raise ValueError(
            f"metric {label} is NaN for predictions near the truth on all {len(target)} rows; "
            f"{REMEDY}"
        )
    if target.metric.sign * (score - of_constant) >= 0 or np.isnan(of_constant):
        return None
    is_better = target.metric.greater_is_better
    return (
        f"metric {label}: predictions half-way to the truth score {score:.4g}, a constant "
        f"{of_constant:.4g}, which is better; is greater_is_better: {str(is_better).lower()} right?"
    )


def cost_of_calls(target: Target, predictions: Floats, n_calls: int) -> str | None:
    """What so many calls of the user's own metric take, in a line; None for a built-in metric."""
    if target.metric.own is None:
        return None
    target.score(predictions)  # the first call reads the file
    start = time.perf_counter()
    for _ in range(N_TIMED):
        target.score(predictions)
    seconds = (time.perf_counter() - start) / N_TIMED
    milliseconds = float(f"{1000 * seconds:.2g}")  # printed by :g, without an exponent
    return (
        f"{target.metric.label} takes {milliseconds:g} ms on all rows and is called about "
        f"{n_calls:,} times: about {duration(seconds * n_calls)} at most"
    )
