"""Parts of messages to the user."""

from collections.abc import Sequence

N_SHOWN = 6


def first_few(names: Sequence[str]) -> str:
    """Names for a message: the first few, and how many there are."""
    shown = ", ".join(repr(name) for name in names[:N_SHOWN])
    return f"{shown}, … {len(names)} in all" if len(names) > N_SHOWN else shown
