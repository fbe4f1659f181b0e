"""The contest: every blend is fitted and scored beside all predictors and a constant.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pipeline.ensemble.blenders import BLENDERS, Blender
from pipeline.ensemble.candidates import Candidate, candidates_of
from pipeline.ensemble.choice import score_of_choice
from pipeline.ensemble.cut_points import N_PLACES
from pipeline.ensemble.fitted import check_names
from pipeline.ensemble.leaderboard import CONSTANT, PLAIN_MEAN, Entry, leaderboard
from pipeline.ensemble.postprocessing import COUNTING, POSTPROCESSING, Postprocessing
from pipeline.ensemble.selection import N_BAGS, N_STEPS, SHRINKAGE
from pipeline.ensemble.stability import N_HALVES, weight_table
from pipeline.ensemble.thresholds import N_TRIED
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.intervals import N_OF_OWN, difference_interval
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.scoring.trial import cost_of_calls

MANY = 100_000  # predictions in a stack from which starting processes takes less than they save
# calls of the user's own metric to fit a column: two or three rounds, in which two starts try each
# place for two cuts
N_CALLS = {"threshold": 2 * N_TRIED, "cut_points": 3 * 2 * 2 * N_PLACES}
FEW_GROUPS = 20  # whose intervals are too narrow: docs/method.md, "Intervals of a gain"
MOST_NESTED = 20_000  # with more rows, the score of the choice is close to the chosen line's


@dataclass(frozen=True, eq=False)
class Contest:
    """The results of a contest.

    Attributes:
        candidates: every blend, with its predictions.
        weights: tables of weights by name of the blender, if it has weights.
        board: the leaderboard.
        expected: what `score_of_choice` expects of the choice; None if it is not measured.
        over_constant: gain of the chosen blend over the constant, with its 95 % interval.
    """

    candidates: list[Candidate]
    weights: dict[str, pd.DataFrame]
    board: pd.DataFrame
    expected: dict[str, Any] | None
    over_constant: tuple[float, float, float]


@dataclass(frozen=True)
class Methods:
    """The blenders and post-processing of a contest.

    Attributes:
        notes: a line for each requested method that does not fit.
        is_nested: the choice is repeated without each fold, to score it.
    """

    blenders: list[Blender]
    postprocessing: dict[str, Postprocessing]
    notes: list[str]
    is_nested: bool


def methods_that_fit(
    blenders: Sequence[str], postprocessing: Sequence[str], target: Target, folds: NDArray[np.int64]
) -> Methods:
    """The named blenders and post-processing that fit the target, and always the plain mean.

    Args:
        postprocessing: names, or "all" alone.
    Raises:
        ValueError: a name is unknown.
    """
    names = list(dict.fromkeys([PLAIN_MEAN.removeprefix("blend_"), *blenders]))
    check_names("blend.methods", names, BLENDERS)
    wanted = list(POSTPROCESSING) if list(postprocessing) == ["all"] else postprocessing
    check_names("blend.postprocessing", wanted, POSTPROCESSING)
    task, metric, n_folds = target.task.name, target.metric, len(np.unique(folds))
    fitting = [BLENDERS[name] for name in names if task in BLENDERS[name].tasks]
    misfits = [name for name in names if task not in BLENDERS[name].tasks]
    notes = [f"{name} does not fit task {task!r}; passed over" for name in misfits]
    processing = {
        name: POSTPROCESSING[name] for name in wanted if POSTPROCESSING[name].fits(task, metric)
    }
    unweighted = [name for name in processing if name in COUNTING]
    if unweighted and target.weights is not None:
        notes.append(f"{', '.join(unweighted)} takes no data.metric_weight; passed over")
        processing = {name: step for name, step in processing.items() if name not in COUNTING}
    if processing and n_folds < 3:
        notes.append(f"post-processing takes 3 folds; passed over: {', '.join(processing)}")
        processing = {}
    has_choice = len(fitting) > 1 or bool(processing)
    is_nested = has_choice and len(target) <= MOST_NESTED and n_folds > 2
    if has_choice and not is_nested:
        notes.append(
            "intervals are a little too narrow: the noise that fitting adds is estimated only with "
            f"3 or more folds and at most {MOST_NESTED:,} rows"
        )
    n_groups = len(np.unique(target.clusters))
    if target.groups is not None and n_groups < FEW_GROUPS:
        notes.append(f"intervals are too narrow: they draw {n_groups} groups, each as a whole")
    return Methods(fitting, processing, notes, is_nested)


def cost_of_own(
    methods: Methods, oof: Floats, target: Target, folds: NDArray[np.int64]
) -> str | None:
    """What calls of the user's own metric will take, in a line; None for a built-in metric.

    Args:
        oof: (n, m, c).
    """
    m, n_folds = oof.shape[1], len(np.unique(folds))
    has_pairs = methods.is_nested or methods.postprocessing
    n_pairs = n_folds * (n_folds + 1) // 2 if has_pairs else n_folds
    n_blends = len(methods.blenders) * (1 + len(methods.postprocessing))
    n_layers, n_bootstrapped = 1, m + n_blends + 3  # all lines, and a gain over the constant
    if methods.is_nested:  # boards without each fold, variances of fits, two gains of the choice
        n_layers, n_bootstrapped = n_folds, n_bootstrapped + n_folds * (2 * n_blends + 1) + 4
    n_fits = len(methods.blenders) * (n_folds * n_layers + 2) * oof.shape[2]
    n_calls = N_OF_OWN * n_bootstrapped
    n_calls += n_fits * sum(N_CALLS.get(name, 0) for name in methods.postprocessing)
    if any(blender.name == "hill_climb" for blender in methods.blenders):
        n_calls += (1 + n_pairs + N_HALVES) * (N_STEPS + 2) * (N_BAGS * m + len(SHRINKAGE))
    return cost_of_calls(target, oof.mean(axis=1), n_calls)


def hold_contest(
    methods: Methods,
    singles: Sequence[Entry],
    test: Floats,
    target: Target,
    folds: NDArray[np.int64],
    columns: Sequence[str],
    *,
    seed: int,
    n_jobs: int = 1,
) -> Contest:
    """Fit every blender with every post-processing; score, compare, choose.

    Args:
        singles: m predictors with their (n, c) out-of-fold predictions.
        test: (k, m, c) predictions of the test rows.
        columns: names of the c prediction columns.
        n_jobs: blenders that are fitted side by side if there are many predictions; their number
            changes no result.
    """
    oof = np.stack([single.predictions for single in singles], axis=1)
    names = [single.name for single in singles]
    fit = joblib.delayed(_candidates_and_weights)
    calls = [
        fit(blender, methods, oof, test, target, folds, names, columns, seed)
        for blender in methods.blenders
    ]
    # each process would start at once, whether there is work for it or not
    n_jobs = min(n_jobs, len(calls)) if oof.size >= MANY else 1
    results = joblib.Parallel(n_jobs, batch_size=1)(calls)
    candidates = [candidate for of_blender, _ in results for candidate in of_blender]
    weights = {
        blender.name: table
        for blender, (_, table) in zip(methods.blenders, results, strict=True)
        if table is not None
    }
    constant = Entry(CONSTANT, CONSTANT, target.constant(len(columns), len(target)))
    entries = [*singles, constant, *(candidate.entry for candidate in candidates)]
    board = leaderboard(entries, target, folds, seed=seed)
    chosen = board.loc[board["chosen"], "name"].item()
    (blend,) = [entry for entry in entries if entry.name == chosen]
    pairs = {c.entry.name: c.held_out_pairs for c in candidates if c.held_out_pairs is not None}
    variances = {c.entry.name: c.entry.fit_variance for c in candidates}
    expected = None
    if pairs:
        single = oof[:, names.index(next(name for name in board["name"] if name in names))]
        expected = score_of_choice(
            pairs, target, folds, single=single, fit_variance=variances, seed=seed
        )
    compared = target, blend.predictions, constant.predictions
    over_constant = difference_interval(*compared, seed=seed, fit_variance=blend.fit_variance)
    board = _with_columns(board, entries, target, columns)
    return Contest(candidates, weights, board, expected, over_constant)


def _candidates_and_weights(
    blender: Blender,
    methods: Methods,
    oof: Floats,
    test: Floats,
    target: Target,
    folds: NDArray[np.int64],
    names: Sequence[str],
    columns: Sequence[str],
    seed: int,
) -> tuple[list[Candidate], pd.DataFrame | None]:
    """A blender's candidates and its table of weights, if it has weights."""
    steps, keep_pairs = methods.postprocessing, methods.is_nested
    with threadpool_limits(1):  # the order of a sum, and so its last digit, may hang on it
        candidates = list(
            candidates_of(
                blender, steps, oof, test, target, folds, keep_pairs=keep_pairs, seed=seed
            )
        )
        if blender.name not in WEIGHTS:
            return candidates, None
        weights, weigh = candidates[0].fitted[0].values["weights"], WEIGHTS[blender.name]
        table = weight_table(weights, weigh, oof, target, names, columns, seed=seed)
    return candidates, table


def _with_columns(
    board: pd.DataFrame, entries: Sequence[Entry], target: Target, columns: Sequence[str]
) -> pd.DataFrame:
    """The leaderboard with a column of scores for each target, if there are several."""
    if not target.has_column_scores:
        return board
    scores = pd.DataFrame(
        [target.column_scores(entry.predictions) for entry in entries],
        index=[entry.name for entry in entries],
        columns=[f"{target.metric.label} of {name}" for name in columns],
    )
    return board.join(scores, on="name")
