"""Blends and decisions on rows that they were not fitted on.

Letters: n rows, c columns, K folds. A blender scored on the rows that fitted it looks better than
it is; here every row's blend comes from a fit that did not see the row's fold.

What is fitted on top of blends, a decision or the choice among them, needs blends that know nothing
of one more fold, and those of the fits that left out two folds are both: K + K (K - 1) / 2 fits
give the (K, n, c) of `cross_fit_twice`, 15 for 5 folds. One thing is left that only training every
member anew would remove: the members that predicted the rows of other folds were trained on the
labels of the held-out one.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.tasks import Floats


def cross_fit(
    blender: Callable[..., Floats],
    preds: Floats,
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    task: str,
    metric: str,
    seed: int,
) -> Floats:
    """Each fold's blend by a blender fitted on the other folds.

    Args:
        preds: (n, m, c) out-of-fold predictions.
        folds: (n,) the folds that `preds` were trained with: other folds would leak.
    Returns:
        (n, c); the rows of a fold do not depend on the targets of that fold.
    Raises:
        ValueError: fewer than two folds, or not one for each row.
    """
    blend = np.empty((len(preds), preds.shape[2]))
    for new in _rows_of_folds(preds, folds, at_least=2):
        blend[new] = blender(preds[~new], y[~new], preds[new], task=task, metric=metric, seed=seed)
    return blend


def cross_fit_twice(
    blender: Callable[..., Floats],
    preds: Floats,
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    task: str,
    metric: str,
    seed: int,
) -> Floats:
    """Every row's blend, once for each fold k, by a fit that saw neither fold k nor the row's own.

    Args:
        preds: as for `cross_fit`.
        folds: as for `cross_fit`.
    Returns:
        (K, n, c): [k] depends on no target of fold k; on the rows of fold k it is `cross_fit`.
    Raises:
        ValueError: fewer than three folds, or not one for each row.
    """
    rows_of = _rows_of_folds(preds, folds, at_least=3)
    twice = np.empty((len(rows_of), len(preds), preds.shape[2]))

    def blend(new: NDArray[np.bool_]) -> Floats:
        return blender(preds[~new], y[~new], preds[new], task=task, metric=metric, seed=seed)

    for k, rows in enumerate(rows_of):
        twice[k, rows] = blend(rows)
    for j, k in combinations(range(len(rows_of)), 2):
        both = rows_of[j] | rows_of[k]
        without_both = blend(both)  # serves row of j that may not know k, and the other way round
        twice[k, rows_of[j]] = without_both[rows_of[j][both]]
        twice[j, rows_of[k]] = without_both[rows_of[k][both]]
    return twice


def of_own_fold(twice: Floats, folds: NDArray[Any]) -> Floats:
    """(n, c) cross-fitted blend of `cross_fit_twice`'s (K, n, c)."""
    return twice[np.unique(folds, return_inverse=True)[1], np.arange(len(folds))]


def cross_decide(
    decision: Callable[..., Floats],
    twice: Floats,
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    task: str,
    metric: str,
) -> Floats:
    """Each fold's blend, decided by what was fitted on the other folds' blends.

    Args:
        decision: (blend, y, new_blend, *, task, metric) -> (k, c), as those of `DECISIONS`.
        twice: (K, n, c) of `cross_fit_twice`.
    Returns:
        (n, c); neither blend nor decision of a fold's rows depends on the targets of that fold.
    """
    decided = np.empty(twice.shape[1:])
    for blend, new in zip(twice, _rows_of_folds(y, folds, at_least=3), strict=True):
        decided[new] = decision(blend[~new], y[~new], blend[new], task=task, metric=metric)
    return decided


def cross_decide_twice(
    decision: Callable[..., Floats],
    twice: Floats,
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    task: str,
    metric: str,
) -> Floats:
    """Every row's decided blend, once for each fold k: by fits that saw nothing of fold k.

    The decision of a row did not see the row's own fold either; the blends of other rows that it
    was fitted on did. So [k] says honestly what fold k will be like, and, a little too kindly for
    decisions, which candidate to choose there.

    Args:
        twice: (K, n, c) of `cross_fit_twice`.
    Returns:
        (K, n, c): [k] depends on no target of fold k; on the rows of fold k it is `cross_decide`.
    """
    rows_of = _rows_of_folds(y, folds, at_least=3)
    decided = np.empty_like(twice)
    for blend, of_k, hidden in zip(twice, decided, rows_of, strict=True):
        for new in rows_of:
            fit = ~(new | hidden)
            of_k[new] = decision(blend[fit], y[fit], blend[new], task=task, metric=metric)
    return decided


def _rows_of_folds(
    values: NDArray[Any], folds: NDArray[Any], *, at_least: int
) -> list[NDArray[np.bool_]]:
    """K masks of (n,), in the order of the folds."""
    names = np.unique(folds)
    if folds.shape != (len(values),) or len(names) < at_least:
        raise ValueError(
            f"cross-fitting {len(values)} rows takes one fold for each and at least {at_least} "
            f"folds, got {folds.shape} with {len(names)}"
        )
    return [folds == name for name in names]
