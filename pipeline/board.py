"""The leaderboard's files: how they are read, and what they have to have been made from."""

from typing import Any

import pandas as pd

from pipeline.artifacts import file_sha256, leaderboard_path, read_json
from pipeline.config import Config


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
    named = {*(m.name for m in config.members), *(e.name for e in config.blend.external)}
    wanted = settings_of(config)
    if set(source["predictors"]) != named or {key: source[key] for key in wanted} != wanted:
        raise ValueError(
            f"{path}: made from other predictors or settings than those of the config; "
            "run blend again"
        )
    if source["sha256"] != file_sha256(path):
        raise ValueError(f"{path}: changed since it was written; run blend again")
    return source
