"""Locks that one process holds at a time; they end with their process, however that ends."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.files.paths import folders_of, folds_path, lock_path
from pipeline.files.provenance import command_line
from pipeline.files.writing import TEMPORARY, remains_of, remove_remains


@contextmanager
def locked(path: Path, work: str) -> Iterator[None]:
    """Hold the lock `path`; while another process holds it, wait, and say so in one line.

    Args:
        work: what is done under the lock, for that line: "works on tweets".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(path), path.with_suffix(".holder")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        held_by = "another process"
        with suppress(FileNotFoundError):  # the lock was taken, or left, at this moment
            held_by = holder.read_text("utf-8", errors="replace") or held_by
        print(f"waiting: {held_by} {work}", flush=True)
        lock.acquire()
    try:
        _remove_shared_arrays(holder)
        holder.write_text(f"{command_line()} (process {os.getpid()})", "utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _remove_shared_arrays(holder: Path) -> None:
    """Remove the arrays that joblib shared with the workers of a killed holder of the lock.

    joblib has a process of its own that removes them, unless it is killed too.
    """
    held_by = holder.read_text("utf-8", errors="replace") if holder.is_file() else ""
    killed = re.search(r"\(process (\d+)\)$", held_by)
    if killed and Path("/proc/self").exists() and not Path("/proc", killed[1]).exists():
        for folder in (os.environ.get("JOBLIB_TEMP_FOLDER", "/dev/shm"), tempfile.gettempdir()):
            for arrays in Path(folder).glob(f"joblib_memmapping_folder_{killed[1]}_*"):
                shutil.rmtree(arrays, ignore_errors=True)  # another user's may have this number


def folder_lock(folder: Path) -> FileLock:
    """The lock under which a worker writes a unit's folder; a worker may outlive its stage."""
    return FileLock(folder.with_name(f".{folder.name}.lock"))


@contextmanager
def competition_locked(competition: str) -> Iterator[None]:
    """Keep other stages off a competition's files; remains of killed stages are removed."""
    with locked(lock_path(competition), f"works on {competition}"):
        folds = folds_path(competition)
        for path in (folds, folds.with_suffix(".json")):
            remove_remains(remains_of(path))
        for folder in folders_of(competition):
            remove_remains(folder.rglob(TEMPORARY))
        for path in Path("models", competition).glob(f"*/{TEMPORARY}"):  # of units
            _, unit, *_ = path.name.split(".")
            with suppress(Timeout), folder_lock(path.with_name(unit)).acquire(timeout=0):
                remove_remains([path])
        yield
