"""Means that no weight describes: of ranks, and on the raw scale. Letters: n fit rows, k new rows.

Each is a blender, `function(preds, y, new_preds, *, task, metric, seed) -> (k, c)` with predictions
(n, m, c) and (k, m, c); `ensemble.blenders` checks the input.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.tasks import TASKS, Floats


def geometric_mean(
    preds: Floats, y: NDArray[Any], new_preds: Floats, *, task: str, metric: str, seed: int
) -> Floats:
    """Mean of log-odds or log-softmax: a logarithmic opinion pool (Genest & Zidek 1986).

    Members that are sure count for more than in the plain mean. For a regression it would be the
    plain mean.
    """
    to_raw, n_members = TASKS[task].to_raw, new_preds.shape[1]
    # member by member: no raw copy of the stack
    total = sum(to_raw(new_preds[:, i]) for i in range(n_members))
    return np.asarray(TASKS[task].to_prediction(total / n_members))


def rank_mean(
    preds: Floats, y: NDArray[Any], new_preds: Floats, *, task: str, metric: str, seed: int
) -> Floats:
    """Mean of ranks among the fit rows, on the scale of the plain mean.

    Members that order the rows alike count alike, however they spread their values. Column by
    column, each member's value becomes its rank among the fit rows, the ranks are added, and the
    rank of that sum among the fit rows' sums becomes the quantile of their plain means. So the fit
    rows' blends are distributed as their plain means are, and no new row leaves the range of those.
    Classes sum to 1 again.
    """
    n, n_members, n_columns = preds.shape
    plain = preds.mean(axis=1)
    blend = np.empty((len(new_preds), n_columns))
    for j in range(n_columns):
        # sums, not means: halves add up exactly, so equal sums stay equal
        sums, new_sums = np.zeros(n), np.zeros(len(new_preds))
        for i in range(n_members):
            sums += _rank(preds[:, i, j], preds[:, i, j])
            new_sums += _rank(preds[:, i, j], new_preds[:, i, j])
        blend[:, j] = np.interp(_rank(sums, new_sums), np.arange(n) + 0.5, np.sort(plain[:, j]))
    if task != "multiclass":
        return blend
    total = blend.sum(axis=1, keepdims=True)
    return np.where(total > 0, blend / np.where(total > 0, total, 1), new_preds.mean(axis=1))


def _rank(fit: Floats, new: Floats) -> Floats:
    """(k,) how many (n,) fit values lie below each new one, those that equal it counting half."""
    values, counts = np.unique(fit, return_counts=True)
    # between two fit values the rank is drawn as a line, so that no order is lost
    return np.interp(new, values, np.cumsum(counts) - counts / 2)
