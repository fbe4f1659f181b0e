"""The leaderboard and what it is made from: the predictors that the config names, its settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.rows import TestRows, Train
from pipeline.files.hashes import sha256_of_array
from pipeline.files.paths import leaderboard_path, predictor_dir
from pipeline.files.stamp import Stamp, read_stamp, require_current
from pipeline.predictors.external import part_sha256
from pipeline.predictors.predictions import changed_settings, check_made_for
from pipeline.predictors.stack import Stack, read_stack
from pipeline.settings.config import Config


def member_folders(config: Config) -> dict[str, Path]:
    return {m.name: predictor_dir(config.competition, m.name) for m in config.members}


def external_folders(config: Config) -> dict[str, Path]:
    return {one.name: Path(one.folder) for one in config.blend.external}


def folder_of(config: Config, predictor: str) -> Path:
    return external_folders(config).get(predictor, predictor_dir(config.competition, predictor))


def read_named_stack(
    config: Config, train: Train, test: TestRows, folds: NDArray[np.int64]
) -> Stack:
    """The predictors that the config names, members first.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file breaks the contract of `predictors.predictions`, or a member was made for
            other folds, targets or test rows.
    """
    members = member_folders(config)
    stack = read_stack(
        members,
        external_folders(config),
        train.ids,
        test.ids,
        train.columns,
        config.task,
        folds,
        config.blend.by_position,
    )
    for folder in members.values():
        made_for = {
            "folds": sha256_of_array(folds),
            "targets": sha256_of_array(train.y),
            "texts": train.sha256_of_texts,
        }
        check_made_for(folder, "oof", made_for)
        check_made_for(folder, "test", {"test rows": test.sha256})
    return stack


def trained_otherwise(config: Config) -> list[str]:
    """A line for each member that was not trained as the config says, on purpose or not."""
    folders = member_folders(config)
    changes = {m.name: changed_settings(folders[m.name], m.settings) for m in config.members}
    return [
        f"{folders[name]}: trained with {change}; it is blended as it was trained"
        for name, change in changes.items()
        if change is not None
    ]


def hashes_of_predictors(config: Config) -> dict[str, list[str]]:
    """The hashes of both parts of each predictor that the config names."""
    folders = {**member_folders(config), **external_folders(config)}
    return {
        name: [part_sha256(folder, part) for part in ("oof", "test")]
        for name, folder in folders.items()
    }


def settings_of(config: Config) -> dict[str, Any]:
    """The settings that determine the blends."""
    return {
        "methods": list(config.blend.methods),
        "postprocessing": list(config.blend.postprocessing),
        "task": config.task,
        "metric": config.metric,
        "seed": config.seed,
    }


def read_board(competition: str) -> pd.DataFrame:
    """The leaderboard as it stands."""
    # a member may be called nan: only an empty cell is none
    return pd.read_csv(
        leaderboard_path(competition),
        dtype={"name": str, "alone": str},
        keep_default_na=False,
        na_values=[""],
    )


def require_board(config: Config) -> Stamp:
    """The stamp of the leaderboard, which has to be about what the config names as it stands.

    Raises:
        FileNotFoundError: there is no leaderboard, or blending broke off.
        ValueError: it was changed, or made from other predictors or settings.
    """
    made_from = {"predictors": hashes_of_predictors(config), **settings_of(config)}
    return require_current(leaderboard_path(config.competition), made_from, "run blend again")


def standing_of(config: Config, predictor: str | None) -> tuple[str, dict[str, Any]]:
    """A predictor's name and its line of the leaderboard; without a name, the chosen one's.

    The line is empty where the leaderboard is not about this predictor, as it stands now.

    Raises:
        FileNotFoundError: there is no leaderboard to choose from.
        ValueError: the leaderboard is not about what the config names, or there is no such
            predictor.
    """
    path = leaderboard_path(config.competition)
    stamp = require_board(config) if predictor is None else read_stamp(path)
    if stamp is None:
        return str(predictor), {}
    board = read_board(config.competition).set_index("name", drop=False)
    if predictor is None:
        predictor = str(board.index[board["chosen"]][0])
    if predictor in board.index:
        scored = stamp.made_from["predictors"].get(predictor)
        if scored is not None and scored[0] != part_sha256(folder_of(config, predictor), "oof"):
            return predictor, {}  # trained again since
        line = board.astype(object).where(board.notna(), None).loc[predictor]
        return predictor, {str(name): value for name, value in line.items()}
    if not folder_of(config, predictor).is_dir():
        known = ", ".join(board["name"])
        raise ValueError(f"--predictor: no predictor {predictor!r}; choose one of: {known}")
    return predictor, {}
