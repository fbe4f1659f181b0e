"""Locks: one process at a time, a wait that is told once, and nothing that outlives its process."""

import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import conftest
import pytest
from conftest import write_competition

from pipeline.files.lock import competition_locked, folder_lock

ROOT = Path(__file__).parents[1]
WRITING = ("make_folds", "train", "predict", "blend", "submit", "infer", "report")
PATIENCE = 60  # seconds
HOLD = """
import sys, time
from pathlib import Path
from pipeline.files.lock import competition_locked
with competition_locked("tiny"):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(workplace):
    """A process that holds the lock of the competition `tiny`."""
    command = [sys.executable, "-c", HOLD]
    with subprocess.Popen(
        command, env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def in_thread(function) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


def wait_for(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("stage", WRITING)
def test_a_stage_waits_for_another_of_its_competition_and_says_so_once(stage, workplace, capfd):
    write_competition(workplace, "regression")

    def main() -> None:
        with suppress(SystemExit):  # most stages lack the files of the stage before
            conftest.stage(stage)

    told = []

    def has_told() -> bool:
        told.append(capfd.readouterr().out)
        return "waiting" in told[-1]

    with competition_locked("tiny"):
        waiting = in_thread(main)
        wait_for(has_told)
        time.sleep(0.2)
        assert waiting.is_alive()
        assert not Path("folds/tiny.csv").exists()
        told.append(capfd.readouterr().out)
    waiting.join(PATIENCE)
    assert not waiting.is_alive()
    assert re.fullmatch(r"waiting: python .*\(process \d+\) works on tiny\n", "".join(told))


def test_a_process_that_is_killed_leaves_nothing_locked(holder, capsys):
    holder.kill()
    holder.wait()
    with competition_locked("tiny"):
        pass
    assert capsys.readouterr().out == ""


def test_the_line_names_the_process_that_holds_the_lock(holder, capsys):
    def wait() -> None:
        with competition_locked("tiny"):
            pass

    waiting = in_thread(wait)
    wait_for(lambda: f"(process {holder.pid}) works on tiny\n" in capsys.readouterr().out)
    assert waiting.is_alive()
    holder.kill()
    waiting.join(PATIENCE)
    assert not waiting.is_alive()


def test_an_error_under_the_lock_frees_it(workplace, capsys):
    with pytest.raises(RuntimeError, match="half"), competition_locked("tiny"):
        raise RuntimeError("half")
    with competition_locked("tiny"), competition_locked("other"):
        pass
    assert capsys.readouterr().out == ""


REMAINS = (
    "oof/tiny/.leaderboard.csv.0123abcd.tmp",
    "oof/tiny/mean/.oof.csv.0123abcd.tmp",
    "submissions/tiny/.submission.json.0123abcd.tmp",
    "reports/tiny/.index.html.0123abcd.tmp",
    "folds/.tiny.csv.0123abcd.tmp",
    "folds/.tiny.json.0123abcd.tmp",
    "models/tiny/backbones/.0123456789ab.0123abcd.tmp/model.safetensors",
    "models/tiny/mean/.fold0.0123abcd.tmp/run.json",
)
OTHERS = (
    "oof/other/mean/.oof.csv.0123abcd.tmp",
    "folds/.tiny.csv.csv.0123abcd.tmp",  # of a competition that is called tiny.csv
    "oof/tiny/mean/.notes.tmp",
    "oof/tiny/mean/oof.csv.0123abcd.tmp",
    "models/tiny/mean/.fold1.0123abcd.tmp/run.json",  # its worker has outlived the stage
)


def test_a_stage_removes_what_killed_stages_left_and_nothing_else(workplace):
    for name in (*REMAINS, *OTHERS):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    with folder_lock(Path("models/tiny/mean/fold1")), competition_locked("tiny"):
        assert [name for name in REMAINS if Path(name).exists()] == []
        assert [name for name in OTHERS if not Path(name).exists()] == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="which processes live is not known")
def test_arrays_that_a_killed_stage_shared_with_its_workers_are_removed(
    holder, tmp_path, monkeypatch
):
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))
    left, others = (
        tmp_path / f"joblib_memmapping_folder_{process}_0123_4567" / "array.pkl"
        for process in (holder.pid, os.getpid())
    )
    for path in (left, others):
        path.parent.mkdir()
        path.touch()
    holder.kill()
    holder.wait()
    with competition_locked("tiny"):
        assert not left.parent.exists()
        assert others.exists()
