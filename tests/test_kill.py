"""SIGKILL at any moment loses at most the unit in training: a second run completes the files.

Stages run in processes that a fork server starts, which has imported what they import before.
"""

import gc
import json
import multiprocessing
import os
import runpy
import shutil
import signal
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
    "training": {"epochs": 3, "batch_size": 4, "max_length": 32, "learning_rate": 1e-3},
    "members": [{"pooling": "mean"}, {"pooling": "attention"}],
    "jobs": {"n_jobs": 1},
}
UNITS = "models/tiny/*/fold*"
RESULTS = ("oof/tiny/[!b]*/*.csv", f"{UNITS}/*.safetensors", f"{UNITS}/oof.csv")  # of members
PATIENCE = 300  # seconds; a busy machine takes long to load torch
UNIT = {"weights.safetensors", "run.json", "oof.csv", "reload_check.json", "train.log"}


def run_stages(
    folder: Path, stages: tuple[str, ...], arguments: tuple[str, ...], end: tuple[str, int] | None
) -> None:
    """`python -m pipeline.<stage>` for each stage, in a session of its own.

    Args:
        end: die before one more call of this function of os: "replace" gives a file its name,
            "rename" a folder.
    """
    os.setsid()
    os.chdir(folder)
    sys.path.insert(0, str(ROOT))
    gc.freeze()  # Trainer collects garbage, through all that is imported
    if end is not None:
        die_after(*end)
    with Path("output.log").open("a") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        for stage in stages:
            sys.argv = [stage, CONFIG, *arguments]
            runpy.run_module(f"pipeline.{stage}", run_name="__main__", alter_sys=True)


def die_after(name: str, n_calls: int) -> None:
    function, named = getattr(os, name), []

    def call_or_die(source, target) -> None:
        if len(named) == n_calls:
            os.kill(os.getpid(), signal.SIGKILL)
        function(source, target)
        named.append(target)

    setattr(os, name, call_or_die)


def start(
    folder: Path, *stages: str, arguments: tuple[str, ...] = (), end: tuple[str, int] | None = None
):
    """The process in which the stages run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline.members.bert.finetune", "pipeline.predict"])
    process = context.Process(target=run_stages, args=(folder, stages, arguments, end))
    process.start()
    return process


def finish(folder: Path) -> None:
    ended(start(folder, "train", "predict"))


def ended(process) -> None:
    process.join(PATIENCE)
    assert process.exitcode == 0, "see output.log"


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, backbone_of):
    """A competition that went through train and predict, and that nobody killed."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    settings = {**SETTINGS, "backbone": str(backbone_of("bert"))}
    write_competition(folder, "regression", n_rows=120, settings=settings)
    ended(start(folder, "make_folds", "train", "predict"))
    return folder


@pytest.fixture
def folder(uninterrupted, tmp_path):
    """The same competition, with nothing but its folds."""
    for part in ("configs", "data", "folds"):
        shutil.copytree(uninterrupted / part, tmp_path / part)
    return tmp_path


def results_of(folder: Path) -> dict[str, bytes]:
    found = sorted(path for pattern in RESULTS for path in folder.glob(pattern))
    assert len(found) == 12
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def units(folder: Path) -> list[Path]:
    return list(folder.glob("models/tiny/*/fold[0-9]"))


def nothing_looks_whole_and_is_not(folder: Path) -> None:
    for unit in units(folder):
        assert {path.name for path in unit.iterdir()} == UNIT
        json.loads((unit / "run.json").read_text())
    for path in folder.glob("oof/tiny/[!b]*/*.csv"):
        assert len(path.read_text().splitlines()) in (121, 21)


def wait_for(condition, process) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.is_alive(), "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)


def kill(process) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.join(10)
    assert process.exitcode == -signal.SIGKILL


MOMENTS = {
    "in the first unit": lambda f: list(f.glob("models/tiny/mean/.fold0.*.tmp/train.log")),
    "once a unit stands": units,
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_that_was_killed_and_run_again_equals_one_that_was_not(moment, folder, uninterrupted):
    process = start(folder, "train")
    wait_for(lambda: MOMENTS[moment](folder), process)
    kill(process)
    assert len(units(folder)) < 4
    goes_on_like(uninterrupted, folder)


@pytest.mark.parametrize("n_folders", [0, 1, 3], ids=["backbone", "first unit", "third unit"])
def test_a_folder_whose_writing_was_killed_is_written_again(n_folders, folder, uninterrupted):
    """Killed when all its files are there and it would get its name."""
    process = start(folder, "train", end=("rename", n_folders))
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    assert len(units(folder)) == max(n_folders - 1, 0)
    goes_on_like(uninterrupted, folder)
    assert not [path for path in folder.glob("models/tiny/*/.*") if path.suffix == ".tmp"]


def goes_on_like(uninterrupted: Path, folder: Path) -> None:
    nothing_looks_whole_and_is_not(folder)
    done = {path: path.stat().st_mtime_ns for unit in units(folder) for path in unit.iterdir()}
    finish(folder)
    assert results_of(folder) == results_of(uninterrupted)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # kept, not trained again


@pytest.mark.parametrize("n_files", [1, 4, 5], ids=["oof", "csv", "json"])
def test_predictions_whose_writing_was_killed_are_written_again(n_files, uninterrupted, tmp_path):
    """Killed when the next file would get its name: of 2 members 2 CSVs with a JSON each."""
    shutil.copytree(uninterrupted, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "oof")
    process = start(tmp_path, "train", "predict", end=("replace", n_files))
    process.join(PATIENCE)
    assert process.exitcode == -signal.SIGKILL
    assert len([p for p in tmp_path.glob("oof/tiny/*/*") if p.name[0] != "."]) == n_files
    nothing_looks_whole_and_is_not(tmp_path)
    finish(tmp_path)
    assert results_of(tmp_path) == results_of(uninterrupted)


def test_two_runs_at_once_give_what_one_gives(folder, uninterrupted):
    shutil.rmtree(folder / "folds")
    stages = ("make_folds", "train", "predict", "blend", "submit", "report")
    both = [start(folder, *stages) for _ in range(2)]
    for process in both:
        ended(process)
    nothing_looks_whole_and_is_not(folder)
    assert results_of(folder) == results_of(uninterrupted)
    assert not list(folder.rglob("*.tmp"))
    board = json.loads((folder / "oof/tiny/leaderboard.json").read_text())
    origin = json.loads((folder / "submissions/tiny/submission.json").read_text())
    assert origin["made_from"] == {**board["made_from"], "method": origin["made_from"]["method"]}
    assert list(folder.glob("reports/tiny/*")) != []


def test_a_run_beside_one_that_is_killed_takes_over_its_unit(folder, uninterrupted):
    first = start(folder, "train")
    wait_for(lambda: MOMENTS["in the first unit"](folder), first)
    second = start(folder, "train", "predict")
    kill(first)
    ended(second)
    assert results_of(folder) == results_of(uninterrupted)
    with FileLock(folder / "models/tiny/mean/.fold0.lock", timeout=0):
        pass  # nobody holds it any more


def test_workers_whose_parent_is_killed_do_no_harm(folder, uninterrupted):
    """Two processes of joblib's give what one gives, and end with the one that started them."""
    process = start(folder, "train", arguments=("--jobs.n_jobs", "2"))
    wait_for(lambda: units(folder), process)
    os.kill(process.pid, signal.SIGKILL)  # not its workers
    nothing_looks_whole_and_is_not(folder)
    finish(folder)
    assert results_of(folder) == results_of(uninterrupted)
