"""How sure a difference between two scores is: paired bootstrap intervals.

Letters: n rows, c columns, K folds, b blends or predictors, R resamples.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.bootstrap import resampled_score
from pipeline.scoring.draws import clusters_of, counts_of_draw
from pipeline.scoring.metrics import METRICS, score
from pipeline.scoring.tasks import Floats

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
    cluster = clusters_of(n, groups)
    prepared = [resampled_score(metric, task, y, p, y) for p in predictions]
    drawn = np.empty((n_resamples, len(predictions)))
    block = max(1, AT_ONCE // n)
    for start in range(0, n_resamples, block):
        times = np.empty((min(block, n_resamples - start), n))
        for row in times:
            row[:] = counts_of_draw(cluster, rng)
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


def intervals_of(values: Floats, drawn: Floats, of_fits: Floats | float = 0.0) -> Floats:
    """(b, 3): (b,) values with the 95 % percentile interval of their (R, b) draws.

    Draws of NaN are left out; low and high are NaN where all are.

    Args:
        of_fits: (b,) variances that the draws do not hold, of `variance_of_fits`: the interval is
            widened about the value.
    """
    found = np.column_stack([values, np.full((len(values), 2), np.nan)])
    more = np.broadcast_to(of_fits, values.shape)
    for interval, column, variance in zip(found, drawn.T, more, strict=True):
        defined = column[~np.isnan(column)]
        if len(defined) and np.ptp(defined) > 0:
            wider = np.sqrt(1 + variance / defined.var())
            ends = np.percentile(defined, [2.5, 97.5])
            interval[1:] = interval[0] + wider * (ends - interval[0])
        elif len(defined):
            interval[1:] = defined[0]
    return found


def variance_of_fits(
    metric: str,
    task: str,
    y: NDArray[Any],
    twice: Floats,
    folds: NDArray[Any],
    *,
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> float:
    """The variance of a cross-fitted score that resampling its rows with the fits as given misses.

    To first order what fits bring into the score is a sum over pairs of rows of different folds,
    one in the fit, the other scored. Each pair occurs both ways round with the same value, so its
    variance is twice that of independent terms, which is all that resampling sees; without the
    other half, 95 % intervals of blends no better than the plain mean held the truth 82 % of the
    time.

    How much resampling sees is told by fits that lose more folds. Let v be the variance of one
    fold's pull on the score: a fit on K - 1 folds has v / (K - 1); it differs from one that loses a
    fold more by v / (K - 1) / (K - 2), and two that lose different folds differ by 2 v / (K - 2)².
    Noise of a fit's own, such as the bags of hill climbing, is in both differences alike and in
    nothing that is missed, so v is taken from the gap between them.

    Args:
        twice: (K, n, c) of `cross_fit_twice`.
    """
    n_folds = len(twice)
    rows, own = np.arange(len(y)), np.unique(folds, return_inverse=True)[1]
    without_more = [twice[(own + step) % n_folds, rows] for step in range(n_folds)]
    drawn = resampled_scores(
        metric, task, y, without_more, groups=groups, n_resamples=n_resamples, seed=seed
    )
    drawn = drawn[~np.isnan(drawn).any(axis=1)]
    if not len(drawn):
        return 0.0
    lost_one_more = (drawn[:, 1:] - drawn[:, :1]).var(axis=0).mean()
    lost_different = np.mean(
        [(drawn[:, a] - drawn[:, b]).var() for a, b in combinations(range(1, n_folds), 2)]
    )
    return max(0.0, (n_folds - 2) ** 2 / n_folds * float(lost_different - lost_one_more))


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
    of_fits: Floats | float = 0.0,
) -> Floats:
    """How much better than the base each candidate scores, with a 95 % interval.

    Paired percentile bootstrap: all are scored on the same draws of `resampled_scores`. Predictions
    are taken as given: how they would differ with other folds is not in it, but for `of_fits`.

    Args:
        candidates: b of (n, c).
        of_fits: (b,) variances as for `intervals_of`.
    Returns:
        (b, 3): difference on all rows, low, high; NaN where the metric is undefined.
    """
    drawn = resampled_scores(
        metric, task, y, [base, *candidates], groups=groups, n_resamples=n_resamples, seed=seed
    )
    found = np.array([score(metric, task, y, p, y) for p in (base, *candidates)])
    return intervals_of(
        improvements(metric, found[1:], found[0]),
        improvements(metric, drawn[:, 1:], drawn[:, :1]),
        of_fits,
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
    of_fits: float = 0.0,
) -> tuple[float, float, float]:
    """Difference, low, high of `difference_intervals` for (n, c) `a` against (n, c) `b` alone."""
    difference, low, high = difference_intervals(
        metric,
        task,
        y,
        [a],
        b,
        groups=groups,
        n_resamples=n_resamples,
        seed=seed,
        of_fits=of_fits,
    )[0].tolist()
    return difference, low, high
