"""How sure a difference between two scores is: paired bootstrap intervals.

Letters: n rows, c columns, b blends or predictors, R resamples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.resampled import resampled_score
from pipeline.metrics import METRICS, score
from pipeline.tasks import Floats

N_RESAMPLES = 1000
AT_ONCE = 4_000_000  # cells of a block of resamples: 32 MB


def resampled_scores(
    metric: str,
    task: str,
    y: NDArray[Any],
    predictions: Sequence[Floats],
    *,
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> Floats:
    """The score of each of b predictions on the same rows, drawn again and again with replacement.

    Args:
        predictions: b of (n, c).
        groups: (n,) labels of what is drawn as a whole: rows that resemble each other hold less
            evidence than their number says. None draws rows.
    Returns:
        (R, b); NaN where the metric is undefined on a draw.
    """
    n = len(y)
    rng = np.random.default_rng(seed)
    unit = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    prepared = [resampled_score(metric, task, y, p, y) for p in predictions]
    drawn = np.empty((n_resamples, len(predictions)))
    block = max(1, AT_ONCE // n)
    for start in range(0, n_resamples, block):
        times = np.empty((min(block, n_resamples - start), n))
        for row in times:
            row[:] = np.bincount(rng.integers(n_units, size=n_units), minlength=n_units)[unit]
        for j, of_resamples in enumerate(prepared):
            drawn[start : start + len(times), j] = of_resamples(times)
    return drawn


def improvements(metric: str, scores: Floats, base: Floats) -> Floats:
    """How much better scores are than the base's; positive is better, whatever the direction.

    What rounding alone could have made is no difference.
    """
    difference = METRICS[metric].sign * (scores - base)
    rounding = 1e-12 * np.maximum(np.abs(scores), np.abs(base))
    return np.where(np.abs(difference) <= rounding, 0.0, difference)


def intervals_of(values: Floats, drawn: Floats) -> Floats:
    """(b, 3): (b,) values with the 95 % percentile interval of their (R, b) draws.

    Draws of NaN are left out; low and high are NaN where all are.
    """
    found = np.column_stack([values, np.full((len(values), 2), np.nan)])
    for interval, column in zip(found, drawn.T, strict=True):
        if not np.isnan(column).all():
            interval[1:] = np.nanpercentile(column, [2.5, 97.5])
    return found


def difference_intervals(
    metric: str,
    task: str,
    y: NDArray[Any],
    candidates: Sequence[Floats],
    base: Floats,
    *,
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> Floats:
    """How much better than the base each candidate scores, with a 95 % interval.

    Paired percentile bootstrap: all are scored on the same draws of `resampled_scores`. Predictions
    are taken as given: how they would differ with other folds is not in it.

    Args:
        candidates: b of (n, c).
    Returns:
        (b, 3): difference on all rows, low, high; NaN where the metric is undefined.
    """
    drawn = resampled_scores(
        metric, task, y, [base, *candidates], groups=groups, n_resamples=n_resamples, seed=seed
    )
    found = np.array([score(metric, task, y, p, y) for p in (base, *candidates)])
    return intervals_of(
        improvements(metric, found[1:], found[0]), improvements(metric, drawn[:, 1:], drawn[:, :1])
    )


def difference_interval(
    metric: str,
    task: str,
    y: NDArray[Any],
    a: Floats,
    b: Floats,
    *,
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> tuple[float, float, float]:
    """Difference, low, high of `difference_intervals` for (n, c) `a` against (n, c) `b` alone."""
    difference, low, high = difference_intervals(
        metric, task, y, [a], b, groups=groups, n_resamples=n_resamples, seed=seed
    )[0].tolist()
    return difference, low, high
