"""Time work in fresh processes that start together."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing.synchronize import Barrier
from typing import Any

import pandas as pd
import torch

from benchmarks.shared.arrangements import Prepared

SET_UP_SECONDS = 300  # a process that waits longer for the others gives up

_all_set_up: Barrier  # in a measured process: where it waits for the others


@dataclass(frozen=True)
class Measurement:
    """One run of one arrangement.

    Attributes:
        work: rows, or operations of a GEMM, over all processes.
        seconds: of the slowest process.
        cpu_seconds: over all processes; far below processes x threads x seconds if the cores
            were busy.
    """

    arrangement: str
    repeat: int
    processes: int
    threads: int
    work: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        return self.work / self.seconds


def measure(
    arrangement: str,
    repeat: int,
    n_processes: int,
    threads: int,
    prepare: Callable[..., Prepared],
    *arguments: Any,
) -> Measurement:
    """Time the work that `prepare(*arguments)` returns, in fresh processes at once."""
    print(f"  {arrangement}, repeat {repeat}", flush=True)
    context = multiprocessing.get_context("spawn")
    setting = (context.Barrier(n_processes), threads)
    with ProcessPoolExecutor(n_processes, context, _enter, setting) as pool:
        calls = [pool.submit(_timed, prepare, arguments) for _ in range(n_processes)]
        works, seconds, cpu_seconds = zip(*(call.result() for call in calls), strict=True)
    measurement = Measurement(
        arrangement, repeat, n_processes, threads, sum(works), max(seconds), sum(cpu_seconds)
    )
    print(f"    {measurement.rate:,.4g} a second", flush=True)  # stands if a later one is cut off
    return measurement


def _enter(barrier: Barrier, threads: int) -> None:
    global _all_set_up
    _all_set_up = barrier
    torch.set_num_threads(threads)


def _timed(prepare: Callable[..., Prepared], arguments: Sequence[Any]) -> tuple[int, float, float]:
    run = prepare(*arguments)
    _all_set_up.wait(SET_UP_SECONDS)
    start, cpu_start = time.perf_counter(), time.process_time()
    return run(), time.perf_counter() - start, time.process_time() - cpu_start


def table_of(measurements: Sequence[Measurement], tokens_a_row: float) -> pd.DataFrame:
    """A line per measurement; rates are totals over its processes."""
    lines = []
    for m in measurements:
        is_gemm = m.arrangement.startswith("gemm")
        rates = (m.rate / 1e9, None, None) if is_gemm else (None, m.rate, m.rate * tokens_a_row)
        names = ("GFLOP/s", "rows/s", "tokens/s")
        lines.append({**asdict(m), **dict(zip(names, rates, strict=True))})
    return pd.DataFrame(lines).drop(columns="work")
