"""Scores of plain means from second moments alone: a set of predictors costs no pass over rows.

The squared error and the correlation of a mean of predictors follow from the sums of products of
predictors and target. Letters: n rows, m predictors, c columns, s sets, b draws of rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.bootstrap import bootstrap_counts
from pipeline.scoring.formulas import NO_VARIANCE, ROW_MEANS, correlation, mean_of_defined, r2
from pipeline.scoring.tasks import Floats

BLOCK = 8192  # rows whose products are in memory at once


@dataclass(frozen=True, eq=False)
class Moments:
    """Means and covariances of the m predictors and, last, the target: (c, m + 1, ...)."""

    means: Floats
    covariances: Floats


def moments_of(preds: Floats, y: Floats) -> Moments:
    """Moments of all rows; `y` is (n, c)."""
    return drawn_from(_joined(preds, y), np.ones((1, len(y))))[0]


def drawn_moments(
    preds: Floats, y: Floats, cluster: NDArray[np.int64], n_draws: int, rng: np.random.Generator
) -> list[Moments]:
    """Moments of b bootstrap draws of whole clusters (n,)."""
    times = np.empty((n_draws, len(cluster)), dtype=np.float32)  # counts: exact
    for line in times:
        line[:] = bootstrap_counts(cluster, rng)
    return drawn_from(_joined(preds, y), times)


def drawn_from(joined: Floats, times: NDArray[np.floating]) -> list[Moments]:
    """Moments of (n, c, m + 1) values where row i stands `times[b, i]` times, for each b."""
    n, c, width = joined.shape
    # Centred on the mean of all rows, so that large targets do not drown the differences; a
    # constant is centred on itself, so that it varies by exactly 0.
    centre = np.where(np.ptp(joined, axis=0) > 0, joined.mean(axis=0), joined[0])
    first, second = np.triu_indices(width)
    sums = np.zeros((len(times), c, width))
    products = np.zeros((len(times), c, len(first)))
    for start in range(0, n, BLOCK):
        of = slice(start, start + BLOCK)
        weights = times[:, of].astype(np.float64)
        for j in range(c):
            x = joined[of, j] - centre[j]
            sums[:, j] += weights @ x
            products[:, j] += weights @ (x[:, first] * x[:, second])
    total = times.sum(axis=1, dtype=np.float64)[:, None, None]
    means = sums / total
    moments = np.empty((len(times), c, width, width))
    moments[..., first, second] = moments[..., second, first] = products / total
    covariances = moments - means[..., :, None] * means[..., None, :]
    # what is constant in one draw only varies there by rounding, and divided by it all is noise
    squares, variances = (np.diagonal(x, axis1=2, axis2=3) for x in (moments, covariances))
    varies = variances > NO_VARIANCE * squares
    covariances *= varies[..., :, None] & varies[..., None, :]
    return [Moments(a + centre, b) for a, b in zip(means, covariances, strict=True)]


def _joined(preds: Floats, y: Floats) -> Floats:
    return np.concatenate([preds.transpose(0, 2, 1), y[:, :, None]], axis=2)


def _shares(sets: NDArray[np.bool_]) -> Floats:
    """(s, m) weights of the plain mean of each set; of the empty set all are 0."""
    return sets / np.maximum(sets.sum(axis=1, keepdims=True), 1)


def _squared_errors(of: Moments, sets: NDArray[np.bool_]) -> Floats:
    """(c, s) mean squared error of each set's mean; the empty set predicts the target's mean."""
    # the target joins with weight -1, so that the combination is the error itself
    weights = np.column_stack([_shares(sets), np.full(len(sets), -1.0)])
    bias = of.means @ weights.T
    bias[:, ~sets.any(axis=1)] = 0
    variance = ((weights @ of.covariances) * weights).sum(axis=2)
    return np.clip(bias**2 + variance, 0, None)


def _rmse(of: Moments, sets: NDArray[np.bool_]) -> Floats:
    return mean_of_defined(ROW_MEANS["rmse"].of_mean(_squared_errors(of, sets)))


def _r2(of: Moments, sets: NDArray[np.bool_]) -> Floats:
    return mean_of_defined(r2(_squared_errors(of, sets), of.covariances[:, -1:, -1]))


def _pearson(of: Moments, sets: NDArray[np.bool_]) -> Floats:
    """A constant, the empty set too, correlates 0."""
    weights = _shares(sets)
    with_y = of.covariances[:, :-1, -1] @ weights.T
    variance = ((weights @ of.covariances[:, :-1, :-1]) * weights).sum(axis=2)
    spread = of.covariances[:, -1:, -1]
    return mean_of_defined(correlation(with_y, spread, np.clip(variance, 0, None)))


MOMENT_METRICS: dict[str, Callable[[Moments, NDArray[np.bool_]], Floats]] = {
    "rmse": _rmse,
    "mcrmse": _rmse,
    "r2": _r2,
    "pearson": _pearson,
}
