"""JSON and CSV files, read strictly: what is damaged is an error that says where."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons"}

csv.field_size_limit(2**31 - 1)  # a text may be longer than the csv module expects


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
