"""Clusters of Dask and Ray: workers without this process's folders, and workers that die."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest
from conftest import stages, write_competition

from pipeline.members import clusters, engines, jobs
from pipeline.members.jobs import run_all
from pipeline.members.pieces import Piece
from pipeline.settings.config import Jobs

TESTS = Path(__file__).parent
ENGINES = ("dask", "ray")
TOKEN = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid4().hex}
ENVIRONMENT = {  # of the workers; Ray is sent `pipeline`
    **{name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"},
    "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}",
    "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    **TOKEN,
}


def start(folder: Path, *words: str) -> subprocess.Popen:
    """A program of the cluster in a folder of its own."""
    with (folder / "log.txt").open("a") as log:
        how = {"cwd": folder, "env": ENVIRONMENT, "stdout": log, "stderr": log}
        return subprocess.Popen([sys.executable, "-m", *words], **how)


def stop(*processes: subprocess.Popen) -> None:
    for process in processes:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """A scheduler and two worker processes; their folder."""
    import dask

    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    at = ("--scheduler-file", str(file), "--no-dashboard")
    here = ("--host", "127.0.0.1", "--port", "0")
    scheduler = start(folder, "distributed.cli.dask_scheduler", *at, *here)
    two = ("--nworkers", "2", "--nthreads", "1")
    workers = start(folder, "distributed.cli.dask_worker", *at, *two)
    while not file.exists():
        time.sleep(0.05)
    with dask.config.set({"scheduler-address": json.loads(file.read_text())["address"]}):
        yield folder
    stop(workers, scheduler)


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    """A Ray of two workers and two GPUs that are not there; its folder."""
    folder = tmp_path_factory.mktemp("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    host = "127.0.0.2"  # Ray takes another address in place of 127.0.0.1
    size = ("--num-cpus", "2", "--num-gpus", "2", "--include-dashboard", "false")
    at = ("--node-ip-address", host, "--port", str(port))
    head = start(folder, "ray.scripts.scripts", "start", "--head", "--block", *at, *size)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**TOKEN, "RAY_ADDRESS": f"{host}:{port}"}.items():
            patch.setenv(name, value)
        yield folder
    stop(head)


@pytest.fixture(params=ENGINES)
def engine(request):
    request.getfixturevalue(request.param)
    return request.param


def run(function, calls, engine, **settings):
    return run_all(function, calls, Jobs(backend=engine, **settings), title="test")


# --- units


def trained_files(engine: str, backbone: Path) -> dict[str, bytes]:
    """What training writes, without run.json and train.log, which hold times; and predicting."""
    members = [{"model": "tfidf_linear"}]
    if engine != "ray":  # there every command starts workers of its own, which load torch
        members += [{"pooling": "mean"}, {"model": "embedding_svr"}]
    settings = {
        "folds": {"n": 2},
        "members": members,
        "backbone": str(backbone),
        "training": {"epochs": 1, "batch_size": 16, "max_length": 32},
        "jobs": {"backend": engine, "n_jobs": 1 if engine == "loky" else None},
    }
    config = write_competition(Path.cwd(), "regression", settings=settings)
    Path("own.py").write_text("def score(y, p): return abs(y - p).mean()")
    own = "{file: own.py, function: score, greater_is_better: false, takes: values}"
    config.write_text(config.read_text().replace("metric: rmse\n", f"metric: {own}\n"))
    stages("make_folds", "train", "predict")
    files = [*Path("models").glob("tiny/*/fold?/*"), *Path("oof").glob("tiny/*/*.csv")]
    with_times = ("run.json", "train.log")
    return {str(file): file.read_bytes() for file in files if file.name not in with_times}


@pytest.fixture(scope="module")
def trained_here(tmp_path_factory, backbone_of):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        return trained_files("loky", backbone_of("bert"))


def test_units_of_workers_without_our_folders_stand_here_byte_for_byte(
    engine, request, trained_here, workplace, tiny_backbone
):
    files = trained_files(engine, tiny_backbone)
    members = {name.split("/")[2] for name in files}
    assert members == {"tfidf_linear"} | ({"mean", "embedding_svr"} if engine == "dask" else set())
    assert files == {k: v for k, v in trained_here.items() if k.split("/")[2] in members}
    assert not list(request.getfixturevalue(engine).rglob("fold?"))


# --- workers


def see_two_gpus() -> None:
    clusters.count_gpus = lambda: 2


def test_gpus_are_those_of_the_workers(engine, monkeypatch):
    for module in (jobs, clusters):
        monkeypatch.setattr(module, "count_gpus", lambda: pytest.fail("looked for GPUs here"))
    if engine == "dask":
        from dask.distributed import Client

        with Client() as client:
            client.wait_for_workers(2)  # one that was killed may still be starting again
            client.run(see_two_gpus)
    (seen,) = run(os.getenv, [Piece("piece", ("CUDA_VISIBLE_DEVICES",))], engine)
    assert seen in {"0", "1"}


def size_of_weights(k: int) -> int:
    return (Path("models/backbone") / "weights").stat().st_size


def test_a_backbone_travels_once_to_a_worker(dask, workplace):
    from dask.distributed import Client

    size = 5_000_000
    folder = Path("models/backbone")
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(size))
    calls = [Piece(f"piece {k}", (k,), needs_torch=False, reads=(folder,)) for k in range(8)]

    def received(dask_worker):
        return sum(transfer["total"] for transfer in dask_worker.transfer_incoming_log)

    with Client() as client:
        client.wait_for_workers(2)
        before = sum(client.run(received).values())
        assert run(size_of_weights, calls, "dask") == [size] * 8
        # the first worker has it from the scheduler, the second from the first, the others' too
        assert size < sum(client.run(received).values()) - before < 2 * size


# --- workers that die; a test that needs two would wait for them now


def die_once(folder: Path, k: int) -> int:
    """The square of a number; 3 kills the first worker that computes it."""
    with (folder / "calls").open("a") as calls:
        calls.write(f"{k} ")
    if k == 3 and (folder / "calls").read_text().split().count("3") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return k * k


def test_a_piece_whose_worker_is_killed_runs_again_and_no_other_does(engine, tmp_path):
    calls = [Piece(f"piece {k}", (tmp_path, k), needs_torch=False) for k in range(6)]
    assert run(die_once, calls, engine) == [0, 1, 4, 9, 16, 25]
    assert sorted((tmp_path / "calls").read_text().split()) == list("0123345")


def die_together_once(folder: Path, k: int) -> int:
    first = not (folder / f"{k}").exists()
    (folder / f"{k}").touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
    return k


def test_pieces_of_workers_that_all_die_at_once_run_on_the_next_ones(dask, tmp_path):
    from dask.distributed import Client

    with Client() as client:
        client.wait_for_workers(2)
    calls = [Piece(f"piece {k}", (tmp_path, k), needs_torch=False) for k in range(2)]
    assert run(die_together_once, calls, "dask") == [0, 1]


def die(k: int) -> int:
    if k == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return k


def test_a_piece_that_kills_every_worker_fails_alone(dask):
    calls = [Piece(f"piece {k}", (k,), needs_torch=False) for k in range(3)]
    zero, failure, two = run(die, calls, "dask")
    assert (zero, two) == (0, 2)
    assert failure.label == "piece 1"
    assert "\n" not in failure.reason


# --- which pieces are sent when


class InThisProcess:
    """A cluster of two workers that runs a piece when its result is asked for."""

    def __init__(self, jobs):
        self.at_once = []
        self.open = set()
        self.n_shared = 0

    def n_workers(self, needs_torch):
        return 2

    def share(self, value):
        self.n_shared += 1
        return value

    def submit(self, needs_torch, handles, function, *facts):
        call = (lambda: function(*facts, *handles),)
        self.open.add(call)
        self.at_once.append(len(self.open))
        return call

    def first_of(self, futures):
        return next(iter(futures))

    def result(self, future):
        self.open.remove(future)
        return future[0]()

    def close(self):
        assert not self.open


@pytest.fixture
def pretended(monkeypatch):
    made = []
    monkeypatch.setitem(
        engines.ENGINES, "dask", lambda jobs: made.append(InThisProcess(jobs)) or made[0]
    )
    return made


def length_of(shared: list[int], k: int) -> int:
    return len(shared) + k


@pytest.mark.parametrize(("n_jobs", "most"), [(None, 2), (1, 1), (5, 2)])
def test_as_many_pieces_as_workers_are_sent_and_common_arguments_once(n_jobs, most, pretended):
    shared = [0] * 100
    calls = [Piece(f"piece {k}", (shared, k), needs_torch=False) for k in range(1000, 1005)]
    assert run(length_of, calls, "dask", n_jobs=n_jobs) == [*range(1100, 1105)]
    assert max(pretended[0].at_once) == most
    assert pretended[0].n_shared == 1 + 5


def test_pieces_that_are_not_started_have_no_result(pretended):
    calls = [Piece(f"piece {k}", ([], k), needs_torch=False) for k in range(4)]
    how = Jobs(backend="dask")
    assert run_all(length_of, calls, how, title="test", starts=lambda i: i != 1) == [0, None, 2, 3]


def fail(k: int) -> int:
    raise ZeroDivisionError(f"nothing to\n  halve: {k}")


def test_a_piece_that_fails_leaves_no_folder_and_says_why(pretended, workplace):
    calls = [Piece("piece 7", (7,), False, writes=Path("models/mean/fold0"))]
    (failure,) = run(fail, calls, "dask")
    assert failure.label == "piece 7"
    assert failure.reason == "ZeroDivisionError: nothing to halve: 7"
    assert not Path("models").exists()


# --- errors


def test_files_outside_the_current_folder_are_refused(pretended, tmp_path):
    for path in (tmp_path / "backbone", Path("../backbone")):
        with pytest.raises(ValueError, match=rf"jobs\.backend: {re.escape(str(path))} "):
            run(fail, [Piece("piece", (1,), reads=(path,))], "dask")


def test_threads_of_a_dask_worker_are_refused(monkeypatch):
    class Client:
        def __init__(self, *_, **__):
            pass

        def wait_for_workers(self, *_, **__):
            pass

        def nthreads(self):
            return {"tcp://a": 1, "tcp://b": 4}

        def close(self):
            pass

    monkeypatch.setattr("dask.distributed.Client", Client)
    with pytest.raises(ValueError, match=r"jobs\.backend: .*\b4\b.*--nthreads 1"):
        run(fail, [Piece("piece", (1,))], "dask")


def test_a_worker_of_other_code_is_refused(dask, monkeypatch):
    monkeypatch.setattr(engines, "PACKAGE", TESTS)
    engines.sha256_of_code.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"jobs\.backend: .*tcp://127\.0\.0\.1:\d+"):
            run(fail, [Piece("piece", (1,))], "dask")
    finally:
        engines.sha256_of_code.cache_clear()


def test_a_dask_scheduler_that_is_not_there_is_named():
    import dask

    settings = {"scheduler-address": "tcp://127.0.0.1:9", "distributed.comm.timeouts.connect": 1}
    with (
        dask.config.set(settings),
        pytest.raises(ValueError, match=r"jobs\.backend: .*tcp://127\.0\.0\.1:9"),
    ):
        run(fail, [Piece("piece", (1,))], "dask")


def test_a_ray_of_another_version_is_one_line(ray, monkeypatch):
    def init(**_):
        raise RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.0.0")

    monkeypatch.setattr("ray.init", init)
    with pytest.raises(ValueError, match=r"^jobs\.backend: [^\n]*Ray: 2\.0\.0[^\n]*$"):
        run(fail, [Piece("piece", (1,))], "ray")


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_for_which_no_machine_of_ray_is_large_enough_are_a_warning(ray, threads, capsys):
    engines.Ray(Jobs(backend="ray", threads=threads)).close()
    told = capsys.readouterr().out
    assert ("jobs.threads is 3, " in told and "more than 2 CPUs" in told) == (threads == 3)


def test_sigterm_is_answered_as_without_ray(ray):
    before = signal.getsignal(signal.SIGTERM)
    engines.Ray(Jobs(backend="ray")).close()
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("backend", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_cluster_whose_package_is_not_there_says_what_to_install(backend, package, monkeypatch):
    for module in ("ray", "dask", "dask.distributed"):
        monkeypatch.setitem(sys.modules, module, None)  # an import of it fails
    message = rf"jobs\.backend: .*\b{backend}\b.*pip install {package}"
    with pytest.raises(ValueError, match=message):
        run(fail, [Piece("piece", (1,))], backend)


def test_a_folder_travels_with_the_files_of_its_folders(workplace):
    pooling = Path("models/backbone/1_Pooling/config.json")
    pooling.parent.mkdir(parents=True)
    pooling.write_bytes(b"{}")
    assert clusters.read_files(Path("models/backbone")) == {str(pooling): b"{}"}
