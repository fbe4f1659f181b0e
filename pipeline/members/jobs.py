"""Parallel work, in processes here or on a cluster; one GPU for each worker."""

import os
import threading
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from typing import Any

import joblib
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from pipeline.members.clusters import run_on_cluster
from pipeline.members.pieces import Failure, Piece, count_gpus, run_piece
from pipeline.settings.config import Jobs

BAR_SECONDS = 2.0  # between two looks at unfinished pieces


def run_all(
    function: Callable[..., Any],
    pieces: Sequence[Piece],
    jobs: Jobs,
    *,
    title: str,
    on_result: Callable[[int, Any], None] | None = None,
    under_way: Callable[[], float] | None = None,
    starts: Callable[[int], bool] | None = None,
) -> list[Any]:
    """Call `function(*arguments)` for each piece, side by side; a failure stops no other.

    Args:
        function: a module's function, so that workers can import it.
        on_result: called in this process with a piece's number and result when it ends.
        under_way: work done in unfinished pieces, in pieces; a terminal's bar shows it.
        starts: whether to start a piece, asked when a worker is free for it.
    Returns:
        The results in the order of `pieces`; a `Failure` for each piece that raised, None for a
        piece that was not started.
    Raises:
        ValueError: a worker here was killed; or a cluster's package is not installed, or the
            cluster does not answer.
    """
    results: list[Any] = [None] * len(pieces)
    run = _run_here if jobs.backend == "loky" else run_on_cluster
    with (
        _Bar(title, len(pieces), under_way) as bar,
        closing(run(function, pieces, jobs, starts)) as ended,
    ):
        try:
            for i, result in ended:
                bar.add_piece()
                results[i] = result
                if isinstance(result, Failure):
                    tqdm.write(f"{result.label} failed: {result.reason}")
                if on_result is not None:
                    on_result(i, result)
        except TerminatedWorkerError:
            raise ValueError(
                f"{title}: the system killed a worker, most likely for lack of memory; finished "
                "work is saved, run it again with a lower jobs.n_jobs or training.batch_size"
            ) from None
    return results


def _run_here(
    function: Callable[..., Any],
    pieces: Sequence[Piece],
    jobs: Jobs,
    starts: Callable[[int], bool] | None,
) -> Generator[tuple[int, Any]]:
    """Each piece's number and result or `Failure`, as they end in processes of this machine."""
    n_gpus = count_gpus() if any(piece.needs_torch for piece in pieces) else 0
    n_jobs = jobs.n_jobs or n_gpus or joblib.cpu_count()
    # with GPUs even a single piece runs in a worker: here it would hide the other GPUs for good
    n_jobs = min(n_jobs, max(2 if n_gpus > 1 else 1, len(pieces)))
    side_by_side = max(1, min(n_jobs, len(pieces)))
    # with GPUs an equal share of the cores
    threads = jobs.threads or (max(1, joblib.cpu_count() // side_by_side) if n_gpus else 1)
    # joblib restarts a worker whose memory has grown; no work is lost
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
    caller = (os.getpid(), os.getcwd())
    ahead = {} if starts is None else {"pre_dispatch": "n_jobs", "batch_size": 1}
    with joblib.parallel_config(backend="loky", n_jobs=n_jobs):
        calls = (
            joblib.delayed(run_piece)(function, i, piece, threads, n_gpus, caller)
            for i, piece in enumerate(pieces)
            if starts is None or starts(i)
        )
        try:
            yield from joblib.Parallel(return_as="generator_unordered", **ahead)(calls)
        except TerminatedWorkerError:
            raise
        except BaseException:  # SIGINT, SIGTERM: the workers would train on without this process
            get_reusable_executor().shutdown(wait=True, kill_workers=True)
            raise


class _Bar:
    """A progress bar in a terminal, which also shows work under way; nothing elsewhere."""

    def __init__(self, title: str, n: int, under_way: Callable[[], float] | None) -> None:
        # smoothing=0: the remaining time is estimated from all pieces, not the last few
        how = {"desc": title, "unit": "unit", "smoothing": 0, "dynamic_ncols": True}
        self.bar = tqdm(total=n, disable=None, **how)
        self.n_done = 0
        self.under_way = under_way or (lambda: 0)
        self.closing = threading.Event()
        self.looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "_Bar":
        if not self.bar.disable:
            self.looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        if self.looking.is_alive():
            self.looking.join()  # or it would draw the bar again
        self.bar.close()

    def add_piece(self) -> None:
        self.n_done += 1
        self._show(self.n_done)

    def _look(self) -> None:
        while not self.closing.wait(BAR_SECONDS):
            self._show(self.n_done + self.under_way())

    def _show(self, n: float) -> None:
        self.bar.n = round(n, 1)
        self.bar.refresh()
