"""A submission on disk, with the record from which it can be made again beside it."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from pipeline.files.hashes import file_sha256
from pipeline.files.paths import submission_path
from pipeline.files.provenance import provenance
from pipeline.files.reading import read_csv_as_text
from pipeline.files.stamp import read_stamp, written_with_stamp
from pipeline.files.writing import save_csv
from pipeline.predictors.board import folder_of, member_folders, postprocessing_of
from pipeline.settings.config import Config


def made_from_of(config: Config, predictor: str) -> dict[str, object]:
    """`made_from` of a predictor's test predictions; for an external predictor, its folder."""
    folder = folder_of(config, predictor)
    stamp = read_stamp(folder / "test.csv")
    return stamp.made_from if stamp else {"folder": str(folder)}


def record_of(config: Config, predictor: str, standing: dict[str, object]) -> dict[str, object]:
    """Scores, weights, settings and data behind a submission.

    Args:
        standing: the predictor's leaderboard line.
    """
    weights = folder_of(config, predictor) / "weights.csv"
    data = config.data
    tables = (data.train, data.test, data.sample_submission)
    return {
        "predictor": predictor,
        "leaderboard": standing,
        "members": {name: _trained_settings(f) for name, f in member_folders(config).items()},
        "postprocessing": postprocessing_of(folder_of(config, predictor)) or None,
        "weights": _weights(weights) if weights.is_file() else None,
        "config": config.model_dump(by_alias=True),
        "data": {path: file_sha256(Path(path)) for path in tables},
        **provenance(),
    }


def write_submission(
    competition: str,
    predictor: str,
    table: pd.DataFrame,
    made_from: Mapping[str, object],
    record: Mapping[str, object],
    *,
    is_chosen: bool,
) -> Path:
    """Write a submission under its predictor's name, and as submission.csv if it is the chosen one.

    Returns:
        The last path.
    """
    for name in [predictor, "submission"] if is_chosen else [predictor]:
        path = submission_path(competition, name)
        with written_with_stamp(path, made_from, **record) as temporary:
            save_csv(temporary, table)
    return path


def _trained_settings(folder: Path) -> dict[str, object] | None:
    """The settings that a member was trained with; the config may have changed since."""
    stamp = read_stamp(folder / "oof.csv")
    return stamp.made_from.get("settings") if stamp else None


def _weights(path: Path) -> dict[str, object]:
    """{predictor: weight}, or {predictor: {target: weight}} if each target has its own weights."""
    table = read_csv_as_text(path).astype({"weight": float})
    if "target" not in table:
        return dict(zip(table["predictor"], table["weight"], strict=True))
    return {
        str(name): dict(zip(of_name["target"], of_name["weight"], strict=True))
        for name, of_name in table.groupby("predictor", sort=False)
    }
