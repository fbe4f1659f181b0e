"""How the cells of a text file are written."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """How the cells of a table are written, as the settings of `data` say; None: found out."""

    separator: str | None = None
    quoting: str | None = None
    encoding: str | None = None
