"""A stage's command line: the YAML, the settings typed behind it, and errors of one line."""

import argparse
import difflib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pipeline.files.messages import short
from pipeline.settings.config import Config
from pipeline.settings.errors import in_plain_words
from pipeline.settings.listing import (
    choices_of,
    default_of,
    settings_by_section,
    settings_of_members,
)
from pipeline.settings.quick import ABOUT, quick_members, quick_settings
from pipeline.settings.yaml_file import parse_yaml, read_yaml

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

YAML_ENDINGS = (".yaml", ".yml")
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
    """Read the config that a stage's command line names, with the settings typed there.

    Args:
        doc: the stage's docstring, shown by `--help`.
        flags: the names in `FLAGS` that this stage has.
    Returns:
        The config, its members filtered by `--members` or `--quick`, and the values of the flags.
    Raises:
        ValueError: the YAML, a setting or a word of the command line is not as it must be.
        FileNotFoundError: there is no such YAML.
    """
    parser = _parser(doc, flags)
    known, unknown = parser.parse_known_args(_config_first(sys.argv[1:] if argv is None else argv))
    if unknown:
        flag = unknown[0].partition("=")[0]
        near = difflib.get_close_matches(flag, parser._option_string_actions, n=1)
        hint = f"did you mean {near[0]}?" if near else "see --help"
        raise ValueError(f"unknown argument {flag!r}; {hint}")
    typed = vars(known)
    path, quick = Path(typed.pop("config")), typed.pop("quick", False)
    members = typed.pop("members", None)
    own = argparse.Namespace(**{flag: typed.pop(flag) for flag in flags})
    config = load_config(path, typed, quick=quick)
    if members:
        return _keep_members(config, members), own
    if quick:
        return config.model_copy(update={"members": quick_members(config.members)}), own
    return config, own


def load_config(path: Path, typed: dict[str, Any] | None = None, *, quick: bool = False) -> Config:
    """The validated config of a YAML.

    Args:
        typed: values by dotted key that replace those of the YAML.
        quick: also put in what `--quick` stands for, but for what is typed.
    """
    settings = read_yaml(path)
    for key, value in (typed or {}).items():
        settings = _with_value(settings, key, value)
    if quick:
        for key, value in quick_settings(settings).items():
            if key not in (typed or {}):
                settings = _with_value(settings, key, value)
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"{path}: {in_plain_words(error)}") from None


def _config_first(words: Sequence[str]) -> list[str]:
    """The words with the YAML in front, where no option that takes several can swallow it."""
    found = [
        at
        for at, word in enumerate(words)
        if word.lower().endswith(YAML_ENDINGS) and not word.startswith("-")
    ]
    if len(found) > 1:
        first, second, *_ = (words[at] for at in found)
        raise ValueError(f"two configs, {first!r} and {second!r}; name one")
    return [words[at] for at in found] + [w for at, w in enumerate(words) if at not in found]


def _with_value(settings: dict[Any, Any], key: str, value: object) -> dict[Any, Any]:
    """A copy, as aliases of the YAML may share what is changed."""
    first, _, rest = key.partition(".")
    if not rest:
        return {**settings, first: value}
    section = settings.get(first, {})
    if not isinstance(section, dict):
        return settings  # the config's own error about this section says it better
    return {**settings, first: _with_value(section, rest, value)}


def _keep_members(config: Config, names: Sequence[str]) -> Config:
    known = [m.name for m in config.members]
    for name in names:
        if name not in known:
            raise ValueError(f"--members: no member {name!r}; choose one of: {', '.join(known)}")
    kept = tuple(m for m in config.members if m.name in names)
    return config.model_copy(update={"members": kept})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see --help")


def _parser(doc: str | None, flags: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        description=doc,
        epilog=_about_members(),
        usage=f"{_program()} configs/COMPETITION.yaml [--SETTING VALUE ...]",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("config", help="YAML of the competition, such as configs/tweets.yaml")
    parser.add_argument("--members", nargs="+", metavar="NAME", help="only these members")
    parser.add_argument("--quick", action="store_true", help=ABOUT)
    for flag in flags:
        parser.add_argument(f"--{flag}", **FLAGS[flag])
    for section, settings in settings_by_section().items():
        group = parser.add_argument_group(section or "competition")
        for key, field in settings.items():
            _add_setting(group, key, field)
    return parser


def _program() -> str:
    """How the running stage is called; Python's own word for it would be `blend.py`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name.removesuffix('.__main__')}" if spec else Path(sys.argv[0]).name


def _about_members() -> str:
    """Members stand in the YAML only; what one may hold is listed all the same."""
    about = []
    for kind, settings in settings_of_members().items():
        meanings = [f"{key}: {field.description}" for key, field in settings.items()]
        about.append(f"{kind} ones with {'; '.join(meanings)}")
    text = "members, in the YAML: a list; " + ", and any key of training; ".join(about) + "."
    return text.replace("%", "%%")


def _add_setting(group: Any, key: str, field: FieldInfo) -> None:
    kind, default = str(field.annotation), default_of(field)
    told = default if field.is_required() else f"default {default}"
    group.add_argument(
        f"--{key}",
        nargs="*" if "tuple" in kind else None,
        type=_mapping if "dict" in kind else _null_or_text,
        metavar="|".join(choices_of(field.annotation)) or "VALUE",
        help=f"{field.description} ({told})".replace("%", "%%"),
    )


def _mapping(text: str) -> object:
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not valid YAML: {short(text)} ({error})") from None


def _null_or_text(text: str) -> str | None:
    return None if text in YAML_NULLS else text
