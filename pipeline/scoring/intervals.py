"""How sure a difference between two scores is: paired bootstrap intervals.

Letters: n rows, c columns, K folds, b blends or predictors, B bootstrap samples.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.bootstrap import bootstrap_score
from pipeline.scoring.draws import clusters_of, counts_of_draw
from pipeline.scoring.metrics import Metric
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_BOOTSTRAP = 1000
AT_ONCE = 4_000_000  # cells of a block of bootstrap samples: 32 MB


def bootstrap_scores(
    target: Target, predictions: Sequence[Floats], *, n_bootstrap: int = N_BOOTSTRAP, seed: int
) -> Floats:
    """The score of each of b predictions on the same bootstrap samples of the rows.

    Rows are drawn, or whole groups where the target has them: rows that resemble each other hold
    less evidence than their number says.

    Args:
        predictions: b of (n, c).
    Returns:
        (B, b); NaN where the metric is undefined on a sample.
    """
    n = len(target)
    rng = np.random.default_rng(seed)
    cluster = clusters_of(n, target.groups)
    prepared = [bootstrap_score(target, p) for p in predictions]
    scores = np.empty((n_bootstrap, len(predictions)))
    block = max(1, AT_ONCE // n)
    for start in range(0, n_bootstrap, block):
        times = np.empty((min(block, n_bootstrap - start), n))
        for row in times:
            row[:] = counts_of_draw(cluster, rng)
        for j, score_of in enumerate(prepared):
            scores[start : start + len(times), j] = score_of(times)
    return scores


def improvements(metric: Metric, scores: Floats, base: Floats) -> Floats:
    """How much better scores are than the base's; positive is better, whatever the direction.

    What rounding alone could have made is no difference.
    """
    difference = metric.sign * (scores - base)
    rounding = 1e-12 * np.maximum(np.abs(scores), np.abs(base))
    return np.where(np.abs(difference) <= rounding, 0.0, difference)


def intervals_of(values: Floats, bootstrap: Floats, fit_variance: Floats | float = 0.0) -> Floats:
    """(b, 3): (b,) values with the 95 % percentile interval of their (B, b) bootstrap values.

    Values of NaN are left out; low and high are NaN where all are.

    Args:
        fit_variance: (b,) variances that the bootstrap does not see, of `estimate_fit_variance`:
            the interval is widened about the value.
    """
    intervals = np.column_stack([values, np.full((len(values), 2), np.nan)])
    more = np.broadcast_to(fit_variance, values.shape)
    for interval, column, variance in zip(intervals, bootstrap.T, more, strict=True):
        defined = column[~np.isnan(column)]
        if len(defined) and np.ptp(defined) > 0:
            wider = np.sqrt(1 + variance / defined.var())
            ends = np.percentile(defined, [2.5, 97.5])
            interval[1:] = interval[0] + wider * (ends - interval[0])
        elif len(defined):
            interval[1:] = defined[0]
    return intervals


def estimate_fit_variance(
    target: Target,
    held_out_pairs: Floats,
    folds: NDArray[Any],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int,
) -> float:
    """The part of a cross-fitted score's variance that the bootstrap with the fits as given misses.

    To first order, what fits bring into the score is a sum over pairs of rows of different folds,
    one in the fit, the other scored. Each pair occurs both ways round with the same value, so its
    variance is twice that of independent terms, which is all that the bootstrap sees; without the
    other half, 95 % intervals of blends no better than the plain mean held the truth 82 % of the
    time.

    Fits that lose more folds tell how much the bootstrap sees. Let v be the variance of one fold's
    pull on the score: a fit on K - 1 folds has v / (K - 1); it differs from a fit that loses a fold
    more by v / (K - 1) / (K - 2), and two fits that lose different folds differ by 2 v / (K - 2)².
    Noise of a fit's own, such as the bags of hill climbing, is in both differences alike and in
    nothing that is missed, so v is taken from the gap between them.

    Args:
        held_out_pairs: (K, n, c) of `ensemble.crossfit.cross_fit_pairs`.
        folds: (n,).
    """
    n_folds = len(held_out_pairs)
    rows, own = np.arange(len(target)), np.unique(folds, return_inverse=True)[1]
    without_more = [held_out_pairs[(own + step) % n_folds, rows] for step in range(n_folds)]
    scores = bootstrap_scores(target, without_more, n_bootstrap=n_bootstrap, seed=seed)
    scores = scores[~np.isnan(scores).any(axis=1)]
    if not len(scores):
        return 0.0
    lost_one_more = (scores[:, 1:] - scores[:, :1]).var(axis=0).mean()
    lost_different = np.mean(
        [(scores[:, a] - scores[:, b]).var() for a, b in combinations(range(1, n_folds), 2)]
    )
    return max(0.0, (n_folds - 2) ** 2 / n_folds * float(lost_different - lost_one_more))


def difference_interval(
    target: Target,
    a: Floats,
    b: Floats,
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int,
    fit_variance: float = 0.0,
) -> tuple[float, float, float]:
    """How much better (n, c) `a` scores than (n, c) `b`, and the ends of the 95 % interval.

    Paired percentile bootstrap: both are scored on the same samples of `bootstrap_scores`. The
    predictions are taken as given: how they would differ with other folds is not in it, but for
    `fit_variance`.

    Returns:
        The difference on all rows, low, high; NaN where the metric is undefined.
    """
    scores = bootstrap_scores(target, [a, b], n_bootstrap=n_bootstrap, seed=seed)
    own, base = np.array([[target.score(a)], [target.score(b)]])
    difference, low, high = intervals_of(
        improvements(target.metric, own, base),
        improvements(target.metric, scores[:, :1], scores[:, 1:]),
        fit_variance,
    )[0].tolist()
    return difference, low, high
