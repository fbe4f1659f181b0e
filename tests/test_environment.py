"""scripts/environment.sh names what the machine lacks before anything long starts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "environment.sh"
TOOLS = ("cat", "cksum", "dirname", "env", "rm", "touch")


@pytest.fixture
def use(tmp_path):
    """Run `use_environment requirements.txt` in an empty folder; a fake python3 comes first."""
    (tmp_path / "bin").mkdir()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    (tmp_path / "requirements.txt").write_text("# pins\npytest==0.0.1\n")

    def run(python3: str | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        if python3 is not None:
            fake = tmp_path / "bin" / "python3"
            fake.write_text("#!/bin/bash\n" + python3)
            fake.chmod(0o755)
        return subprocess.run(
            ["/bin/bash", "-c", f"source {SCRIPT}; use_environment requirements.txt; echo $PYTHON"],
            cwd=tmp_path,
            env={"PATH": str(tmp_path / "bin"), "HOME": os.environ["HOME"], **variables},
            capture_output=True,
            text=True,
        )

    return run


def active_environment(folder: Path) -> str:
    """A folder like an active virtual environment's, with the Python that runs the tests."""
    (folder / "active" / "bin").mkdir(parents=True)
    (folder / "active" / "bin" / "python").symlink_to(sys.executable)
    return str(folder / "active")


def test_no_python_is_named_with_the_fix(use):
    done = use()
    assert done.returncode == 2
    assert "python3 not found; install Python 3.11 or newer" in done.stderr


def test_an_old_python_is_named_with_its_version(use):
    done = use('[ "$1" = --version ] && echo Python 3.8.1; exit 1')
    assert done.returncode == 2
    assert "Python 3.8.1 is too old; install Python 3.11 or newer" in done.stderr


def test_a_missing_libgomp_is_named_with_the_fix(use):
    done = use('[ "$1" = -c ]')  # the check of libgomp is the one that comes as standard input
    assert done.returncode == 2
    assert "LightGBM needs libgomp.so.1; install it, on Debian: apt-get install" in done.stderr


def test_a_python_without_pip_is_named_with_the_fix(use):
    done = use('case "$2" in *ensurepip*) exit 1;; esac')
    assert done.returncode == 2
    assert "no pip to give; install it, on Debian: apt-get install python3-venv" in done.stderr


def test_an_active_environment_that_meets_the_pins_is_used(use, tmp_path):
    (tmp_path / "requirements.txt").write_text(f"pytest=={pytest.__version__}\n")
    active = active_environment(tmp_path)
    # a symbolic link to the tests' Python finds the tests' packages by this variable only
    done = use(VIRTUAL_ENV=active, PYTHONPATH=os.pathsep.join(sys.path))
    assert done.stdout.strip() == f"{active}/bin/python", done.stderr


def test_an_active_environment_with_other_versions_is_passed_over_and_said_so(use, tmp_path):
    active = active_environment(tmp_path)
    paths = os.pathsep.join(sys.path)
    done = use("exit 1", VIRTUAL_ENV=active, PYTHONPATH=paths)
    assert f"pytest is {pytest.__version__}, should be 0.0.1" in done.stdout
    assert "using .venv instead" in done.stdout


def stamped_environment(folder: Path, python: str) -> None:
    """A .venv that was made for the requirements, with a Python that is this script."""
    bin_ = folder / ".venv" / "bin"
    bin_.mkdir(parents=True)
    (bin_ / "python").write_text(f"#!/bin/bash\n{python}")
    (bin_ / "python").chmod(0o755)
    requirements = (folder / "requirements.txt").read_bytes()
    stamp = subprocess.run(["cksum"], input=requirements, capture_output=True).stdout
    (folder / ".venv" / ".installed-requirements.txt").write_bytes(stamp)


def test_an_environment_that_lost_a_pin_is_mended_and_said_so(use, tmp_path):
    stamped_environment(tmp_path, "cat >/dev/null; echo called with $*; [ $1 != - ]")
    done = use("exit 0")
    assert ".venv does not meet the pins any more (called with - requirements.txt)" in done.stdout
    assert "installing requirements.txt into .venv" in done.stdout
    assert done.returncode == 0


def test_an_environment_that_was_never_finished_is_made_anew(use, tmp_path):
    stamped_environment(tmp_path, "[ $2 != pip ]")
    (tmp_path / ".venv" / ".installed-requirements.txt").unlink()
    done = use("echo python3 $*")
    assert "python3 -m venv --clear .venv" in done.stdout


def test_pip_is_skipped_where_the_stamp_is_that_of_the_requirements(use, tmp_path):
    stamped_environment(tmp_path, "[ $1 = - ] && exit; echo called with $*; exit 1")
    done = use("exit 0")
    assert done.stdout.strip() == f"{tmp_path}/.venv/bin/python"

    (tmp_path / "requirements.txt").write_text("pytest==0.0.2\n")
    done = use()
    assert "called with -m pip install" in done.stdout
    assert done.returncode == 2
    assert "pip could not install requirements.txt" in done.stderr
