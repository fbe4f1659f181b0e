"""How much the weights of a blend depend on the rows that they were fitted on.

Letters: n rows, m predictors, c columns, K folds.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.tasks import Floats

N_BAGS = 10
MOST_ROWS = 5000  # of one fit, so that it stays cheap; with more rows weights vary less than told
NO_WEIGHT = 1e-6


def weight_table(
    weigh: Callable[..., Floats],
    preds: Floats,
    y: NDArray[Any],
    folds: NDArray[Any],
    predictors: Sequence[str],
    columns: Sequence[str],
    *,
    task: str,
    metric: str,
    groups: NDArray[Any] | None = None,
    seed: int,
) -> pd.DataFrame:
    """Each predictor's weight on all rows, and what other rows would have made of it.

    The other fits are K, each without one fold, and `N_BAGS` on rows drawn with replacement, all
    on `MOST_ROWS` rows at most.

    Args:
        weigh: one of `WEIGHTS`, to (m,) or (m, c) weights.
        predictors: m names.
        columns: c names.
        groups: (n,) labels of what is drawn as a whole.
    Returns:
        Columns predictor, target (only where each target has weights of its own), weight, mean and
        sd over the other fits, and selected: the share of them in which the weight is not 0.
    """
    setting: dict[str, Any] = {"task": task, "metric": metric, "seed": seed}
    weights = weigh(preds, y, **setting)
    others = np.stack([weigh(preds[r], y[r], **setting) for r in _samples(folds, groups, seed)])
    table = pd.DataFrame({"predictor": np.repeat(predictors, weights.size // len(predictors))})
    if weights.ndim == 2:
        table["target"] = np.tile(columns, len(predictors))
    others = others.reshape(len(others), -1)
    return table.assign(
        weight=weights.ravel(),
        mean=others.mean(axis=0),
        sd=others.std(axis=0, ddof=1),
        selected=(np.abs(others) > NO_WEIGHT).mean(axis=0),
    )


def _samples(
    folds: NDArray[Any], groups: NDArray[Any] | None, seed: int
) -> Iterator[NDArray[np.int64]]:
    """Row numbers of each of the other fits."""
    rng = np.random.default_rng(seed)
    n = len(folds)
    for fold in np.unique(folds):
        yield rng.permutation(np.flatnonzero(folds != fold))[:MOST_ROWS]
    unit = np.arange(n) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    n_drawn = max(1, n_units * min(n, MOST_ROWS) // n)
    for _ in range(N_BAGS):
        times = np.bincount(rng.integers(n_units, size=n_drawn), minlength=n_units)
        yield np.repeat(np.arange(n), times[unit])
