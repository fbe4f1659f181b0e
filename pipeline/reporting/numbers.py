"""The number formats of a report."""

from collections.abc import Callable

import numpy as np

MINUS = "−"
SMALL = 0.01  # numbers below it may get more than four decimals
TO_ASCII = str.maketrans({MINUS: "-", "–": "-"})  # for the terminal


def decimals_of(chosen: float | None, greater_is_better: bool) -> int:
    """Decimals of scores and gains: four, or those of four digits if the chosen error is small.

    Scores where greater is better have a known scale and always get four decimals.
    """
    if greater_is_better or chosen is None or not 0 < chosen < SMALL:
        return 4
    return 3 - int(np.floor(np.log10(chosen)))


def value(number: float | None, decimals: int = 4) -> str:
    """A score or a share: four decimals, one where it is large, `decimals` where it is small."""
    if number is None or number != number:
        return "–"
    return _digits(number, decimals)


def signed(number: float | None, decimals: int = 4) -> str:
    """A difference with its sign, unless it is written as 0."""
    if number is None or number != number:
        return "–"
    text = _digits(number, decimals, "+")
    return text if text.strip("+0.") else "0"


def _digits(number: float, decimals: int, sign: str = "") -> str:
    form = f"z.{decimals if abs(number) < SMALL else 4}f" if abs(number) < 100 else "z,.1f"
    return f"{number:{sign}{form}}".replace("-", MINUS)


def rate(number: float | None) -> str:
    """A small difference with two significant digits and its sign."""
    if number is None or number != number:
        return "–"
    text = np.format_float_positional(abs(number), precision=2, fractional=False, trim="-")
    return (MINUS if number < 0 else "+") + text


def short(number: float | None) -> str:
    """Two decimals, for cells that are read as colours."""
    if number is None or number != number:
        return "–"
    return f"{number:z.2f}".replace("-", MINUS)


def count(number: int) -> str:
    return f"{number:,}"


def percent(share: float | None) -> str:
    return "–" if share is None or share != share else f"{share:.0%}".replace("%", " %")


def duration(minutes: float | None) -> str:
    """Minutes in words."""
    if minutes is None:
        return "–"
    if minutes < 1:
        return f"{minutes * 60:.0f} s"
    return f"{minutes:.1f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


FORMATS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (value, signed, rate, short, count, percent, duration)
}
