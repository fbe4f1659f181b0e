"""Texts, names and classes that differ in spelling only, and how messages show the difference.

And the spellings of a missing cell.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from unicodedata import category, normalize

# float() alone would also take nan, infinity and 1_000; 1e and ten digits is a hash
NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d{1,9})?", re.ASCII)

# characters without width: soft hyphen, joiners, direction, variation selectors, byte order mark
INVISIBLE = dict.fromkeys(
    [0xAD, *range(0x200B, 0x2010), *range(0x202A, 0x202F), 0x2060, 0xFE0E, 0xFE0F, 0xFEFF]
)

MISSING = ("", "na", "n/a", "nan", "null", "none")


def is_missing(cell: str) -> bool:
    return cell.strip().casefold() in MISSING


def text_key(text: str) -> str:
    """The text without case, white space, invisible characters and Unicode form (NFKC).

    Texts with equal keys count as equal.
    """
    folded = normalize("NFKC", text).translate(INVISIBLE).casefold()
    return " ".join(normalize("NFKC", folded).split())


class _Spaces(dict[int, int]):
    """A table for `str.translate` that makes a space of each mark and symbol."""

    def __missing__(self, code: int) -> int:
        self[code] = ord(" ") if category(chr(code))[0] in "PS" else code
        return self[code]


_SPACES = _Spaces()


def words_key(text: str) -> str:
    """`text_key` without punctuation and symbols, where anything is left without them."""
    key = text_key(text)
    return " ".join(key.translate(_SPACES).split()) or key


def spelling_key(name: str) -> str | Decimal:
    """The name as `text_key` gives it, as a number if possible."""
    folded = text_key(name)
    # Decimal is exact: float() makes long ids that differ in the last digit equal
    return Decimal(folded) if NUMBER.fullmatch(folded) else folded


def in_print(name: str) -> str:
    """The name for a message, with code points if its letters look like those of another."""
    plain = normalize("NFKC", name).translate(INVISIBLE)
    return repr(name) if plain == name else ascii(name)


def alike(name: str, names: Sequence[str]) -> list[str]:
    """Those of `names` that are other spellings of `name`."""
    key = spelling_key(name)
    return [other for other in names if other != name and spelling_key(other) == key]


def spelled_in(name: str, names: Sequence[str]) -> str | None:
    """The name if it is one of `names`, else its only other spelling there; None if none is."""
    spelled = [name] if name in names else alike(name, names)
    return spelled[0] if len(spelled) == 1 else None


def told_apart(first: str, second: str) -> tuple[str, str]:
    """Both names for a message, with code points if they may look the same."""
    if first.isascii() and second.isascii():
        return repr(first), repr(second)
    return ascii(first), ascii(second)


def respelled(names: Sequence[str], wanted: Sequence[str]) -> str | None:
    """The first of `names` that is another spelling of one of `wanted`, and that, in words."""
    strange = [name for name in names if name not in wanted]
    pairs = [told_apart(name, other) for name in strange for other in alike(name, wanted)]
    return " is ".join(pairs[0]) if pairs else None


def same_numbers(names: Sequence[str], others: Sequence[str]) -> bool:
    """Whether both are the same numbers, each once: the columns 1, 2 and the classes 1.0, 2.0."""
    keys, other_keys = set(map(spelling_key, names)), set(map(spelling_key, others))
    return (
        keys == other_keys
        and len(keys) == len(names) == len(others)
        and all(isinstance(key, Decimal) for key in keys)
    )
