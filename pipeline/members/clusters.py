"""Pieces of work on a Dask or Ray cluster, whose workers need no disk in common with this process.

A worker runs a piece in an empty folder. What the piece reads travels there, each file once to a
worker; the folder that it writes travels back.
"""

import os
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Generator, Hashable, Sequence
from contextlib import chdir
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.files.lock import folder_lock
from pipeline.files.writing import folder_written_whole
from pipeline.members.engines import ENGINES, Cluster
from pipeline.members.pieces import Failure, Piece, count_gpus, run_piece
from pipeline.settings.config import Jobs

Files = dict[str, bytes]  # the content of files, by path


def run_on_cluster(
    function: Callable[..., Any],
    pieces: Sequence[Piece],
    jobs: Jobs,
    starts: Callable[[int], bool] | None,
) -> Generator[tuple[int, Any]]:
    """Each piece's number and result or `Failure`, as they end; what it wrote is on disk then.

    Raises:
        ValueError: the engine is not installed, there is no cluster, or a file lies elsewhere.
    """
    threads = jobs.threads or 1
    uses = Counter(key for piece in pieces for key, _ in _values_of(piece))
    handles: dict[Hashable, Any] = {}
    for path in (key for key in uses if isinstance(key, Path)):
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(
                f"jobs.backend: {path} is outside the current folder, and a worker reads only what "
                "is below it; copy it there and give its relative path"
            )

    def handle_of(key: Hashable, value: Any) -> Any:
        if key not in handles:
            handles[key] = cluster.share(read_files(value) if isinstance(key, Path) else value)
        uses[key] -= 1
        return handles[key] if uses[key] else handles.pop(key)  # the cluster may forget it then

    def submit(i: int, piece: Piece) -> Any:
        travel = [handle_of(key, value) for key, value in _values_of(piece)]
        call = piece._replace(arguments=())
        return cluster.submit(piece.needs_torch, travel, run_away, function, i, call, threads)

    try:
        cluster = ENGINES[jobs.backend](jobs)
    except ImportError as error:
        package = {"dask": "distributed"}.get(jobs.backend, jobs.backend)
        raise ValueError(
            f"jobs.backend: {jobs.backend} is not installed ({error}); run: pip install {package}"
        ) from None
    running: dict[Any, int] = {}
    waiting = deque(enumerate(pieces))
    try:
        while waiting or running:
            while waiting and len(running) < _at_once(cluster, waiting[0][1], jobs):
                i, piece = waiting.popleft()
                if starts is None or starts(i):
                    running[submit(i, piece)] = i
            if running:
                future = cluster.first_of(running)
                i = running.pop(future)
                try:
                    result, files = cluster.result(future)
                except Exception as error:  # of the engine: every worker that tried it died
                    result, files = Failure.of(pieces[i].label, error), None
                folder = pieces[i].writes
                if folder is not None and files is not None:
                    write_files(folder, files)
                yield i, result
    finally:
        cluster.close()


def _values_of(piece: Piece) -> list[tuple[Hashable, Any]]:
    """What travels for a piece, by what tells equal values: the files first."""
    return [(path, path) for path in piece.reads] + [(id(v), v) for v in piece.arguments]


def _at_once(cluster: Cluster, piece: Piece, jobs: Jobs) -> int:
    n_workers = max(1, cluster.n_workers(piece.needs_torch))
    return min(n_workers, jobs.n_jobs or n_workers)


def run_away(
    function: Callable[..., Any], i: int, piece: Piece, threads: int, *values: Any
) -> tuple[Any, Files | None]:
    """The result of a piece that runs in a folder of its own, and the files that it wrote.

    Args:
        values: the files that it reads, then its arguments.
    """
    n_read, written = len(piece.reads), None
    with tempfile.TemporaryDirectory(prefix="text-ensembles-") as folder, chdir(folder):
        for name, data in chain.from_iterable(files.items() for files in values[:n_read]):
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Path(name).write_bytes(data)
        n_gpus = count_gpus() if piece.needs_torch else 0
        piece = piece._replace(arguments=values[n_read:])
        _, result = run_piece(function, i, piece, threads, n_gpus, (os.getpid(), folder))
        if piece.writes is not None and not isinstance(result, Failure):
            written = read_files(piece.writes)
    return result, written


def read_files(path: Path) -> Files:
    """The content of a file, or of all files below a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def write_files(folder: Path, files: Files) -> None:
    """Write a unit's folder whole, as if it had been trained here."""
    with folder_lock(folder), folder_written_whole(folder) as temporary:
        for name, data in files.items():
            (temporary / Path(name).name).write_bytes(data)
