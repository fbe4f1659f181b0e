"""The base class of the YAML's sections, and types of values."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from pipeline.files.messages import short

LONGEST_NAME = 200  # characters; with our endings, file systems allow 255 bytes
NAME = rf"^[a-z0-9_.-]{{1,{LONGEST_NAME}}}$"
LARGEST_WHOLE = 2**32 - 1  # of a seed; more rows or tokens than there can be
# names of our own files and folders beside those of members and predictors
TAKEN = (
    "backbones",
    "blend",
    "constant",
    "history.csv",
    "leaderboard.csv",
    "leaderboard.json",
    "submission",
)


def as_spelled(value: object) -> object:
    """A name as text, also if it is a whole number; YAML loses the spelling of no, 1.50, dates."""
    if isinstance(value, bool | float | date):
        raise ValueError(f"is read as {value}, not as text; write it in quotes, as in the file")
    return str(value) if isinstance(value, int) else value


def _not_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"should be a number, got {short(value)}; write a number")
    return value


def _listed(value: object) -> object:
    return [value] if isinstance(value, str | int | float | date) else value


def _ids(value: object) -> object:
    """A column's name, a name for each table, or null."""
    if value is None or isinstance(value, str | int | float | date):
        return as_spelled(value)
    if isinstance(value, dict) and {"train", "test"} <= set(value) <= {"train", "test", "sample"}:
        names = {table: as_spelled(name) for table, name in value.items()}
        if all(isinstance(name, str) for name in names.values()):
            return {"sample": names["test"], **names}
    raise ValueError(
        "is a column's name, or {train: NAME, test: NAME, sample: NAME}, or null, got "
        f"{value!r}; null numbers the rows, and matches those of the sample by their values"
    )


def _separator(value: str) -> str:
    """One character, or the word `tab`."""
    if value in ("tab", "\\t"):
        return "\t"
    if len(value) != 1 or value in '"\r\n\0':
        raise ValueError(f"is one character other than a quote, such as ; or tab, got {value!r}")
    return value


def _encoding(value: str) -> str:
    try:
        "a".encode(value)  # fails for codecs of bytes
    except (LookupError, ValueError):
        raise ValueError(f"is an encoding such as utf-8, utf-16 or cp1252, got {value!r}") from None
    return value


def _quoted(value: object) -> object:
    """A template as text; `{title}` without quotes is a mapping to YAML."""
    if isinstance(value, dict):
        raise ValueError(f"is read as settings, {short(value)}; write it in quotes")
    return value


def usable_name(name: str) -> str:
    """The same name; raises a ValueError if it is ., .. or a file or folder of ours."""
    if name.strip(".") == "" or name in TAKEN:
        taken = ", ".join((".", "..", *TAKEN))
        raise ValueError(f"{name!r} is taken, as are {taken}; choose another name")
    return name


Spelled = Annotated[str, BeforeValidator(as_spelled)]
Columns = Annotated[tuple[Spelled, ...], BeforeValidator(_listed)]
Ids = Annotated[str | Mapping[str, str] | None, PlainValidator(_ids)]
Separator = Annotated[str, AfterValidator(_separator)]
Encoding = Annotated[str, AfterValidator(_encoding)]
Template = Annotated[str, BeforeValidator(_quoted)]
Whole = Annotated[int, BeforeValidator(_not_bool), Field(le=LARGEST_WHOLE)]
Real = Annotated[float, BeforeValidator(_not_bool)]
Name = Annotated[Spelled, Field(pattern=NAME), AfterValidator(usable_name)]


class Section(BaseModel):
    """A section of the YAML, immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
