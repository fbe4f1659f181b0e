"""The formula of every metric, used for bootstrap samples and blends alike.

Metrics of hard predictions: `scoring.counts`. Letters: n rows, c columns, B samples. Means,
variances and covariances may be numbers or arrays of any shape; the variance of a constant must be
exactly 0. A metric is NaN where it is undefined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.tasks import Floats

SampleScore = Callable[[Floats], Floats]  # (B, n) counts of the rows to the (B,) values of samples

LEAST = float(np.finfo(np.float64).eps)  # log loss clips the probability of the truth here
NO_VARIANCE = 1e-12  # share of the mean square; a smaller variance is rounding error


@dataclass(frozen=True)
class RowMean:
    """A metric that is a function of a mean over rows.

    Attributes:
        of_rows: maps targets and predictions of one column to (n,) values.
        of_mean: maps the mean of these values to the metric.
    """

    of_rows: Callable[[NDArray[Any], NDArray[Any]], Floats]
    of_mean: Callable[[Any], Any] = lambda mean: mean

    def __call__(self, y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
        values = self.of_rows(y, p)
        return lambda counts: self.of_mean(ratio(counts @ values, counts.sum(axis=1)))


def _squared_error(y: Floats, p: Floats) -> Floats:
    return (y - p) ** 2


def _squared_log_error(y: Floats, p: Floats) -> Floats:
    """Values below 0 count as 0."""
    return (np.log1p(np.maximum(y, 0)) - np.log1p(np.maximum(p, 0))) ** 2


def rank_of_truth(y: NDArray[Any], p: Floats) -> NDArray[np.int64]:
    """(n,) rank of the true class among (n, classes) probabilities, from 1; ties as in `ranked`."""
    of_truth = p[np.arange(len(y)), y][:, None]
    earlier = np.arange(p.shape[1]) < y[:, None]
    return np.asarray(1 + (p > of_truth).sum(axis=1) + ((p == of_truth) & earlier).sum(axis=1))


def ranked(p: Floats) -> NDArray[np.int64]:
    """(n, classes) codes of the classes, the most probable first; of equal ones the first class."""
    return np.argsort(-p, axis=1, kind="stable")


def reciprocal_rank(k: int) -> RowMean:
    """1 / rank of the true class where it is among the first k, else 0."""
    return RowMean(lambda y, p: np.where((rank := rank_of_truth(y, p)) <= k, 1 / rank, 0.0))


def among_first(k: int) -> RowMean:
    """1 where the true class is among the k most probable, else 0."""
    return RowMean(lambda y, p: (rank_of_truth(y, p) <= k).astype(np.float64))


def _negative_log_likelihood(y: NDArray[Any], p: Floats) -> Floats:
    """(n,) losses from (n,) probabilities of label 1 or (n, classes) probabilities."""
    of_truth = probability_of_truth(y, p[:, None] if p.ndim == 1 else p)
    return -np.log(np.clip(of_truth, LEAST, None))


def probability_of_truth(y: NDArray[Any], p: Floats) -> Floats:
    """(n, ...) predicted probability of the true class or label.

    Args:
        y: (n,) codes, or labels of 0 and 1.
        p: (n, ..., c); c is 1 for the probability of label 1. Probabilities of several classes are
            first normalised, because files hold few digits.
    """
    if p.shape[-1] > 1:
        return np.asarray(p[np.arange(len(y)), ..., y] / p.sum(axis=-1))
    of_truth = p[..., 0].copy()
    is_0 = (y == 0).reshape(-1, *[1] * (of_truth.ndim - 1))
    return np.subtract(1, of_truth, out=of_truth, where=is_0)  # no second copy of a large stack


ROW_MEANS: dict[str, RowMean] = {
    "rmse": RowMean(_squared_error, np.sqrt),
    "mcrmse": RowMean(_squared_error, np.sqrt),
    "mae": RowMean(lambda y, p: np.abs(y - p)),
    "rmsle": RowMean(_squared_log_error, np.sqrt),
    "mape": RowMean(lambda y, p: np.abs(y - p) / np.maximum(np.abs(y), LEAST)),
    "accuracy": RowMean(lambda y, p: (y == p).astype(np.float64)),
    "logloss": RowMean(_negative_log_likelihood),
}


def r2(mean_square: Any, variance_y: Any) -> Floats:
    """Explained share of the targets' variance, from the mean squared error."""
    return 1 - ratio(mean_square, variance_y)


def correlation(covariance: Any, variance_y: Any, variance_p: Any) -> Floats:
    """Pearson's r from second moments; 0 for a constant prediction.

    NaN would drop a constant column, which has no skill, from the mean over columns.
    """
    r = np.clip(ratio(covariance, np.sqrt(variance_y * variance_p)), -1, 1)
    return np.where((variance_y > 0) & ~(variance_p > 0), 0.0, r)


def kappa(mean_square: Any, variance_y: Any, square_p: Any) -> Floats:
    """Cohen's kappa with quadratic weights (Cohen 1968), from moments of the label values.

    Args:
        square_p: mean squared distance of the predictions from the mean target.
    """
    by_chance = np.where(variance_y > 0, variance_y + square_p, 0.0)
    return 1 - ratio(mean_square, by_chance)


def sums_by(codes: NDArray[np.int64], n_codes: int, counts: Floats) -> Floats:
    """(B, codes) sums of (B, n) counts over the rows of each code; codes are from 0."""
    return np.array([np.bincount(codes, of_sample, n_codes) for of_sample in counts])


def ratio(above: Any, below: Any) -> Floats:
    """`above / below`, NaN where `below` is not positive."""
    return np.divide(above, np.where(np.greater(below, 0), below, np.nan))


def mean_of_defined(values: Any, weights: Sequence[float] | None = None) -> Floats:
    """Mean over the first axis without NaNs, weighted if asked; NaN where all values are NaN."""
    values = np.asarray(values)
    if len(values) == 1:  # a fast path: hill climbing calls this thousands of times
        return values[0]
    undefined = np.isnan(values)
    if weights is not None:
        shares = np.reshape(weights, (-1, *[1] * (values.ndim - 1))) * ~undefined
        return ratio((np.where(undefined, 0, values) * shares).sum(axis=0), shares.sum(axis=0))
    return ratio(np.where(undefined, 0, values).sum(axis=0), (~undefined).sum(axis=0))
