"""The README's tables say what the code says."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.postprocessing import DECISIONS
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.classic.estimators import ESTIMATORS
from pipeline.settings.config import Config

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def settings() -> dict[str, Any]:
    """Every dotted key with its field."""
    found: dict[str, Any] = {}
    for name, field in Config.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            inner = section.model_fields.items()
            found |= {f"{name}.{one.alias or key}": one for key, one in inner}
        else:
            found[name] = field
    return found


def as_yaml(field: Any) -> str:
    if field.is_required():
        return "needed"
    value = field.get_default()
    if isinstance(value, tuple):
        return "[" + ", ".join(value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


@pytest.mark.parametrize("key", sorted(settings()))
def test_the_settings_table_holds_every_setting_with_its_default_and_meaning(key: str) -> None:
    field = settings()[key]
    assert f"| `{key}` | {as_yaml(field)} | {field.description} |" in README


def test_the_settings_table_holds_nothing_else() -> None:
    table = README.split("## Settings")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `([^`]+)`", table, re.M)) == set(settings())


@pytest.mark.parametrize("name", [*POOLINGS, *ESTIMATORS, *BLENDERS, *DECISIONS])
def test_whatever_is_registered_has_a_line(name: str) -> None:
    assert re.search(rf"^\| `{name}` \|", README, re.M)
