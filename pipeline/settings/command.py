"""A stage's command line: the YAML, the overrides, the one-line errors."""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, get_args

import yaml
from pydantic import BaseModel, ValidationError

from pipeline.settings.config import Config
from pipeline.settings.errors import in_plain_words, short
from pipeline.settings.members import KINDS, Training

FLAGS: dict[str, dict[str, Any]] = {
    "overwrite": {
        "action": "store_true",
        "default": False,
        "help": "redo what was made with other settings, replacing it",
    },
    "predictor": {
        "metavar": "NAME",
        "default": None,
        "help": "the predictor to submit; without it, the one that blend chose",
    },
}

YAML_NULLS = ("null", "Null", "NULL", "~")  # of YAML 1.2; `none` is a word there


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn a complaint about the user's input into one line and exit code 2."""
    try:
        yield
    except (ValueError, OSError) as error:
        # a name in the message may hold a line break, or what moves a terminal's cursor
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(error))
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2) from None


def parse(
    doc: str | None, argv: Sequence[str] | None, *flags: str
) -> tuple[Config, argparse.Namespace]:
    """Read the config that a stage's command line names, with its overrides.

    Args:
        doc: the stage's docstring, shown by `--help`.
        flags: the names in `FLAGS` that this stage has.
    Returns:
        The config, its members filtered by `--members`, and the values of the flags.
    Raises:
        ValueError: the YAML, a setting or an override is not as it must be.
        FileNotFoundError: there is no such YAML.
    """
    parser = _parser(doc, flags)
    known, unknown = parser.parse_known_args(argv)
    if unknown:
        flag = unknown[0].partition("=")[0]
        near = difflib.get_close_matches(flag, parser._option_string_actions, n=1)
        hint = f"did you mean {near[0]}?" if near else "see --help"
        raise ValueError(f"unknown argument {flag!r}; {hint}")
    given = vars(known)
    path = given.pop("config")
    members = given.pop("members", None)
    own = argparse.Namespace(**{flag: given.pop(flag) for flag in flags})
    config = load_config(Path(path), given)
    return (_keep_members(config, members) if members else config), own


def load_config(path: Path, overrides: dict[str, Any] | None = None) -> Config:
    """The validated config of `path`; `overrides` maps dotted keys to values."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such config; see the folder configs/ for examples")
    try:
        settings = yaml.load(path.read_text(encoding="utf-8-sig"), _Loader)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    except (yaml.YAMLError, RecursionError, *UNCAUGHT_BY_YAML) as error:
        raise ValueError(f"{path}: not valid YAML: {_yaml_problem(error)}") from None
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: should hold settings (key: value), got {short(settings)}")
    for key, value in (overrides or {}).items():
        _override(settings, key, value)
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"{path}: {in_plain_words(error)}") from None


# what PyYAML lets through when a word looks like a number or a date and is none, as 2020-99-99
UNCAUGHT_BY_YAML = (ValueError, AttributeError, TypeError, OverflowError)


class _Loader(yaml.SafeLoader):
    """YAML where 1e-4 is a number and a repeated key is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys: list[object] = []
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, list | dict):
                problem = f"a key must be a word, got {short(key)}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            if key in keys:
                problem = f"key {key!r} is given twice"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            keys.append(key)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), None
)


def _yaml_problem(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}: " if mark else ""
    return line + " ".join((getattr(error, "problem", None) or str(error)).split())


def _override(settings: dict[str, Any], key: str, value: object) -> None:
    *sections, last = key.split(".")
    for section in sections:
        settings = settings.setdefault(section, {})
        if not isinstance(settings, dict):
            return  # the config's own error about this section says it better
    settings[last] = value


def _keep_members(config: Config, names: Sequence[str]) -> Config:
    known = [m.name for m in config.members]
    for name in names:
        if name not in known:
            raise ValueError(f"--members: no member {name!r}; choose among: {', '.join(known)}")
    kept = tuple(m for m in config.members if m.name in names)
    return config.model_copy(update={"members": kept})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see --help")


def _parser(doc: str | None, flags: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        description=doc,
        epilog=_about_members(),
        usage="%(prog)s configs/COMPETITION.yaml [--SETTING VALUE ...]",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("config", help="YAML of the competition, such as configs/tweets.yaml")
    parser.add_argument("--members", nargs="+", metavar="NAME", help="only these members")
    for flag in flags:
        parser.add_argument(f"--{flag}", **FLAGS[flag])
    top = parser.add_argument_group("competition")
    for name, field in Config.model_fields.items():
        if name == "members":
            continue
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            group = parser.add_argument_group(name)
            for key, inner in section.model_fields.items():
                _add_setting(group, f"{name}.{inner.alias or key}", inner)
        else:
            _add_setting(top, name, field)
    return parser


def _about_members() -> str:
    """Members stand in the YAML only; what one may hold is listed all the same."""
    about = []
    for kind, section in KINDS.items():
        fields = section.model_fields.items()
        own = [f"{n}: {field.description}" for n, field in fields if n not in Training.model_fields]
        about.append(f"{kind} ones with " + "; ".join(own).replace("%", "%%"))
    return "members, in the YAML: a list; " + ", and any key of training; ".join(about) + "."


def _add_setting(group: Any, key: str, field: Any) -> None:
    kind = str(field.annotation)
    default = "needed" if field.is_required() else f"default {field.get_default()}"
    group.add_argument(
        f"--{key}",
        nargs="*" if "tuple" in kind else None,
        type=_mapping if "dict" in kind else _null_or_text,
        metavar=_metavar(field.annotation),
        help=f"{field.description} ({default})".replace("%", "%%"),
    )


def _metavar(annotation: object) -> str | None:
    words = [a for a in get_args(annotation) if isinstance(a, str)]
    return "|".join(words) if words else "VALUE"


def _mapping(text: str) -> object:
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, *UNCAUGHT_BY_YAML):
        raise argparse.ArgumentTypeError(f"not valid YAML: {text!r}") from None


def _null_or_text(text: str) -> str | None:
    return None if text in YAML_NULLS else text
