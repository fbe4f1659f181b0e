"""Files and folders written under a temporary name, then renamed.

A file with its final name is complete; a killed run leaves only dot-files.
"""

import csv
import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pipeline.files.hashes import file_sha256

if TYPE_CHECKING:  # the command line takes its lock without loading pandas
    import pandas as pd
    from numpy.typing import NDArray

MARK = "[0-9a-f]" * 8
TEMPORARY = f".*.{MARK}.tmp"  # matches the names that `_temporary` gives


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary path to write to; the file is then renamed to `path`, unless something fails."""
    temporary = _temporary(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def folder_written_whole(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; it is then renamed to `path` and replaces an older folder.

    The caller holds a lock on `path`, so remains of a killed process may be removed.
    """
    remove_remains(remains_of(path))
    temporary = _temporary(path)
    temporary.mkdir()
    try:
        yield temporary
        if path.exists():  # a non-empty folder cannot be replaced, only renamed
            path.rename(_temporary(path))
        temporary.rename(path)
    finally:
        remove_remains(remains_of(path))


def remains_of(path: Path) -> Iterator[Path]:
    """Temporary files and folders that have not got the name `path`."""
    return path.parent.glob(f".{path.name}.{MARK}.tmp")


def remove_remains(paths: Iterable[Path]) -> None:
    """Remove files, folders and links to them; the caller holds a lock, so no writer is alive."""
    for path in list(paths):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, object]) -> str:
    """Write the file whole; the hash of what was written, whatever lies there soon after."""
    plain = without_nan(content)
    with written_whole(path) as temporary:
        temporary.write_text(json.dumps(plain, indent=1, ensure_ascii=False) + "\n", "utf-8")
        return file_sha256(temporary)


def without_nan(value: Any) -> Any:
    """The same with plain Python numbers, and None for NaN and infinity: JSON has neither."""
    if isinstance(value, Mapping):
        return {str(key): without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    if hasattr(value, "tolist"):  # of NumPy
        return without_nan(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_csv(path: Path, table: "pd.DataFrame") -> str:
    """As `write_json`."""
    with written_whole(path) as temporary:
        save_csv(temporary, table)
        return file_sha256(temporary)


def save_csv(path: Path, table: "pd.DataFrame") -> None:
    """Save `table` without its index, with exact numbers."""
    save = partial(table.to_csv, path, index=False, encoding="utf-8", lineterminator="\n")
    save()
    if b"\r" in path.read_bytes():  # csv leaves it outside of quotes, where it ends a line
        save(quoting=csv.QUOTE_NONNUMERIC)


def table_by_id(
    ids: Sequence[str], id_name: str, columns: Sequence[str], values: "NDArray[Any]"
) -> "pd.DataFrame":
    """(n,) ids and (n, c) values as a table; a column may have the id's name."""
    import pandas as pd

    table = pd.DataFrame(values, columns=list(columns))
    table.insert(0, id_name, list(ids), allow_duplicates=True)
    return table


def _temporary(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
