"""Honest scores of blends: cross-fitting, paired intervals, the leaderboard and the choice.

Letters: n rows, c columns, K folds, b candidates. A blender scored on the rows that fitted it looks
better than it is; here every row's blend comes from a fit that did not see the row's fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.metrics import METRICS, score
from pipeline.tasks import Floats

PLAIN_MEAN = "blend_mean"  # what every other blend has to beat to be chosen
N_RESAMPLES = 1000


@dataclass(frozen=True)
class Entry:
    """One line of the leaderboard before it is scored.

    Attributes:
        kind: member, external or blend.
        predictions: (n, c), out-of-fold or cross-fitted.
        in_sample: (n, c) of a blend fitted on these very rows; None for single predictors.
    """

    name: str
    kind: str
    predictions: Floats
    in_sample: Floats | None = None


def cross_fit(
    blender: Callable[..., Floats],
    preds: Floats,
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    task: str,
    metric: str,
    seed: int,
) -> Floats:
    """Each fold's blend by a blender fitted on the other folds.

    Args:
        preds: (n, m, c) out-of-fold predictions.
        folds: (n,) the folds that `preds` were trained with: other folds would leak.
    Returns:
        (n, c); the rows of a fold do not depend on the targets of that fold.
    Raises:
        ValueError: fewer than two folds, or not one for each row.
    """
    held_out = np.unique(folds)
    if folds.shape != (len(preds),) or len(held_out) < 2:
        raise ValueError(
            f"cross-fitting {len(preds)} rows takes one fold for each and at least 2 folds, "
            f"got {folds.shape} with {len(held_out)}"
        )
    blend = np.empty((len(preds), preds.shape[2]))
    for fold in held_out:
        new = folds == fold
        blend[new] = blender(preds[~new], y[~new], preds[new], task=task, metric=metric, seed=seed)
    return blend


def difference_intervals(
    metric: str,
    task: str,
    y: NDArray[Any],
    candidates: Sequence[Floats],
    base: Floats,
    *,
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> Floats:
    """How much better than the base each candidate scores, with a 95 % interval.

    Paired percentile bootstrap: rows are drawn with replacement, all blends are scored on the same
    draw. Predictions are taken as given: how they would differ with other folds is not in it.

    Args:
        candidates: b of (n, c).
        groups: (n,) labels of what is drawn as a whole: rows that resemble each other hold less
            evidence than their number says. None draws rows.
    Returns:
        (b, 3): difference on all rows, low, high. Positive is better, whatever the metric's
        direction. NaN where the metric is undefined; draws where it is undefined are left out.
    """
    sign = METRICS[metric].sign
    all_predictions = [base, *candidates]

    def improvements(rows: NDArray[Any]) -> Floats:
        scores = np.array([score(metric, task, y[rows], p[rows], y) for p in all_predictions])
        return sign * (scores[1:] - scores[0]) + 0.0  # no -0.0 in a table

    rng = np.random.default_rng(seed)
    rows = np.arange(len(y))
    unit = rows if groups is None else np.unique(groups, return_inverse=True)[1]
    n_units = int(unit.max()) + 1
    drawn = np.empty((n_resamples, len(candidates)))
    for i in range(n_resamples):
        times = np.bincount(rng.integers(n_units, size=n_units), minlength=n_units)
        drawn[i] = improvements(np.repeat(rows, times[unit]))
    intervals = np.full((len(candidates), 3), np.nan)
    intervals[:, 0] = improvements(rows)
    for interval, values in zip(intervals, drawn.T, strict=True):
        if not np.isnan(values).all():
            interval[1:] = np.nanpercentile(values, [2.5, 97.5])
    return intervals


def difference_interval(
    metric: str,
    task: str,
    y: NDArray[Any],
    a: Floats,
    b: Floats,
    *,
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> tuple[float, float, float]:
    """Difference, low, high of `difference_intervals` for (n, c) `a` against (n, c) `b` alone."""
    difference, low, high = difference_intervals(
        metric, task, y, [a], b, groups=groups, n_resamples=n_resamples, seed=seed
    )[0].tolist()
    return difference, low, high


def fold_scores(
    metric: str, task: str, y: NDArray[Any], predictions: Floats, folds: NDArray[Any]
) -> Floats:
    """(K,) the metric on each fold's rows, in the order of the folds."""
    rows = [folds == fold for fold in np.unique(folds)]
    return np.array([score(metric, task, y[r], predictions[r], y) for r in rows])


def leaderboard(
    entries: Sequence[Entry],
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    task: str,
    metric: str,
    groups: NDArray[Any] | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int,
) -> pd.DataFrame:
    """One line for each entry, best score first, undefined scores last.

    The line that is `chosen` was chosen on the rows that it is scored on.

    Args:
        entries: names are unique; `blend_mean` is one of them.
    Returns:
        Columns name, kind, score (all rows pooled), fold_mean, fold_sd, optimism (how much better
        the in-sample score looks; NaN for single predictors), gain over the plain mean, gain_low
        and gain_high (its 95 % interval), chosen (True once).
    Raises:
        ValueError: there is no plain mean to compare with.
    """
    by_name = {entry.name: entry for entry in entries}
    if PLAIN_MEAN not in by_name:
        raise ValueError(
            f"leaderboard: no {PLAIN_MEAN!r} among {sorted(by_name)}; add the plain mean"
        )
    sign = METRICS[metric].sign
    gains = difference_intervals(
        metric,
        task,
        y,
        [entry.predictions for entry in entries],
        by_name[PLAIN_MEAN].predictions,
        groups=groups,
        n_resamples=n_resamples,
        seed=seed,
    )
    lines = []
    for entry, (gain, low, high) in zip(entries, gains.tolist(), strict=True):
        found = score(metric, task, y, entry.predictions)
        by_fold = fold_scores(metric, task, y, entry.predictions, folds)
        by_fold = by_fold[~np.isnan(by_fold)]
        in_sample = np.nan if entry.in_sample is None else score(metric, task, y, entry.in_sample)
        lines.append(
            {
                "name": entry.name,
                "kind": entry.kind,
                "score": found,
                "fold_mean": by_fold.mean() if len(by_fold) else np.nan,
                "fold_sd": by_fold.std(ddof=1) if len(by_fold) > 1 else np.nan,
                "optimism": sign * (in_sample - found) + 0.0,
                "gain": gain,
                "gain_low": low,
                "gain_high": high,
            }
        )
    board = pd.DataFrame(lines)
    board = board.sort_values(
        "score", ascending=sign < 0, na_position="last", kind="stable", ignore_index=True
    )
    return board.assign(chosen=board["name"] == choose(board))


def choose(board: pd.DataFrame) -> str:
    """The best blend whose gain over the plain mean is surely positive, else the plain mean.

    Args:
        board: lines of `leaderboard`, best first, with name, kind and gain_low.
    """
    better = board[(board["kind"] == "blend") & (board["gain_low"] > 0)]
    return PLAIN_MEAN if better.empty else str(better["name"].iloc[0])
