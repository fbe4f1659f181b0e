"""How much the weights of a blend depend on the rows that they were fitted on.

Letters: n rows, m predictors, c columns.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pipeline.scoring.bootstrap import bootstrap_clusters
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_HALVES = 20
MOST_ROWS = 5000  # of one fit, so that it stays cheap
NO_WEIGHT = 1e-6


def weight_table(
    weigh: Callable[..., Floats],
    preds: Floats,
    target: Target,
    predictors: Sequence[str],
    columns: Sequence[str],
    *,
    seed: int,
) -> pd.DataFrame:
    """Each predictor's weight on all rows, and what other rows would have made of it.

    The other fits are `N_HALVES`, each on half of the rows, and on `MOST_ROWS` at most. The spread
    over halves is about that over other data sets of the size of the whole; that over smaller parts
    is scaled to it, as the delete-d jackknife does (Shao & Wu 1989). Rows drawn with
    replacement would stand on both sides of the inner splits of `linear` and `hill_climb`, which
    then fit less cautiously: their spread was 1.4 times the true one.

    Args:
        weigh: one of `WEIGHTS`, to (m,) or (m, c) weights.
        predictors: m names.
        columns: c names.
    Returns:
        Columns predictor, target (only where each target has weights of its own), weight, mean and
        sd over the other fits, and selected: the share of them in which the weight is not 0.
    """
    weights = weigh(preds, target, seed=seed)
    cluster = bootstrap_clusters(len(target), target.groups)
    n_clusters = int(cluster.max()) + 1
    n_drawn = max(1, min(n_clusters // 2, n_clusters * MOST_ROWS // len(target)))
    rng = np.random.default_rng(seed)
    draws = [np.isin(cluster, rng.permutation(n_clusters)[:n_drawn]) for _ in range(N_HALVES)]
    others = np.stack([weigh(preds[drawn], target.only(drawn), seed=seed) for drawn in draws])
    table = pd.DataFrame({"predictor": np.repeat(predictors, weights.size // len(predictors))})
    if weights.ndim == 2:
        table["target"] = np.tile(columns, len(predictors))
    others = others.reshape(len(others), -1)
    return table.assign(
        weight=weights.ravel(),
        mean=others.mean(axis=0),
        sd=others.std(axis=0, ddof=1) * np.sqrt(n_drawn / max(1, n_clusters - n_drawn)),
        selected=(np.abs(others) > NO_WEIGHT).mean(axis=0),
    )
