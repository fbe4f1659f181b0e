"""The engines of a cluster, Dask and Ray: who runs a call, and where its data lie."""

import logging
import pickle
import signal
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import pipeline
from pipeline.files.hashes import sha256_of_texts
from pipeline.settings.config import Jobs

PACKAGE = Path(pipeline.__file__).parent
SECONDS_TO_CONNECT = 30

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
        self.client.register_plugin(_any_next_worker())

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
            with self.client.as_current():  # not a client that the caller holds, on another loop
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
        at_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                runtime_env={"py_modules": [str(PACKAGE)]},
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError) as error:  # no answer, or of another version
            reason = " ".join(str(error).split())
            raise ValueError(
                f"jobs.backend: no Ray cluster answers ({reason}); start it, see docs/cluster.md"
            ) from None
        with suppress(ValueError):  # outside of the main thread nothing was replaced
            signal.signal(signal.SIGTERM, at_sigterm)  # Ray's own exits with 15, without a word
        n_cpus = max(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"])
        if self.threads > n_cpus:
            print(
                f"warning: jobs.threads is {self.threads}, but no machine of the Ray cluster has "
                f"more than {n_cpus:g} CPUs; units wait until a larger one joins"
            )

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


ENGINES: dict[str, Callable[[Jobs], Cluster]] = {"dask": Dask, "ray": Ray}


@cache
def sha256_of_code() -> str:
    """One hash of the package that this process imported."""
    return sha256_of_texts([path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))])


def _any_next_worker() -> Any:
    """A plugin of Dask's scheduler: calls left without a worker run on the next one that comes.

    Dask keeps them for the worker that they preferred, also where that is gone for ever.
    """
    from dask.distributed import SchedulerPlugin

    class AnyNextWorker(SchedulerPlugin):
        name = "text-ensembles"
        idempotent = True

        async def start(self, scheduler: Any) -> None:
            self.tasks = scheduler.tasks

        def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
            if finish == "no-worker" and self.tasks[key].loose_restrictions:
                self.tasks[key].worker_restrictions = None

    return AnyNextWorker()


def _run_pickled(call: bytes, *values: Any) -> Any:
    function, facts = pickle.loads(call)
    return function(*facts, *values)


def _itself(value: Any) -> Any:
    return value
