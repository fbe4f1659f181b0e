"""Where everything stands, and how it is written: whole, under a temporary name, then renamed.

A file or folder that bears its final name is complete; whoever is killed half-way leaves only
names that start with a dot, which nothing reads.
"""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
from numpy.typing import NDArray

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}

csv.field_size_limit(2**31 - 1)  # a text may be longer than the csv module expects


def folds_path(competition: str) -> Path:
    return Path("folds") / f"{competition}.csv"


def member_dir(competition: str, member: str) -> Path:
    return Path("models") / competition / member


def unit_dir(competition: str, member: str, fold: int) -> Path:
    return member_dir(competition, member) / f"fold{fold}"


def backbones_dir(competition: str) -> Path:
    return Path("models") / competition / "backbones"


def predictor_dir(competition: str, predictor: str) -> Path:
    return Path("oof") / competition / predictor


def leaderboard_path(competition: str) -> Path:
    return Path("oof") / competition / "leaderboard.csv"


def submission_path(competition: str, predictor: str) -> Path:
    return Path("submissions") / competition / f"{predictor}.csv"


def report_path(competition: str) -> Path:
    return Path("reports") / competition / "index.html"


def _temporary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write a file to, which takes the name `path` if nothing fails."""
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """A temporary folder to fill, which takes the name `path`, and the place of what stood there.

    What a killed process left of an earlier try is removed: the caller holds the lock of `path`.
    """
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        shutil.rmtree(left)
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():  # a filled folder cannot be replaced, only moved away
            path.rename(_temporary(path))
        temporary.rename(path)
    finally:
        for left in path.parent.glob(f".{path.name}.*.tmp"):
            shutil.rmtree(left)


def write_json(path: Path, content: dict[str, Any]) -> None:
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON ({error}); remove it and make it again") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: should hold a JSON object; remove it and make it again")
    return content


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write `table` without its index; numbers keep every digit that they need."""
    with written_whole(path) as temporary:
        table.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n")


def read_csv_as_text(path: Path) -> pd.DataFrame:
    """Every cell of a CSV as it is spelled, under the names of its first row.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it is not a CSV.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    return text_cells(path.read_bytes(), str(path))


def text_cells(content: bytes, where: str, delimiter: str = ",") -> pd.DataFrame:
    """Every cell of a delimited file as it is spelled; blank lines count for nothing.

    The csv module and not pandas, which pads short rows, renames equal columns and cuts at a NUL.

    Args:
        where: the file, for the message.
    Raises:
        ValueError: it is not UTF-8, holds a NUL or nothing, or its rows differ in length.
    """
    rows: list[list[str]] = []
    # decoded block by block: one emoji makes a whole decoded file take 4 bytes a character
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        if b"\0" in content:
            before = content[: content.index(b"\0")].decode("utf-8-sig")
            raise ValueError(f"{where}: not a text file: character {len(before)} is a NUL")
        for row in reader:
            if not row:
                continue
            rows.append(row)
            if len(row) != len(rows[0]):
                raise ValueError(
                    f"{where}: line {reader.line_num} has {len(row)} cells, the first line has "
                    f"{len(rows[0])}; {_remedy(rows[0], delimiter)}"
                )
    except UnicodeDecodeError:
        _refuse_bad_byte(content, where)
        raise
    except csv.Error as error:
        raise ValueError(
            f"{where}: line {reader.line_num}: {error}; a double quote in a quoted cell is "
            "written twice"
        ) from None
    if not rows:
        raise ValueError(f"{where}: is empty; its first line should name the columns")
    cells = np.array(rows[1:], dtype=object).reshape(-1, len(rows[0]))
    return pd.DataFrame(cells, columns=pd.Index(rows[0], dtype=object), dtype=object)


def _remedy(header: list[str], delimiter: str) -> str:
    """What to do about rows that differ in length."""
    for other in (";", "\t"):
        if len(header) == 1 and other in header[0] and other != delimiter:
            name = " or name it .tsv" if other == "\t" else ""
            return (
                f"it looks separated by {SEPARATORS[other]} ({other!r}); "
                f"save it with {SEPARATORS[delimiter]}{name}"
            )
    return f"put cells that hold a {delimiter!r} in double quotes"


def _refuse_bad_byte(content: bytes, where: str) -> None:
    """Name the first byte that is not UTF-8: a stream counts from the block that it decodes."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where}: not UTF-8 (byte {error.start} is {content[error.start]:#04x}); "
            "save it in that encoding"
        ) from None


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_texts(texts: Iterable[str]) -> str:
    """Hash of a sequence of strings; where one ends and the next begins counts."""
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def sha256_of_array(array: NDArray[Any]) -> str:
    """Hash of an array's type, shape and numbers."""
    solid = np.ascontiguousarray(array)
    digest = hashlib.sha256(f"{solid.dtype.str}{solid.shape}".encode())
    digest.update(solid.tobytes())
    return digest.hexdigest()


def in_order_of(ids: Sequence[str], found: Sequence[str], where: str, remedy: str) -> NDArray[Any]:
    """Positions in `found` of each of `ids`: rows are matched by id, never by position.

    Args:
        ids: (n,) ids wanted, each once.
        found: the ids that a file has, in its order.
        where: the file, for the message.
        remedy: what to do about a mismatch.
    Raises:
        ValueError: an id of the file stands there twice, is missing or is not wanted.
    """
    index = pd.Index(found)
    if index.has_duplicates:
        first = index[index.duplicated()][0]
        raise ValueError(f"{where}: id {first!r} appears more than once; {remedy}")
    positions = index.get_indexer(pd.Index(ids))
    missing = np.flatnonzero(positions < 0)
    if len(missing):
        raise ValueError(
            f"{where}: {len(missing)} of {len(ids)} ids missing, first {ids[missing[0]]!r}; "
            f"{remedy}"
        )
    if len(index) > len(ids):
        extra = index.difference(pd.Index(ids), sort=False)
        raise ValueError(f"{where}: {len(extra)} unexpected ids, first {extra[0]!r}; {remedy}")
    return positions
