"""A predictor: a folder with `oof.csv` and `test.csv`, the id first, then the prediction columns.

A CSV that we wrote has a stamp that says which models it comes from; an external folder needs
none, and may hold the forms of `predictors.external`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.competition.targets import LARGEST
from pipeline.files.alignment import in_order_of
from pipeline.files.stamp import read_stamp, require_current, written_with_stamp
from pipeline.files.writing import save_csv, table_by_id
from pipeline.predictors.external import REMEDY, part_path, part_sha256, read_part
from pipeline.scoring.tasks import Floats, out_of_range

PARTS = ("oof", "test")


def write_predictions(
    folder: Path,
    part: str,
    ids: Sequence[str],
    id_name: str,
    columns: Sequence[str],
    predictions: Floats,
    made_from: dict[str, Any],
) -> None:
    """Write `part` ("oof" or "test") of a predictor, with a stamp.

    Args:
        ids: (n,) ids.
        predictions: (n, c) on the prediction scale.
        made_from: what the predictions come from; blends refuse an OOF and a test file whose
            `models` differ.
    """
    with written_with_stamp(folder / f"{part}.csv", made_from) as temporary:
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
        by_position: the user says that a file without ids has its rows in the order of `ids`; a
            file with ids is read by them all the same.
    Returns:
        (n, c) float64 on the prediction scale.
    Raises:
        FileNotFoundError: the file is not there.
        ValueError: an id is absent, repeated or unexpected; a column is absent or unexpected; a
            value is no number, not finite, or no probability where the task wants one.
    """
    path = part_path(folder, part)
    found, values = read_part(path, columns)
    if found is not None:
        values = values[in_order_of(ids, found, str(path), _remedy(ids[0], found))]
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
        shown = ", ".join(f"{v:.9g}" for v in values[bad[0]][:5])
        raise ValueError(
            f"{path}: {len(bad)} rows are no {task} predictions (finite, up to {LARGEST:g}), first "
            f"id {ids[bad[0]]!r}: {shown}; {REMEDY}"
        )
    return values


def _remedy(wanted: str, found: Sequence[str]) -> str:
    """What to do about other ids; whole numbers that a tool made floats are the usual case."""
    if f"{wanted}.0" in found:
        return f"ids were saved as floats ({wanted}.0): save them as whole numbers or text"
    return REMEDY


def check_same_models(folder: Path) -> str | None:
    """The hash of the models behind both parts of a predictor; None if it is external.

    Raises:
        ValueError: the parts come from different models, or were changed since they were written.
    """
    stamps = {part: read_stamp(folder / f"{part}.csv") for part in PARTS}
    made = {part: stamp for part, stamp in stamps.items() if stamp is not None}
    for part in made:
        require_current(
            folder / f"{part}.csv", {}, f"{REMEDY} (an external predictor has no {part}.json)"
        )
    models = {str(stamp.made_from.get("models")) for stamp in made.values()}
    if not models:
        return None
    if len(made) == 1 or len(models) == 2:
        raise ValueError(
            f"{folder}: oof.csv and test.csv come from different models; "
            "run train and predict again"
        )
    return models.pop()


def check_made_for(folder: Path, part: str, expected: dict[str, str]) -> None:
    """Compare what a part of ours was made from with what it should be; external parts pass.

    Args:
        part: "oof" or "test".
        expected: hashes by the names in the stamp: "folds", "targets", "texts", "test rows".
    Raises:
        ValueError: it was made from something else.
    """
    path = folder / f"{part}.csv"
    if read_stamp(path) is not None:
        require_current(path, expected, "run train, predict and blend again")


def changed_settings(folder: Path, settings: dict[str, Any]) -> str | None:
    """How the settings that a member of ours was trained with differ from these, in words."""
    stamp = read_stamp(folder / "oof.csv")
    trained = stamp.made_from.get("settings", settings) if stamp else settings
    changes = [
        f"{key} {trained.get(key)!r}, the config says {value!r}"
        for key, value in settings.items()
        if trained.get(key) != value
    ]
    return "; ".join(changes) or None


def check_newer_than_its_predictors(folder: Path, folder_of: Callable[[str], Path]) -> None:
    """Hold the files that a blend was made from against those that stand there.

    Args:
        folder_of: finds a predictor's folder by its name.
    Raises:
        ValueError: one of them was written since, or is gone.
    """
    stamp = read_stamp(folder / "test.csv")
    for name, hashes in (stamp.made_from.get("predictors", {}) if stamp else {}).items():
        try:
            now = [part_sha256(folder_of(name), part) for part in PARTS]
        except FileNotFoundError:
            now = None
        if now != hashes:
            raise ValueError(f"{folder}: {name} has changed since it was blended; run blend again")
