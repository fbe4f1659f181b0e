"""The predictors that a config names, and the leaderboard made from them."""

from pathlib import Path

import pandas as pd

from pipeline.files.paths import leaderboard_path, predictor_dir
from pipeline.files.stamp import Stamp, read_stamp, require_current
from pipeline.predictors.external import part_sha256
from pipeline.predictors.predictions import PARTS, changed_settings
from pipeline.settings.config import Config


def member_folders(config: Config) -> dict[str, Path]:
    return {m.name: predictor_dir(config.competition, m.name) for m in config.members}


def external_folders(config: Config) -> dict[str, Path]:
    return {e.name: Path(e.folder) for e in config.blend.external}


def folder_of(config: Config, predictor: str) -> Path:
    return external_folders(config).get(predictor, predictor_dir(config.competition, predictor))


def trained_otherwise(config: Config) -> list[str]:
    """A warning line for each member whose training settings differ from the config."""
    folders = member_folders(config)
    changes = {m.name: changed_settings(folders[m.name], m.settings) for m in config.members}
    return [
        f"{folders[name]}: trained with {change}; it is blended as it was trained"
        for name, change in changes.items()
        if change is not None
    ]


def hashes_of_predictors(config: Config) -> dict[str, list[str]]:
    """Hashes of the OOF and the test part of each predictor that the config names."""
    folders = {**member_folders(config), **external_folders(config)}
    return {name: [part_sha256(folder, part) for part in PARTS] for name, folder in folders.items()}


def settings_of(config: Config) -> dict[str, object]:
    """The settings that determine the blends."""
    return {
        "methods": list(config.blend.methods),
        "postprocessing": list(config.blend.postprocessing),
        "task": config.task,
        "metric": config.metric,
        "seed": config.seed,
    }


def read_board(competition: str) -> pd.DataFrame:
    """The leaderboard as it is on disk."""
    # a member may be called nan, so only an empty cell is missing
    return pd.read_csv(
        leaderboard_path(competition),
        dtype={"name": str, "alone": str},
        keep_default_na=False,
        na_values=[""],
    )


def require_board(config: Config) -> Stamp:
    """The stamp of the leaderboard; it must be current for the config's predictors and settings.

    Raises:
        FileNotFoundError: there is no finished leaderboard.
        ValueError: it was changed, or made from other predictors or settings.
    """
    made_from = {"predictors": hashes_of_predictors(config), **settings_of(config)}
    return require_current(leaderboard_path(config.competition), made_from, "run blend again")


def standing_of(config: Config, predictor: str | None) -> tuple[str, dict[str, object]]:
    """A predictor's name and its leaderboard line; None means the chosen predictor.

    The line is empty if the leaderboard has no current score of this predictor.

    Raises:
        FileNotFoundError: there is no leaderboard to choose from.
        ValueError: the leaderboard is out of date, or there is no such predictor.
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
            return predictor, {}  # trained again after the leaderboard
        line = board.astype(object).where(board.notna(), None).loc[predictor]
        return predictor, {str(name): value for name, value in line.items()}
    if not folder_of(config, predictor).is_dir():
        known = ", ".join(board["name"])
        raise ValueError(f"--predictor: no predictor {predictor!r}; choose one of: {known}")
    return predictor, {}
