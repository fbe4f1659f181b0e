"""Metrics of hard decisions, from how often each class is decided rightly, occurs and is decided.

Each is made of sums over classes. The functions of `COUNTED` take the three counts as (B, classes),
for B bootstrap samples or ways to decide at once, or (1, classes) where all B share them. They
return (B,), NaN where the metric is undefined.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.formulas import ratio
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True)
class Counted:
    """A metric of hard decisions.

    Attributes:
        terms: (hits, actual, decided, classes), which broadcast, to the (t, ...) terms of a class.
        of_sums: (t, ...) sums of them over all classes to (...) values.
    """

    terms: Callable[[Floats, Floats, Floats, NDArray[np.int64]], Floats]
    of_sums: Callable[[Floats], Floats]

    def __call__(self, hits: Floats, actual: Floats, decided: Floats) -> Floats:
        classes = np.arange(hits.shape[1])
        return self.of_sums(self.terms(hits, actual, decided, classes).sum(axis=-1))


def counts(y: NDArray[Any], p: NDArray[Any]) -> tuple[Floats, Floats, Floats]:
    """Of (n,) class codes and decisions: hits, actual and decided, (1, classes) each."""
    y, p = y.astype(int), p.astype(int)
    n_classes = n_codes(y, p)
    hits, actual, decided = (
        np.bincount(k, minlength=n_classes).astype(np.float64)[None] for k in (y[y == p], y, p)
    )
    return hits, actual, decided


def n_codes(y: NDArray[Any], p: NDArray[Any]) -> int:
    """Classes up to the largest code, two at least."""
    return int(max(y.max(), p.max(), 1)) + 1


def _stacked(*terms: Any) -> Floats:
    return np.stack(np.broadcast_arrays(*terms)).astype(np.float64)


def _ratio(sums: Floats) -> Floats:
    above, below = sums
    return ratio(above, below)


def _accuracy(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    return _stacked(hits, actual)


def _f1(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    positive = (classes == 1) & (actual > 0)
    return _stacked(2 * hits * positive, (actual + decided) * positive)


def _f1_macro(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    held = actual > 0  # so that a fold without a rare class is not punished
    return _stacked(np.where(held, 2 * hits / np.where(held, actual + decided, 1), 0), held)


def _mcc(hits: Floats, actual: Floats, decided: Floats, classes: Any) -> Floats:
    return _stacked(hits, actual, actual**2, decided**2, actual * decided)


def _mcc_of_sums(sums: Floats) -> Floats:
    """Covariances of one-hot codes (Gorodkin 2004); 0 where all decisions are the same."""
    hits, size, actual_squared, decided_squared, products = sums
    varies = size**2 - actual_squared
    spread = varies * (size**2 - decided_squared)
    agreement = hits * size - products
    value = np.where(spread > 0, agreement / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)
    return np.where(varies > 0, value, np.nan)


COUNTED: dict[str, Counted] = {
    "accuracy": Counted(_accuracy, _ratio),
    "f1": Counted(_f1, _ratio),
    "f1_macro": Counted(_f1_macro, _ratio),
    "mcc": Counted(_mcc, _mcc_of_sums),
}
