"""Metrics of hard decisions, from how often each class is decided rightly, occurs and is decided.

The functions of `COUNTED` take these three as (B, classes), for B resamples or ways to decide at
once, or (1, classes) where all B share them, and return (B,), NaN where the metric is undefined.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.tasks import Floats


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


def _accuracy(hits: Floats, actual: Floats, decided: Floats) -> Floats:
    return hits.sum(axis=1) / actual.sum(axis=1)


def _f1(hits: Floats, actual: Floats, decided: Floats) -> Floats:
    positives = np.where(actual[:, 1] > 0, actual[:, 1], np.nan)
    return 2 * hits[:, 1] / (positives + decided[:, 1])


def _f1_macro(hits: Floats, actual: Floats, decided: Floats) -> Floats:
    held = actual > 0  # so that a fold without a rare class is not punished
    each = np.where(held, 2 * hits / np.where(held, actual + decided, 1), 0)
    return each.sum(axis=1) / held.sum(axis=1)


def _mcc(hits: Floats, actual: Floats, decided: Floats) -> Floats:
    """Covariances of one-hot codes (Gorodkin 2004); 0 where all decisions are the same."""
    size = actual.sum(axis=1)
    varies = size**2 - (actual**2).sum(axis=1)
    spread = varies * (size**2 - (decided**2).sum(axis=1))
    agreement = hits.sum(axis=1) * size - (actual * decided).sum(axis=1)
    value = np.where(spread > 0, agreement / np.sqrt(np.where(spread > 0, spread, 1)), 0.0)
    return np.where(varies > 0, value, np.nan)


COUNTED: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "accuracy": _accuracy,
    "f1": _f1,
    "f1_macro": _f1_macro,
    "mcc": _mcc,
}
