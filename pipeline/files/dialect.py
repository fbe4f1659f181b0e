"""The dialect of a delimited text file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Dialect:
    """Separator, quoting and encoding from the settings of `data`; None means detected."""

    separator: str | None = None
    quoting: str | None = None
    encoding: str | None = None
