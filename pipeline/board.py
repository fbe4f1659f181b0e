"""The leaderboard and what it is made from: the predictors that the config names, its settings."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.artifacts import (
    file_sha256,
    leaderboard_path,
    predictor_dir,
    read_json,
    sha256_of_array,
)
from pipeline.competition import Test, Train
from pipeline.config import Config
from pipeline.foreign import part_sha256
from pipeline.predictors import check_made_for
from pipeline.stack import Stack, read_stack


def member_folders(config: Config) -> dict[str, Path]:
    return {m.name: predictor_dir(config.competition, m.name) for m in config.members}


def external_folders(config: Config) -> dict[str, Path]:
    return {one.name: Path(one.folder) for one in config.blend.external}


def read_named_stack(config: Config, train: Train, test: Test, folds: NDArray[np.int64]) -> Stack:
    """The predictors that the config names, members first.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file breaks the contract of `pipeline.predictors`, or a member was made for
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
        made_for = {"folds": sha256_of_array(folds), "targets": sha256_of_array(train.y)}
        check_made_for(folder, "oof", made_for)
        check_made_for(folder, "test", {"test": test.sha256})
    return stack


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
        "decisions": list(config.blend.decisions),
        "task": config.task,
        "metric": config.metric,
        "seed": config.seed,
    }


def read_board(competition: str) -> pd.DataFrame:
    """The leaderboard as it stands."""
    # a member may be called nan: only an empty cell is none
    return pd.read_csv(
        leaderboard_path(competition), dtype={"name": str}, keep_default_na=False, na_values=[""]
    )


def board_source(config: Config) -> dict[str, Any]:
    """What the leaderboard was made from, which is what the config names.

    Raises:
        FileNotFoundError: there is no leaderboard, or blending broke off.
        ValueError: it was changed, or made from other predictors or settings.
    """
    path = leaderboard_path(config.competition)
    if not (path.is_file() and path.with_suffix(".json").is_file()):
        raise FileNotFoundError(f"{path}: not there, or not finished; run blend")
    source = read_json(path.with_suffix(".json"))
    named = {*member_folders(config), *external_folders(config)}
    wanted = settings_of(config)
    if (
        set(source.get("predictors", ())) != named
        or {key: source.get(key) for key in wanted} != wanted
    ):
        raise ValueError(
            f"{path}: made from other predictors or settings than those of the config; "
            "run blend again"
        )
    if source["sha256"] != file_sha256(path):
        raise ValueError(f"{path}: changed since it was written; run blend again")
    return source
