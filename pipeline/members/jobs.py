"""Parallel work, in processes here or on a cluster; one GPU for each worker."""

import os
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import groupby
from typing import Any

import joblib
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from pipeline.members.clusters import run_on_cluster
from pipeline.members.pieces import Failure, Piece, count_gpus, run_piece
from pipeline.settings.config import Jobs

BAR_SECONDS = 2.0  # between two drawings


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
        _bar(title, results, under_way),
        closing(run(function, pieces, jobs, starts)) as ended,
    ):
        for i, result in ended:
            results[i] = result
            if isinstance(result, Failure):
                tqdm.write(f"{result.label} failed: {result.reason}")
            if on_result is not None:
                on_result(i, result)
    return results


def _run_here(
    function: Callable[..., Any],
    pieces: Sequence[Piece],
    jobs: Jobs,
    starts: Callable[[int], bool] | None,
) -> Generator[tuple[int, Any]]:
    """Each piece's number and result or `Failure`, as they end in processes of this machine."""
    n_gpus_here = count_gpus() if any(piece.needs_torch for piece in pieces) else 0

    def gpus_for(numbered: tuple[int, Piece]) -> int:
        return n_gpus_here if numbered[1].needs_torch else 0

    # with GPUs pieces without torch run apart: they use all cores, not one process for each GPU
    ordered = sorted(enumerate(pieces), key=gpus_for, reverse=True)
    # joblib restarts a worker whose memory has grown; no work is lost
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
    caller = (os.getpid(), os.getcwd())
    ahead = {} if starts is None else {"pre_dispatch": "n_jobs", "batch_size": 1}
    try:
        for n_gpus, group in ((n, list(those)) for n, those in groupby(ordered, gpus_for)):
            n_jobs = jobs.n_jobs or n_gpus or joblib.cpu_count()
            # with GPUs even one piece runs in a worker: here it would hide the other GPUs for good
            n_jobs = min(n_jobs, max(2 if n_gpus > 1 else 1, len(group)))
            # with GPUs an equal share of the cores
            share = max(1, joblib.cpu_count() // min(n_jobs, len(group))) if n_gpus else 1
            calls = (
                joblib.delayed(run_piece)(function, i, piece, jobs.threads or share, n_gpus, caller)
                for i, piece in group
                if starts is None or starts(i)
            )
            with joblib.parallel_config(backend="loky", n_jobs=n_jobs):
                yield from joblib.Parallel(return_as="generator_unordered", **ahead)(calls)
    except TerminatedWorkerError:
        raise ValueError(
            "the system killed a worker, most likely for lack of memory; finished work is saved, "
            "run it again with a lower jobs.n_jobs or training.batch_size"
        ) from None
    except BaseException:  # SIGINT, SIGTERM: the workers would train on without this process
        get_reusable_executor().shutdown(wait=True, kill_workers=True)
        raise


@contextmanager
def _bar(
    title: str, results: Sequence[Any], under_way: Callable[[], float] | None
) -> Iterator[None]:
    """A terminal's bar of the results that are there and of work under way; nothing elsewhere."""
    ended = threading.Event()

    def draw() -> None:
        is_last = False
        while not is_last:
            is_last = ended.wait(BAR_SECONDS)
            n_done = sum(result is not None for result in results)
            bar.n = round(n_done + (under_way() if under_way else 0), 1)
            bar.refresh()

    # smoothing=0: the remaining time is estimated from all pieces, not the last few
    how = {"desc": title, "unit": "unit", "smoothing": 0, "dynamic_ncols": True}
    with tqdm(total=len(results), disable=None, **how) as bar:
        drawing = threading.Thread(target=draw, daemon=True)
        if not bar.disable:
            drawing.start()
        try:
            yield
        finally:
            ended.set()
            if drawing.is_alive():
                drawing.join()
