"""Cross-fitted blends and post-processing: each row is predicted by a fit without its own fold.

Letters: n rows, c columns, K folds. Formulas and the remaining leak: docs/method.md,
"Cross-fitting without pairs of folds".
"""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.blenders import Blender
from pipeline.ensemble.postprocessing import Postprocessing
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats


def cross_fit(
    blender: Blender, preds: Floats, target: Target, folds: NDArray[Any], *, seed: int
) -> Floats:
    """(n, c) each fold's blend, by a blender fitted on the other folds.

    Args:
        preds: (n, m, c) out-of-fold predictions.
        folds: (n,) the folds that `preds` were trained with: other folds would leak.
    """
    blend = np.empty((len(preds), preds.shape[2]))
    for new in _rows_of_folds(folds):
        blend[new] = blender.fit(preds[~new], target.only(~new), seed=seed).apply(preds[new])
    return blend


def cross_fit_pairs(
    blender: Blender, preds: Floats, target: Target, folds: NDArray[Any], *, seed: int
) -> Floats:
    """(K, n, c) blends; layer k comes from fits without fold k and without the row's own fold.

    On the rows of fold k, layer k equals `cross_fit`. Takes three folds and K + K (K - 1) / 2 fits.
    """
    rows_of = _rows_of_folds(folds)
    pairs = np.empty((len(rows_of), len(preds), preds.shape[2]))

    def blend(new: NDArray[np.bool_]) -> Floats:
        return blender.fit(preds[~new], target.only(~new), seed=seed).apply(preds[new])

    for k, rows in enumerate(rows_of):
        pairs[k, rows] = blend(rows)
    for j, k in combinations(range(len(rows_of)), 2):
        both = rows_of[j] | rows_of[k]
        without_both = blend(both)  # for fold j in layer k, and for fold k in layer j
        pairs[k, rows_of[j]] = without_both[rows_of[j][both]]
        pairs[j, rows_of[k]] = without_both[rows_of[k][both]]
    return pairs


def of_own_fold(held_out_pairs: Floats, folds: NDArray[Any]) -> Floats:
    """(n, c) cross-fitted blend: layer k of (K, n, c) `held_out_pairs` on the rows of fold k."""
    return held_out_pairs[np.unique(folds, return_inverse=True)[1], np.arange(len(folds))]


def cross_postprocess(
    postprocessing: Postprocessing,
    held_out_pairs: Floats,
    target: Target,
    folds: NDArray[Any],
    *,
    whole: bool,
) -> Floats:
    """(K, n, c) post-processed blends; layer k depends on no target of fold k or of the row's fold.

    Layer k scores fold k without bias. It also picks the candidate for fold k; for post-processing
    that pick is slightly optimistic.

    Args:
        held_out_pairs: (K, n, c) from `cross_fit_pairs`.
        whole: K fits on pairs of folds for each layer; else one fit, and NaN beyond fold k.
    """
    rows_of = _rows_of_folds(folds)
    result = np.full_like(held_out_pairs, np.nan)
    for blend, layer, held_out in zip(held_out_pairs, result, rows_of, strict=True):
        for new in rows_of if whole else [held_out]:
            seen = ~(new | held_out)
            layer[new] = postprocessing.fit(blend[seen], target.only(seen)).apply(blend[new])
    return result


def _rows_of_folds(folds: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """K masks of (n,), in the order of the folds."""
    return [folds == name for name in np.unique(folds)]
