"""Who made a file: command line, commit, versions, machine."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("torch", "transformers", "scikit-learn", "lightgbm", "pandas", "numpy")


def provenance(command: str | None = None) -> dict[str, Any]:
    """What to write beside a result so that it can be made again.

    Args:
        command: the command line that made it; None: this process's own.
    """
    return {
        "command": command or command_line(),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": f"{platform.machine()} {platform.system()}",
    }


def command_line() -> str:
    """How this process was started; in a worker of joblib, joblib's own words."""
    return " ".join(["python", "-m", _module(), *sys.argv[1:]])


def _version(package: str) -> str | None:
    """None where it is not installed: what only reads predictions needs no torch."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _module() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name if spec is not None else sys.argv[0]


def _git_commit() -> str | None:
    """The commit of the checkout, with + behind it where files differ; None outside of one."""
    try:
        commit = _git("rev-parse", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()
