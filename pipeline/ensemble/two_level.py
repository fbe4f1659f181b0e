"""A blender made of blenders: stacking in two levels (Wolpert 1992; Breiman 1996).

Letters: n fit rows, k new rows, m predictors, b blenders of the first level, c columns. The first
level blends the predictors, the second blends the blends. It is fitted on blends of rows that their
blender did not see, so a first blender that merely fits its rows well earns no weight.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.deal import stratified
from pipeline.ensemble.crossfit import cross_fit
from pipeline.scoring.tasks import Floats

N_PARTS = 5


def two_level(
    first: Sequence[Callable[..., Floats]],
    second: Callable[..., Floats],
    preds: Floats,
    y: NDArray[Any],
    new_preds: Floats,
    *,
    task: str,
    metric: str,
    seed: int,
) -> Floats:
    """The blend by `second` of the blends by `first`; the plain mean of these where rows are few.

    The fit rows are split into parts of its own, with equal shares of each class or bin of targets.
    Groups are not known here: rows of one group in two parts flatter the first blenders, not the
    score of what comes out, as the caller's folds are others.

    Args:
        first: b blenders called as those in `ensemble.blenders`, fitted on all fit rows
            for the new ones.
        second: another.
    """
    setting: dict[str, Any] = {"task": task, "metric": metric, "seed": seed}
    n = len(preds)
    new = np.stack([blender(preds, y, new_preds, **setting) for blender in first], axis=1)
    if n < 2 * N_PARTS:  # (k, b, c)
        return new.mean(axis=1)
    parts = stratified(y, np.arange(n), task=task, n=N_PARTS, seed=seed)
    honest = [cross_fit(blender, preds, y, parts, **setting) for blender in first]
    return second(np.stack(honest, axis=1), y, new, **setting)
