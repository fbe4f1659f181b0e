"""Weights of labels in training, from the rows' weights and the classes'.

Letters: n rows, c columns of labels.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.tasks import Floats, rows_with
from pipeline.settings.fine_tuning import ClassWeights


def label_weights(
    y: NDArray[Any], rows: Floats | None, of_classes: ClassWeights, names: Sequence[str]
) -> Floats | None:
    """Weights in the shape of `y`, 0 where it is missing and else with a mean of 1 in each column.

    None without weights of rows or classes and without missing cells.

    Args:
        y: targets of a unit's training rows, as in `scoring.tasks`.
        rows: (n,) positive weights of the rows; None for equal ones.
        of_classes: weights by the names of classes or labels, 1 for those left out, or balanced,
            with which all classes of the rows weigh as much in total. The weight of a label is
            that of its positive rows.
        names: the classes in the order of their codes, or the (c,) labels.
    """
    missing = np.isnan(y)
    if rows is None and of_classes is None and not missing.any():
        return None
    weights = np.ones(y.shape) if rows is None else np.broadcast_to(rows, y.T.shape).T
    if of_classes is not None and y.ndim == 1:
        weights = _reweighted(weights, y, of_classes, names)
    elif of_classes is not None:
        weights = weights.copy()
        for w, column, name in zip(weights.T, y.T, names, strict=True):
            has = rows_with(column)
            w[has] = _reweighted(w[has], column[has].astype(np.int64), of_classes, ("", name))
    weights = np.where(missing, np.nan, weights)
    return np.nan_to_num(weights / np.nanmean(weights, axis=0))


def _reweighted(
    weights: Floats,
    codes: NDArray[np.int64],
    of_classes: str | Mapping[str, float],
    names: Sequence[str],
) -> Floats:
    """(n,) weights of rows times those of their classes."""
    if isinstance(of_classes, str):  # balanced
        return np.asarray(weights / np.bincount(codes, weights)[codes])
    return weights * np.array([of_classes.get(name, 1.0) for name in names])[codes]
