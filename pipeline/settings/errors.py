"""What pydantic says is wrong with a config, in the words of the YAML."""

import difflib
from typing import Any, get_args

from pydantic import ValidationError

from pipeline.settings.config import Config
from pipeline.settings.members import KINDS

# pydantic's names for these are those of our classes, not of YAML
PLAIN = {
    "model_type": "should be settings (key: value)",
    "dict_type": "should be settings (key: value)",
    "tuple_type": "should be a list",
    "invalid_key": "is a key, which should be text",
}


def in_plain_words(error: ValidationError) -> str:
    """The first complaint: where, what was found, what is allowed."""
    first = error.errors()[0]
    where = _dotted(first["loc"])
    if first["type"] == "extra_forbidden":
        return _unknown_key(first["loc"])
    if first["type"] == "missing":
        return f"{where} is missing"
    message = PLAIN.get(first["type"], first["msg"].removeprefix("Value error, "))
    if first["type"] != "value_error":
        message += f", got {short(first['input'])}"
    return f"{where}: {message}" if where else message


def _unknown_key(location: tuple[Any, ...]) -> str:
    *outer, key = location
    section: Any = Config
    for part in outer:
        if part in KINDS:  # it says which kind of member a list's entry is
            section = KINDS[part]
        elif isinstance(part, str) and part != "members":
            annotation = section.model_fields[part].annotation
            section = next(iter(get_args(annotation)), annotation)  # of a list, what it holds
    known = [field.alias or name for name, field in section.model_fields.items()]
    near = difflib.get_close_matches(str(key), known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key {_dotted(location)!r}; {hint}"


def _dotted(location: tuple[Any, ...]) -> str:
    """As in the YAML, where nothing but its keys says of what kind a member is."""
    return ".".join(str(part) for part in location if part not in KINDS)


def short(value: object) -> str:
    """The value as Python writes it, cut to 80 characters."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
