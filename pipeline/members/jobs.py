"""Fan work out over joblib: processes here, or a Dask or Ray cluster; one GPU for each worker.

`run_all` keeps going when a piece fails: the others finish, and the failures are told at the end.
"""

import gc
import os
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from filelock import FileLock, Timeout
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits
from tqdm import tqdm

_held: list[FileLock] = []  # the GPU that this process claimed, until it ends


@dataclass(frozen=True)
class Failure:
    """A piece of work that raised.

    Attributes:
        label: which piece.
        reason: the exception in a line.
        details: its traceback.
    """

    label: str
    reason: str
    details: str


def run_all(
    function: Callable[..., Any],
    pieces: Sequence[tuple[str, tuple[Any, ...]]],
    *,
    backend: str,
    n_jobs: int | None,
    threads: int | None,
    title: str,
    needs_torch: bool = True,
    on_result: Callable[[int, Any], None] | None = None,
) -> list[Any]:
    """Call `function(*arguments)` for each labelled piece, side by side, under one progress bar.

    Args:
        function: a function of a module.
        pieces: (label, arguments) of each call.
        backend: of joblib; "dask" and "ray" need the cluster's own package.
        n_jobs: pieces side by side; None: as many as GPUs, or as CPU cores.
        threads: threads of each piece; None: one on CPU, with GPUs its share of the cores.
        needs_torch: whether a piece computes with it; without it no GPU is looked for.
        on_result: called here with a piece's number and its result as soon as it is there.
    Returns:
        What each call returned, in the order of `pieces`; a `Failure` where it raised.
    Raises:
        ValueError: the backend is unknown, its package is not installed, or a worker was killed.
    """
    n_gpus = count_gpus() if needs_torch else 0
    n_jobs = n_jobs or n_gpus or joblib.cpu_count()
    # with GPUs a lone piece goes to a worker too: here, its GPU would be all we see from then on
    n_jobs = min(n_jobs, max(2 if n_gpus > 1 else 1, len(pieces)))
    side_by_side = max(1, min(n_jobs, len(pieces)))
    threads = threads or (max(1, joblib.cpu_count() // side_by_side) if n_gpus else 1)
    _register(backend)
    # joblib renews a worker whose memory has grown; nothing is lost, so there is nothing to tell
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given")
    results: list[Any] = [None] * len(pieces)
    as_they_end = "list" if backend == "ray" else "generator_unordered"  # Ray gives no generator
    # smoothing=0: the time left comes from the mean of all pieces, not of the last few
    with (
        joblib.parallel_config(backend=backend, n_jobs=n_jobs),
        tqdm(total=len(pieces), desc=title, unit="unit", smoothing=0, dynamic_ncols=True) as bar,
    ):
        calls = (
            joblib.delayed(_guarded)(function, i, *piece, threads, n_gpus, needs_torch)
            for i, piece in enumerate(pieces)
        )
        try:
            for i, result in joblib.Parallel(return_as=as_they_end)(calls):
                bar.update()
                results[i] = result
                if isinstance(result, Failure):
                    bar.write(f"{result.label} failed: {result.reason}")
                if on_result is not None:
                    on_result(i, result)
        except TerminatedWorkerError:
            raise ValueError(
                f"{title}: the system killed a worker, most likely for want of memory; what is "
                "written stands, run it again with a lower jobs.n_jobs or training.batch_size"
            ) from None
    return results


def count_gpus() -> int:
    # torch is imported where it is needed only: it takes seconds to load
    import torch

    return torch.cuda.device_count()


def _guarded(
    function: Callable[..., Any],
    i: int,
    label: str,
    arguments: tuple[Any, ...],
    threads: int,
    n_gpus: int,
    needs_torch: bool,
) -> tuple[int, Any]:
    """Run piece `i` in the worker; threads and GPU are set here, as loky may run it in process."""
    try:
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        if n_gpus:
            claim_gpu(n_gpus, Path(tempfile.gettempdir()))
        if needs_torch:
            import torch

            torch.set_num_threads(threads)
        with threadpool_limits(threads):  # what NumPy, SciPy and scikit-learn compute with
            return i, function(*arguments)
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return i, Failure(label, reason, traceback.format_exc())
    finally:
        _free_memory(n_gpus)


def claim_gpu(n_gpus: int, folder: Path) -> None:
    """Make one GPU, that no other worker holds, the only one that this process sees.

    Several visible GPUs would make Trainer split every batch over them. With more workers than
    GPUs the surplus ones share.
    """
    if _held or n_gpus == 1:
        return
    listed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    visible = listed.split(",") if listed else [str(k) for k in range(n_gpus)]
    own = os.getuid() if hasattr(os, "getuid") else 0  # another user's file cannot be locked
    for gpu in visible:
        lock = FileLock(folder / f"text-ensembles-{own}-gpu-{gpu.replace('/', '-')}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _held.append(lock)
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        return
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[os.getpid() % len(visible)]


def _free_memory(n_gpus: int) -> None:
    """Let go of the piece's model: Trainer and network refer to each other in a circle."""
    gc.collect()
    if n_gpus:
        import torch

        torch.cuda.empty_cache()


def _register(backend: str) -> None:
    """Connect joblib to a cluster."""
    try:
        if backend == "ray":
            from ray.util.joblib import register_ray

            register_ray()
        elif backend == "dask":
            from dask.distributed import Client

            # the scheduler that Dask's own configuration names, or one on this machine
            workers = Client(threads_per_worker=1).scheduler_info()["workers"]
            threads = max((worker["nthreads"] for worker in workers.values()), default=1)
            if threads > 1:
                raise ValueError(
                    f"jobs.backend: a Dask worker has {threads} threads, which would share a seed "
                    "and a GPU; start workers with --nthreads 1"
                )
        elif backend != "loky":  # threads would share one seed and one GPU
            raise ValueError(
                f"jobs.backend: unknown backend {backend!r}; choose one of: dask, loky, ray"
            )
    except ImportError as error:
        raise ValueError(
            f"jobs.backend: {backend} is not installed ({error}); "
            f"run: pip install {'ray' if backend == 'ray' else 'distributed'}"
        ) from None
