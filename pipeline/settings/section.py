"""The base class of the YAML's sections, and the types of their values."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

NAME = r"^[a-z0-9_.-]+$"


def _as_spelled(value: object) -> object:
    """A name as text; a whole number is one too, but YAML has lost the spelling of no and 1.50."""
    if isinstance(value, bool | float):
        raise ValueError(f"is read as {value!r}; write it in quotes, as in the file")
    return str(value) if isinstance(value, int) else value


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"should be a number, got {str(value).lower()}; write a number")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | int) else value


Spelled = Annotated[str, BeforeValidator(_as_spelled)]
Columns = Annotated[tuple[Spelled, ...], BeforeValidator(_listed)]
Whole = Annotated[int, BeforeValidator(_not_bool)]
Real = Annotated[float, BeforeValidator(_not_bool)]
Name = Annotated[Spelled, Field(pattern=NAME)]


class Section(BaseModel):
    """A section of the YAML. It cannot be changed, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


# names of our own files and folders beside those of members and predictors
TAKEN = ("backbones", "leaderboard.csv", "submission")


def usable_name(name: str) -> str:
    """The same name; a ValueError if a folder of that name would be ., .. or one of our own."""
    if name.strip(".") == "" or name in TAKEN:
        taken = ", ".join((".", "..", *TAKEN))
        raise ValueError(f"{name!r} is taken, as are {taken}; choose another name")
    return name
