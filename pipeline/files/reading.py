"""Strict reading of JSON and CSV files: damage is an error that names the place."""

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pandas as pd

from pipeline.files.dialect import Dialect
from pipeline.files.messages import short

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas"}
MARKS = {  # longer first, because the mark of UTF-32 begins with that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
AS_A_CHARACTER = "; where it is a character like others, set data.quoting: none"
# R's write.table escapes it
ESCAPED = ", not after a backslash: read the table by pandas with escapechar='\\' and save it again"
# pandas leaves it outside of quotes
TORN = "a lone carriage return, \\r, ends a line too: put cells that hold one in double quotes"
ALMOST_ALL = 0.8  # share of cells that must fit their columns for lines to count as rows
SOME_NULS = 0.02  # share of bytes from which a text in UTF-8 is not just damaged
MOST_SHAPES = 20  # different word shapes of a column, at most, to judge other cells by shape

csv.field_size_limit(2**31 - 1)  # a text may be longer than the csv module expects


@contextmanager
def decoding(path: Path, remedy: str) -> Iterator[None]:
    """Turn any exception of a decoder, which raises what it likes, into a ValueError of a line."""
    try:
        yield
    except Exception as error:
        if str(error).startswith(f"{path}:"):  # a message of ours, with its own remedy
            raise
        reason = short(f"{type(error).__name__}: {' '.join(str(error).split())}")
        raise ValueError(f"{path}: cannot be read ({reason}); {remedy}") from None


def read_json(path: Path, remedy: str = "remove it and make it again") -> dict[str, Any]:
    """The JSON object in `path`; a FileNotFoundError or ValueError if there is none."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; {remedy}")
    with decoding(path, remedy):
        content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"{path}: should hold a JSON object; {remedy}")
    return content


def read_csv_as_text(path: Path) -> pd.DataFrame:
    """The cells of a CSV of ours as text; a FileNotFoundError or ValueError if it is none."""
    return text_cells(path.read_bytes(), str(path))


def text_cells(
    content: bytes, where: str, delimiter: str = ",", dialect: Dialect | None = None
) -> pd.DataFrame:
    """The cells of a delimited file as text, without blank lines.

    Uses the csv module, because pandas pads short rows, renames equal columns and cuts at a NUL.

    Args:
        where: the file, for the message.
        delimiter: the separator that the file's ending suggests.
        dialect: the user's settings; None for our own files, which are CSV in UTF-8.
    Raises:
        ValueError: the encoding is wrong, the file is empty or has a NUL, rows differ in length,
            or, if the dialect does not fix the quoting, a quoted cell may be several rows.
    """
    if dialect is not None:
        content = _in_utf8(content, where, dialect.encoding)
        names = next((line for line in io.BytesIO(content) if line.strip()), b"")
        if dialect.separator is not None and dialect.separator.encode() in names:
            delimiter = dialect.separator
    quoted = dialect is None or dialect.quoting != "none"
    # decoded in blocks, because one emoji makes Python use 4 bytes for every character
    lines = io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline="")
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)
    header: list[str] = []
    cells: list[str] = []  # of all rows: a list for each would keep the garbage collector busy
    multiline: dict[int, int] = {}  # row number: the line where it begins
    last_line = 0
    try:
        if b"\0" in content:
            _refuse_nul(content, where, dialect)
        for row in reader:
            first_line, last_line = last_line + 1, reader.line_num
            if not row or (len(row) == 1 and row[0].isspace() and len(header) != 1):
                continue  # in a lone column, blanks are a text
            header = header or row
            if len(row) != len(header):
                is_torn = b"\n" in content and re.search(rb"\r(?!\n)", content)
                remedy = TORN if is_torn else _remedy(header, row, delimiter, dialect)
                raise ValueError(
                    f"{where}: line {last_line} has {len(row)} cells, the first line has "
                    f"{len(header)}; {remedy}"
                )
            if last_line > first_line:
                multiline[len(cells) // len(header)] = first_line
            cells += row
    except UnicodeDecodeError:
        _refuse_bad_byte(content, where, dialect)
        raise
    except csv.Error as error:
        escaped = ESCAPED if b'\\"' in content else ""
        raise ValueError(
            f"{where}: line {reader.line_num}: {error}; a double quote in a quoted cell is "
            f"written twice{escaped}{'' if dialect is None else AS_A_CHARACTER}"
        ) from None
    if not header:
        raise ValueError(f"{where}: is empty; its first line should name the columns")
    rows = np.array(cells, dtype=object).reshape(-1, len(header))
    if dialect is not None:
        other = other_separator(header, delimiter)
        if other is not None and all(other in cell for cell in cells[:2]):
            only = f"its only column is {short(header[0])}"
            raise ValueError(f"{where}: {only}; {_set_separator(other)}")
        if dialect.quoting is None:
            _refuse_swallowed(rows, multiline, where, delimiter)
    return pd.DataFrame(rows[1:], columns=pd.Index(header, dtype=object), dtype=object)


def _in_utf8(content: bytes, where: str, encoding: str | None) -> bytes:
    """The content in UTF-8; a byte order mark overrides the setting, which is for all tables."""
    mark = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    # without a NUL it cannot be UTF-16 or UTF-32, even if another table is
    is_wide = codecs.lookup(encoding or "utf-8").name.startswith(("utf-16", "utf-32"))
    if mark is None and is_wide and b"\0" not in content:
        return content
    encoding = mark or encoding
    if encoding is None or encoding.lower() in ("utf-8", "utf8", "utf-8-sig"):
        return content
    try:
        return content.decode(encoding).encode("utf-8")
    except UnicodeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{where}: not {encoding} ({reason}); correct data.encoding") from None


def misread(content: bytes, encoding: str | None) -> tuple[str, str] | None:
    """A word as `encoding` reads it and as UTF-8 does, if the content is UTF-8 beyond ASCII."""
    if encoding is None or content.isascii() or _in_utf8(content, "", encoding) == content:
        return None
    try:
        words = content.decode("utf-8").split()
        word = next(word for word in words if not word.isascii())
        read = word.encode().decode(encoding)
    except UnicodeError:
        return None
    return None if read == word else (read, word)


def _remedy(header: list[str], row: list[str], delimiter: str, dialect: Dialect | None) -> str:
    """Remedy for rows that differ in length."""
    other = other_separator(header, delimiter)
    if other is not None and dialect is not None:
        return _set_separator(other)
    if other is not None:
        return save_with(delimiter, other)
    for longer, shorter, which in ((row, header, "that line"), (header, row, "the first line")):
        if len(longer) > len(shorter) and not any(longer[len(shorter) :]):
            n_more = len(longer) - len(shorter)
            return f"{which} ends in {n_more} {delimiter!r} too many; remove it"
    if dialect is not None and dialect.quoting == "none":
        return f"a cell holds a {delimiter!r}: set data.quoting: csv if such cells are in quotes"
    remedy = f"put cells that hold a {delimiter!r} in double quotes"
    if len(header) < len(row):
        remedy += ", or remove the first line if it does not name the columns"
    return remedy


def other_separator(header: list[str], delimiter: str) -> str | None:
    """The separator that the only cell of the first line seems to use, or None."""
    if len(header) > 1:
        return None
    return next((s for s in SEPARATORS if s in header[0] and s != delimiter), None)


def save_with(delimiter: str, other: str) -> str:
    """Remedy for a file of ours that is separated by `other`."""
    found, wanted = SEPARATORS[other], SEPARATORS[delimiter]
    return f"it looks separated by {found} ({other!r}); save it with {wanted}"


def _set_separator(other: str) -> str:
    spelled = "tab" if other == "\t" else f'"{other}"'
    return f"it looks separated by {SEPARATORS[other]}: set data.separator: {spelled}"


def _refuse_swallowed(
    rows: np.ndarray, multiline: dict[int, int], where: str, delimiter: str
) -> None:
    """Raise a ValueError if a quoted cell seems to contain several rows, because of a stray quote.

    Args:
        rows: (n, c) cells, those of the header first.
        multiline: numbers of the rows of several lines, with the line where each begins.
    """
    if not multiline or rows.shape[1] == 1:
        return
    clean = np.delete(rows, [0, *multiline], axis=0)
    fits = [_looks_like(column) for column in clean.T.tolist()]
    swallowing = []
    for at, line in multiline.items():
        for k, cell in enumerate(rows[at]):
            inner = _as_rows(rows[at].tolist(), k, delimiter)
            fitting = [
                fit(inner_cell)
                for i, row in enumerate(inner)
                for j, (fit, inner_cell) in enumerate(zip(fits, row, strict=True))
                if fit and not (i == 0 and j < k) and not (i == len(inner) - 1 and j > k)
            ]
            # prose may have as many commas as a row, but no ids and hardly ever tabs
            if inner and (delimiter == "\t" or sum(fitting) > ALMOST_ALL * len(fitting)):
                swallowing.append((line, cell, len(inner)))
    if swallowing:
        line, cell, n = swallowing[0]
        more = f" ({len(swallowing)} such cells in all)" if len(swallowing) > 1 else ""
        raise ValueError(
            f"{where}: line {line}: the quoted cell {short(cell)} looks like {n} rows{more}; set "
            "data.quoting: none if a double quote is a character like others there, csv if it "
            "is one cell"
        )


def _as_rows(row: list[str], at: int, delimiter: str) -> list[list[str]]:
    """The rows that a multi-line cell would form if its quotes were plain characters."""
    lines = re.split(r"\r\n|\r|\n", row[at])
    if len(lines) == 1:
        return []
    first, *between, last = (line.split(delimiter) for line in lines)
    rows = [[*row[:at], *first], *(cells for cells in between if cells != [""])]
    rows.append([*last, *row[at + 1 :]])
    return rows if all(len(cells) == len(row) for cells in rows) else []


def _looks_like(column: list[str]) -> Callable[[str], bool] | None:
    """A test whether a cell fits a column of single words such as ids; None for prose."""
    words = [cell for cell in column if _is_word(cell)]
    if not words or len(words) < 0.95 * len(column):
        return None
    shapes = {_shape(word) for word in words}
    if len(shapes) <= MOST_SHAPES:
        return lambda cell: _shape(cell) in shapes
    lengths = {len(word) for word in words}
    return lambda cell: _is_word(cell) and len(cell) in lengths


def _is_word(cell: str) -> bool:
    return len(cell.split(maxsplit=1)) <= 1  # without the splits of a long text


def _shape(word: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", word))


def _refuse_nul(content: bytes, where: str, dialect: Dialect | None) -> NoReturn:
    n_last = len(content) - len(content.rstrip(b"\0"))
    before = content[: content.index(b"\0")].decode("utf-8-sig")
    found = f"character {len(before)}, on line {before.count(chr(10)) + 1}, is a NUL"
    remedy = "remove all of them, as tr -d '\\000' <OLD >NEW does"
    n_even, n_odd = (content[start:1000:2].count(0) for start in (0, 1))
    if n_last > 1:
        found = f"its last {n_last} bytes are NULs"
        remedy = "a copy or a download that broke off leaves them: fetch the file again"
    elif dialect is not None and max(n_even, n_odd) > max(
        1, SOME_NULS * min(len(content), 1000), 4 * min(n_even, n_odd)
    ):  # in UTF-16, each Latin letter, digit or comma has its NUL on the same side
        remedy = f"set data.encoding: utf-16-{'le' if n_odd > n_even else 'be'}"
    raise ValueError(f"{where}: not a text file: {found}; {remedy}")


def _refuse_bad_byte(content: bytes, where: str, dialect: Dialect | None) -> None:
    """Raise a ValueError with the first byte that is not UTF-8, counted from the file's start."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        own = ", or say which it has: data.encoding: cp1252 is usual" if dialect else ""
        raise ValueError(
            f"{where}: not UTF-8 (byte {error.start} is {content[error.start]:#04x}); "
            f"save it in that encoding{own}"
        ) from None
