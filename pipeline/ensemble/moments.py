"""Scores of plain means of predictors from second moments, without a pass over the rows.

Letters: n rows, m predictors, c columns, s sets of predictors, B bootstrap samples.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.bootstrap import bootstrap_counts
from pipeline.scoring.formulas import NO_VARIANCE, ROW_MEANS, correlation, mean_of_defined, r2
from pipeline.scoring.tasks import Floats

BLOCK = 8192  # rows per block of products, to limit memory


@dataclass(frozen=True, eq=False)
class Moments:
    """Means and covariances, (c, m + 1, ...), of the m predictors and, last, the target."""

    means: Floats
    covariances: Floats


def moments_of(preds: Floats, y: Floats) -> Moments:
    """Moments of all rows; `y` is (n, c)."""
    return weighted_moments(_joined(preds, y), np.ones((1, len(y))))[0]


def bootstrap_moments(
    preds: Floats, y: Floats, clusters: NDArray[np.int64], n_draws: int, rng: np.random.Generator
) -> list[Moments]:
    """Moments of B bootstrap samples of the (n,) clusters."""
    counts = np.empty((n_draws, len(clusters)), dtype=np.float32)  # counts: exact
    for line in counts:
        line[:] = bootstrap_counts(clusters, rng)
    return weighted_moments(_joined(preds, y), counts)


def weighted_moments(joined: Floats, counts: NDArray[np.floating]) -> list[Moments]:
    """Moments of (n, c, m + 1) values of B samples that hold row i `counts[b, i]` times."""
    n, c, width = joined.shape
    # centred against cancellation; a constant is centred on itself, so its variance is exactly 0
    centre = np.where(np.ptp(joined, axis=0) > 0, joined.mean(axis=0), joined[0])
    first, second = np.triu_indices(width)
    sums = np.zeros((len(counts), c, width))
    products = np.zeros((len(counts), c, len(first)))
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        weights = counts[:, rows].astype(np.float64)
        for j in range(c):
            x = joined[rows, j] - centre[j]
            sums[:, j] += weights @ x
            products[:, j] += weights @ (x[:, first] * x[:, second])
    total = counts.sum(axis=1, dtype=np.float64)[:, None, None]
    means = sums / total
    second_moments = np.empty((len(counts), c, width, width))
    second_moments[..., first, second] = products / total
    second_moments[..., second, first] = products / total
    covariances = second_moments - means[..., :, None] * means[..., None, :]
    # a value that is constant within one sample has a variance of rounding error only
    squares = np.diagonal(second_moments, axis1=2, axis2=3)
    variances = np.diagonal(covariances, axis1=2, axis2=3)
    varies = variances > NO_VARIANCE * squares
    covariances *= varies[..., :, None] & varies[..., None, :]
    return [Moments(a + centre, b) for a, b in zip(means, covariances, strict=True)]


def _joined(preds: Floats, y: Floats) -> Floats:
    return np.concatenate([preds.transpose(0, 2, 1), y[:, :, None]], axis=2)


def _shares(sets: NDArray[np.bool_]) -> Floats:
    """(s, m) weights of the plain mean of each set; all 0 for the empty set."""
    return sets / np.maximum(sets.sum(axis=1, keepdims=True), 1)


def _squared_errors(moments: Moments, sets: NDArray[np.bool_]) -> Floats:
    """(c, s) mean squared error of each set's mean; the empty set predicts the target's mean."""
    # the target has weight -1, so the weighted sum is the error
    weights = np.column_stack([_shares(sets), np.full(len(sets), -1.0)])
    bias = moments.means @ weights.T
    bias[:, ~sets.any(axis=1)] = 0
    variance = ((weights @ moments.covariances) * weights).sum(axis=2)
    return np.clip(bias**2 + variance, 0, None)


def _rmse(moments: Moments, sets: NDArray[np.bool_]) -> Floats:
    return mean_of_defined(ROW_MEANS["rmse"].of_mean(_squared_errors(moments, sets)))


def _r2(moments: Moments, sets: NDArray[np.bool_]) -> Floats:
    return mean_of_defined(r2(_squared_errors(moments, sets), moments.covariances[:, -1:, -1]))


def _pearson(moments: Moments, sets: NDArray[np.bool_]) -> Floats:
    """(s,) Pearson's r; 0 for a constant mean and for the empty set."""
    weights = _shares(sets)
    with_y = moments.covariances[:, :-1, -1] @ weights.T
    variance = ((weights @ moments.covariances[:, :-1, :-1]) * weights).sum(axis=2)
    spread = moments.covariances[:, -1:, -1]
    return mean_of_defined(correlation(with_y, spread, np.clip(variance, 0, None)))


MOMENT_METRICS: dict[str, Callable[[Moments, NDArray[np.bool_]], Floats]] = {
    "rmse": _rmse,
    "mcrmse": _rmse,
    "r2": _r2,
    "pearson": _pearson,
}
