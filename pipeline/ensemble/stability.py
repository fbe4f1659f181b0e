"""The variation of a blend's weights over refits on half of the rows.

Letters: n rows, m predictors, c columns.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pipeline.ensemble.weights import NO_WEIGHT
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_HALVES = 20
MOST_ROWS = 5000  # of one refit


def weight_table(
    weights: Floats,
    weigh: Callable[..., Floats],
    preds: Floats,
    target: Target,
    predictors: Sequence[str],
    columns: Sequence[str],
    *,
    seed: int,
) -> pd.DataFrame:
    """Each predictor's weight on all rows, with mean and standard deviation over `N_HALVES` refits.

    Why halves and how they are scaled: docs/method.md, "Stability of weights".

    Args:
        weights: (m,) or (m, c) that `weigh`, one of `WEIGHTS`, gave all rows.
        predictors: m names.
        columns: c names.
    Returns:
        Columns predictor, target (only if targets have weights of their own), weight, mean and sd
        over the refits, and selected: the share of refits in which the weight is not 0.
    """
    clusters, n_clusters = target.clusters, int(target.clusters.max()) + 1
    n_drawn = max(1, min(n_clusters // 2, n_clusters * MOST_ROWS // len(target)))
    rng = np.random.default_rng(seed)
    halves = [np.isin(clusters, rng.permutation(n_clusters)[:n_drawn]) for _ in range(N_HALVES)]
    refits = np.stack([weigh(preds[rows], target.only(rows), seed=seed) for rows in halves])
    table = pd.DataFrame({"predictor": np.repeat(predictors, weights.size // len(predictors))})
    if weights.ndim == 2:
        table["target"] = np.tile(columns, len(predictors))
    refits = refits.reshape(len(refits), -1)
    return table.assign(
        weight=weights.ravel(),
        mean=refits.mean(axis=0),
        sd=refits.std(axis=0, ddof=1) * np.sqrt(n_drawn / max(1, n_clusters - n_drawn)),
        selected=(np.abs(refits) > NO_WEIGHT).mean(axis=0),
    )
