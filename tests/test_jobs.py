"""Jobs: results in order despite failures, equal for any number of workers, one GPU each."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pytest
from filelock import FileLock
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_info

from pipeline.members import jobs, pieces
from pipeline.members.jobs import run_all
from pipeline.members.pieces import Failure, Piece, claim_gpu
from pipeline.settings.config import Jobs

ROOT = Path(__file__).parents[1]


def halve(number: int) -> float:
    if number == 0:
        raise ZeroDivisionError("nothing to\n  halve")
    time.sleep(0.02 * number)  # the first piece is the slowest
    return number / 2


def halve_once(path: Path | None, number: float) -> float:
    """The half, as soon as there is a file at `path`, however slow the machine."""
    end = time.monotonic() + 60
    while path is not None and not path.exists():
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.01)
    return halve(number)


def trained(seed: int) -> list[float]:
    """Weights of a small network that torch trained, as many digits as there are."""
    import torch

    torch.manual_seed(seed)
    x = torch.randn(256, 64)
    network = torch.nn.Sequential(
        torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.Linear(128, 1)
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(5):
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()
    return network[0].weight.detach().double().flatten().tolist()


def state_of_worker(_: int) -> tuple[int, int, str]:
    import torch

    return os.getpid(), torch.get_num_threads(), os.environ["TOKENIZERS_PARALLELISM"]


def gpus_seen(_: int) -> tuple[int, str | None]:
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")


def run(function, arguments, *, backend="loky", n_jobs=1, threads=1):
    calls = [Piece(f"piece {k}", (argument,)) for k, argument in enumerate(arguments)]
    how = Jobs(backend=backend, n_jobs=n_jobs, threads=threads)
    return run_all(function, calls, how, title="test")


def threads_of_libraries(_: int) -> set[int]:
    """Those of NumPy, SciPy and whatever else computes here."""
    return {library["num_threads"] for library in threadpool_info()}


# --- run_all


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_results_come_in_the_order_of_the_pieces(n_jobs):
    assert run(halve, [6, 2, 4, 1], n_jobs=n_jobs) == [3, 1, 2, 0.5]


@pytest.mark.parametrize("on_terminal", [True, False])
def test_a_terminal_shows_how_many_units_are_done_and_a_file_nothing(
    on_terminal, capsys, monkeypatch
):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_terminal)
    run(halve, [3, 2])
    told = capsys.readouterr().err
    assert re.search(r"test: 100%.* 2/2 ", told) if on_terminal else told == ""


def folder_of_worker(_: int) -> tuple[int, str]:
    return os.getpid(), os.getcwd()


def test_workers_follow_their_caller_into_another_folder(tmp_path, monkeypatch):
    """As in a notebook, whose workers live on from call to call."""
    first = run(folder_of_worker, range(4), n_jobs=2)
    monkeypatch.chdir(tmp_path)
    second = run(folder_of_worker, range(4), n_jobs=2)
    assert {pid for pid, _ in first} & {pid for pid, _ in second}
    assert {folder for _, folder in second} == {str(tmp_path)}


def hold(path: Path) -> None:
    with FileLock(path):
        path.with_suffix(".held").touch()
        time.sleep(120)


def test_workers_end_with_the_process_that_started_them_however_it_ends(tmp_path):
    """SIGKILL too: what they hold is free again long before their work would be done."""
    locks = [tmp_path / f"{k}.lock" for k in range(2)]
    code = f"from pathlib import *; from test_jobs import *; run(hold, {locks}, n_jobs=2)"
    paths = os.pathsep.join((str(ROOT), str(ROOT / "tests")))
    environment = {**os.environ, "PYTHONPATH": paths}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    while not all(path.with_suffix(".held").exists() for path in locks):
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    for path in locks:
        with FileLock(path, timeout=30):
            pass


def test_a_worker_whose_caller_ended_before_its_first_piece_does_not_start_it():
    """It loads torch for seconds, while two pieces wait for it."""
    call = "run_piece(time.sleep, 0, Piece('piece', (5,), False), 1, 0, (-1, '.'))"
    code = f"import time; from pipeline.members.pieces import *; {call}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 1


def test_a_result_is_handed_on_while_others_are_computed(tmp_path):
    """With its number; a failure too. Piece 0 waits until both others have been handed on."""
    handed: list[tuple[int, float | str]] = []

    def keep(i, result):
        handed.append((i, result.label if isinstance(result, Failure) else result))
        if len(handed) == 2:
            (tmp_path / "both").touch()

    arguments = [(tmp_path / "both", 2), (None, 1), (None, 0)]
    calls = [Piece(f"piece {k}", those) for k, those in enumerate(arguments)]
    run_all(halve_once, calls, Jobs(n_jobs=2, threads=1), title="test", on_result=keep)
    assert sorted(handed) == [(0, 1), (1, 0.5), (2, "piece 2")]


def test_a_failing_piece_says_which_and_why_and_the_others_finish(capsys):
    results = run(halve, [2, 0, 4, 0])
    assert results[::2] == [1, 2]
    failure = results[1]
    assert failure.label == "piece 1"
    assert failure.reason == "ZeroDivisionError: nothing to halve"  # in one line
    assert "in halve" in failure.details
    assert results[3].label == "piece 3"
    shown = capsys.readouterr()
    assert re.search(rf"piece 1\b.*{failure.reason}", shown.out + shown.err)


def test_pieces_without_torch_ask_for_no_gpu_and_keep_their_threads_too(monkeypatch):
    monkeypatch.setattr(jobs, "count_gpus", lambda: pytest.fail("asked for GPUs"))
    for threads in (1, 2):
        few, calls = Jobs(n_jobs=1, threads=threads), [Piece("a", (0,), needs_torch=False)]
        assert run_all(threads_of_libraries, calls, few, title="test") == [{threads}]


def test_two_processes_give_the_very_numbers_of_one():
    """And they fail, keep the order and their threads like one, too."""
    alone = run(trained, [1, 2, 3, 1])
    side_by_side = run(trained, [1, 2, 3, 1], n_jobs=2)
    assert side_by_side == alone
    assert alone[0] == alone[3]
    assert alone[0] != alone[1]

    pids, threads, parallel = zip(*run(state_of_worker, range(4), n_jobs=2), strict=True)
    assert os.getpid() not in pids
    assert set(threads) == {1}
    assert set(parallel) == {"false"}  # tokenizers would fork theirs otherwise

    results = run(halve, [3, 0, 1], n_jobs=2)
    assert [results[0], results[2]] == [1.5, 0.5]
    assert isinstance(results[1], Failure)
    assert results[1].reason == "ZeroDivisionError: nothing to halve"


def killed(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_the_system_kills_is_one_line_that_says_what_to_lower():
    with pytest.raises(ValueError, match=r"^[^\n]*jobs\.n_jobs[^\n]*$"):
        run(killed, [1, 2], n_jobs=2)


@pytest.fixture
def threads_of_torch():
    """How many torch uses here; what a test sets is taken back."""
    import torch

    before = torch.get_num_threads()
    yield torch.get_num_threads
    torch.set_num_threads(before)


def test_threads_are_those_that_were_asked_for(threads_of_torch):
    run(halve, [1], threads=3)
    assert threads_of_torch() == 3
    run(halve, [1], threads=None)
    assert threads_of_torch() == 1  # without a GPU


@pytest.fixture
def side_by_side(monkeypatch):
    """How many pieces each run had side by side; here they run one after another."""
    asked = []
    parallel_config = joblib.parallel_config

    def kept(**settings):
        asked.append(settings["n_jobs"])
        return parallel_config(**{**settings, "n_jobs": 1})

    monkeypatch.setattr(jobs.joblib, "parallel_config", kept)
    return asked


def see_gpus(monkeypatch, n_gpus=2):
    monkeypatch.setattr(jobs, "count_gpus", lambda: n_gpus)
    monkeypatch.setattr(pieces, "claim_gpu", lambda n_gpus, folder: None)


def test_n_jobs_null_is_as_many_as_cores(monkeypatch, side_by_side):
    monkeypatch.setattr(jobs.joblib, "cpu_count", lambda: 3)
    run(halve, [1] * 5, n_jobs=None)
    run(halve, [1] * 2, n_jobs=None)  # no more than there are pieces
    see_gpus(monkeypatch)
    run(halve, [1] * 5, n_jobs=None, threads=1)
    assert side_by_side == [3, 2, 2]


@pytest.mark.parametrize(("n_pieces", "n_jobs", "threads"), [(3, 3, 2), (2, None, 4), (1, 4, 8)])
def test_pieces_side_by_side_share_the_cores_however_many_gpus(
    n_pieces, n_jobs, threads, monkeypatch, side_by_side, threads_of_torch
):
    monkeypatch.setattr(jobs.joblib, "cpu_count", lambda: 8)
    see_gpus(monkeypatch)
    run(halve, range(1, n_pieces + 1), n_jobs=n_jobs, threads=None)
    assert threads_of_torch() == threads


@pytest.mark.parametrize(("n_gpus", "asked"), [(0, [5]), (2, [2, 3])])
def test_pieces_without_torch_run_apart_on_all_cores_where_there_are_gpus(
    n_gpus, asked, monkeypatch, side_by_side, threads_of_torch
):
    monkeypatch.setattr(jobs.joblib, "cpu_count", lambda: 8)
    see_gpus(monkeypatch, n_gpus)
    calls = [Piece(f"piece {k}", (k,), needs_torch=k < 3) for k in range(1, 6)]
    assert run_all(halve, calls, Jobs(threads=1), title="test") == [0.5, 1, 1.5, 2, 2.5]
    assert side_by_side == asked


@pytest.fixture
def fresh_workers():
    """Workers that hold no GPU yet, and that nobody uses after the test."""
    get_reusable_executor().shutdown(wait=True)
    yield
    get_reusable_executor().shutdown(wait=True)


def test_a_lone_piece_leaves_all_gpus_to_the_next_run(monkeypatch, fresh_workers):
    """Were it run in this process, its GPU would be the only one that we see from then on."""
    monkeypatch.setattr(jobs, "count_gpus", lambda: 2)
    monkeypatch.setattr(pieces, "_held", [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    ((pid, seen),) = run(gpus_seen, [0], n_jobs=None)
    assert pid != os.getpid()
    assert seen in {"0", "1"}
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert pieces._held == []


# --- claim_gpu

CLAIM = """
import os, sys
from pathlib import Path
from pipeline.members.pieces import claim_gpu
for _ in range(2):  # a worker runs several pieces and keeps its GPU
    claim_gpu(int(sys.argv[1]), Path(sys.argv[2]))
    print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
sys.stdin.read()
"""


def claims(n_workers: int, n_gpus: int, folder: Path, visible: str | None = None) -> list[str]:
    """What CUDA_VISIBLE_DEVICES says in each of some workers that are alive together."""
    environment = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIM, str(n_gpus), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=ROOT,
        )
        for _ in range(n_workers)
    ]
    said = [[worker.stdout.readline().strip() for _ in range(2)] for worker in workers]
    for worker in workers:
        worker.communicate()  # closes its input, at which it ends
    assert all(first == second for first, second in said)
    return [first for first, _ in said]


def test_two_workers_get_a_gpu_each_and_the_third_shares(tmp_path):
    found = claims(3, 2, tmp_path)
    assert set(found) == {"0", "1"}
    locks = list(tmp_path.glob("*.lock"))
    assert len(locks) == 2
    for lock in locks:
        with FileLock(lock).acquire(timeout=0):  # those that ended hold nothing
            pass


def test_workers_stay_among_the_gpus_that_they_are_allowed_to_see(tmp_path):
    assert sorted(claims(2, 2, tmp_path, visible="5,GPU-7a/2")) == ["5", "GPU-7a/2"]


def test_a_single_gpu_needs_no_claim(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    claim_gpu(1, tmp_path)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_somebody_holds_is_left_to_him(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(pieces, "_held", [])
    lock = FileLock(tmp_path / f"text-ensembles-{os.getuid()}-gpu-4.lock")
    with lock:
        claim_gpu(2, tmp_path)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "6"
    (held,) = pieces._held
    held.release()
