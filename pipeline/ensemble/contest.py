"""The contest: every blend is fitted and scored beside all predictors and a constant.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.ensemble.blenders import BLENDERS, Blender, check_methods
from pipeline.ensemble.candidates import Candidate, candidates_of
from pipeline.ensemble.choice import Expected, score_of_choice
from pipeline.ensemble.leaderboard import CONSTANT, PLAIN_MEAN, Entry, leaderboard
from pipeline.ensemble.postprocessing import POSTPROCESSING, Postprocessing, check_postprocessing
from pipeline.ensemble.stability import weight_table
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

MOST_NESTED = 20_000  # with more rows, the score of the choice is close to the chosen line's


@dataclass(frozen=True, eq=False)
class Contest:
    """The results of a contest.

    Attributes:
        candidates: every blend, with its predictions.
        weights: tables of weights by name of the blender, if it has weights.
        board: the leaderboard.
        expected: the score to expect of the choice; None if it is not measured.
        over_constant: gain of the chosen blend over the constant, with its 95 % interval.
    """

    candidates: list[Candidate]
    weights: dict[str, pd.DataFrame]
    board: pd.DataFrame
    expected: Expected | None
    over_constant: tuple[float, float, float]


@dataclass(frozen=True)
class Methods:
    """The blenders and post-processing of a contest.

    Attributes:
        notes: a line for each requested method that does not fit.
    """

    blenders: list[Blender]
    postprocessing: dict[str, Postprocessing]
    notes: list[str]


def methods_that_fit(
    blenders: Sequence[str],
    postprocessing: Sequence[str],
    target: Target,
    folds: NDArray[np.int64],
) -> Methods:
    """The named blenders and post-processing that fit the target, and always the plain mean.

    Args:
        postprocessing: names, or "all" alone.
    Raises:
        ValueError: a name is unknown.
    """
    names = list(dict.fromkeys([PLAIN_MEAN.removeprefix("blend_"), *blenders]))
    check_methods(names)
    wanted = list(POSTPROCESSING) if list(postprocessing) == ["all"] else postprocessing
    check_postprocessing(wanted)
    task, metric, n_folds = target.task.name, target.metric.name, len(np.unique(folds))
    fitting = [BLENDERS[name] for name in names if BLENDERS[name].supports(task)]
    misfits = [name for name in names if not BLENDERS[name].supports(task)]
    notes = [f"{name} does not fit task {task!r}; passed over" for name in misfits]
    processing = {
        name: POSTPROCESSING[name] for name in wanted if POSTPROCESSING[name].fits(task, metric)
    }
    if processing and n_folds < 3:
        notes.append(f"post-processing takes 3 folds; passed over: {', '.join(processing)}")
        processing = {}
    n_candidates = len(fitting) * (1 + len(processing))
    if n_candidates > 1 and not measures_choice(n_candidates, len(target), n_folds):
        notes.append(
            "intervals are a little too narrow: the noise that fitting adds is estimated only with "
            f"3 or more folds and at most {MOST_NESTED:,} rows"
        )
    return Methods(fitting, processing, notes)


def measures_choice(n_candidates: int, n_rows: int, n_folds: int) -> bool:
    """Whether the choice is repeated without each fold, to score it."""
    return n_candidates > 1 and n_rows <= MOST_NESTED and n_folds > 2


def hold_contest(
    blenders: Sequence[Blender],
    postprocessing: Mapping[str, Postprocessing],
    singles: Sequence[Entry],
    test: Floats,
    target: Target,
    folds: NDArray[np.int64],
    columns: Sequence[str],
    *,
    seed: int,
) -> Contest:
    """Fit every blender with every post-processing; score, compare, choose.

    Args:
        blenders: blenders that support the task, the plain mean among them.
        postprocessing: by name; all must fit task and metric.
        singles: m predictors with their (n, c) out-of-fold predictions.
        test: (k, m, c) predictions of the test rows.
        columns: names of the c prediction columns.
    """
    oof = np.stack([single.predictions for single in singles], axis=1)
    n_candidates = len(blenders) * (1 + len(postprocessing))
    keep_pairs = measures_choice(n_candidates, len(target), len(np.unique(folds)))
    candidates = [
        candidate
        for blender in blenders
        for candidate in candidates_of(
            blender, postprocessing, oof, test, target, folds, keep_pairs=keep_pairs, seed=seed
        )
    ]
    names = [single.name for single in singles]
    weights = {
        blender.name: weight_table(WEIGHTS[blender.name], oof, target, names, columns, seed=seed)
        for blender in blenders
        if blender.name in WEIGHTS
    }
    constant = Entry(CONSTANT, CONSTANT, target.constant(len(columns), len(target)))
    entries = [*singles, constant, *(candidate.entry for candidate in candidates)]
    board = leaderboard(entries, target, folds, seed=seed)
    (chosen,) = [c for c in candidates if c.entry.name == board.loc[board["chosen"], "name"].item()]
    return Contest(
        candidates,
        weights,
        _with_columns(board, entries, target, columns),
        _expected(candidates, target, folds, seed) if keep_pairs else None,
        difference_interval(
            target,
            chosen.cross_fitted,
            constant.predictions,
            seed=seed,
            fit_variance=chosen.fit_variance,
        ),
    )


def _expected(
    candidates: Sequence[Candidate], target: Target, folds: NDArray[np.int64], seed: int
) -> Expected:
    pairs = {c.entry.name: c.held_out_pairs for c in candidates if c.held_out_pairs is not None}
    fit_variance = {c.entry.name: c.fit_variance for c in candidates}
    return score_of_choice(pairs, target, folds, fit_variance=fit_variance, seed=seed)


def _with_columns(
    board: pd.DataFrame, entries: Sequence[Entry], target: Target, columns: Sequence[str]
) -> pd.DataFrame:
    """The leaderboard with a column of scores for each target, if there are several."""
    if target.y.ndim == 1 or target.y.shape[1] == 1:
        return board
    by_name = {entry.name: target.column_scores(entry.predictions) for entry in entries}
    scores = np.stack([by_name[name] for name in board["name"]])
    of_targets = {f"{target.metric.name} of {name}": scores[:, j] for j, name in enumerate(columns)}
    return board.assign(**of_targets)
