"""File formats of predictors, and how the folds of an external predictor relate to ours.

A part, "oof" or "test", is a CSV or Parquet file with the id and the prediction columns, or an
array `oof.npy` with ids in `oof_ids.npy`, `.csv` or `.txt`, one per line. Pickles are refused,
because loading one runs its code. Letters: n rows, c columns.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.spelling import respelled
from pipeline.competition.tables import read_table
from pipeline.competition.timeline import NO_FOLD
from pipeline.files.alignment import in_order_of
from pipeline.files.hashes import file_sha256, sha256_of_array, sha256_of_texts
from pipeline.files.messages import first_few, listed
from pipeline.files.reading import decoding, other_separator, read_csv_as_text, save_with
from pipeline.files.stamp import read_stamp
from pipeline.scoring.tasks import Floats

PARTS = ("oof", "test")
REMEDY = "make it again or remove the folder"

PLAIN = "external"
OTHER_FOLDS = "external, other folds"
UNKNOWN_FOLDS = "external, folds unknown"
NOT_NESTED = "blend, not nested"
MEANINGS = {
    OTHER_FOLDS: "folds differ from ours, so models that predicted an OOF row saw rows of our "
    "held-out folds: scores of blends with such an OOF look slightly better than they are",
    UNKNOWN_FOLDS: "nothing says in which folds the OOF was made; if they were ours, put them "
    "beside oof as folds.csv, with id and fold",
    NOT_NESTED: "a blend of ours, read back: each row was blended with the targets of the other "
    "folds, so scores of blends with it look slightly better than they are",
}


def part_path(folder: Path, part: str) -> Path:
    """The file of `part`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: there are several.
    """
    path = _only_file([folder / f"{part}{ending}" for ending in FORMS])
    if path is None:
        raise FileNotFoundError(
            f"{folder / part}.csv: no such file, nor one ending in .parquet or .npy; put it there, "
            "or take the folder out of blend.external"
        )
    return path


def _only_file(paths: list[Path]) -> Path | None:
    """The existing file among the paths, or None; several raise a ValueError."""
    files = [path for path in paths if path.is_file()]
    if len(files) > 1:
        names = " and ".join(path.name for path in files)
        raise ValueError(f"{files[0].parent}: holds {names}; keep the one that counts")
    return files[0] if files else None


def part_sha256(folder: Path, part: str) -> str:
    """Hash of the file of `part`, together with its file of ids if it has one."""
    path = part_path(folder, part)
    ids = _ids_path(path) if path.suffix == ".npy" else None
    return sha256_of_texts(map(file_sha256, (path, ids))) if ids else file_sha256(path)


def kind_of(folder: Path, ids: Sequence[str], folds: NDArray[np.int64]) -> str:
    """The kind of an external predictor: how the folds of its OOF relate to ours.

    Args:
        ids: (n,) ids of the training rows that have a fold.
        folds: (n,) our folds.
    Raises:
        ValueError: its folds.csv does not give each training row a fold.
    """
    stamp = read_stamp(folder / "oof.csv")
    made_from = stamp.made_from if stamp else {}
    if "method" in made_from:
        return NOT_NESTED
    if "folds" in made_from:  # a member of ours, of this competition or another
        # the hash covers fold numbers only, so the ids have to agree too
        oof_ids = read_csv_as_text(folder / "oof.csv").iloc[:, 0].tolist()
        same = made_from["folds"] == sha256_of_array(folds) and oof_ids == list(ids)
        return PLAIN if same else OTHER_FOLDS
    path = folder / "folds.csv"
    if not path.is_file():
        return UNKNOWN_FOLDS
    table = read_csv_as_text(path)
    if table.shape[1] != 2:
        raise ValueError(
            f"{path}: {table.shape[1]} columns, {first_few(table.columns.tolist())}; it should "
            "have two, the id and then the fold; correct or remove it"
        )
    table = table[table.iloc[:, 1] != str(NO_FOLD)]  # in a copy of our folds by time
    order = in_order_of(ids, table.iloc[:, 0].tolist(), str(path), "correct or remove it")
    theirs = table.iloc[order, 1].tolist()
    pairs = set(zip(folds.tolist(), theirs, strict=True))
    # the same partition, whatever the names of the folds
    same = len(pairs) == len(set(folds.tolist())) == len(set(theirs))
    return PLAIN if same else OTHER_FOLDS


def _from_table(path: Path, columns: Sequence[str]) -> tuple[list[str] | None, Floats]:
    """The id is the first column, or the only column that is no prediction."""
    table = read_table(path)
    names = table.columns.tolist()
    wanted = sorted(columns)
    places = [0, *(at for at, name in enumerate(names) if name not in columns)]
    id_at = next((at for at in places if sorted(names[:at] + names[at + 1 :]) == wanted), None)
    if id_at is None and sorted(names) != wanted:
        shown, other = respelled(names, columns), other_separator(names, ",")
        if other is not None:
            only = first_few(names)
            raise ValueError(f"{path}: its only column is {only}; {save_with(',', other)}")
        hint = f"; {shown} here: rename it" if shown else _of_one_class(columns, len(names) - 1)
        raise ValueError(
            f"{path}: prediction columns [{listed(names[1:])}] should be [{listed(columns)}], "
            f"after the id{hint}; rename them, drop others, or make it again"
        )
    ids = None if id_at is None else table.iloc[:, id_at].tolist()
    # drop the id by place, because a class may have the same name
    cells = table.iloc[:, [at for at in range(len(names)) if at != id_at]]
    try:  # most tools write NaN as an empty cell
        values = cells[list(columns)].replace("", "nan").to_numpy().astype(np.float64)
    except ValueError as error:
        raise ValueError(f"{path}: {error}; {REMEDY}") from None
    return ids, values


def _from_array(path: Path, columns: Sequence[str]) -> tuple[list[str] | None, Floats]:
    values = _load(path)
    if values.dtype.kind not in "fiu":
        raise ValueError(f"{path}: holds {values.dtype}, should hold numbers; {REMEDY}")
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or values.shape[1] != len(columns):
        hint = _of_one_class(columns, *values.shape[-1:])
        raise ValueError(
            f"{path}: shape {values.shape} should be (n, {len(columns)}), the columns "
            f"[{listed(columns)}] in this order{hint}; {REMEDY}"
        )
    ids = _ids_path(path)
    return (_read_ids(ids, len(values)) if ids else None), values.astype(np.float64)


def _ids_path(path: Path) -> Path | None:
    """The file of ids beside an array, or None."""
    return _only_file([path.with_name(f"{path.stem}_ids{e}") for e in (".npy", ".csv", ".txt")])


def _read_ids(path: Path, n_rows: int) -> list[str]:
    """One id a row, as text; a text file may have a header line."""
    if path.suffix == ".npy":
        array = _load(path)
        if array.dtype.kind not in "Uiuf":
            raise ValueError(
                f"{path}: holds {array.dtype}, should hold text or whole numbers; save "
                "ids.astype(str)"
            )
        ids = [str(value) for value in array.ravel().tolist()]
    elif path.suffix == ".csv":
        table = read_csv_as_text(path)
        ids = [str(cell) for cell in [*table.columns, *table.to_numpy().ravel()]]
    else:
        with decoding(path, "save it as UTF-8"):
            ids = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    if path.suffix != ".npy" and len(ids) == n_rows + 1:
        ids = ids[1:]
    if len(ids) != n_rows:
        raise ValueError(f"{path}: {len(ids)} ids for {n_rows} rows of predictions; {REMEDY}")
    return ids


def _load(path: Path) -> NDArray[Any]:
    with decoding(path, "save numbers, or ids as text, with np.save, without pickle"):
        return np.asarray(np.load(path, allow_pickle=False))


def _of_one_class(columns: Sequence[str], n_columns: int = 0) -> str:
    if len(columns) == 1 and n_columns == 2:
        return "; of two classes, only the probability of the positive one"
    return ""


# by ending: a function of the file and the prediction columns that gives the ids, None if the file
# has none, and (n, c) predictions in the order of the columns; a damaged file is a ValueError
FORMS: dict[str, Callable[[Path, Sequence[str]], tuple[list[str] | None, Floats]]] = {
    ".csv": _from_table,
    ".parquet": _from_table,
    ".npy": _from_array,
}
