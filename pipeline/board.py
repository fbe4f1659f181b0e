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
    sha256_of_texts,
)
from pipeline.competition import TestRows, Train
from pipeline.foreign import part_sha256
from pipeline.predictors import changed_settings, check_made_for
from pipeline.settings.config import Config
from pipeline.stack import Stack, read_stack


def member_folders(config: Config) -> dict[str, Path]:
    return {m.name: predictor_dir(config.competition, m.name) for m in config.members}


def external_folders(config: Config) -> dict[str, Path]:
    return {one.name: Path(one.folder) for one in config.blend.external}


def read_named_stack(
    config: Config, train: Train, test: TestRows, folds: NDArray[np.int64]
) -> Stack:
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
        made_for = {
            "folds": sha256_of_array(folds),
            "targets": sha256_of_array(train.y),
            "texts": train.sha256_of_texts,
        }
        check_made_for(folder, "oof", made_for)
        check_made_for(folder, "test", {"test": test.sha256})
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
        "decisions": list(config.blend.decisions),
        "task": config.task,
        "metric": config.metric,
        "seed": config.seed,
    }


def code_sha256() -> str:
    """Hash of the code that blends: with other code the same predictors may blend otherwise."""
    here = Path(__file__).parent
    named = [here / f"{name}.py" for name in ("blend", "metrics", "counts", "splits", "tasks")]
    return sha256_of_texts(map(file_sha256, [*named, *sorted((here / "ensemble").glob("*.py"))]))


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
