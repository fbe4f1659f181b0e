"""A predictor: a folder with `oof.csv` and `test.csv`, the id first, then the prediction columns.

Beside a CSV that we wrote stands a JSON of the same name that says which models it comes from; a
folder from elsewhere needs none.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.artifacts import (
    file_sha256,
    in_order_of,
    read_csv_as_text,
    read_json,
    write_csv,
    write_json,
)
from pipeline.tasks import Floats, out_of_range

REMEDY = "make it again or remove the folder"


def predictions_table(
    ids: Sequence[str], id_name: str, columns: Sequence[str], predictions: Floats
) -> pd.DataFrame:
    """(n,) ids and (n, c) predictions as a table; a column may bear the id's name."""
    table = pd.DataFrame(predictions, columns=list(columns))
    table.insert(0, id_name, list(ids), allow_duplicates=True)
    return table


def write_predictions(
    folder: Path,
    part: str,
    ids: Sequence[str],
    id_name: str,
    columns: Sequence[str],
    predictions: Floats,
    source: dict[str, Any],
) -> None:
    """Write `part` ("oof" or "test") of a predictor.

    Args:
        ids: (n,) ids.
        predictions: (n, c) on the prediction scale.
        source: what the predictions come from; `is_current` compares it, and blends refuse an OOF
            and a test file whose `models` differ.
    """
    table = predictions_table(ids, id_name, columns, predictions)
    path = folder / f"{part}.csv"
    # without its JSON a CSV counts as not made: a kill between the two is survived
    path.with_suffix(".json").unlink(missing_ok=True)
    write_csv(path, table)
    write_json(path.with_suffix(".json"), {**source, "sha256": file_sha256(path)})


def is_current(folder: Path, part: str, source: dict[str, Any]) -> bool:
    """Whether `part` stands there, unchanged, made from just this `source`."""
    path = folder / f"{part}.csv"
    if not path.is_file() or not path.with_suffix(".json").is_file():
        return False
    written = read_json(path.with_suffix(".json"))
    return written == {**source, "sha256": written.get("sha256")} and written[
        "sha256"
    ] == file_sha256(path)


def read_predictions(
    folder: Path, part: str, ids: Sequence[str], columns: Sequence[str], task: str
) -> Floats:
    """Read `part` of a predictor in the order of `ids`.

    Args:
        ids: (n,) ids wanted, each once.
        columns: the prediction columns wanted; their order in the file does not matter.
    Returns:
        (n, c) float64 on the prediction scale.
    Raises:
        FileNotFoundError: the file is not there.
        ValueError: an id is absent, repeated or unexpected; a column is absent or unexpected; a
            value is no number, not finite, or no probability where the task wants one.
    """
    path = folder / f"{part}.csv"
    table = read_csv_as_text(path)
    found = table.columns[1:].tolist()
    if sorted(found) != sorted(columns):
        raise ValueError(
            f"{path}: prediction columns {_listed(found)} should be {_listed(columns)}; {REMEDY}"
        )
    order = in_order_of(ids, table.iloc[:, 0].tolist(), str(path), REMEDY)
    rows = table.iloc[order, 1:][list(columns)]  # without the id, whose name may be a class's
    cells = rows.replace("", "nan").to_numpy()  # as most tools write a NaN
    try:
        values = cells.astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {REMEDY}") from None
    bad = np.flatnonzero(out_of_range(task, values))
    if len(bad):
        shown = ", ".join(f"{v:g}" for v in values[bad[0]][:5])
        raise ValueError(
            f"{path}: {len(bad)} rows are no {task} predictions, first id {ids[bad[0]]!r}: "
            f"{shown}; {REMEDY}"
        )
    return values


def check_same_models(folder: Path) -> str | None:
    """The hash of the models behind both parts of a predictor; None if it came from elsewhere.

    Raises:
        ValueError: the parts come from different models, or were changed since they were written.
    """
    sources = {}
    for part in ("oof", "test"):
        path = folder / f"{part}.json"
        if not path.is_file():
            continue
        sources[part] = read_json(path)
        if sources[part].get("sha256") != file_sha256(path.with_suffix(".csv")):
            raise ValueError(
                f"{path.with_suffix('.csv')}: changed since it was written; {REMEDY} "
                f"(a predictor from elsewhere has no {path.name})"
            )
    models = {str(source.get("models")) for source in sources.values()}
    if not models:
        return None
    if len(sources) == 1 or len(models) == 2:
        raise ValueError(
            f"{folder}: oof.csv and test.csv come from different models; "
            "run train and predict again"
        )
    return models.pop()


def check_made_for(folder: Path, expected: dict[str, str]) -> None:
    """Hold what an OOF of ours was made from against what it should be; one from elsewhere passes.

    Args:
        expected: hashes by what they are of, "folds" or "targets".
    Raises:
        ValueError: it was made from something else.
    """
    path = folder / "oof.json"
    if not path.is_file():
        return
    source = read_json(path)
    for what, value in expected.items():
        if source.get(what) != value:
            raise ValueError(
                f"{folder}: made for other {what} than those of the config and its files; "
                "run train, predict and blend again"
            )


def check_newer_than_its_predictors(folder: Path, folder_of: Callable[[str], Path]) -> None:
    """Hold the files that a blend was made from against those that stand there.

    Args:
        folder_of: finds a predictor's folder by its name.
    Raises:
        ValueError: one of them was written since, or is gone.
    """
    path = folder / "test.json"
    made_from = read_json(path).get("predictors", {}) if path.is_file() else {}
    for name, hashes in made_from.items():
        files = [folder_of(name) / f"{part}.csv" for part in ("oof", "test")]
        if [file_sha256(f) if f.is_file() else None for f in files] != hashes:
            raise ValueError(f"{folder}: {name} has changed since it was blended; run blend again")


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:6])
    return f"[{shown}, … {len(names)} in all]" if len(names) > 6 else f"[{shown}]"
