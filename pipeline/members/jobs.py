"""Parallel work over joblib: processes here, or a Dask or Ray cluster; one GPU for each worker."""

import gc
import os
import signal
import tempfile
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from filelock import FileLock, Timeout
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from pipeline.settings.config import Jobs

BAR_SECONDS = 2.0  # between two looks at unfinished pieces

_held: list[FileLock] = []  # the GPU that this process claimed, until it ends


@dataclass(frozen=True)
class Failure:
    """A piece of work that raised: its exception in a line, its traceback as `details`."""

    label: str
    reason: str
    details: str


def run_all(
    function: Callable[..., Any],
    pieces: Sequence[tuple[str, tuple[Any, ...]]],
    jobs: Jobs,
    *,
    title: str,
    needs_torch: bool = True,
    on_result: Callable[[int, Any], None] | None = None,
    under_way: Callable[[], float] | None = None,
    starts: Callable[[int], bool] | None = None,
) -> list[Any]:
    """Call `function(*arguments)` for each labelled piece, side by side; a failure stops no other.

    Args:
        function: a module's function, so that workers can import it.
        pieces: (label, arguments) of each call.
        needs_torch: whether the pieces use torch; if not, they get no GPU.
        on_result: called in this process with a piece's number and result when it ends.
        under_way: work done in unfinished pieces, in pieces; a terminal's bar shows it.
        starts: whether to start a piece, asked when a worker is free for it.
    Returns:
        The results in the order of `pieces`; a `Failure` for each piece that raised, None for a
        piece that was not started.
    Raises:
        ValueError: the backend's package is not installed, or a worker was killed.
    """
    n_gpus = count_gpus() if needs_torch else 0
    n_jobs = jobs.n_jobs or n_gpus or joblib.cpu_count()
    # with GPUs even a single piece runs in a worker: here it would hide the other GPUs for good
    n_jobs = min(n_jobs, max(2 if n_gpus > 1 else 1, len(pieces)))
    side_by_side = max(1, min(n_jobs, len(pieces)))
    # with GPUs an equal share of the cores
    threads = jobs.threads or (max(1, joblib.cpu_count() // side_by_side) if n_gpus else 1)
    _register(jobs.backend)
    # joblib restarts a worker whose memory has grown; no work is lost
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
    results: list[Any] = [None] * len(pieces)
    caller = (os.getpid(), os.getcwd() if jobs.backend == "loky" else None)
    return_as = "list" if jobs.backend == "ray" else "generator_unordered"  # Ray has no generator
    bar = _Bar(title, len(pieces), under_way)
    with joblib.parallel_config(backend=jobs.backend, n_jobs=n_jobs), bar:
        calls = (
            joblib.delayed(_guarded)(function, i, *piece, threads, n_gpus, needs_torch, caller)
            for i, piece in enumerate(pieces)
            if starts is None or starts(i)
        )
        ahead = {} if starts is None else {"pre_dispatch": "n_jobs", "batch_size": 1}
        try:
            for i, result in joblib.Parallel(return_as=return_as, **ahead)(calls):
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
        except BaseException:  # SIGINT, SIGTERM: the workers would train on without this process
            if jobs.backend == "loky":
                get_reusable_executor().shutdown(wait=True, kill_workers=True)
            raise
    return results


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

    def __enter__(self) -> None:
        if not self.bar.disable:
            self.looking.start()

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


def count_gpus() -> int:
    import torch  # here, as it takes seconds to load

    return torch.cuda.device_count()


def _guarded(
    function: Callable[..., Any],
    i: int,
    label: str,
    arguments: tuple[Any, ...],
    threads: int,
    n_gpus: int,
    needs_torch: bool,
    caller: tuple[int, str | None],
) -> tuple[int, Any]:
    """Run piece `i`; threads and GPU are set here, as loky may run it in the calling process.

    Args:
        caller: id of the process that asked, which stops its workers on SIGINT, and its folder.
    """
    process, folder = caller
    if os.getpid() != process and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to the workers too
    try:
        if folder is not None:
            os.chdir(folder)  # a worker of an earlier call may be in another
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        if n_gpus:
            claim_gpu(n_gpus, Path(tempfile.gettempdir()))
        if needs_torch:
            import torch

            torch.set_num_threads(threads)
        with threadpool_limits(threads):  # of NumPy, SciPy and scikit-learn
            return i, function(*arguments)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return i, Failure(label, reason, traceback.format_exc())
    finally:
        gc.collect()  # Trainer and network refer to each other
        if n_gpus:
            import torch

            torch.cuda.empty_cache()


def claim_gpu(n_gpus: int, folder: Path) -> None:
    """Show this process one GPU only, if possible a GPU that no other worker holds.

    With several visible GPUs Trainer would split every batch over them.
    """
    if _held or n_gpus == 1:
        return
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    visible = listed.split(",") if listed else [str(k) for k in range(n_gpus)]
    user = os.getuid() if hasattr(os, "getuid") else 0  # another user's file cannot be locked
    for gpu in visible:
        lock = FileLock(folder / f"text-ensembles-{user}-gpu-{gpu.replace('/', '-')}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _held.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[os.getpid() % len(visible)]


def _register(backend: str) -> None:
    """Connect joblib to a cluster; a ValueError if its package is not installed."""
    try:
        if backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
        elif backend == "dask":
            from dask.distributed import Client

            # the scheduler in Dask's configuration, else a local one
            workers = Client(threads_per_worker=1).scheduler_info()["workers"]
            threads = max((worker["nthreads"] for worker in workers.values()), default=1)
            if threads > 1:
                raise ValueError(
                    f"jobs.backend: a Dask worker has {threads} threads, which would share a seed "
                    "and a GPU; start workers with --nthreads 1"
                )
    except ImportError as error:
        raise ValueError(
            f"jobs.backend: {backend} is not installed ({error}); "
            f"run: pip install {'ray' if backend == 'ray' else 'distributed'}"
        ) from None
