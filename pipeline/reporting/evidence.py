"""All that the stages left of a competition, read once and checked to belong together.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.folds import origin_of, read_folds
from pipeline.competition.rows import TestRows, Train, read_test, read_train
from pipeline.competition.solution import read_solution, solution_path
from pipeline.ensemble.leaderboard import CONSTANT
from pipeline.files.hashes import file_sha256
from pipeline.files.paths import leaderboard_path, predictor_dir, unit_dir
from pipeline.files.reading import read_csv_as_text, read_json
from pipeline.files.stamp import Stamp
from pipeline.predictors.board import (
    external_folders,
    member_folders,
    read_board,
    require_board,
)
from pipeline.predictors.predictions import read_predictions
from pipeline.predictors.stack import Stack, read_stack
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a report is made of.

    Attributes:
        board: the leaderboard, best first.
        board_stamp: what it was made from, and what to expect of the choice.
        target: of the training rows.
        chosen: out-of-fold or cross-fitted and test predictions of the chosen predictor.
        weights: the table of each blend that has one.
        test_target: of the test rows; None where it is not known.
        test_predictions: (k, c) of every line of the board; none where `test_target` is None.
        runs: run.json of each member's units, fold by fold; none of external members.
        logs: train.log of each member's units likewise.
    """

    config: Config
    train: Train
    test: TestRows
    target: Target
    folds: NDArray[np.int64]
    stack: Stack
    board: pd.DataFrame
    board_stamp: Stamp
    chosen_name: str
    chosen_oof: Floats
    chosen_test: Floats
    weights: dict[str, pd.DataFrame]
    test_target: Target | None
    test_predictions: dict[str, Floats]
    runs: dict[str, dict[int, dict[str, Any]]]
    logs: dict[str, dict[int, list[dict[str, Any]]]]


def made_from(config: Config) -> dict[str, Any]:
    """All that determines the report: settings, and hashes of the files that it reads."""
    folders = [*member_folders(config).values(), *external_folders(config).values()]
    board = leaderboard_path(config.competition)
    named = [Path(p) for p in (config.data.train, config.data.test)]
    files = [*named, solution_path(config.data), board, board.with_suffix(".json")]
    files += [path for folder in folders for path in sorted(folder.glob("*"))]
    units = Path("models") / config.competition
    files += sorted(units.glob("*/fold*/run.json")) + sorted(units.glob("*/fold*/train.log"))
    return {
        "config": config.model_dump(mode="json", by_alias=True),
        "files": {str(path): file_sha256(path) for path in files if path.is_file()},
    }


def read_evidence(config: Config) -> Evidence:
    """Read what the stages left.

    Raises:
        FileNotFoundError: a stage has not been run.
        ValueError: the leaderboard was made from other predictors, or a file is broken.
    """
    c, data = config.competition, config.data
    members = member_folders(config)
    train, test = read_train(data, config.task), read_test(data)
    target = Target.of(train.y, config.task, config.metric, train.groups)
    folds = read_folds(c, train.ids, origin_of(config.folds, train))
    stamp = require_board(config)
    board = read_board(c)
    stack = read_stack(config, train, test, folds)
    chosen = str(board.loc[board["chosen"], "name"].iloc[0])
    chosen_oof = read_predictions(
        predictor_dir(c, chosen), "oof", train.ids, train.columns, config.task
    )
    test_y = read_solution(data, config.task, test.ids, train.classes)
    of_stack = dict(zip(stack.names, stack.test.transpose(1, 0, 2), strict=True))
    of_stack[CONSTANT] = target.constant(len(train.columns), len(test.ids))
    wanted = [chosen] if test_y is None else board["name"]
    test_predictions = {
        name: of_stack[name]
        if name in of_stack
        else read_predictions(predictor_dir(c, name), "test", test.ids, train.columns, config.task)
        for name in wanted
    }
    weights = {
        name: predictor_dir(c, name) / "weights.csv"
        for name in board.loc[board["kind"] == "blend", "name"]
    }
    return Evidence(
        config=config,
        train=train,
        test=test,
        target=target,
        folds=folds,
        stack=stack,
        board=board,
        board_stamp=stamp,
        chosen_name=chosen,
        chosen_oof=chosen_oof,
        chosen_test=test_predictions[chosen],
        weights={name: _read_weights(path) for name, path in weights.items() if path.is_file()},
        test_target=None
        if test_y is None
        else replace(target, y=test_y, groups=None, labels=train.y),
        test_predictions={} if test_y is None else test_predictions,
        runs={name: _read_units(c, name, "run.json", read_json, folds) for name in members},
        logs={name: _read_units(c, name, "train.log", _read_log, folds) for name in members},
    )


def _read_weights(path: Path) -> pd.DataFrame:
    table = read_csv_as_text(path)
    numbers = [name for name in table.columns if name not in ("predictor", "target")]
    return table.astype(dict.fromkeys(numbers, float))


def _read_units(
    competition: str, member: str, file: str, read: Any, folds: NDArray[np.int64]
) -> dict[int, Any]:
    """What `read` makes of a file of each of a member's units, by fold, where it is there."""
    paths = {k: unit_dir(competition, member, k) / file for k in range(int(folds.max()) + 1)}
    return {k: read(path) for k, path in paths.items() if path.is_file()}


def _read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a training log that tell a loss.

    Raises:
        ValueError: a line is no JSON object.
    """
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found = json.loads(line)
            if "loss" in found and "epoch" in found:
                lines.append(found)
        except (ValueError, TypeError):
            raise ValueError(
                f"{path}: line {number} is no JSON object; train the unit again, or remove the log"
            ) from None
    return lines
