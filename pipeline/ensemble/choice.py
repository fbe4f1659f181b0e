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
from pipeline.scoring.intervals import N_BOOTSTRAP, difference_interval, estimate_fit_variance
from pipeline.scoring.target import Target
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
    target: Target,
    folds: NDArray[Any],
    *,
    fit_variance: dict[str, float],
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int,
) -> Expected:
    """Score the rule of the leaderboard, fold by fold, on rows that it did not see.

    Args:
        candidates: (K, n, c) of every blend by its name, of which [k] depends on no target of fold
            k (`cross_fit_pairs`); `blend_mean` is one of them.
        fit_variance: `estimate_fit_variance` of every blend. It was estimated on all rows: it
            widens intervals alike in every fold, a little more on fewer rows.
    """
    pooled = np.empty_like(candidates[PLAIN_MEAN])
    plain = of_own_fold(candidates[PLAIN_MEAN], folds)
    chosen = []
    for k, fold in enumerate(np.unique(folds)):
        seen, new = folds != fold, folds == fold
        more = (len(target) / seen.sum()) ** 2  # it falls with the square of the rows
        entries = [
            Entry(name, "blend", pairs[k, seen], fit_variance=more * fit_variance[name])
            for name, pairs in candidates.items()
        ]
        board = leaderboard(
            entries, target.only(seen), folds[seen], n_bootstrap=n_bootstrap, seed=seed
        )
        chosen.append(choose(board))
        pooled[:, new] = candidates[chosen[-1]][:, new]
    blend = of_own_fold(pooled, folds)
    variance = estimate_fit_variance(target, pooled, folds, n_bootstrap=n_bootstrap, seed=seed)
    gain, low, high = difference_interval(
        target, blend, plain, n_bootstrap=n_bootstrap, seed=seed, fit_variance=variance
    )
    return Expected(target.score(blend), gain, low, high, chosen)
