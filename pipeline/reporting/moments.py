"""Scores of plain means of predictors from second moments, without a pass over the rows.

Letters: n rows, m predictors, c columns, s sets of predictors.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.formulas import NO_VARIANCE, ROW_MEANS, correlation, mean_of_defined, r2
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True, eq=False)
class Moments:
    """Means and covariances, (c, m + 1, ...), of the m predictors and, last, the target."""

    means: Floats
    covariances: Floats


def moments_of(preds: Floats, y: Floats, samples: Iterable[NDArray[Any]]) -> Iterator[Moments]:
    """The moments of each sample.

    Args:
        preds, y: (n, m, c) and (n, c).
        samples: (n,) how often a sample holds each row.
    """
    values = np.concatenate([preds, y[:, None]], axis=1).transpose(2, 1, 0)  # (c, m + 1, n)
    # centred against cancellation; a constant is centred on itself, so its variance is exactly 0
    is_constant = np.ptp(values, axis=2, keepdims=True) == 0
    center = np.where(is_constant, values[..., :1], values.mean(axis=2, keepdims=True))
    centered = values - center
    for counts in samples:
        weighted = centered * (counts / counts.sum())
        means = weighted.sum(axis=2)
        products = weighted @ centered.transpose(0, 2, 1)
        covariances = products - means[:, :, None] * means[:, None, :]
        variances, squares = (np.diagonal(of, axis1=1, axis2=2) for of in (covariances, products))
        varies = variances > NO_VARIANCE * squares  # the rest is rounding error
        covariances *= varies[:, :, None] & varies[:, None, :]
        yield Moments(means + center[..., 0], covariances)


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
    variance_y = moments.covariances[:, -1:, -1]
    return mean_of_defined(correlation(with_y, variance_y, np.clip(variance, 0, None)))


MOMENT_METRICS: dict[str, Callable[[Moments, NDArray[np.bool_]], Floats]] = {
    "rmse": _rmse,
    "mcrmse": _rmse,
    "r2": _r2,
    "pearson": _pearson,
}
