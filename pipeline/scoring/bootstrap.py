"""A metric on many bootstrap samples of the same rows at once, without gathering a row.

Letters: n rows, B bootstrap samples, u distinct values. A sample is given by how often it holds
each row: `times`, (B, n). Most metrics are functions of a few sums over rows, which one matrix
product yields for all samples; ranks are sums over the rows below. The values are those of
`Target.score` on the gathered rows, up to rounding.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from pipeline.scoring.counts import COUNTED, n_codes
from pipeline.scoring.formulas import (
    NO_VARIANCE,
    ROW_MEANS,
    correlation,
    kappa,
    mean_of_defined,
    r2,
    ratio,
)
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

OfSamples = Callable[[Floats], Floats]  # (B, n) times to (B,) values


def bootstrap_score(target: Target, predictions: Floats) -> OfSamples:
    """`Target.score`, prepared for bootstrap samples of these rows; NaN where it is undefined."""
    columns = target.scored_columns(predictions)
    return _mean_of_defined([BOOTSTRAP[target.metric.name](*column) for column in columns])


def _mean_of_defined(parts: list[OfSamples]) -> OfSamples:
    return lambda times: mean_of_defined([part(times) for part in parts])


def _mean_of(of_row: Floats) -> OfSamples:
    return lambda times: times @ of_row / times.sum(axis=1)


def _row_mean(name: str) -> Callable[..., OfSamples]:
    metric = ROW_MEANS[name]

    def prepare(y: NDArray[Any], p: NDArray[Any]) -> OfSamples:
        mean = _mean_of(metric.of_rows(y, p))
        return lambda times: metric.of_mean(mean(times))

    return prepare


def _mean_and_variance(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    """(B,) means and (B,) variances; a variance that rounding alone could have made is 0."""
    size = times.sum(axis=1)
    mean, mean_square = times @ values / size, times @ values**2 / size
    variance = mean_square - mean**2
    return mean, np.where(variance > NO_VARIANCE * mean_square, variance, 0.0)


def _scale(values: Floats) -> tuple[float, float]:
    """Median and largest distance to it: in these units squares neither overflow nor cancel."""
    center = float(np.median(values))
    return center, float(np.abs(values - center).max()) or 1.0


def _pearson(y: Floats, p: Floats) -> OfSamples:
    (center_a, largest_a), (center_b, largest_b) = _scale(y), _scale(p)
    a, b = (y - center_a) / largest_a, (p - center_b) / largest_b
    mean_product = _mean_of(a * b)

    def of_samples(times: Floats) -> Floats:
        mean_a, variance_a = _mean_and_variance(times, a)
        mean_b, variance_b = _mean_and_variance(times, b)
        return correlation(mean_product(times) - mean_a * mean_b, variance_a, variance_b)

    return of_samples


def _r2(y: Floats, p: Floats) -> OfSamples:
    center, largest = _scale(y)
    mean_square = _mean_of(((y - p) / largest) ** 2)
    scaled = (y - center) / largest
    return lambda times: r2(mean_square(times), _mean_and_variance(times, scaled)[1])


def _qwk(y: NDArray[Any], p: NDArray[Any]) -> OfSamples:
    center, _ = _scale(y)
    a, b = y - center, p - center
    mean_square = _mean_of((a - b) ** 2)

    def of_samples(times: Floats) -> Floats:
        mean_a, variance_a = _mean_and_variance(times, a)
        mean_b, variance_b = _mean_and_variance(times, b)
        return kappa(mean_square(times), variance_a, variance_b + (mean_a - mean_b) ** 2)

    return of_samples


def _one_hot(codes: NDArray[Any], width: int) -> csr_array:
    """(n, width) with a 1 in each row; a negative code is none."""
    rows = np.flatnonzero(codes >= 0)
    return csr_array((np.ones(len(rows)), (rows, codes[rows])), shape=(len(codes), width))


def _counted(name: str) -> Callable[..., OfSamples]:
    def prepare(y: NDArray[Any], p: NDArray[Any]) -> OfSamples:
        y, p = y.astype(int), p.astype(int)
        n_classes = n_codes(y, p)
        parts = [_one_hot(codes, n_classes) for codes in (np.where(y == p, y, -1), y, p)]
        return lambda times: COUNTED[name](*(times @ part for part in parts))

    return prepare


def _auc(y: NDArray[Any], p: Floats) -> OfSamples:
    if p.ndim == 2:
        return _mean_of_defined([_auc(y == k, p[:, k]) for k in range(p.shape[1])])
    values, code = np.unique(p, return_inverse=True)
    positive = _one_hot(np.where(y == 1, code, -1), len(values))
    negative = _one_hot(np.where(y == 1, -1, code), len(values))

    def of_samples(times: Floats) -> Floats:
        positives, negatives = times @ positive, times @ negative  # (B, u)
        below = np.cumsum(negatives, axis=1) - negatives / 2  # a tie is half a pair
        n_pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        return ratio(np.einsum("bu,bu->b", positives, below), n_pairs)

    return of_samples


def _spearman(y: Floats, p: Floats) -> OfSamples:
    codes = [np.unique(values, return_inverse=True)[1] for values in (y, p)]
    held = [_one_hot(code, int(code.max()) + 1) for code in codes]

    def of_samples(times: Floats) -> Floats:
        ranks, spreads = [], []
        for code, one_hot in zip(codes, held, strict=True):
            counts = times @ one_hot  # (B, u)
            rank = np.cumsum(counts, axis=1) - (counts + times.sum(axis=1)[:, None]) / 2
            spreads.append((counts * rank**2).sum(axis=1))
            ranks.append(rank[:, code])
        return correlation(np.einsum("bn,bn,bn->b", times, *ranks), *spreads)

    return of_samples


BOOTSTRAP: dict[str, Callable[..., OfSamples]] = {
    **{name: _row_mean(name) for name in ROW_MEANS},
    **{name: _counted(name) for name in COUNTED if name not in ROW_MEANS},
    "r2": _r2,
    "pearson": _pearson,
    "spearman": _spearman,
    "auc": _auc,
    "qwk": _qwk,
}
