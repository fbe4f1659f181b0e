"""Blends, and post-processing of blends, on rows that they were not fitted on.

Letters: n rows, c columns, K folds. A blender scored on the rows that fitted it looks better than
it is; here every row's blend comes from a fit that did not see the row's fold.

What is fitted on top of blends, a post-processing or the choice among them, needs blends that know
nothing of one more fold. Those come from fits that left out a pair of folds: K + K (K - 1) / 2 fits
give the (K, n, c) of `cross_fit_pairs`, 15 for 5 folds. One thing is left that only training every
member anew would remove: the members that predicted the rows of other folds were trained on the
labels of the held-out one.
"""

from collections.abc import Sized
from itertools import combinations
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats


class Applied(Protocol):
    """What a fit gives back."""

    def apply(self, new: Floats, /) -> Floats: ...


class FitsBlends(Protocol):
    """As `ensemble.blenders.Blender`."""

    def fit(self, preds: Floats, target: Target, /, *, seed: int) -> Applied: ...


class FitsPostprocessing(Protocol):
    """As `ensemble.postprocessing.Postprocessing`."""

    def fit(self, blend: Floats, target: Target, /) -> Applied: ...


def cross_fit(
    blender: FitsBlends, preds: Floats, target: Target, folds: NDArray[Any], *, seed: int
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
        blend[new] = blender.fit(preds[~new], target.only(~new), seed=seed).apply(preds[new])
    return blend


def cross_fit_pairs(
    blender: FitsBlends, preds: Floats, target: Target, folds: NDArray[Any], *, seed: int
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
    pairs = np.empty((len(rows_of), len(preds), preds.shape[2]))

    def blend(new: NDArray[np.bool_]) -> Floats:
        return blender.fit(preds[~new], target.only(~new), seed=seed).apply(preds[new])

    for k, rows in enumerate(rows_of):
        pairs[k, rows] = blend(rows)
    for j, k in combinations(range(len(rows_of)), 2):
        both = rows_of[j] | rows_of[k]
        without_both = blend(both)  # serves rows of j that may not know k, and the other way round
        pairs[k, rows_of[j]] = without_both[rows_of[j][both]]
        pairs[j, rows_of[k]] = without_both[rows_of[k][both]]
    return pairs


def of_own_fold(held_out_pairs: Floats, folds: NDArray[Any]) -> Floats:
    """(n, c) cross-fitted blend of `cross_fit_pairs`'s (K, n, c)."""
    return held_out_pairs[np.unique(folds, return_inverse=True)[1], np.arange(len(folds))]


def cross_postprocess(
    postprocessing: FitsPostprocessing, held_out_pairs: Floats, target: Target, folds: NDArray[Any]
) -> Floats:
    """Each fold's blend, post-processed by a fit on the other folds' blends.

    Args:
        held_out_pairs: (K, n, c) of `cross_fit_pairs`.
    Returns:
        (n, c); neither blend nor post-processing of a fold's rows depends on the targets of that
        fold.
    """
    result = np.empty(held_out_pairs.shape[1:])
    rows_of = _rows_of_folds(target, folds, at_least=3)
    for blend, new in zip(held_out_pairs, rows_of, strict=True):
        result[new] = postprocessing.fit(blend[~new], target.only(~new)).apply(blend[new])
    return result


def cross_postprocess_pairs(
    postprocessing: FitsPostprocessing, held_out_pairs: Floats, target: Target, folds: NDArray[Any]
) -> Floats:
    """Every row's post-processed blend, once for each fold k, by fits that saw nothing of fold k.

    The post-processing of a row did not see the row's own fold either; the blends of other rows
    that it was fitted on did. Layer k scores fold k without bias. It also picks the candidate for
    fold k; for post-processing that pick is slightly optimistic.

    Args:
        held_out_pairs: (K, n, c) of `cross_fit_pairs`.
    Returns:
        (K, n, c): [k] depends on no target of fold k; on the rows of fold k it is
        `cross_postprocess`.
    """
    rows_of = _rows_of_folds(target, folds, at_least=3)
    result = np.empty_like(held_out_pairs)
    for blend, layer, hidden in zip(held_out_pairs, result, rows_of, strict=True):
        for new in rows_of:
            seen = ~(new | hidden)
            layer[new] = postprocessing.fit(blend[seen], target.only(seen)).apply(blend[new])
    return result


def _rows_of_folds(values: Sized, folds: NDArray[Any], *, at_least: int) -> list[NDArray[np.bool_]]:
    """K masks of (n,), in the order of the folds."""
    names = np.unique(folds)
    if folds.shape != (len(values),) or len(names) < at_least:
        raise ValueError(
            f"cross-fitting {len(values)} rows takes one fold for each and at least {at_least} "
            f"folds, got {folds.shape} with {len(names)}"
        )
    return [folds == name for name in names]
