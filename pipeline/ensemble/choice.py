"""The score to expect of the chosen blend: the choice is repeated without each fold.

Letters: n rows, c columns, K folds. Method: docs/method.md, "The choice".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.crossfit import of_own_fold
from pipeline.ensemble.leaderboard import PLAIN_MEAN, Entry, choose, leaderboard
from pipeline.scoring.intervals import difference_interval, estimate_fit_variance
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats


def score_of_choice(
    candidates: dict[str, Floats],
    target: Target,
    folds: NDArray[Any],
    *,
    single: Floats,
    fit_variance: dict[str, float],
    seed: int,
) -> dict[str, Any]:
    """Score the rule of the leaderboard on folds that it did not see.

    Args:
        candidates: (K, n, c) `cross_fit_pairs` of every blend by name, `blend_mean` among them.
        single: (n, c) out-of-fold predictions of the best single predictor.
        fit_variance: `estimate_fit_variance` of every blend, on all rows.
    Returns:
        score: pooled over folds, each predicted by the blend chosen without that fold; gain over
        the plain mean and gain_over_single over the best single predictor, with _low and _high of
        their 95 % intervals, NaN where undefined; chosen: K names, in the order of the folds.
    """
    pooled = np.empty_like(candidates[PLAIN_MEAN])
    plain = of_own_fold(candidates[PLAIN_MEAN], folds)
    chosen = []
    for k, fold in enumerate(np.unique(folds)):
        seen, new = folds != fold, folds == fold
        scale = (len(target) / seen.sum()) ** 2  # the variance of fits falls with n squared
        entries = [
            Entry(name, "blend", pairs[k, seen], fit_variance=scale * fit_variance[name])
            for name, pairs in candidates.items()
        ]
        board = leaderboard(entries, target.only(seen), folds[seen], seed=seed)
        chosen.append(choose(board))
        pooled[:, new] = candidates[chosen[-1]][:, new]
    blend = of_own_fold(pooled, folds)
    variance = estimate_fit_variance(target, pooled, folds, seed=seed)
    result: dict[str, Any] = {"score": target.score(blend)}
    for name, base in (("gain", plain), ("gain_over_single", single)):
        interval = difference_interval(target, blend, base, seed=seed, fit_variance=variance)
        result |= zip((name, f"{name}_low", f"{name}_high"), interval, strict=True)
    return {**result, "chosen": chosen}
