"""Parts of messages to the user."""

import json
from collections.abc import Sequence

N_SHOWN = 6
N_CHARACTERS = 80


def listed(words: Sequence[str]) -> str:
    """The first few words for a message, with their number where there are more."""
    shown = ", ".join(words[:N_SHOWN])
    return f"{shown}, ... {len(words)} in all" if len(words) > N_SHOWN else shown


def first_few(names: Sequence[str]) -> str:
    """The first few names in quotes, long ones cut: the first line of a table may be a text."""
    return listed([short(name) for name in names])


def shortened(name: str, room: int, gap: str = "...") -> str:
    """The name without its middle where it is longer than `room`: names of a kind begin alike."""
    if len(name) <= room:
        return name
    n_last = (room - len(gap)) // 2
    return name[: room - len(gap) - n_last] + gap + name[len(name) - n_last :]


def duration(seconds: float) -> str:
    """Seconds below two minutes, else minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def score_as_text(score: float | None) -> str:
    """A score with four decimals, with four digits where it is smaller than .01 or huge."""
    if score is None or score != score:
        return "undefined"
    return f"{score:.4f}" if score == 0 or 0.01 <= abs(score) < 1e9 else f"{score:.4g}"


def short(value: object) -> str:
    """The repr of a value for a message, cut to 80 characters; null, true, false as in YAML."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = repr(value)
    return text if len(text) <= N_CHARACTERS else text[: N_CHARACTERS - 3] + "..."
