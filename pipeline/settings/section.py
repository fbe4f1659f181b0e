"""What every part of the YAML is made of: the base of its sections, and the kinds of values."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME = r"^[a-z0-9_.-]+$"


def _as_spelled(value: object) -> object:
    """Whole numbers are fine as names; what YAML took for a truth value or a float is not."""
    if isinstance(value, bool | float):
        raise ValueError(f"is read as {value!r}; write it in quotes, as in the file")
    return str(value) if isinstance(value, int) else value


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("should be a number, not a truth value")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | int) else value


Spelled = Annotated[str, BeforeValidator(_as_spelled)]
Columns = Annotated[tuple[Spelled, ...], BeforeValidator(_listed)]
Whole = Annotated[int, BeforeValidator(_not_bool)]
Real = Annotated[float, BeforeValidator(_not_bool)]
Name = Annotated[Spelled, Field(pattern=NAME)]


class Section(BaseModel):
    """A part of the YAML: frozen, and a key that it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# files and folders that stand among those of members and predictors
TAKEN = ("backbones", "leaderboard.csv", "submission")


def usable_name(name: str) -> str:
    if name.strip(".") == "" or name in TAKEN:
        raise ValueError(f"{name!r} cannot be a name; . and .. and {', '.join(TAKEN)} are taken")
    return name
