"""Every metric on rows that count any number of times, for many samples of the rows at once.

Letters: n rows, B samples, u distinct values. `counts` (B, n) says how often each sample holds each
row, or what it weighs. Most metrics are functions of a few sums over rows, and one matrix product
gives these sums for all samples. The values equal the metric on the repeated rows, up to rounding.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.scoring.counts import Counted, n_codes
from pipeline.scoring.formulas import (
    NO_VARIANCE,
    RowMean,
    RowRatio,
    correlation,
    kappa,
    mean_of_defined,
    r2,
    ratio,
)
from pipeline.scoring.metrics import Metric
from pipeline.scoring.tasks import Floats

SampleScore = Callable[[Floats], Floats]  # (B, n) counts to (B,) values


def sample_score(metric: Metric, y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
    """A function from counts to the metric of one column; NaN where undefined."""
    function = metric.function
    if not len(y):
        return lambda counts: np.full(len(counts), np.nan)
    if isinstance(function, RowMean):
        mean = _mean_of(function.of_rows(y, p))
        return lambda counts: function.of_mean(mean(counts))
    if isinstance(function, RowRatio):
        above, below = function.of_rows(y, p)
        return lambda counts: ratio(counts @ above, counts @ below)
    if metric.counted is not None:
        return _counted(metric.counted, y, p)
    if metric.name in BOOTSTRAP:
        return BOOTSTRAP[metric.name](y, p)
    return _of_rows(function, y, p)


def _mean_of(values: Floats) -> SampleScore:
    return lambda counts: ratio(counts @ values, counts.sum(axis=1))


def _of_rows(function: Callable[..., float], y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
    """Any function, called once for each sample."""
    samples = np.arange(len(y))

    def score(counts: Floats) -> Floats:
        rows = (np.repeat(samples, held.astype(int)) for held in counts)
        return np.array([function(y[held], p[held]) for held in rows])

    return score


def _mean_and_variance(counts: Floats, values: Floats) -> tuple[Floats, Floats]:
    """(B,) means and (B,) variances; a variance no larger than rounding error is 0."""
    size = counts.sum(axis=1)
    mean, mean_square = ratio(counts @ values, size), ratio(counts @ values**2, size)
    variance = mean_square - mean**2
    return mean, np.where(variance > NO_VARIANCE * mean_square, variance, 0.0)


def _scale(values: Floats) -> tuple[float, float]:
    """Median and largest distance to it; values scaled by both square without overflow."""
    center = float(np.median(values))
    return center, float(np.abs(values - center).max()) or 1.0


def _pearson(y: Floats, p: Floats) -> SampleScore:
    (center_a, largest_a), (center_b, largest_b) = _scale(y), _scale(p)
    a, b = (y - center_a) / largest_a, (p - center_b) / largest_b
    mean_product = _mean_of(a * b)

    def score(counts: Floats) -> Floats:
        mean_a, variance_a = _mean_and_variance(counts, a)
        mean_b, variance_b = _mean_and_variance(counts, b)
        return correlation(mean_product(counts) - mean_a * mean_b, variance_a, variance_b)

    return score


def _r2(y: Floats, p: Floats) -> SampleScore:
    center, largest = _scale(y)
    mean_square = _mean_of(((y - p) / largest) ** 2)
    scaled = (y - center) / largest
    return lambda counts: r2(mean_square(counts), _mean_and_variance(counts, scaled)[1])


def _qwk(y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
    center, _ = _scale(y)
    a, b = y - center, p - center
    mean_square = _mean_of((a - b) ** 2)

    def score(counts: Floats) -> Floats:
        mean_a, variance_a = _mean_and_variance(counts, a)
        mean_b, variance_b = _mean_and_variance(counts, b)
        return kappa(mean_square(counts), variance_a, variance_b + (mean_a - mean_b) ** 2)

    return score


def _one_hot(codes: NDArray[Any], width: int) -> csr_array:
    """(n, width) one-hot rows; a negative code gives a row of zeros."""
    rows = np.flatnonzero(codes >= 0)
    return csr_array((np.ones(len(rows)), (rows, codes[rows])), shape=(len(codes), width))


def _counted(metric: Counted, y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
    y, p = y.astype(int), p.astype(int)
    n_classes = n_codes(y, p)
    parts = [_one_hot(codes, n_classes) for codes in (np.where(y == p, y, -1), y, p)]
    return lambda counts: metric(*(counts @ part for part in parts))


def _auc(y: NDArray[Any], p: Floats) -> SampleScore:
    if p.ndim == 2:
        parts = [_auc(y == k, p[:, k]) for k in range(p.shape[1])]
        return lambda counts: mean_of_defined([part(counts) for part in parts])
    values, code = np.unique(p, return_inverse=True)
    positive = _one_hot(np.where(y == 1, code, -1), len(values))
    negative = _one_hot(np.where(y == 1, -1, code), len(values))

    def score(counts: Floats) -> Floats:
        positives, negatives = counts @ positive, counts @ negative  # (B, u)
        below = np.cumsum(negatives, axis=1) - negatives / 2  # a tie is half a pair
        n_pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        return ratio(np.einsum("bu,bu->b", positives, below), n_pairs)

    return score


def _spearman(y: Floats, p: Floats) -> SampleScore:
    codes = [np.unique(values, return_inverse=True)[1] for values in (y, p)]
    one_hots = [_one_hot(code, int(code.max()) + 1) for code in codes]

    def score(counts: Floats) -> Floats:
        ranks, spreads = [], []
        for code, one_hot in zip(codes, one_hots, strict=True):
            held = counts @ one_hot  # (B, u)
            rank = np.cumsum(held, axis=1) - (held + counts.sum(axis=1)[:, None]) / 2
            spreads.append((held * rank**2).sum(axis=1))
            ranks.append(rank[:, code])
        return correlation(np.einsum("bn,bn,bn->b", counts, *ranks), *spreads)

    return score


BOOTSTRAP: dict[str, Callable[..., SampleScore]] = {
    "r2": _r2,
    "pearson": _pearson,
    "spearman": _spearman,
    "auc": _auc,
    "qwk": _qwk,
}
