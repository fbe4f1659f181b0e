"""SIGKILL at any moment loses at most the unit in flight: run again, all is as if never killed.

Stages run in processes that a fork server starts, which has imported torch before.
"""

import json
import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import write_competition
from filelock import FileLock

ROOT = Path(__file__).parents[1]
CONFIG = "configs/tiny.yaml"
SETTINGS = {
    "folds": {"n": 2},
    "training": {"epochs": 6, "batch_size": 4, "max_length": 32, "learning_rate": 1e-3},
    "members": [{"pooling": "mean"}, {"pooling": "attention"}],
    "jobs": {"n_jobs": 1},
}
RESULTS = ("oof/tiny/*/*.csv", "models/tiny/*/fold*/*.safetensors", "models/tiny/*/fold*/oof.csv")
UNIT = {"weights.safetensors", "run.json", "oof.csv", "parity.json", "train.log"}


def run_stage(folder: Path, stage: str) -> None:
    """`python -m pipeline.<stage>` in a session of its own."""
    os.setsid()
    os.chdir(folder)
    sys.argv = ["-m", CONFIG]
    with Path("output.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)


@pytest.fixture(scope="module")
def start():
    """Start a stage in a folder; its process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.bert.unit", "test_kill"])

    def started(folder: Path, stage: str = "train") -> multiprocessing.Process:
        process = context.Process(target=run_stage, args=(folder, stage))
        process.start()
        return process

    return started


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, backbone_of):
    """A competition with its folds."""
    folder = tmp_path_factory.mktemp("prepared")
    settings = {**SETTINGS, "backbone": str(backbone_of("bert"))}
    write_competition(folder, "regression", n_rows=120, settings=settings)
    command = [sys.executable, "-m", "pipeline.make_folds", CONFIG]
    subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)
    return folder


@pytest.fixture
def folder(prepared, tmp_path):
    shutil.copytree(prepared, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture(scope="module")
def uninterrupted(prepared, start, tmp_path_factory):
    """The results of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    finish(folder, start)
    return results_of(folder)


def results_of(folder: Path) -> dict[str, bytes]:
    found = sorted(path for pattern in RESULTS for path in folder.glob(pattern))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def finish(folder: Path, start) -> None:
    for stage in ("train", "predict"):
        process = start(folder, stage)
        process.join(120)
        assert process.exitcode == 0, (folder / "output.log").read_text()


def units(folder: Path) -> list[Path]:
    return list(folder.glob("models/tiny/*/fold[0-9]"))


def nothing_looks_whole_and_is_not(folder: Path) -> None:
    for unit in units(folder):
        assert {path.name for path in unit.iterdir()} == UNIT
        json.loads((unit / "run.json").read_text())
    for path in folder.glob("oof/tiny/*/*.csv"):
        assert len(path.read_text().splitlines()) in (121, 21)


def wait_for(condition, process) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.is_alive(), "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def kill(process) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.join(10)
    assert process.exitcode == -signal.SIGKILL


MOMENTS = {
    "while the backbone is copied": lambda f: list(f.glob("models/tiny/backbones/.*")),
    "in the first unit": lambda f: list(f.glob("models/tiny/mean/.fold0.*.tmp/train.log")),
    "once a unit stands": units,
    "while a unit is written": lambda f: list(f.glob("models/tiny/attention/.fold0.*.tmp/*.csv")),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_and_run_again_equals_one_that_was_not(
    moment, folder, start, uninterrupted
):
    process = start(folder)
    wait_for(lambda: MOMENTS[moment](folder), process)
    kill(process)
    n_done = len(units(folder))
    assert n_done < 4
    nothing_looks_whole_and_is_not(folder)
    done = {path: path.stat().st_mtime_ns for unit in units(folder) for path in unit.iterdir()}

    finish(folder, start)
    assert results_of(folder) == uninterrupted
    assert {path: path.stat().st_mtime_ns for path in done} == done  # kept, not trained again
    assert not [path for path in folder.rglob("*.tmp")]


def test_predict_that_was_killed_and_run_again_equals_one_that_was_not(
    folder, start, uninterrupted
):
    process = start(folder)
    process.join(120)
    process = start(folder, "predict")
    wait_for(
        lambda: (
            list(folder.glob("oof/tiny/mean/.test.*"))
            or list(folder.glob("oof/tiny/mean/test.csv"))
        ),
        process,
    )
    kill(process)
    nothing_looks_whole_and_is_not(folder)
    finish(folder, start)
    assert results_of(folder) == uninterrupted


def test_two_runs_at_once_give_what_one_gives(folder, start, uninterrupted):
    both = [start(folder) for _ in range(2)]
    for process in both:
        process.join(120)
        assert process.exitcode == 0, (folder / "output.log").read_text()
    nothing_looks_whole_and_is_not(folder)
    finish(folder, start)
    assert results_of(folder) == uninterrupted
    assert not [path for path in folder.rglob("*.tmp")]


def test_a_run_beside_one_that_is_killed_takes_over_its_unit(folder, start, uninterrupted):
    first = start(folder)
    wait_for(lambda: MOMENTS["in the first unit"](folder), first)
    second = start(folder)
    time.sleep(0.2)
    kill(first)
    second.join(120)
    assert second.exitcode == 0
    finish(folder, start)
    assert results_of(folder) == uninterrupted
    with FileLock(folder / "models/tiny/mean/.fold0.lock", timeout=0):
        pass  # nobody holds it any more


def test_workers_side_by_side_give_what_one_gives_even_if_all_are_killed(
    folder, start, uninterrupted
):
    """As `python -m pipeline.train`, with two processes of joblib's."""
    command = [sys.executable, "-m", "pipeline.train", CONFIG, "--jobs.n_jobs", "2"]
    with (folder / "output.log").open("a") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
            stdout=log,
            stderr=log,
        )
    while not units(folder):
        assert process.poll() is None, (folder / "output.log").read_text()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 1 <= len(units(folder)) < 4
    nothing_looks_whole_and_is_not(folder)
    finish(folder, start)
    assert results_of(folder) == uninterrupted
