"""scripts/environment.sh uses a Python that has the pins, or makes or repairs .venv."""

import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.files.provenance import command_line, not_as_pinned

SCRIPTS = Path(__file__).parents[1] / "scripts"
USE = 'cd "$1"; source scripts/environment.sh; use_environment requirements.txt; echo "$PYTHON"'
OWN_PIN = f"pytest=={pytest.__version__}"


@pytest.fixture
def use(tmp_path):
    """Run `use_environment` in "my project" from another folder; pip finds tiny 1 and 2 only."""
    project = tmp_path / "my project"
    shutil.copytree(SCRIPTS, project / "scripts")
    for version in "12":
        with zipfile.ZipFile(tmp_path / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
            about = {"METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"}
            about |= {"WHEEL": "Wheel-Version: 1.0\nTag: py3-none-any\n", "RECORD": ""}
            for name, text in about.items():
                wheel.writestr(f"tiny-{version}.dist-info/{name}", text)

    def run(pin: str, python3: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        (project / "requirements.txt").write_text(f"# pins\n{pin}\n")
        (tmp_path / "python3").write_text(f'#!/bin/bash\n{python3}\nexec "{sys.executable}" "$@"')
        (tmp_path / "python3").chmod(0o755)
        variables |= {"PATH": f"{tmp_path}:/usr/bin:/bin", "PIP_CONFIG_FILE": "/dev/null"}
        variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
        command = ["bash", "-euo", "pipefail", "-c", USE, "use", str(project)]
        return subprocess.run(command, cwd="/", env=variables, capture_output=True, text=True)

    return run


def test_a_python3_that_has_the_pins_is_used_with_and_without_an_active_environment(use, tmp_path):
    assert use(OWN_PIN).stdout == f"{tmp_path}/python3\n"
    assert use(OWN_PIN, VIRTUAL_ENV="active").stdout == f"{tmp_path}/python3\n"


def test_a_venv_is_made_once_and_mended_and_made_anew_where_a_run_was_killed(use, tmp_path):
    venv = tmp_path / "my project" / ".venv"
    made, mended = ["making", "installing", "python"], ["installing", "python"]

    def steps(pin: str, **variables: str) -> list[str]:
        lines = use(pin, **variables).stdout.replace("environment: ", "").splitlines()
        assert lines.pop() == f"{venv}/bin/python"
        return [line.split()[0] for line in lines] + ["python"]

    assert steps("tiny==1", PIP_USER="1") == made
    assert steps("tiny==1") == ["python"]
    assert steps("tiny==2") == mended
    failed = use("tiny==3")
    assert failed.returncode == 2
    assert re.match(r"error: .*\bpip\b", failed.stderr.splitlines()[-1])
    assert steps("tiny==2", VIRTUAL_ENV="active") == ["using", "python"]
    (venv / "installing").write_text("99999999")  # a process id that no system gives
    assert steps("tiny==2") == made


def test_two_first_runs_at_once_make_one_venv(use, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        runs = [run.result() for run in [pool.submit(use, "tiny==1"), pool.submit(use, "tiny==1")]]
    assert [run.returncode for run in runs] == [0, 0]
    venv = f"{tmp_path}/my project/.venv/bin/python"
    steps = sorted([line.split()[1] for line in run.stdout.splitlines()[:-1]] for run in runs)
    assert steps == [["making", "installing"], ["waiting"]]
    assert {run.stdout.splitlines()[-1] for run in runs} == {venv}


def test_an_old_python_is_named_in_one_line(use):
    done = use("tiny==1", "[ $1 = --version ] && echo Python 3.8.1; exit 1")
    assert done.returncode == 2
    assert re.search(r"\b3\.11\b.*\b3\.8\.1\b", done.stderr)
    assert done.stderr.count("\n") == 1


def test_a_missing_libgomp_is_named_with_the_fix(use):
    done = use(OWN_PIN, "[[ $2 != *libgomp* ]] || exit 1")
    assert done.returncode == 2
    assert "apt-get install libgomp1" in done.stderr


def test_packages_that_differ_from_the_pins_are_named_with_both_versions(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text(f"# pins\n{OWN_PIN}\nnumpy==0.1  # old\nno-such-package==2.0\n")
    numpy, missing = not_as_pinned(path)
    assert re.fullmatch(r"numpy \d+\.\d+\.\d+ \(0\.1\)", numpy)
    assert missing == "no-such-package missing (2.0)"
    assert not_as_pinned(tmp_path / "none.txt") == []


@pytest.mark.parametrize(
    ("spec", "program"),
    [(SimpleNamespace(name="pipeline.__main__"), ["-m", "pipeline"]), (None, ["a file.py"])],
    ids=["module", "file"],
)
def test_the_command_on_record_can_be_run_again(spec, program, monkeypatch):
    words = ["configs/a.yaml", "--data.text", "full text", "--training.lora", "{rank: 8}"]
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
    for typed in (words, []):
        monkeypatch.setattr(sys, "argv", ["a file.py", *typed])
        assert command_line() == shlex.join(["python", *program, *typed])
