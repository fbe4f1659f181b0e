"""Tables as text, from CSV, TSV, Parquet, or a zip of one CSV or TSV.

Every cell is the string that a CSV would hold: ids keep their zeros, `NA` is a word, nothing is
read as a number.
"""

import difflib
import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import pyarrow
import pyarrow.parquet

from pipeline.competition.spelling import alike, spelling_key, told_apart
from pipeline.files.dialect import Dialect
from pipeline.files.messages import first_few
from pipeline.files.reading import decoding, text_cells

N_BYTES = 256  # enough to recognise every kind of file

# (pattern, what the file is, what to do)
SIGNATURES = [
    (rb"PK\x03\x04", "an Excel file or a zip archive", "save the sheet as CSV, or name it .zip"),
    (rb"\xd0\xcf\x11\xe0", "an old Excel file", "save the sheet as CSV"),
    (rb"PAR1", "a Parquet file", "name it .parquet"),
    (rb"\x1f\x8b", "compressed by gzip", "unpack it with gunzip"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "fetch the file with git lfs pull"),
    (
        rb"(?i)\s*<(!doctype|html|head|body|\?xml)\b",
        "a web page or XML",
        "download the table itself; the site may ask you to log in first",
    ),
    (rb'\s*[\[{]\s*[\[{"]', "JSON", "save it as CSV"),
]
OWN = {".parquet": b"PAR1", ".zip": b"PK"}  # first bytes of the kinds that are not text


def read_table(path: Path, dialect: Dialect | None = None) -> pd.DataFrame:
    """Every cell of a table as spelled in the file, whose ending names the format.

    Column names may repeat, if the format allows it. `dialect` is that of text files; None stands
    for that of files we write.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise ValueError(
            f"{path}: unknown ending {path.suffix!r}; choose one of: {', '.join(sorted(FORMATS))}"
        )
    with path.open("rb") as file:
        _refuse_other_kind(file.read(N_BYTES), str(path), ending)
    return FORMATS[ending](path, dialect)


def _refuse_other_kind(start: bytes, where: str, ending: str) -> None:
    """Raise a ValueError if a file's first `N_BYTES` are those of another kind than its ending."""
    if ending in OWN and start.startswith(OWN[ending]):
        return
    start = start.removeprefix(b"\xef\xbb\xbf")
    for pattern, kind, remedy in SIGNATURES:
        if re.match(pattern, start):
            raise ValueError(f"{where}: is {kind}, not {ending}; {remedy}")


def check_there(path: str, setting: str) -> None:
    """Raise a FileNotFoundError if the file of a setting does not exist."""
    if not Path(path).is_file():
        what = "a folder, not a file" if Path(path).is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: {what}; correct {setting}, or put the file there")


def open_table(path: str, setting: str, dialect: Dialect | None = None) -> pd.DataFrame:
    """`read_table` for the file of a setting, which has to exist and have rows."""
    check_there(path, setting)
    table = read_table(Path(path), dialect)
    if len(table) == 0:
        raise ValueError(f"{path}: has column names but no rows; correct {setting}")
    return table


def column(table: pd.DataFrame, name: str, where: str, setting: str) -> list[str]:
    """The cells of the column that `setting` names in the file `where`."""
    positions = [at for at, other in enumerate(table.columns) if other == name]
    if not positions:
        raise ValueError(no_column(name, table.columns.tolist(), where, setting))
    if len(positions) > 1:
        raise ValueError(f"{where}: {len(positions)} columns named {name!r}; rename all but one")
    return table.iloc[:, positions[0]].tolist()


def no_column(
    name: str, header: Sequence[str], where: str, setting: str, remedy: str | None = None
) -> str:
    """The message about a missing column, with the most similar name of the header."""
    keys = {str(spelling_key(other)): other for other in header}
    shown, hint = repr(name), remedy or f"correct {setting}"
    if spelled := alike(name, header):
        shown, other = told_apart(name, spelled[0])
        rename = f"write it so in {setting}, or rename it in {where} if the others have {shown}"
        hint = f"it is spelled {other} there: {remedy or rename}"
    elif near := difflib.get_close_matches(str(spelling_key(name)), keys, n=1):
        shown, other = told_apart(name, keys[near[0]])
        hint = f"did you mean {other}? {hint}"
    if len(header) == 1:
        hint += ", or set data.separator to the character that separates its cells"
    return f"{where}: no column {shown} ({setting}); {hint}; it has {first_few(header)}"


def _read_text(path: Path, dialect: Dialect | None) -> pd.DataFrame:
    return text_cells(path.read_bytes(), str(path), _delimiter(path.name), dialect)


def _delimiter(name: str) -> str:
    return "\t" if name.lower().endswith(".tsv") else ","


def _read_parquet(path: Path, _: Dialect | None) -> pd.DataFrame:
    with (
        decoding(path, "save it as Parquet or CSV again"),
        pyarrow.parquet.ParquetFile(path) as file,
    ):
        table = file.read()
        columns = {name: _spelled(table[name]) for name in table.column_names}
    return pd.DataFrame(columns, dtype=object)


def _spelled(values: pyarrow.ChunkedArray) -> list[str]:
    # a Python float of a float32 has digits that no CSV has, as 0.10000000149011612
    plain = values.to_numpy() if pyarrow.types.is_floating(values.type) else values.to_pylist()
    known = ["" if cell is None or cell != cell else cell for cell in plain]
    cells = [cell.decode() if isinstance(cell, bytes) else str(cell) for cell in known]
    if any("\0" in cell for cell in cells):
        raise pyarrow.ArrowException("a cell holds a NUL")
    return cells


def _read_zip(path: Path, dialect: Dialect | None) -> pd.DataFrame:
    with decoding(path, "unzip it"), zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if _is_text_table(n)]
        if len(names) != 1:
            held = ", ".join(names[:5]) or "none"
            raise ValueError(f"{path}: should hold one .csv or .tsv, holds {held}; unzip it")
        content = archive.read(names[0])
    where = f"{path}/{names[0]}"
    _refuse_other_kind(content[:N_BYTES], where, Path(names[0]).suffix.lower())
    return text_cells(content, where, _delimiter(names[0]), dialect)


def _is_text_table(name: str) -> bool:
    """Whether a zip's entry is a table, not one of the hidden files that macOS adds."""
    return name.lower().endswith((".csv", ".tsv")) and not Path(name).name.startswith(".")


FORMATS: dict[str, Callable[[Path, Dialect | None], pd.DataFrame]] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".parquet": _read_parquet,
    ".zip": _read_zip,
}
