"""A YAML file as Python values: PyYAML's safe loader, with errors that fit one line.

Unlike in PyYAML, 1e-4 is a number, and repeated keys are errors, as are aliases that expand to more
values than a config can have.
"""

import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from pipeline.files.messages import short

MOST_VALUES = 100_000  # a config of a thousand members has about ten thousand
MERGE = "tag:yaml.org,2002:merge"  # the key <<

# PyYAML's errors about words that look like a number or a date but are none, as 2020-99-99
UNCAUGHT_BY_YAML = (ValueError, AttributeError, TypeError, OverflowError)


def read_yaml(path: Path) -> dict[Any, Any]:
    """The keys and values of a file; a FileNotFoundError or ValueError if it has none."""
    if not path.is_file():
        near = get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], n=1)
        hint = f"did you mean {path.with_name(near[0])}? " if near else ""
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
    except (yaml.YAMLError, RecursionError, *UNCAUGHT_BY_YAML) as error:
        raise ValueError(_problem(error)) from None


class _Loader(yaml.SafeLoader):
    """The safe loader, with a check of all nodes before they become values."""

    def get_single_data(self) -> Any:
        node = self.get_single_node()
        if node is None:
            return None
        self._check(node, {})
        return self.construct_document(node)

    def _check(self, node: yaml.Node, n_values: dict[yaml.Node, int]) -> int:
        """The number of values in a node with every alias expanded.

        Args:
            n_values: the results for earlier nodes, 0 for those that contain this node.
        Raises:
            yaml.MarkedYAMLError: too many values, or a key is repeated or no word.
        """
        if node in n_values:  # an alias
            if n_values[node] == 0:
                raise _marked("an alias is inside the value that it names", node)
            return n_values[node]
        n_values[node] = 0
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            self._check_keys(node)
            parts = [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            parts = node.value
        n_values[node] = 1 + sum(self._check(part, n_values) for part in parts)
        if n_values[node] > MOST_VALUES:
            problem = f"more than {MOST_VALUES:,} values, with every alias expanded; shorten it"
            raise _marked(problem, node)
        return n_values[node]

    def _check_keys(self, node: yaml.MappingNode) -> None:
        keys: set[object] = set()
        for key_node, _ in node.value:
            if key_node.tag == MERGE:
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._check(key_node, {})
                key = short(self.construct_object(key_node, deep=True))
                raise _marked(f"a key must be a word, got {key}", key_node)
            key = self.construct_object(key_node)
            if key in keys:
                raise _marked(f"key {short(key)} is given twice; remove one", key_node)
            keys.add(key)


# PyYAML knows YAML 1.1 only, where 1e-4 is a word
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), None
)


def _marked(problem: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)


def _problem(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "values are nested too deeply"
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}: " if mark else ""
    words = " ".join((getattr(error, "problem", None) or str(error)).split())
    return line + (words if len(words) <= 200 else words[:197] + "...")
