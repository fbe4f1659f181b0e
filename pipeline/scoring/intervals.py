"""Bootstrap samples, and confidence intervals of score differences by the paired bootstrap.

Letters: n rows, c columns, K folds, b blends or predictors, B bootstrap samples. `counts` (B, n)
says how often each sample holds each row.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.metrics import Metric
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_BOOTSTRAP = 1000
N_OF_OWN = 200  # at most, of a function of the user's own, which is called for each sample
AT_ONCE = 4_000_000  # counts in a block of bootstrap samples: 32 MB
N_FOR_ERROR, MOST_FOR_ERROR = 50, 5000  # bootstrap samples and rows of a standard error
FEW = 10  # rows or groups: samples of fewer are too alike to tell a standard error


def bootstrap_counts(
    clusters: NDArray[np.int64], n_samples: int, rng: np.random.Generator
) -> Floats:
    """(B, n) how often each bootstrap sample holds each row; it draws as many clusters as exist."""
    n = int(clusters.max()) + 1
    samples = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_samples))
    return np.array([sample[clusters] for sample in samples], np.float64)


def bootstrap_scores(
    target: Target, predictions: Sequence[Floats], *, n_bootstrap: int = N_BOOTSTRAP, seed: int
) -> Floats:
    """(B, b) scores of b predictions on the same bootstrap samples of rows, or of whole groups.

    Args:
        predictions: b of (n, c).
    Returns:
        NaN where the metric is undefined on a sample.
    """
    n_bootstrap = min(n_bootstrap, N_OF_OWN) if target.metric.own else n_bootstrap
    rng = np.random.default_rng(seed)
    prepared = [target.scorer(p) for p in predictions]
    scores = np.empty((n_bootstrap, len(predictions)))
    block = max(1, AT_ONCE // len(target))
    for start in range(0, n_bootstrap, block):
        counts = bootstrap_counts(target.clusters, min(block, n_bootstrap - start), rng)
        for j, score_of in enumerate(prepared):
            scores[start : start + len(counts), j] = score_of(counts)
    return scores


def improvements(metric: Metric, scores: Floats, base: Floats) -> Floats:
    """Gain of scores over the base's; positive is better. Differences within rounding are 0."""
    difference = metric.sign * (scores - base)
    rounding = 1e-12 * np.maximum(np.abs(scores), np.abs(base))
    return np.where(np.abs(difference) <= rounding, 0.0, difference)


def intervals_of(values: Floats, bootstrap: Floats, fit_variance: Floats | float = 0.0) -> Floats:
    """(b, 3) value, low and high: the 95 % percentile intervals of (B, b) bootstrap values.

    NaNs are left out; low and high are NaN where all bootstrap values are NaN.

    Args:
        fit_variance: (b,) from `estimate_fit_variance`, by which intervals are widened.
    """
    intervals = np.column_stack([values, np.full((len(values), 2), np.nan)])
    fit_variances = np.broadcast_to(fit_variance, values.shape)
    for interval, column, variance in zip(intervals, bootstrap.T, fit_variances, strict=True):
        defined = column[~np.isnan(column)]
        if len(defined) and np.ptp(defined) > 0:
            stretch = np.sqrt(1 + variance / defined.var())
            ends = np.percentile(defined, [2.5, 97.5])
            interval[1:] = interval[0] + stretch * (ends - interval[0])
        elif len(defined):
            interval[1:] = defined[0]
    return intervals


def estimate_fit_variance(
    target: Target, held_out_pairs: Floats, folds: NDArray[Any], *, seed: int
) -> float:
    """Variance of a cross-fitted score that the bootstrap misses because it keeps the fits fixed.

    Derivation: docs/method.md, "Variance of fits".

    Args:
        held_out_pairs: (K, n, c) from `ensemble.crossfit.cross_fit_pairs`.
        folds: (n,).
    """
    n_folds = len(held_out_pairs)
    rows, own = np.arange(len(target)), np.unique(folds, return_inverse=True)[1]
    predictions = [held_out_pairs[(own + step) % n_folds, rows] for step in range(n_folds)]
    scores = bootstrap_scores(target, predictions, seed=seed)
    scores = scores[~np.isnan(scores).any(axis=1)]
    if not len(scores):
        return 0.0
    one_fold_less = (scores[:, 1:] - scores[:, :1]).var(axis=0).mean()
    different_folds = np.mean(
        [(scores[:, a] - scores[:, b]).var() for a, b in combinations(range(1, n_folds), 2)]
    )
    return max(0.0, (n_folds - 2) ** 2 / n_folds * float(different_folds - one_fold_less))


def difference_interval(
    target: Target, a: Floats, b: Floats, *, seed: int, fit_variance: float = 0.0
) -> tuple[float, float, float]:
    """Gain of (n, c) `a` over (n, c) `b` on all rows, and the low and high of its 95 % interval.

    Paired percentile bootstrap (docs/method.md, "Intervals of a gain"); NaN where undefined.
    """
    scores = bootstrap_scores(target, [a, b], seed=seed)
    own, base = np.array([[target.score(a)], [target.score(b)]])
    difference, low, high = intervals_of(
        improvements(target.metric, own, base),
        improvements(target.metric, scores[:, :1], scores[:, 1:]),
        fit_variance,
    )[0].tolist()
    return difference, low, high


def standard_error(target: Target, predictions: Floats, rng: np.random.Generator) -> float:
    """Standard error of the score, by bootstrap over rows or whole groups.

    It comes from at most 5,000 rows, scaled to all; NaN for fewer than `FEW` rows or groups.
    Samples on which the metric is undefined, such as those without a positive, are left out; NaN if
    fewer than two are left.
    """
    if len(np.unique(target.clusters)) < FEW:
        return np.nan
    rows = rng.permutation(len(target))[:MOST_FOR_ERROR]
    drawn = target[rows]
    counts = bootstrap_counts(drawn.clusters, N_FOR_ERROR, rng)
    scores = drawn.scorer(predictions[rows])(counts)
    scores = scores[~np.isnan(scores)]
    if len(scores) < 2:
        return np.nan
    return float(scores.std(ddof=1) * np.sqrt(len(rows) / len(target)))
