"""Pieces of work on a Dask or Ray cluster, whose workers need no disk in common with this process.

A worker runs a piece in an empty folder. What the piece reads travels there, each file once to a
worker; the folder that it writes travels back.
"""

import logging
import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Generator, Hashable, Sequence
from contextlib import chdir
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import pipeline
from pipeline.files.hashes import sha256_of_texts
from pipeline.files.writing import folder_written_whole
from pipeline.members.pieces import Failure, Piece, count_gpus, run_piece
from pipeline.members.units import locked
from pipeline.settings.config import Jobs

PACKAGE = Path(pipeline.__file__).parent
SECONDS_TO_CONNECT = 30

Files = dict[str, bytes]  # the content of files, by path
Copies = dict[str | None, Any]  # futures of a value, by the worker; None: the first


class Cluster(Protocol):
    """An open connection; futures and handles are the engine's own objects."""

    def n_workers(self, needs_torch: bool) -> int:
        """Pieces that can run at once now."""

    def share(self, value: Any) -> Any:
        """A handle of a value, which travels to a worker once."""

    def submit(
        self, needs_torch: bool, handles: Sequence[Any], function: Callable[..., Any], *facts: Any
    ) -> Any:
        """The future of `function(*facts, *values)`, repeated elsewhere if its worker dies."""

    def first_of(self, futures: Collection[Any]) -> Any:
        """Wait for a future that has ended."""

    def result(self, future: Any) -> Any:
        """An ended call's result, or its exception."""

    def close(self) -> None:
        """Leave the cluster; its own pieces that wait there are dropped."""


def run_on_cluster(
    function: Callable[..., Any],
    pieces: Sequence[Piece],
    jobs: Jobs,
    starts: Callable[[int], bool] | None,
) -> Generator[tuple[int, Any]]:
    """Each piece's number and result or `Failure`, as they end; what it wrote is on disk then.

    Args:
        starts: as in `run_all`.
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
        cluster = CLUSTERS[jobs.backend](jobs)
    except ImportError as error:
        package = {"dask": "distributed"}.get(jobs.backend, jobs.backend)
        raise ValueError(
            f"jobs.backend: {jobs.backend} is not installed ({error}); run: pip install {package}"
        ) from None
    running: dict[Any, int] = {}
    waiting = iter(enumerate(pieces))
    try:
        upcoming = next(waiting, None)
        while upcoming or running:
            while upcoming and len(running) < _at_once(cluster, upcoming[1], jobs):
                if starts is None or starts(upcoming[0]):
                    running[submit(*upcoming)] = upcoming[0]
                upcoming = next(waiting, None)
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
    """Run a piece in a folder of its own. Workers run this.

    Args:
        values: the files that it reads, then its arguments.
    Returns:
        Its result or `Failure`, and the files that it wrote.
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


@cache
def sha256_of_code() -> str:
    """One hash of the package that this process imported."""
    return sha256_of_texts([path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))])


def read_files(path: Path) -> Files:
    """The content of a file, or of all files below a folder."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file): file.read_bytes() for file in files if file.is_file()}


def write_files(folder: Path, files: Files) -> None:
    """Write a unit's folder whole, as if it had been trained here."""
    with locked(folder), folder_written_whole(folder) as temporary:
        for name, data in files.items():
            (temporary / Path(name).name).write_bytes(data)


def _run_pickled(call: bytes, *values: Any) -> Any:
    function, facts = pickle.loads(call)
    return function(*facts, *values)


def _itself(value: Any) -> Any:
    return value


class Dask:
    """The scheduler in Dask's configuration, else workers on this machine."""

    def __init__(self, jobs: Jobs) -> None:
        import dask
        from dask.distributed import Client

        # what matters is raised here
        logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
        # data travels in tasks, which are repeated if the worker that holds their result dies
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"})
        address = dask.config.get("scheduler-address", None)
        # one worker for each core here, but no more than are asked for
        here = {"threads_per_worker": 1, "n_workers": jobs.n_jobs, "dashboard_address": None}
        try:
            self.client = Client(address) if address else Client(**here)
            self.client.wait_for_workers(1, timeout=SECONDS_TO_CONNECT)
        except (OSError, TimeoutError) as error:
            raise ValueError(
                f"jobs.backend: the Dask scheduler {address} does not answer or has no workers "
                f"({error}); start both, see docs/cluster.md"
            ) from None
        self.workers_of: dict[Any, str | None] = {}  # of the pieces that run
        threads = max(self.client.nthreads().values())
        if threads > 1:
            raise ValueError(
                f"jobs.backend: a Dask worker has {threads} threads, which would share a seed "
                "and a GPU; start workers with --nthreads 1"
            )
        for worker, code in self.client.run(sha256_of_code, on_error="return").items():
            if code != sha256_of_code():
                raise ValueError(
                    f"jobs.backend: Dask worker {worker} runs other code than this process "
                    f"({code}); start scheduler and workers again as docs/cluster.md says"
                )

    def n_workers(self, needs_torch: bool) -> int:
        return len(self.client.nthreads())

    def share(self, value: Any) -> Copies:
        # pickled here, so that the scheduler need not load torch
        return {None: self._call(self._idle_worker(), pickle.loads, pickle.dumps(value))}

    def submit(
        self, needs_torch: bool, handles: Sequence[Copies], function: Any, *facts: Any
    ) -> Any:
        worker, here = self._idle_worker(), []
        for copies in handles:  # Dask takes a copy back from a worker unless it has its own name
            if worker not in copies:
                copies[worker] = self._call(worker, _itself, copies[None])
            here.append(copies[worker])
        future = self._call(worker, _run_pickled, pickle.dumps((function, facts)), *here)
        self.workers_of[future] = worker
        return future

    def _call(self, worker: str | None, function: Callable[..., Any], *arguments: Any) -> Any:
        """A call on `worker`, elsewhere only if that dies."""
        where = {"workers": worker, "allow_other_workers": worker is not None}
        return self.client.submit(function, *arguments, pure=False, **where)

    def _idle_worker(self) -> str | None:
        """A worker without a piece of ours, behind which data or another piece would wait."""
        idle = self.client.nthreads().keys() - set(self.workers_of.values())
        return min(idle, default=None)

    def first_of(self, futures: Collection[Any]) -> Any:
        from dask.distributed import CancelledError, wait

        try:
            return next(iter(wait(list(futures), return_when="FIRST_COMPLETED").done))
        except CancelledError:
            raise ValueError(
                "jobs.backend: the Dask scheduler has gone; finished work is saved, start the "
                "cluster and run the command again"
            ) from None

    def result(self, future: Any) -> Any:
        del self.workers_of[future]
        try:
            return future.result()
        finally:
            future.release()  # or Dask would run it again if the worker that ran it dies

    def close(self) -> None:
        self.client.close()


class Ray:
    """The cluster of RAY_ADDRESS or of this machine, else workers that are started here."""

    def __init__(self, jobs: Jobs) -> None:
        import ray

        self.ray, self.threads = ray, jobs.threads or 1
        try:
            ray.init(
                runtime_env={"py_modules": [str(PACKAGE)]},
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except ConnectionError as error:
            raise ValueError(
                f"jobs.backend: no Ray cluster answers ({error}); start it, see docs/cluster.md"
            ) from None

    def n_workers(self, needs_torch: bool) -> int:
        resources = self.ray.cluster_resources()
        n_gpus = resources.get("GPU", 0) if needs_torch else 0
        return int(n_gpus or resources.get("CPU", 0) // self.threads)

    def share(self, value: Any) -> Any:
        return self.ray.put(value)

    def submit(self, needs_torch: bool, handles: Sequence[Any], function: Any, *facts: Any) -> Any:
        # a worker without this request sees no GPU
        with_gpu = needs_torch and self.ray.cluster_resources().get("GPU", 0)
        remote = self.ray.remote(num_cpus=self.threads, num_gpus=1 if with_gpu else 0)
        return remote(function).remote(*facts, *handles)

    def first_of(self, futures: Collection[Any]) -> Any:
        (future,), _ = self.ray.wait(list(futures))
        return future

    def result(self, future: Any) -> Any:
        return self.ray.get(future)

    def close(self) -> None:
        self.ray.shutdown()


CLUSTERS: dict[str, Callable[[Jobs], Cluster]] = {"dask": Dask, "ray": Ray}
