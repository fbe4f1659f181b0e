"""Metrics of hard predictions, from the counts of hits, true and predicted cases of each class.

The functions of `COUNTED` take these three counts as (B, classes), for B bootstrap samples or ways
to decide, or (1, classes) where all B share them. They return (B,), NaN where undefined.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.formulas import NO_VARIANCE, SampleScore, ratio, sums_by
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True)
class Counted:
    """A metric that is a function of t sums over classes.

    Attributes:
        terms: maps (hits, actual, decided, classes), which broadcast, to (t, ...) terms.
        of_sums: maps the (t, ...) sums of the terms over all classes to (...) values, by default
            to the ratio of two sums.
    """

    terms: Callable[[Floats, Floats, Floats, NDArray[np.int64]], Floats]
    of_sums: Callable[[Floats], Floats] = lambda sums: ratio(*sums)

    def __call__(self, hits: Floats, actual: Floats, decided: Floats) -> Floats:
        classes = np.arange(hits.shape[1])
        return self.of_sums(self.terms(hits, actual, decided, classes).sum(axis=-1))

    def scorer(self, y: NDArray[Any], p: NDArray[Any]) -> SampleScore:
        return lambda counts: self(*count_cases(y, p, counts))


def count_cases(y: NDArray[Any], p: NDArray[Any], weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Hits, actual and decided, (B, classes) each, at least two classes.

    Args:
        y, p: (n,) class codes and predictions.
        weights: (B, n) of the rows, for each sample.
    """
    y, p = y.astype(int), p.astype(int)
    n_classes = int(max(y.max(), p.max(), 1)) + 1
    of_truth = sums_by(2 * y + (y == p), 2 * n_classes, weights).reshape(-1, n_classes, 2)
    return of_truth[..., 1], of_truth.sum(axis=2), sums_by(p, n_classes, weights)


def _stacked(*terms: Any) -> Floats:
    return np.array(np.broadcast_arrays(*terms), np.float64)


def _accuracy(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    return _stacked(hits, actual)


def fbeta(beta: float) -> Counted:
    """F of the positive class, in which recall counts `beta` times as much as precision."""

    def terms(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
        positive = (classes == 1) & (actual > 0)
        below = beta**2 * actual + decided
        return _stacked((1 + beta**2) * hits * positive, below * positive)

    return Counted(terms)


def _f1_of_label(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    return _stacked(2 * hits * (classes == 1), (actual + decided) * (classes == 1))


def _f1_macro(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    occurs = actual > 0  # a class absent from a fold must not lower its score
    return _stacked(np.where(occurs, 2 * hits / np.where(occurs, actual + decided, 1), 0), occurs)


def _mcc(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    return _stacked(hits, actual, actual**2, decided**2, actual * decided)


def _mcc_of_sums(sums: Floats) -> Floats:
    """Correlation of one-hot codes (Gorodkin 2004); 0 where all predictions are equal."""
    hits, size, actual_squared, decided_squared, products = sums
    varies, decided_varies = size**2 - actual_squared, size**2 - decided_squared
    # weights of equal predictions may add up to a little less than those of all rows
    spread = varies * np.where(decided_varies > NO_VARIANCE * size**2, decided_varies, 0.0)
    agreement = hits * size - products
    value = np.where(spread > 0, agreement / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)
    return np.where(varies > 0, value, np.nan)


COUNTED: dict[str, Counted] = {
    "accuracy": Counted(_accuracy),
    "f1": fbeta(1),
    "f1_macro": Counted(_f1_macro),
    "f1_micro": Counted(_accuracy),  # the same for one class a row
    "mcc": Counted(_mcc, _mcc_of_sums),
}
# of one label; the sums of all labels together give the metric
POOLED_COUNTED = {"f1_micro": Counted(_f1_of_label)}
