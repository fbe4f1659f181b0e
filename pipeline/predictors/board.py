"""The predictors that a config names, and the leaderboard made from them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.rows import TestRows, Train
from pipeline.ensemble.fitted import State
from pipeline.files.hashes import file_sha256, sha256_of_array, sha256_of_texts
from pipeline.files.messages import short
from pipeline.files.paths import leaderboard_path, predictor_dir
from pipeline.files.reading import read_json
from pipeline.files.stamp import Stamp, first_difference, read_stamp, require_current
from pipeline.files.suggestions import choices
from pipeline.predictors.external import PARTS, part_path, part_sha256
from pipeline.predictors.predictions import changed_settings, read_predictions
from pipeline.scoring.metrics import metric_of
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config

POSTPROCESSING = "postprocessing.json"  # in the folder of a blend that has one
REMEDY = "run blend again"


def remedy_of(board: Path) -> str:
    return REMEDY if board.is_file() else "run blend first"


def member_folders(config: Config) -> dict[str, Path]:
    return {m.name: predictor_dir(config.competition, m.name) for m in config.members}


def external_folders(config: Config) -> dict[str, Path]:
    return {e.name: Path(e.folder) for e in config.blend.external}


def check_predicted(members: Iterable[Path]) -> None:
    """Raise a FileNotFoundError that names the stage to run if a member's folder lacks a part."""
    for folder in members:
        for part, stage in zip(PARTS, ("train", "predict"), strict=True):
            try:
                part_path(folder, part)
            except FileNotFoundError:
                problem = f"{folder / part}.csv: not there; run {stage} first"
                raise FileNotFoundError(problem) from None


def folder_of(config: Config, predictor: str) -> Path:
    return external_folders(config).get(predictor, predictor_dir(config.competition, predictor))


def read_named(
    config: Config, predictor: str, part: str, ids: Sequence[str], columns: Sequence[str]
) -> Floats:
    """`read_predictions` of a predictor by its name: member, blend or external."""
    folder, trusted = folder_of(config, predictor), predictor in config.blend.by_position
    return read_predictions(folder, part, ids, columns, config.task, by_position=trusted)


def trained_otherwise(config: Config) -> list[str]:
    """A warning line for each member whose training settings differ from the config."""
    trained = [(predictor_dir(config.competition, m.name), m.settings) for m in config.members]
    return [
        f"{folder}: trained with {change}; it is blended as it was trained"
        for folder, settings in trained
        if (change := changed_settings(folder, settings))
    ]


def hashes_of_predictors(config: Config) -> dict[str, list[str]]:
    """Hashes of the OOF and the test part of each predictor that the config names."""
    folders = {**member_folders(config), **external_folders(config)}
    return {name: [part_sha256(folder, part) for part in PARTS] for name, folder in folders.items()}


def settings_of(config: Config) -> dict[str, object]:
    """The settings that determine the blends, beside the metric."""
    return {
        "methods": list(config.blend.methods),
        "postprocessing": list(config.blend.postprocessing),
        "task": config.task,
        "seed": config.seed,
    }


def _scored_by(config: Config, train: Train) -> dict[str, object]:
    """What scores and intervals depend on beside predictions, targets and folds; data as hashes."""
    own, groups, weights = metric_of(config.metric).own, train.groups, train.metric_weights
    return {
        "metric": config.metric,
        **({"metric's source": sha256_of_texts([own.source])} if own else {}),
        "groups": None if groups is None else sha256_of_texts(groups),
        "metric weights": None if weights is None else sha256_of_array(weights),
    }


def read_board(path: Path) -> pd.DataFrame:
    """The leaderboard as it is on disk."""
    # a member may be called nan, so only an empty cell is missing
    return pd.read_csv(
        path, dtype={"name": str, "alone": str}, keep_default_na=False, na_values=[""]
    )


def postprocessing_of(folder: Path) -> State:
    """The fitted post-processing of a blend, with its meaning; empty if it has none."""
    path = folder / POSTPROCESSING
    return read_json(path) if path.is_file() else {}


def has_its_postprocessing(folder: Path) -> bool:
    """Whether the file of a blend's post-processing is the one that was written with the blend."""
    stamp, path = read_stamp(folder / "test.csv"), folder / POSTPROCESSING
    written = stamp.about.get("postprocessing") if stamp else None
    return written == (file_sha256(path) if path.is_file() else None)


def made_from_of_blends(
    config: Config, train: Train, test: TestRows, folds: NDArray[np.int64], kinds: Sequence[str]
) -> dict[str, object]:
    """The data and settings that determine the blends and the leaderboard."""
    files = hashes_of_predictors(config)
    # other models may predict the same, but `infer` wants those that were blended
    sources = (f"{name} {hashes[0]} {models_of(config, name)}" for name, hashes in files.items())
    return {
        "models": sha256_of_texts(sources),
        "predictors": files,
        "kinds": dict(zip(files, kinds, strict=True)),
        **settings_of(config),
        **_scored_by(config, train),
        "targets": sha256_of_array(train.y),
        "classes": list(train.classes),
        "data.text": list(train.names),
        "texts": train.sha256_of_texts,
        "test rows": test.sha256,
        "folds": sha256_of_array(folds),
    }


def models_of(config: Config, name: str) -> str | None:
    """Hash of a member's trained models; None for an external predictor."""
    folder = member_folders(config).get(name)
    stamp = read_stamp(folder / "test.csv") if folder else None
    return stamp.made_from["models"] if stamp else None


def made_from_of_blend(made_from: Mapping[str, object], name: str) -> dict[str, object]:
    return {**made_from, "method": name.removeprefix("blend_")}


def files_of_blend(competition: str, name: str) -> list[Path]:
    """Both parts of a blend, and its weights if it has any."""
    folder = predictor_dir(competition, name)
    return [folder / f"{part}.csv" for part in PARTS] + sorted(folder.glob("weights.csv"))


def check_scored(competition: str, board: Stamp, blend: str) -> None:
    """Raise a ValueError unless a blend's files are those that the leaderboard is about."""
    for path in files_of_blend(competition, blend):
        require_current(path, made_from_of_blend(board.made_from, blend), REMEDY)
    folder = predictor_dir(competition, blend)
    if not has_its_postprocessing(folder):
        raise ValueError(f"{folder / POSTPROCESSING}: changed since it was written; {REMEDY}")


def require_board(config: Config, train: Train) -> Stamp:
    """The stamp of the leaderboard; it must be current for the config's predictors and settings.

    Args:
        train: the rows that have out-of-fold predictions.
    Raises:
        FileNotFoundError: there is no finished leaderboard.
        ValueError: it was changed, or made from other predictors, settings, groups or weights.
    """
    check_predicted(member_folders(config).values())
    made_from = {"predictors": hashes_of_predictors(config), **settings_of(config)}
    made_from |= _scored_by(config, train)
    path = leaderboard_path(config.competition)
    return require_current(path, made_from, remedy_of(path))


def standing_of(
    config: Config, predictor: str | None, train: Train
) -> tuple[str, dict[str, object]]:
    """A predictor's name and its leaderboard line; None means the chosen predictor.

    The line is empty if the leaderboard has no current score of this predictor.

    Args:
        train: as in `require_board`.
    Raises:
        FileNotFoundError: there is no leaderboard to choose from, or a member lacks a part.
        ValueError: the leaderboard is out of date or about other blends, or there is no such
            predictor.
    """
    path = leaderboard_path(config.competition)
    if predictor is not None:
        folders = (folder.name for folder in path.parent.glob("*/"))
        members = member_folders(config)
        known = sorted({*members, *external_folders(config), *folders})
        if predictor not in known:  # ../other/mean is one of another competition
            raise ValueError(
                f"--predictor: no predictor {short(predictor)}; {choices(predictor, known)}"
            )
        if predictor in members:
            check_predicted([members[predictor]])
        if read_stamp(path) is None:
            return predictor, {}
    stamp = require_current(path, {}, REMEDY) if predictor else require_board(config, train)
    board = read_board(path).set_index("name", drop=False)
    if predictor is None:
        predictor = str(board.index[board["chosen"]][0])
    if predictor not in board.index or first_difference(stamp.made_from, _scored_by(config, train)):
        return predictor, {}
    scored = stamp.made_from["predictors"].get(predictor)
    if scored is not None and scored[0] != part_sha256(folder_of(config, predictor), "oof"):
        return predictor, {}  # trained again after the leaderboard
    if board.loc[predictor, "kind"] == "blend":
        check_scored(config.competition, stamp, predictor)
    line = board.astype(object).where(board.notna(), None).loc[predictor]
    return predictor, {str(name): value for name, value in line.items()}
