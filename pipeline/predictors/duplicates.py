"""Duplicate predictors, which a plain mean would count twice.

Letters: n training rows, k test rows, m predictors, c columns.
"""

from itertools import combinations

import numpy as np

from pipeline.predictors.stack import Stack
from pipeline.scoring.tasks import Floats

SAME = 0.9999  # correlation of predictions, on the training and on the test rows


def lines_about_duplicates(stack: Stack) -> list[str]:
    """A warning line for each pair of predictors that agree on training and test rows."""
    on_oof, on_test = _correlations(stack.oof), _correlations(stack.test)
    return [
        f"{stack.names[i]} and {stack.names[j]} predict the same (correlation "
        f"{min(on_oof[i, j], on_test[i, j]):.6f}), and the plain mean counts both; "
        "take one of them out"
        for i, j in combinations(range(len(stack.names)), 2)
        if min(on_oof[i, j], on_test[i, j]) > SAME
    ]


def _correlations(preds: Floats) -> Floats:
    """(m, m) smallest correlation over the columns of (n, m, c); constants agree if equal."""
    smallest = np.ones((preds.shape[1], preds.shape[1]))
    for column in preds.transpose(2, 1, 0):  # (m, n)
        centered = column - column.mean(axis=1, keepdims=True)
        norms = np.linalg.norm(centered, axis=1)
        products = np.outer(norms, norms)
        equal = (column[:, :1] == column[:, 0]).astype(np.float64)  # for two constants
        correlation = np.divide(centered @ centered.T, products, out=equal, where=products > 0)
        smallest = np.minimum(smallest, correlation)
    return smallest
