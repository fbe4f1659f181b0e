"""Blend the predictors by every method, score each blend on rows it did not see, choose one.

Reads the training table, folds/<c>.csv and oof/<c>/<member>/{oof,test}.csv, and the folders of
blend.external; writes oof/<c>/blend_<method>/{oof,test}.csv (weights.csv too, if it has any), the
same for blend_<method>.<post-processing>, oof/<c>/leaderboard.csv, and leaderboard.json with what
to expect of the choice.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.folds import origin_of, read_folds
from pipeline.competition.rows import TestRows, Train, read_test, read_train
from pipeline.ensemble.leaderboard import PLAIN_MEAN, Entry, leaderboard
from pipeline.files.hashes import sha256_of_array, sha256_of_texts
from pipeline.files.paths import leaderboard_path, predictor_dir
from pipeline.files.reading import read_csv_as_text
from pipeline.files.stamp import is_current, require_current, written_with_stamp
from pipeline.files.writing import save_csv, write_csv
from pipeline.predictors.board import (
    hashes_of_predictors,
    read_board,
    read_named_stack,
    settings_of,
    trained_otherwise,
)
from pipeline.predictors.predictions import PARTS, write_predictions
from pipeline.predictors.stack import Stack, with_doubts
from pipeline.reporting.screen import summary
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.command import one_line_errors, parse
from pipeline.settings.config import Config

if TYPE_CHECKING:
    from pipeline.ensemble.candidates import Candidate
    from pipeline.ensemble.postprocessing import Postprocessing

MOST_NESTED = 20_000  # rows: beyond, what the choice scores differs little from the chosen line


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, _ = parse(__doc__, argv)
        train, test = read_train(config.data, config.task), read_test(config.data)
        folds = read_folds(config.competition, train.ids, origin_of(config.folds, train))
        target = Target.of(train.y, config.task, config.metric, train.groups)
        stack = read_named_stack(config, train, test, folds)
        print(
            f"blend: {len(stack.names)} predictors, {len(stack.oof)} training rows, "
            f"{len(stack.test)} test rows"
        )
        stack, doubts = with_doubts(stack, target)
        for line in [*trained_otherwise(config), *doubts]:
            print(f"warning: {line}")
        made_from = _made_from(config, train, test, folds, stack.kinds)
        path = leaderboard_path(config.competition)
        if not _stands(config, path, made_from):
            path.unlink(missing_ok=True)  # killed among the blends, there is no leaderboard
            board, expected = _blend(config, stack, train, target, test.ids, folds, made_from)
            with written_with_stamp(path, made_from, expected=expected) as temporary:
                save_csv(temporary, board)
        expected = require_current(path, made_from, "run blend again").about["expected"]
        told = summary(read_board(config.competition), config.metric, expected)
        print(f"\n{told}\n{path}: all columns\n")


def _made_from(
    config: Config,
    train: Train,
    test: TestRows,
    folds: NDArray[np.int64],
    kinds: Sequence[str],
) -> dict[str, Any]:
    """All that determines blends and leaderboard."""
    files = hashes_of_predictors(config)
    return {
        "models": sha256_of_texts(f"{name} {hashes[0]}" for name, hashes in files.items()),
        "predictors": files,
        "kinds": dict(zip(files, kinds, strict=True)),
        **settings_of(config),
        "targets": sha256_of_array(train.y),
        "test rows": test.sha256,
        "folds": sha256_of_array(folds),
        "groups": None if train.groups is None else sha256_of_texts(train.groups),
    }


def _stands(config: Config, path: Path, made_from: dict[str, Any]) -> bool:
    """Whether leaderboard and blends were made from just this and are unchanged."""
    if not is_current(path, made_from):
        return False
    board = read_csv_as_text(path)
    return all(
        is_current(
            predictor_dir(config.competition, name) / f"{part}.csv",
            _made_from_of_blend(made_from, name),
        )
        for name in board["name"][board["kind"] == "blend"]
        for part in PARTS
    )


def _made_from_of_blend(made_from: dict[str, Any], name: str) -> dict[str, Any]:
    return {**made_from, "method": name.removeprefix("blend_")}


def _blend(
    config: Config,
    stack: Stack,
    train: Train,
    target: Target,
    test_ids: Sequence[str],
    folds: NDArray[np.int64],
    made_from: dict[str, Any],
) -> tuple[pd.DataFrame, dict[str, Any] | None]:
    """Write every blend.

    Returns:
        The leaderboard of blends and single predictors, and what to expect of the chosen one.
    """
    # imported here: LightGBM takes a second to load, in vain where all stands
    from pipeline.ensemble.blenders import BLENDERS
    from pipeline.ensemble.candidates import candidates_of
    from pipeline.ensemble.choice import score_of_choice
    from pipeline.ensemble.stability import weight_table
    from pipeline.ensemble.weights import WEIGHTS

    n_folds = len(np.unique(folds))
    methods, postprocessing = _fitting(config, n_folds)
    is_choice = len(methods) * (1 + len(postprocessing)) > 1
    keep_pairs = is_choice and len(target) <= MOST_NESTED and n_folds > 2
    if is_choice and not keep_pairs:
        print(
            "blend: intervals are a little too narrow: the noise that fitting adds is estimated "
            f"only with 3 or more folds and at most {MOST_NESTED:,} rows"
        )
    entries = [
        Entry(name, kind, stack.oof[:, i])
        for i, (name, kind) in enumerate(zip(stack.names, stack.kinds, strict=True))
    ]
    held_out_pairs: dict[str, Floats] = {}
    for method in methods:
        for candidate in candidates_of(
            BLENDERS[method],
            postprocessing,
            stack.oof,
            stack.test,
            target,
            folds,
            keep_pairs=keep_pairs,
            seed=config.seed,
        ):
            entry = _write_blend(config, candidate, train, test_ids, made_from)
            entries.append(entry)
            if candidate.held_out_pairs is not None:
                held_out_pairs[entry.name] = candidate.held_out_pairs
        if method in WEIGHTS:
            names = (stack.names, train.columns)
            table = weight_table(WEIGHTS[method], stack.oof, target, *names, seed=config.seed)
            write_csv(predictor_dir(config.competition, f"blend_{method}") / "weights.csv", table)
    board = leaderboard(entries, target, folds, seed=config.seed)
    board = _with_columns(board, entries, target, train.columns)
    if not held_out_pairs:
        return board, None
    expected = score_of_choice(
        held_out_pairs,
        target,
        folds,
        fit_variance={entry.name: entry.fit_variance for entry in entries},
        seed=config.seed,
    )
    return board, expected.as_json()


def _fitting(config: Config, n_folds: int) -> tuple[list[str], "dict[str, Postprocessing]"]:
    """Names of the methods, and post-processing by name: those of the config that fit."""
    from pipeline.ensemble.blenders import BLENDERS, check_methods
    from pipeline.ensemble.postprocessing import POSTPROCESSING, check_postprocessing

    methods = dict.fromkeys([PLAIN_MEAN.removeprefix("blend_"), *config.blend.methods])
    check_methods(methods)
    wanted = config.blend.postprocessing
    if wanted == ("all",):
        wanted = tuple(POSTPROCESSING)
    check_postprocessing(wanted)
    fitting = []
    for method in methods:
        if BLENDERS[method].supports(config.task):
            fitting.append(method)
        else:
            print(f"blend: {method} does not fit task {config.task!r}; passed over")
    postprocessing = {
        name: POSTPROCESSING[name]
        for name in wanted
        if POSTPROCESSING[name].fits(config.task, config.metric)
    }
    if postprocessing and n_folds < 3:
        print(f"blend: post-processing takes 3 folds; passed over: {', '.join(postprocessing)}")
        postprocessing = {}
    return fitting, postprocessing


def _write_blend(
    config: Config,
    candidate: "Candidate",
    train: Train,
    test_ids: Sequence[str],
    made_from: dict[str, Any],
) -> Entry:
    """Write a blend like any predictor; returns what its line of the leaderboard needs."""
    name = f"blend_{candidate.method}"
    folder, own = predictor_dir(config.competition, name), _made_from_of_blend(made_from, name)
    parts = (("oof", train.ids, candidate.cross_fitted), ("test", test_ids, candidate.test))
    for part, ids, values in parts:
        write_predictions(folder, part, ids, config.data.id_name, train.columns, values, own)
    return Entry(name, "blend", candidate.cross_fitted, candidate.in_sample, candidate.fit_variance)


def _with_columns(
    board: pd.DataFrame, entries: Sequence[Entry], target: Target, columns: Sequence[str]
) -> pd.DataFrame:
    """The leaderboard with a score for each target, where there are several."""
    if target.y.ndim == 1 or target.y.shape[1] == 1:
        return board
    by_name = {entry.name: target.column_scores(entry.predictions) for entry in entries}
    scores = np.stack([by_name[name] for name in board["name"]])
    for name, of_target in zip(columns, scores.T, strict=True):
        if np.isnan(of_target).all():
            print(f"warning: {target.metric.name} is undefined on {name!r}, which leaves its mean")
        board[f"{target.metric.name} of {name}"] = of_target
    return board


if __name__ == "__main__":
    main()
