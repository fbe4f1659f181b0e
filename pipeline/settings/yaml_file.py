"""A YAML file as Python values: PyYAML's safe loader, with errors that fit one line.

Unlike in PyYAML, 1e-4 is a number, 007 and 2024_01 are words, and a repeated key is an error.
"""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from pipeline.files.messages import short

TAG = "tag:yaml.org,2002:"


def read_yaml(path: Path) -> dict[Any, Any]:
    """The keys and values of a file; a FileNotFoundError or ValueError if it has none."""
    if not path.is_file():
        known = {
            p.stem: p for folder in ("configs", path.parent) for p in Path(folder).glob("*.y*ml")
        }
        near = [known[name] for name in get_close_matches(path.stem, known, n=1)]
        hint = f"did you mean {near[0]}? " if near else ""
        raise FileNotFoundError(
            f"{path}: no such config; {hint}see the folder configs/ for examples"
        )
    try:
        settings = parse_yaml(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = f"{error.reason} at byte {error.start}"
        raise ValueError(f"{path}: not UTF-8 ({problem}); save it as UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: should hold settings (key: value), got {short(settings)}")
    return settings


def parse_yaml(text: str) -> object:
    """The value of a YAML text; raises a ValueError of one line if it is not valid."""
    try:
        return yaml.load(text, _Loader)
    except Exception as error:  # not only a YAMLError: 2020-99-99 looks like a date but is none
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ValueError(line + " ".join(problem.split())) from None


class _Loader(yaml.SafeLoader):
    """The safe loader, for which a repeated key is an error."""

    # PyYAML knows YAML 1.1 only, where 1e-4 is a word, and 007, 0x10, 1_000, 12:30 are numbers
    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{TAG}int"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{TAG}merge":
                continue
            if key.value in keys:
                problem = f"key {short(key.value)} is given twice; remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            keys.add(key.value)
        return node


_Loader.add_implicit_resolver(f"{TAG}int", re.compile(r"^(0|-?[1-9][0-9]*)$"), None)
_Loader.add_implicit_resolver(
    f"{TAG}float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), None
)
