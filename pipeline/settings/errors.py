"""Pydantic's validation errors as messages: the key in the YAML, its value, what to do."""

import re
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pipeline.files.messages import short
from pipeline.files.suggestions import choices, did_you_mean, meant_by
from pipeline.settings.config import Config
from pipeline.settings.listing import default_of, fields_of, settings_by_section
from pipeline.settings.members import KINDS
from pipeline.settings.metric import METRICS
from pipeline.settings.section import LONGEST_NAME

MAPS = {**KINDS, **METRICS}  # by pydantic's tag of a member or metric
# where pydantic's words are about Python, by its name of the error
SHOULD_BE = {
    "model_type": "should be settings (key: value)",
    "dict_type": "should be settings (key: value)",
    "tuple_type": "should be a list",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "string_pattern_mismatch": f"should be 1 to {LONGEST_NAME} of the characters a-z 0-9 _ . -",
}


def in_plain_words(error: ValidationError) -> str:
    """The first error in one line: the key, its value, what is allowed, what to do."""
    errors = error.errors()
    # a misspelled key is also missing under its right name: the unknown key is the cause
    unknown = [e for e in errors if e["type"] == "extra_forbidden"]
    first = min(unknown or errors[:1], key=lambda e: len(e["loc"]))
    where = _dotted(first["loc"])
    if unknown:
        return _unknown_key(first["loc"])
    if first["type"] == "invalid_key":
        return f"{where}: is a key, got {short(first['loc'][-1])}; a key should be text"
    if first["type"] == "missing":
        field = _field_at(first["loc"])
        meaning = f": {field.description}" if field is not None and field.description else ""
        return f"{where} is missing; add it{meaning}"
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"{where}: {message}" if where else message
    if first["type"] == "literal_error":
        value, allowed = first["input"], re.findall(r"'([^']*)'", first["ctx"]["expected"])
        return f"{where}: unknown value {short(value)}; {choices(value, allowed)}"
    words = first["msg"].removeprefix("Input ").partition(", ")[0]
    problem = SHOULD_BE.get(first["type"], words)
    return f"{where}: {problem}, got {short(first['input'])}; {_advice(first['loc'])}"


def _advice(location: Sequence[Any]) -> str:
    field = _field_at(location)
    if field is None or field.is_required() or location[0] in ("members", "metric"):
        return "correct it"
    if fields_of(field.annotation):
        return "correct it, or leave it out"
    return f"correct it, or leave it out for the default {default_of(field)}"


def _unknown_key(location: Sequence[Any]) -> str:
    section, known = _dotted(location[:-1]), list(_fields_at(location[:-1]))
    key, *own = (f"{section}.{name}".strip(".") for name in (location[-1], *known))
    elsewhere = [name for settings in settings_by_section().values() for name in settings]
    if location[0] in ("members", "metric"):  # a classic member has no key of training anywhere
        elsewhere = []
    if key in elsewhere:  # typed as on the command line
        outer, _, inner = key.partition(".")
        return f"unknown key {short(key)}; a YAML has it as {outer}: {{{inner}: VALUE}}"
    meant = meant_by(key, dict.fromkeys([*own, *elsewhere]))
    hint = did_you_mean([*map(repr, meant)]) if meant else f"choose one of: {', '.join(known)}"
    return f"unknown key {short(key)}; {hint}"


def _fields_at(location: Sequence[Any]) -> dict[str, FieldInfo]:
    """The keys of a section at a location such as ("blend", "external", 0); none of a value."""
    section: Any = Config
    for part in location:
        if part in MAPS:
            section = MAPS[part]
        elif isinstance(part, str) and part != "members":
            field = fields_of(section).get(part)
            annotation = None if field is None else field.annotation
            section = next(iter(get_args(annotation)), annotation)  # a list's entries
    return fields_of(section)


def _field_at(location: Sequence[Any]) -> FieldInfo | None:
    """The field of a setting; None for an entry of a list."""
    return _fields_at(location[:-1]).get(location[-1])


def _dotted(location: Sequence[Any]) -> str:
    """The location in the YAML, which lacks pydantic's tags."""
    return ".".join(str(part) for part in location if part not in MAPS)
