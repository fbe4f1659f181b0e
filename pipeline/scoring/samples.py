"""Every metric on rows that count any number of times, for many samples of the rows at once.

Letters: n rows, B samples, u distinct values. `counts` (B, n) says how often each sample holds each
row, or what it weighs. Most metrics are functions of a few sums over rows, and one matrix product
gives these sums for all samples.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.formulas import (
    NO_VARIANCE,
    ROW_MEANS,
    SampleScore,
    correlation,
    kappa,
    mean_of_defined,
    r2,
    ratio,
    sums_by,
)
from pipeline.scoring.tasks import Floats

# targets and predictions of one column to its score on samples, NaN where undefined
Scorer = Callable[[NDArray[Any], NDArray[Any]], SampleScore]


def _means_of(*values: Floats) -> Callable[[Floats], Floats]:
    """A function from counts to the (k, B) means of k (n,) values."""
    stacked = np.stack(values)
    return lambda counts: ratio(stacked @ counts.T, counts.sum(axis=1))


def _variance(mean: Floats, mean_square: Floats) -> Floats:
    """A variance no larger than rounding error is 0."""
    variance = mean_square - mean**2
    return np.where(variance > NO_VARIANCE * mean_square, variance, 0.0)


def _scale(values: Floats) -> tuple[float, float]:
    """Median and largest distance to it; values scaled by both square without overflow."""
    middle = len(values) // 2
    center = float(np.partition(values, middle)[middle])
    return center, float(np.abs(values - center).max()) or 1.0


def _pearson(y: Floats, p: Floats) -> SampleScore:
    (center_a, largest_a), (center_b, largest_b) = _scale(y), _scale(p)
    a, b = (y - center_a) / largest_a, (p - center_b) / largest_b
    means = _means_of(a * b, a, a**2, b, b**2)

    def score(counts: Floats) -> Floats:
        product, mean_a, square_a, mean_b, square_b = means(counts)
        variances = _variance(mean_a, square_a), _variance(mean_b, square_b)
        return correlation(product - mean_a * mean_b, *variances)

    return score


def _r2(y: Floats, p: Floats) -> SampleScore:
    center, largest = _scale(y)
    scaled = (y - center) / largest
    means = _means_of(((y - p) / largest) ** 2, scaled, scaled**2)

    def score(counts: Floats) -> Floats:
        mean_square, *moments = means(counts)
        return r2(mean_square, _variance(*moments))

    return score


def _qwk(y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
    a, b = y - y.mean(), p - y.mean()
    means = _means_of((a - b) ** 2, a, a**2, b, b**2)

    def score(counts: Floats) -> Floats:
        mean_square, mean_a, square_a, mean_b, square_b = means(counts)
        distance = _variance(mean_b, square_b) + (mean_a - mean_b) ** 2
        return kappa(mean_square, _variance(mean_a, square_a), distance)

    return score


def _f1_micro(y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
    """Hits over the mean of actual and decided cases; with one class a row that is accuracy."""
    if y.ndim == 1:
        return ROW_MEANS["accuracy"](y, p)
    hits, cases = (y * p).sum(axis=1), (y + p).sum(axis=1) / 2
    return lambda counts: ratio(counts @ hits, counts @ cases)


def _auc(y: NDArray[Any], p: Floats) -> SampleScore:
    if p.ndim == 2:  # one class against the rest, averaged over the classes that occur
        parts = [_auc(y == k, p[:, k]) for k in range(p.shape[1])]
        return lambda counts: mean_of_defined([part(counts) for part in parts])
    distinct, code = np.unique(p, return_inverse=True)
    cell = 2 * code + (y == 1)

    def score(counts: Floats) -> Floats:
        sums = sums_by(cell, 2 * len(distinct), counts)
        negatives, positives = sums[:, ::2], sums[:, 1::2]  # (B, u)
        below = np.cumsum(negatives, axis=1) - negatives / 2  # a tie is half a pair
        n_pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        return ratio(np.einsum("bu,bu->b", positives, below), n_pairs)

    return score


def _spearman(y: Floats, p: Floats) -> SampleScore:
    columns = [np.unique(values, return_inverse=True) for values in (y, p)]

    def score(counts: Floats) -> Floats:
        ranks, spreads = [], []
        for distinct, code in columns:
            held = sums_by(code, len(distinct), counts)  # (B, u)
            rank = np.cumsum(held, axis=1) - (held + counts.sum(axis=1)[:, None]) / 2
            spreads.append((held * rank**2).sum(axis=1))
            ranks.append(rank[:, code])
        return correlation(np.einsum("bn,bn,bn->b", counts, *ranks), *spreads)

    return score


SCORERS: dict[str, Scorer] = {
    **ROW_MEANS,
    "r2": _r2,
    "pearson": _pearson,
    "spearman": _spearman,
    "f1_micro": _f1_micro,
    "auc": _auc,
    "qwk": _qwk,
}
