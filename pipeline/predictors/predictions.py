"""A predictor: a folder with `oof.csv` and `test.csv`, the id first, then the prediction columns.

Our own CSVs have a stamp with the models they come from; external folders need none, and may have
the formats of `predictors.external`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.rows import Train
from pipeline.competition.targets import LARGEST
from pipeline.files.alignment import in_order_of
from pipeline.files.hashes import sha256_of_array
from pipeline.files.messages import short
from pipeline.files.stamp import read_stamp, require_current, written_with_stamp
from pipeline.files.writing import save_csv, table_by_id
from pipeline.predictors.external import FORMS, PARTS, REMEDY, part_path, part_sha256
from pipeline.scoring.tasks import TASKS, Floats, out_of_range


def write_predictions(
    folder: Path,
    part: str,
    ids: Sequence[str],
    id_name: str,
    columns: Sequence[str],
    predictions: Floats,
    made_from: Mapping[str, object],
    **about: object,
) -> None:
    """Write `part` ("oof" or "test") of a predictor, with a stamp, of which `about` is a part.

    Args:
        predictions: (n, c) on the prediction scale.
        made_from: origin of the predictions; `models` must be equal for OOF and test.
    """
    with written_with_stamp(folder / f"{part}.csv", made_from, **about) as temporary:
        save_csv(temporary, table_by_id(ids, id_name, columns, predictions))


def read_predictions(
    folder: Path,
    part: str,
    ids: Sequence[str],
    columns: Sequence[str],
    task: str,
    *,
    by_position: bool = False,
) -> Floats:
    """Read `part` of a predictor in the order of `ids`.

    Args:
        ids: (n,) ids wanted, each once.
        columns: the prediction columns wanted; their order in a file that names them is free.
        by_position: a file without ids has its rows in the order of `ids`, as the user says.
    Returns:
        (n, c) float64 on the prediction scale.
    Raises:
        FileNotFoundError: the file is missing.
        ValueError: an id is absent, repeated or unexpected; a column is absent or unexpected; a
            value is no finite number or, for a classification, no probability.
    """
    path = part_path(folder, part)
    file_ids, values = FORMS[path.suffix](path, columns)
    if file_ids is not None:
        values = values[in_order_of(ids, file_ids, str(path), _remedy(ids[0], file_ids))]
    elif not by_position:
        table = "training" if part == "oof" else "test"
        raise ValueError(
            f"{path}: has no ids; add them, or, if its rows are in the order of the {table} table, "
            f"say so: blend.external: [{{folder: {folder}, align: position}}]"
        )
    elif len(values) != len(ids):
        raise ValueError(f"{path}: {len(values)} rows without ids, should be {len(ids)}; {REMEDY}")
    bad = np.flatnonzero(out_of_range(task, values) | (np.abs(values) > LARGEST).any(axis=1))
    if len(bad):
        row = values[bad[0]]
        # a probability beyond 0 or 1, or a huge value, is farther from 0.5 than others
        distance = np.where(np.isnan(row), np.inf, np.abs(row - 0.5))
        first = np.argsort(-distance, kind="stable")[:5]
        shown = ", ".join(f"{columns[j]} {row[j]:.9g}" for j in first)
        allowed = "from 0 to 1" if TASKS[task].is_probability else f"finite, up to {LARGEST:g}"
        total = f", of sum {row.sum():.9g}" if task == "multiclass" else ""
        raise ValueError(
            f"{path}: {len(bad)} rows are no {task} predictions ({allowed}"
            f"{', of sum 1' if total else ''}), first id {ids[bad[0]]!r}: {shown}{total}; {REMEDY}"
        )
    return np.clip(values, 0, 1) if TASKS[task].is_probability else values


def _remedy(wanted: str, file_ids: Sequence[str]) -> str:
    """Remedy for ids that do not match; often a tool has turned whole numbers into floats."""
    if f"{wanted}.0" in file_ids:
        return f"ids were saved as floats ({wanted}.0): save them as whole numbers or text"
    return REMEDY


def check_same_models(folder: Path) -> None:
    """Raise a ValueError if the parts of ours come from different models, or were changed."""
    models = []
    for path in (folder / "oof.csv", folder / "test.csv"):
        if read_stamp(path) is not None:  # an external part has none
            remedy = f"{REMEDY} (an external predictor has no {path.stem}.json)"
            models.append(str(require_current(path, {}, remedy).made_from.get("models")))
    if len(models) == 1 or len(set(models)) == 2:
        raise ValueError(
            f"{folder}: oof.csv and test.csv come from different models; "
            "run train and predict again"
        )


def origin_of_oof(
    train: Train, folds: NDArray[np.int64], task: str, transform: str | None
) -> dict[str, object]:
    """What an OOF depends on: the data, as hashes, the task and the transform of the targets."""
    of_rows = {"shares": train.shares, "weights": train.weights}
    return {
        "task": task,
        "folds": sha256_of_array(folds),
        "targets": sha256_of_array(train.y),
        **{name: a if a is None else sha256_of_array(a) for name, a in of_rows.items()},
        "data.transform": transform,
        "texts": train.sha256_of_texts,
        "features": train.sha256_of_features,
    }


def check_made_for(folder: Path, part: str, expected: Mapping[str, object]) -> None:
    """Raise a ValueError if a part of ours was made from other data; external parts pass.

    Args:
        expected: as `origin_of_oof`, or the hash of "test rows" for a test part.
    """
    path = folder / f"{part}.csv"
    if read_stamp(path) is not None:
        require_current(path, expected, "run train, predict and blend again")


def trained_settings(folder: Path) -> Mapping[str, Any] | None:
    """The settings that a member was trained with; the config may have changed since."""
    stamp = read_stamp(folder / "oof.csv")
    return stamp.made_from.get("settings") if stamp else None


def changed_settings(folder: Path, settings: Mapping[str, object]) -> str | None:
    """The differences between a member's training settings and these, in words."""
    trained = trained_settings(folder) or settings
    changes = [
        f"{key} {short(trained.get(key))}, the config says {short(value)}"
        for key, value in settings.items()
        if trained.get(key) != value
    ]
    return "; ".join(changes) or None


def check_newer_than_its_predictors(folder: Path, folder_of: Callable[[str], Path]) -> None:
    """Raise a ValueError if a predictor of this blend changed after blending, or is gone."""
    stamp = read_stamp(folder / "test.csv")
    for name, hashes in (stamp.made_from.get("predictors", {}) if stamp else {}).items():
        try:
            now = [part_sha256(folder_of(name), part) for part in PARTS]
        except FileNotFoundError:
            now = None
        if now != hashes:
            raise ValueError(f"{folder}: {name} has changed since it was blended; run blend again")
