"""What the choice among blends is worth: it is made again without a fold and scored on that fold.

The chosen line of a leaderboard was chosen on the rows that it is scored on. Here every fold's
rows are predicted by what would have been chosen without them. Letters: n rows, c columns, K folds.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.crossfit import of_own_fold
from pipeline.ensemble.leaderboard import PLAIN_MEAN, Entry, choose, leaderboard
from pipeline.scoring.intervals import N_RESAMPLES, difference_interval, variance_of_fits
from pipeline.scoring.metrics import score
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True)
class Expected:
    """What to expect of the blend that is chosen.

    Attributes:
        score: of each fold's rows by the blend chosen without that fold, pooled.
        gain: over the plain mean on the same rows, with its 95 % interval.
        chosen: the K names, in the order of the folds.
    """

    score: float
    gain: float
    gain_low: float
    gain_high: float
    chosen: list[str]

    def as_json(self) -> dict[str, Any]:
        """The same with None for what is undefined."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def score_of_choice(
    candidates: dict[str, Floats],
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    task: str,
    metric: str,
    of_fits: dict[str, float],
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> Expected:
    """Score the rule of the leaderboard, fold by fold, on rows that it did not see.

    Args:
        candidates: (K, n, c) of every blend by its name, of which [k] depends on no target of fold
            k (`cross_fit_twice`); `blend_mean` is one of them.
        of_fits: `variance_of_fits` of every blend. It was found on all rows: it widens intervals
            alike in every fold, a little more on fewer rows.
        groups: (n,) as for `resampled_scores`.
    """
    setting: dict[str, Any] = {"task": task, "metric": metric, "seed": seed}
    pooled = np.empty_like(candidates[PLAIN_MEAN])
    plain = of_own_fold(candidates[PLAIN_MEAN], folds)
    chosen = []
    for k, fold in enumerate(np.unique(folds)):
        seen, new = folds != fold, folds == fold
        more = (len(y) / seen.sum()) ** 2  # it falls with the square of the rows
        entries = [
            Entry(name, "blend", twice[k, seen], of_fits=more * of_fits[name])
            for name, twice in candidates.items()
        ]
        board = leaderboard(
            entries,
            y[seen],
            folds[seen],
            groups=None if groups is None else groups[seen],
            n_resamples=n_resamples,
            **setting,
        )
        chosen.append(choose(board))
        pooled[:, new] = candidates[chosen[-1]][:, new]
    draws: dict[str, Any] = {"groups": groups, "n_resamples": n_resamples, "seed": seed}
    gain, low, high = difference_interval(
        metric,
        task,
        y,
        of_own_fold(pooled, folds),
        plain,
        of_fits=variance_of_fits(metric, task, y, pooled, folds, **draws),
        **draws,
    )
    return Expected(score(metric, task, y, of_own_fold(pooled, folds)), gain, low, high, chosen)
