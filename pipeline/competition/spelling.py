"""Names and classes that differ in their spelling only, and how a message tells them apart."""

import re
from collections.abc import Sequence
from decimal import Decimal
from unicodedata import normalize

# float() alone would also take nan, infinity and 1_000
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def spelling_key(name: str) -> str | Decimal:
    """Names with equal keys are spellings of one: trimmed, NFC, case aside, equal as numbers."""
    folded = normalize("NFC", normalize("NFC", name).strip().casefold())
    # exact: of two long ids that differ in the last digit, float() makes one
    return Decimal(folded) if NUMBER.fullmatch(folded) else folded


def in_print(name: str) -> str:
    """The name for a message, with code points where its letters alone do not tell its spelling."""
    return repr(name) if normalize("NFC", name) == name else ascii(name)


def alike(name: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that are other spellings of `name`."""
    key = spelling_key(name)
    return [other for other in names if other != name and spelling_key(other) == key]


def told_apart(first: str, second: str) -> tuple[str, str]:
    """Both names for a message, in which they do not look the same."""
    if first.isascii() and second.isascii():
        return repr(first), repr(second)
    return ascii(first), ascii(second)


def same_numbers(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether both are the same numbers, each once: the columns 1, 2 and the classes 1.0, 2.0."""
    keys, other_keys = ({spelling_key(name) for name in of} for of in (names, others))
    return (
        keys == other_keys
        and len(keys) == len(names) == len(others)
        and all(isinstance(key, Decimal) for key in keys)
    )
