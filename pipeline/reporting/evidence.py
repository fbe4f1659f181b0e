"""The files of all stages of a competition, read once and checked to belong together.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.folds import read_rows, with_oof
from pipeline.competition.rows import TestRows, Train, read_test
from pipeline.competition.solution import solution_path, solution_target
from pipeline.ensemble.fitted import State
from pipeline.ensemble.leaderboard import CONSTANT
from pipeline.files.hashes import file_sha256, sha256_of_array
from pipeline.files.paths import folds_path, leaderboard_path, predictor_dir
from pipeline.files.reading import decoding, read_csv_as_text
from pipeline.files.stamp import Stamp
from pipeline.members.units import LOG, RUN, Run, Unit, read_run
from pipeline.predictors.board import (
    check_scored,
    external_folders,
    member_folders,
    postprocessing_of,
    read_board,
    read_named,
    require_board,
)
from pipeline.predictors.external import PARTS, part_sha256
from pipeline.predictors.predictions import check_made_for
from pipeline.predictors.stack import Stack, read_stack
from pipeline.scoring.metrics import metric_of
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config

Logs = dict[int, list[dict[str, float]]]  # the lines of a member's training logs, by fold


@dataclass(frozen=True, eq=False)
class Evidence:
    """The data of a report.

    Attributes:
        train: the rows that have out-of-fold predictions.
        n_training_only: further training rows, which precede the first fold in time.
        board: the leaderboard, best first; its stamp has the expected score of the choice.
        chosen_oof: (n, c) out-of-fold or cross-fitted predictions of the chosen predictor.
        chosen_test: (k, c) its test predictions.
        postprocessing: the fitted post-processing of the chosen blend; empty if it has none.
        blends: (n, c) cross-fitted predictions of every blend.
        weights: the cells of weights.csv of each blend that has one.
        test_target: of the test rows; None without a solution.csv.
        test_predictions: (k, c) of every predictor on the board; empty without a `test_target`.
        runs: run.json of each member's units, by fold.
        logs: the lines of train.log of each member's units, by fold.
    """

    config: Config
    train: Train
    n_training_only: int
    test: TestRows
    target: Target
    folds: NDArray[np.int64]
    stack: Stack
    board: pd.DataFrame
    board_stamp: Stamp
    chosen_name: str
    chosen_oof: Floats
    chosen_test: Floats
    postprocessing: State
    blends: dict[str, Floats]
    weights: dict[str, pd.DataFrame]
    test_target: Target | None
    test_predictions: dict[str, Floats]
    runs: dict[str, dict[int, Run]]
    logs: dict[str, Logs]

    @property
    def n_folds(self) -> int:
        return int(self.folds.max()) + 1


def made_from(config: Config) -> dict[str, Any]:
    """Everything that determines the report: settings, and hashes of the files that it reads."""
    folders, external = [*member_folders(config).values()], external_folders(config).items()
    data, own = config.data, metric_of(config.metric).own
    board = leaderboard_path(config.competition)
    files = [Path(data.train), Path(data.test), solution_path(data), folds_path(config.competition)]
    files += [board, board.with_suffix(".json"), *([Path(own.file)] if own else [])]
    folders += sorted(Path("oof", config.competition).glob("blend_*"))
    files += [path for folder in folders for path in sorted(folder.glob("[!.]*"))]
    units = Path("models") / config.competition
    files += sorted(units.glob("*/fold*/run.json")) + sorted(units.glob("*/fold*/train.log"))
    return {
        "config": config.model_dump(mode="json", by_alias=True),
        # without what else lies beside them, such as the models of a team mate
        "external": {name: [part_sha256(f, part) for part in PARTS] for name, f in external},
        "files": {str(path): file_sha256(path) for path in files if path.is_file()},
    }


def read_evidence(config: Config) -> Evidence:
    """Read the files of all stages.

    Raises:
        FileNotFoundError: a stage has not been run.
        ValueError: the leaderboard was made from other predictors, or a file is broken.
    """
    whole, test = read_rows(config), read_test(config.data)
    train, folds = with_oof(*whole)
    target = train.target(config.task, config.metric)
    stamp = require_board(config, train)
    board = read_board(leaderboard_path(config.competition))
    stack = read_stack(config, train, test, folds)
    chosen = str(board.loc[board["chosen"], "name"].iloc[0])
    test_target = solution_target(config, train, test.ids)
    test_predictions = dict(zip(stack.names, stack.test.transpose(1, 0, 2), strict=True))
    test_predictions[CONSTANT] = target.constant(len(train.columns), len(test.ids))
    blends = board.loc[board["kind"] == "blend", "name"]
    for name in blends:
        check_scored(config.competition, stamp, name)
    made_for = {"targets": sha256_of_array(train.y), "folds": sha256_of_array(folds)}
    check_made_for(predictor_dir(config.competition, chosen), "oof", made_for)
    for name in [chosen] if test_target is None else blends:
        test_predictions[name] = read_named(config, name, "test", test.ids, train.columns)
    of_blends = {name: read_named(config, name, "oof", train.ids, train.columns) for name in blends}
    weights = {
        name: read_csv_as_text(path)
        for name in blends
        if (path := predictor_dir(config.competition, name) / "weights.csv").is_file()
    }
    runs: dict[str, dict[int, Run]] = {}
    logs: dict[str, Logs] = {}
    for name in member_folders(config):
        units = [Unit(config.competition, name, k) for k in range(folds.max() + 1)]
        runs[name] = {u.fold: read_run(u) for u in units if (u.folder / RUN).is_file()}
        logs[name] = {u.fold: _read_log(u) for u in units if (u.folder / LOG).is_file()}
    return Evidence(
        config=config,
        train=train,
        n_training_only=len(whole[1]) - len(folds),
        test=test,
        target=target,
        folds=folds,
        stack=stack,
        board=board,
        board_stamp=stamp,
        chosen_name=chosen,
        chosen_oof=of_blends[chosen],
        chosen_test=test_predictions[chosen],
        postprocessing=postprocessing_of(predictor_dir(config.competition, chosen)),
        blends=of_blends,
        weights=weights,
        test_target=test_target,
        test_predictions={} if test_target is None else test_predictions,
        runs=runs,
        logs=logs,
    )


def _read_log(unit: Unit) -> list[dict[str, float]]:
    """The lines of a training log that hold a loss."""
    path = unit.folder / LOG
    with decoding(path, "train the unit again, or remove the log"):
        # as one list, so that an error names the line
        rows = path.read_text(encoding="utf-8").splitlines()
        lines = json.loads("[" + ",\n".join(rows) + "]")
        return [line for line in lines if "loss" in line and "epoch" in line]
