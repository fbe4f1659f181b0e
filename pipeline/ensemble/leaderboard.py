"""The leaderboard of all predictors and blends, and the rule that chooses what to submit.

Letters: n rows, c columns, K folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.scoring.intervals import N_BOOTSTRAP, bootstrap_scores, improvements, intervals_of
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

PLAIN_MEAN = "blend_mean"  # every other blend has to beat it to be chosen
CONSTANT = "constant"  # name and kind of the line that every choice should beat
SAME = 1e-6  # share of a predictor's range within which predictions count as equal


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the leaderboard before it is scored.

    Attributes:
        kind: member, external, blend or constant.
        predictions: (n, c), out-of-fold or cross-fitted.
        in_sample: (n, c) of a blend fitted on the same rows; None for single predictors.
        fit_variance: `estimate_fit_variance`, by which the intervals are widened.
    """

    name: str
    kind: str
    predictions: Floats
    in_sample: Floats | None = None
    fit_variance: float = 0.0

    @property
    def is_single(self) -> bool:
        """Whether this is a predictor that blends are made of."""
        return self.kind not in ("blend", CONSTANT)


def fold_scores(target: Target, predictions: Floats, folds: NDArray[Any]) -> Floats:
    """(K,) the metric on each fold's rows, in the order of the folds."""
    rows = [folds == fold for fold in np.unique(folds)]
    return np.array([target[r].score(predictions[r]) for r in rows])


def leaderboard(
    entries: Sequence[Entry],
    target: Target,
    folds: NDArray[Any],
    *,
    n_bootstrap: int = N_BOOTSTRAP,
    seed: int,
) -> pd.DataFrame:
    """One line for each entry, best score first, undefined scores last.

    The chosen line and the best single predictor are picked on the rows that score them, so their
    scores are slightly optimistic.

    Args:
        entries: names are unique; `blend_mean` is one of them.
    Returns:
        Columns name, kind, alone (the single predictor that a blend equals, or None), score (all
            rows pooled), fold_mean, fold_sd, optimism (in-sample score minus score, positive =
            looks better; NaN for single predictors), gain over the plain mean, gain_low and
            gain_high (its 95 % interval), gain_over_single (over the best single predictor) with
            _low and _high, chosen (True once).
    """
    names = [entry.name for entry in entries]
    sign = target.metric.sign
    predictions = [entry.predictions for entry in entries]
    scores = np.array([target.score(p) for p in predictions])
    bootstrap = bootstrap_scores(target, predictions, n_bootstrap=n_bootstrap, seed=seed)
    fit_variance = np.array([entry.fit_variance for entry in entries])

    def gains_over(base: int) -> Floats:
        return intervals_of(
            improvements(target.metric, scores, scores[base]),
            improvements(target.metric, bootstrap, bootstrap[:, [base]]),
            fit_variance,
        )

    over_mean = gains_over(names.index(PLAIN_MEAN))
    singles = [i for i, e in enumerate(entries) if e.is_single and not np.isnan(scores[i])]
    over_single = np.full_like(over_mean, np.nan)
    if singles:
        over_single = gains_over(max(singles, key=lambda i: sign * scores[i]))
    by_fold = pd.DataFrame([fold_scores(target, p, folds) for p in predictions])
    in_sample = [np.nan if e.in_sample is None else target.score(e.in_sample) for e in entries]
    board = pd.DataFrame(
        {
            "name": names,
            "kind": [entry.kind for entry in entries],
            "alone": [alone_in(entry, entries) for entry in entries],
            "score": scores,
            "fold_mean": by_fold.mean(axis=1),
            "fold_sd": by_fold.std(axis=1),
            "optimism": sign * (in_sample - scores) + 0.0,  # no -0.0 in a table
        }
    )
    board[["gain", "gain_low", "gain_high"]] = over_mean
    board[["gain_over_single", "gain_over_single_low", "gain_over_single_high"]] = over_single
    board = board.sort_values(
        "score", ascending=sign < 0, na_position="last", kind="stable", ignore_index=True
    )
    return board.assign(chosen=board["name"] == choose(board))


def alone_in(blend: Entry, entries: Sequence[Entry]) -> str | None:
    """Name of the single predictor that a blend equals on every row, or None."""
    if blend.kind != "blend":
        return None
    for single in entries:
        if single.is_single:
            tolerance = SAME * np.ptp(single.predictions, axis=0)
            if (np.abs(blend.predictions - single.predictions) <= tolerance).all():
                return single.name
    return None


def choose(board: pd.DataFrame) -> str:
    """Name of the best blend that beats the plain mean by more than half a standard error.

    If there is none, the plain mean. Measured against other rules: docs/method.md, "The choice".

    Args:
        board: lines of `leaderboard`, best first, with name, kind, gain and gain_low.
    """
    standard_error = (board["gain"] - board["gain_low"]) / 1.96
    better = board[(board["kind"] == "blend") & (board["gain"] > standard_error / 2)]
    return PLAIN_MEAN if better.empty else str(better["name"].iloc[0])
