"""Provenance of a file: command line, commit, versions, machine."""

import platform
import re
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "transformers", "scikit-learn", "lightgbm", "pandas", "numpy")


def provenance() -> dict[str, object]:
    """The record that a result needs to be made again."""
    return {
        "command": command_line(),
        "git_commit": _git_commit(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "machine": f"{platform.machine()} {platform.system()}",
    }


def not_as_pinned(requirements: Path) -> list[str]:
    """Each package that is missing or has another version than `requirements` pins, in words."""
    lines = requirements.read_text("utf-8") if requirements.is_file() else ""
    differ = []
    for package, pin in re.findall(r"^([\w.-]+)==(\S+)", lines, re.MULTILINE):
        installed = _version(package)
        if installed is None or installed.partition("+")[0] != pin:  # torch's builds: 2.13.0+cpu
            differ.append(f"{package} {installed or 'missing'} ({pin})")
    return differ


def command_line() -> str:
    """The command line of this process; in a joblib worker, that of joblib."""
    return " ".join([program(), *map(shlex.quote, sys.argv[1:])])


def program() -> str:
    """The command of this process without its words, such as `python -m pipeline.blend`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    own = ["-m", spec.name.removesuffix(".__main__")] if spec is not None else sys.argv[:1]
    return shlex.join(["python", *own])


def _version(package: str) -> str | None:
    """None if it is not installed; stages that only read predictions need no torch."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The checked-out commit, with "+" if files differ; None outside a repository."""
    describe = ["git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty=+"]
    try:
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
