"""The formula of every metric, written once: for rows, for bootstrap counts and for blends.

`scoring.metrics` applies the formulas to rows, `scoring.bootstrap` to counts of rows, and
`ensemble.shortcuts` and `ensemble.moments` to blends that are never formed. Metrics of hard
decisions have theirs in `scoring.counts`. Letters: n rows, c columns.

Means, variances and covariances may be numbers or arrays of any shape; a variance is 0 where
nothing varies, and a metric is NaN where it is undefined.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.tasks import Floats

LEAST = float(np.finfo(np.float64).eps)  # probability that log loss gives the truth at least
NO_VARIANCE = 1e-12  # of the mean square: rounding leaves less of the variance of a constant


@dataclass(frozen=True)
class RowMean:
    """A metric that follows from a mean over rows.

    Attributes:
        of_rows: targets and predictions of one column to (n,) values.
        of_mean: the mean of these values to the metric.
    """

    of_rows: Callable[[NDArray[Any], NDArray[Any]], Floats]
    of_mean: Callable[[Any], Any] = lambda mean: mean

    def __call__(self, y: NDArray[Any], p: NDArray[Any]) -> float:
        return float(self.of_mean(self.of_rows(y, p).mean()))


def _squared_error(y: Floats, p: Floats) -> Floats:
    return (y - p) ** 2


def _absolute_error(y: Floats, p: Floats) -> Floats:
    return np.abs(y - p)


def _hit(y: NDArray[Any], p: NDArray[Any]) -> Floats:
    return (y == p).astype(np.float64)


def _surprise(y: NDArray[Any], p: Floats) -> Floats:
    """Minus the logarithm of what (n,) or (n, classes) probabilities gave to the truth."""
    given = probability_of_truth(y, p[:, None] if p.ndim == 1 else p)
    return -np.log(np.clip(given, LEAST, None))


def probability_of_truth(y: NDArray[Any], p: Floats) -> Floats:
    """What predictions gave to the class or label that came true, (n, ...).

    Args:
        y: (n,) codes, or labels of 0 and 1.
        p: (n, ..., c); c is 1 for the probability of label 1. Several classes are made to sum to 1
            first, as files hold few digits.
    """
    if p.shape[-1] > 1:
        return np.asarray(p[np.arange(len(y)), ..., y] / p.sum(axis=-1))
    of_1 = p[..., 0]
    return np.where((y == 1).reshape(-1, *[1] * (of_1.ndim - 1)), of_1, 1 - of_1)


ROW_MEANS: dict[str, RowMean] = {
    "rmse": RowMean(_squared_error, np.sqrt),
    "mcrmse": RowMean(_squared_error, np.sqrt),
    "mae": RowMean(_absolute_error),
    "accuracy": RowMean(_hit),
    "logloss": RowMean(_surprise),
}


def r2(mean_square: Any, variance_y: Any) -> Floats:
    """Share of the targets' variance that the mean squared error leaves explained."""
    return 1 - ratio(mean_square, variance_y)


def correlation(covariance: Any, variance_y: Any, variance_p: Any) -> Floats:
    """Pearson's r from second moments in any one unit; 0 for a constant prediction.

    A constant has no skill. Undefined, it would leave the mean of several targets to the others.
    """
    r = np.clip(ratio(covariance, np.sqrt(variance_y * variance_p)), -1, 1)
    return np.where((variance_y > 0) & ~(variance_p > 0), 0.0, r)


def kappa(mean_square: Any, variance_y: Any, square_p: Any) -> Floats:
    """Cohen's kappa with weights of the squared difference of values (Cohen 1968).

    Written with moments, so that a label that nobody holds or predicts still counts as a step.

    Args:
        square_p: mean squared distance of the decisions from the mean target.
    """
    by_chance = np.where(variance_y > 0, variance_y + square_p, 0.0)
    return 1 - ratio(mean_square, by_chance)


def area(positives: Floats, negatives: Floats) -> float:
    """Area under the ROC curve: the share of pairs in the right order, a tie being half a pair.

    Sorts both in place.
    """
    if not len(positives) or not len(negatives):
        return np.nan
    positives.sort()
    negatives.sort()
    few, many = sorted([positives, negatives], key=len)
    left = many.searchsorted(few, "left")
    tied = many.take(left, mode="clip") == few
    below = left.sum() + (many.searchsorted(few[tied], "right") - left[tied]).sum() / 2
    share = float(below / (len(few) * len(many)))
    return share if few is positives else 1 - share


def ratio(above: Any, below: Any) -> Floats:
    """The one by the other, NaN where that is not above 0."""
    undefined = np.full(np.broadcast_shapes(np.shape(above), np.shape(below)), np.nan)
    return np.divide(above, below, out=undefined, where=np.greater(below, 0))


def mean_of_defined(values: Any) -> Floats:
    """The mean over the first axis of what is not NaN; NaN where all are."""
    values = np.asarray(values)
    undefined = np.isnan(values)
    if not undefined.any():  # sooner said, thousands of times a climb
        return np.asarray(values.mean(axis=0))
    return ratio(np.where(undefined, 0, values).sum(axis=0), (~undefined).sum(axis=0))
