"""SIGTERM and Ctrl-C: one line, the exit code of the signal, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import hear_interrupts, write_competition

ROOT = Path(__file__).parents[1]
PATIENCE = 120  # seconds; a busy machine takes long to load torch
LOGGED_SOON = {"logging_steps": 1}  # a log says that a worker trains
SETTINGS = {
    "folds": {"n": 2},
    "training": {"epochs": 5000, "batch_size": 4, "max_length": 32, "trainer": LOGGED_SOON},
    "jobs": {"n_jobs": 2},
}
# a member that trains for minutes, and a file of a unit that says that it does
FINE_TUNED = {"pooling": "mean", "name": "slow"}, "train.log"
CLASSIC = {"model": "lightgbm_text", "name": "slow", "options": {"rounds": 1_000_000}}, ""
UNITS = Path("models/tiny/slow")


def session_of(pid: str) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[3])
    except OSError:  # it has ended
        return None


def processes_in(session: int) -> list[str]:
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and session_of(pid) == session]


def wait_until(condition) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def training(request, workplace, tiny_backbone):
    """A run of all stages whose two workers are training, in a session of its own."""
    member, file = request.param
    settings = {**SETTINGS, "members": [member], "backbone": str(tiny_backbone)}
    config = write_competition(workplace, "regression", settings=settings)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", str(config)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_interrupts,
    )
    wait_until(lambda: len(list(UNITS.glob(f".fold*.tmp/{file}"))) == 2)
    yield process
    if processes_in(process.pid):
        os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="sessions are read from /proc")
@pytest.mark.parametrize(
    ("training", "number", "code"),
    [(FINE_TUNED, signal.SIGTERM, 143), (CLASSIC, signal.SIGINT, 130)],
    ids=["fine-tuned", "classic"],
    indirect=["training"],
)
def test_a_signal_stops_the_workers_with_one_line_and_leaves_nothing(training, number, code):
    if number == signal.SIGINT:  # Ctrl-C reaches all processes of the terminal
        os.killpg(training.pid, number)
    else:
        training.send_signal(number)
    _, told = training.communicate(timeout=PATIENCE)
    assert training.returncode == code
    lines = [line for line in told.replace("\r", "\n").splitlines() if "unit" not in line]
    assert [line for line in lines if line.strip()] == [
        "stopped; finished work is kept, and the same command goes on from there"
    ]
    wait_until(lambda: not processes_in(training.pid))
    assert not list(UNITS.glob("fold*"))
