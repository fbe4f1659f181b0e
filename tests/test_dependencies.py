"""What pipeline/ imports is pinned in requirements.txt and bounded in pyproject.toml."""

import ast
import re
import sys
import tomllib
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BOUNDS = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["dependencies"])}
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.M
    )
}


def imported_modules() -> set[str]:
    """The top-level modules that pipeline/ imports anywhere, functions included."""
    modules: set[str] = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    return modules


@cache
def modules_of(package: str) -> set[str]:
    """The top-level modules that a package brings."""
    return {file.parts[0].removesuffix(".py") for file in distribution(package).files or []}


OPTIONAL = set(PROJECT["optional-dependencies"])  # an extra has the name of the module it brings
THIRD_PARTY = imported_modules() - set(sys.stdlib_module_names) - {"pipeline"} - OPTIONAL


@pytest.mark.parametrize("module", sorted(THIRD_PARTY))
def test_an_imported_package_is_pinned_and_bounded(module):
    assert any(module in modules_of(package) for package in PINS.keys() & BOUNDS.keys())


def test_both_files_name_the_same_packages():
    assert PINS.keys() == BOUNDS.keys()


@pytest.mark.parametrize("package", sorted(BOUNDS))
def test_a_pin_satisfies_its_lower_bound(package):
    assert re.fullmatch(r">=[\d.]+", str(BOUNDS[package].specifier))
    assert BOUNDS[package].specifier.contains(PINS[package])
