"""A stage's command line: the YAML, settings that replace its values, and errors of one line."""

import argparse
import io
import math
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pipeline.files.lock import competition_locked
from pipeline.files.messages import short
from pipeline.files.provenance import program
from pipeline.files.suggestions import choices, did_you_mean, meant_by
from pipeline.settings.config import Config
from pipeline.settings.errors import in_plain_words
from pipeline.settings.listing import choices_of, default_of, settings_by_section
from pipeline.settings.quick import ABOUT, quick_settings
from pipeline.settings.yaml_file import parse_yaml, read_yaml


def _weight(text: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not 0 < weight < math.inf:
        raise argparse.ArgumentTypeError(f"should be a number greater than 0, got {short(text)}")
    return weight


FLAGS: dict[str, dict[str, Any]] = {
    "overwrite": {
        "action": "store_true",
        "default": False,
        "help": "replace what was made with other settings",
    },
    "predictor": {
        "metavar": "NAME",
        "nargs": "+",
        "help": "the predictor to submit, or several, of which the mean is submitted; by default "
        "the one that blend chose",
    },
    "weights": {
        "metavar": "NUMBER",
        "nargs": "+",
        "type": _weight,
        "help": "a weight for each --predictor, scaled to a sum of 1; by default equal ones",
    },
}

YAML_ENDINGS = (".yaml", ".yml")
YAML_NULLS = ("null", "Null", "NULL", "~")  # of YAML 1.2; `none` is a word there


@contextmanager
def stage(
    doc: str | None, argv: Sequence[str] | None, *flags: str
) -> Iterator[tuple[Config, argparse.Namespace]]:
    """What `parse` gives, with errors of one line, while no other stage works on the competition.

    A second stage waits until the first has ended.
    """
    with one_line_errors():
        config, values = parse(doc, argv, *flags)
        with competition_locked(config.competition):
            yield config, values


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Print errors about the user's input as one line and exit with code 2.

    SIGINT and SIGTERM are one line too, and exit with 130 and 143. Characters that the terminal's
    encoding lacks are printed as escapes.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr is from the start
    in_main_thread = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, _terminate) if in_main_thread else None
    try:
        yield
    except KeyboardInterrupt as stop:
        print(
            "stopped; finished work is kept, and the same command goes on from there",
            file=sys.stderr,
        )
        raise SystemExit(143 if stop.args else 130) from None
    except (ValueError, OSError) as error:
        # a name in the message may hold line breaks or control characters of the terminal
        line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(error))
        print(f"error: {line}", file=sys.stderr)
        raise SystemExit(2) from None
    finally:
        if in_main_thread:
            signal.signal(signal.SIGTERM, before)


def _terminate(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt("SIGTERM")


def parse(
    doc: str | None, argv: Sequence[str] | None, *flags: str
) -> tuple[Config, argparse.Namespace]:
    """Read the config of a stage's command line, with the settings given there.

    Args:
        doc: the stage's docstring, shown by `--help`.
        flags: the names in `FLAGS` that this stage has.
    Returns:
        The config, its members filtered by `--members` or `--quick`, and the values of the flags.
    """
    parser = _parser(doc, flags)
    known, unknown = parser.parse_known_args(_config_first(sys.argv[1:] if argv is None else argv))
    if unknown:
        flag = unknown[0].partition("=")[0]
        options = [option.removeprefix("--") for option in parser._option_string_actions]
        meant = meant_by(flag.removeprefix("--"), options) if flag.startswith("--") else []
        hint = did_you_mean([f"--{name}" for name in meant]) if meant else "see --help"
        if flag.removeprefix("--") in FLAGS:
            hint = "other stages take it, run alone as python -m pipeline.STAGE"
        raise ValueError(f"unknown argument {flag!r}; {hint}")
    typed = vars(known)
    keys, path, quick = set(typed), Path(typed.pop("config")), typed.pop("quick", False)
    members = typed.pop("members", None)
    values = argparse.Namespace(**{flag: typed.pop(flag, None) for flag in flags})
    config = load_config(path, typed)
    if members:
        config = _keep_members(config, members)
    if quick:
        config = _validated(path, quick_settings(config, keys))
    return config, values


def load_config(path: Path, typed: dict[str, Any] | None = None) -> Config:
    """The validated config of a YAML, with `typed` values, by dotted key, in place of its own."""
    settings = read_yaml(path)
    for key, value in (typed or {}).items():
        settings = _with_value(settings, key, value)
    return _validated(path, settings)


def _validated(path: Path, settings: dict[Any, Any]) -> Config:
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise ValueError(f"{path}: {in_plain_words(error)}") from None


def configs_in(words: Sequence[str]) -> list[str]:
    """The words that name a YAML."""
    return [w for w in words if w.lower().endswith(YAML_ENDINGS) and not w.startswith("-")]


def _config_first(words: Sequence[str]) -> list[str]:
    """The words with the YAML in front, so that no option of several values takes it."""
    configs = configs_in(words)
    if len(configs) > 1:
        raise ValueError(f"two configs, {configs[0]!r} and {configs[1]!r}; name one")
    return configs + [word for word in words if word not in configs]


def _with_value(settings: dict[Any, Any], key: str, value: object) -> dict[Any, Any]:
    """A copy with one value changed; the original may be shared by aliases of the YAML."""
    first, _, rest = key.partition(".")
    if not rest:
        return {**settings, first: value}
    section = settings.get(first, {})
    if not isinstance(section, dict):
        return settings  # the config has a better error about this section
    return {**settings, first: _with_value(section, rest, value)}


def _keep_members(config: Config, names: Sequence[str]) -> Config:
    known = [m.name for m in config.members]
    for name in names:
        if name not in known:
            raise ValueError(f"--members: no member {name!r}; {choices(name, known)}")
    members = tuple(m for m in config.members if m.name in names)
    return config.model_copy(update={"members": members})


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}; see --help")


def _parser(doc: str | None, flags: Sequence[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        description=doc,
        epilog="members, a list that only the YAML has: docs/settings.md",
        usage=f"{program()} configs/COMPETITION.yaml [--SETTING VALUE ...]",
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


def _add_setting(group: Any, key: str, field: FieldInfo) -> None:
    default = default_of(field)
    note = default if field.is_required() else f"default {default}"
    group.add_argument(
        f"--{key}",
        nargs="*" if "tuple" in str(field.annotation) else None,
        type=_null_or_text if key == "data.template" else _value,
        metavar="|".join(choices_of(field.annotation)) or "VALUE",
        help=f"{field.description} ({note})".replace("%", "%%"),
    )


def _value(text: str) -> object:
    """A map in braces, null, or text, which the settings turn into what they need."""
    if not text.startswith("{"):
        return _null_or_text(text)
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not valid YAML: {short(text)} ({error})") from None


def _null_or_text(text: str) -> str | None:
    return None if text in YAML_NULLS else text
