"""Every setting by its dotted key, for `--help`, docs/settings.md and the errors."""

import sys
from typing import Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from pipeline.settings.config import Config
from pipeline.settings.section import Section


def settings_by_section() -> dict[str, dict[str, FieldInfo]]:
    """The settings of each section by their dotted keys, in the order of the YAML.

    The section "" holds the settings outside of sections. Members, a list that only the YAML has,
    are left out.
    """
    sections: dict[str, dict[str, FieldInfo]] = {"": {}}
    for name, field in Config.model_fields.items():
        own = fields_of(field.annotation)
        if own:
            sections[name] = {f"{name}.{key}": inner for key, inner in own.items()}
        elif name != "members":
            sections[""][name] = field
    return sections


def fields_of(annotation: object) -> dict[str, FieldInfo]:
    """The settings of a section by their keys in the YAML; none of what is no section."""
    if not (isinstance(annotation, type) and issubclass(annotation, Section)):
        return {}
    return {field.alias or name: field for name, field in annotation.model_fields.items()}


def default_of(field: FieldInfo) -> str:
    """The default of a setting as YAML spells it, or `needed`."""
    return "needed" if field.is_required() else spelled(field.get_default())


def spelled(value: object) -> str:
    """A value as a line of YAML."""
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(
        plain, default_flow_style=True, sort_keys=False, allow_unicode=True, width=sys.maxsize
    )
    return text.removesuffix("\n").removesuffix("\n...")


def choices_of(annotation: Any) -> list[str]:
    """The words that a setting may have; empty if it may have other values."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    others = [inner for inner in get_args(annotation) if inner is not type(None)]
    return choices_of(others[0]) if len(others) == 1 else []
