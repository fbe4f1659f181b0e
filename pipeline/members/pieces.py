"""Pieces of work, and how a worker runs them: its threads, one GPU, failures caught."""

import gc
import os
import signal
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout
from threadpoolctl import threadpool_limits

_held: list[FileLock] = []  # the GPU that this process claimed, until it ends


class Piece(NamedTuple):
    """A labelled call.

    Attributes:
        arguments: of the call.
        needs_torch: whether it uses torch; if not, it gets no GPU.
        reads: folders and files that it reads.
        writes: the folder that it writes, if it writes one.
    """

    label: str
    arguments: tuple[Any, ...]
    needs_torch: bool = True
    reads: tuple[Path, ...] = ()
    writes: Path | None = None


@dataclass(frozen=True)
class Failure:
    """A piece of work that raised: its exception in a line, its traceback as `details`."""

    label: str
    reason: str
    details: str

    @classmethod
    def of(cls, label: str, error: Exception) -> "Failure":
        """The failure of the exception that is being handled."""
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return cls(label, reason, traceback.format_exc())


def count_gpus() -> int:
    import torch  # here, as it takes seconds to load

    return torch.cuda.device_count()


def run_piece(
    function: Callable[..., Any],
    i: int,
    piece: Piece,
    threads: int,
    n_gpus: int,
    caller: tuple[int, str],
) -> tuple[int, Any]:
    """Run piece `i`; threads and GPU are set here, as loky may run it in the calling process.

    Args:
        caller: id of the process that asked, which stops its workers on SIGINT, and its folder.
    Returns:
        `i`, and the call's result or its `Failure`.
    """
    process, folder = caller
    if os.getpid() != process and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends Ctrl-C to the workers too
        _end_with(process)
    try:
        os.chdir(folder)  # a worker of an earlier call may be in another
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        if n_gpus:
            claim_gpu(n_gpus, Path(tempfile.gettempdir()))
        if piece.needs_torch:
            import torch

            torch.set_num_threads(threads)
        with threadpool_limits(threads):  # of NumPy, SciPy and scikit-learn
            return i, function(*piece.arguments)
    except Exception as error:
        return i, Failure.of(piece.label, error)
    finally:
        if piece.needs_torch:
            gc.collect()  # Trainer and network refer to each other
        if n_gpus:
            import torch

            torch.cuda.empty_cache()


@cache
def _end_with(parent: int) -> None:
    """End this worker within a second of `parent`, at once if that has ended already.

    A process that is killed stops no workers: they would train on, with settings of the past.
    """

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


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
        with suppress(Timeout):
            lock.acquire(timeout=0)
            _held.append(lock)
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
            return
    os.environ["CUDA_VISIBLE_DEVICES"] = visible[os.getpid() % len(visible)]
