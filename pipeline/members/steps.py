"""Epochs and optimizer steps of a unit, computed without loading torch."""

import math
from collections.abc import Iterable

from pipeline.settings.members import AnyMember, Member

EPOCHS = 3.0
LEAST_STEPS = 80  # optimizer steps that a unit takes at the least; measured in docs/LOG.md


def epochs_for(epochs: float | None, n_rows: int, batch_size: int) -> float:
    """Passes over `n_rows` training rows: as set, else `EPOCHS`, or more to reach `LEAST_STEPS`.

    Small training sets need more steps, not another learning rate (Mosbach et al. 2021,
    arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987).
    """
    if epochs is not None:
        return epochs
    return max(EPOCHS, float(math.ceil(LEAST_STEPS / steps_an_epoch(n_rows, batch_size))))


def steps_an_epoch(n_rows: int, batch_size: int) -> int:
    return math.ceil(n_rows / batch_size)


def steps_of_units(members: Iterable[AnyMember], n_rows: int) -> list[str]:
    """Training length of a unit with `n_rows` rows, one line for all members that share it."""
    names_of: dict[tuple[float, int], list[str]] = {}
    for member in members:
        if isinstance(member, Member):
            epochs = epochs_for(member.epochs, n_rows, member.batch_size)
            names_of.setdefault((epochs, member.batch_size), []).append(member.name)
    return [
        f"training: {math.ceil(epochs * steps_an_epoch(n_rows, batch_size))} steps a unit, "
        f"{epochs:g} epochs of {n_rows} rows in batches of {batch_size}: {', '.join(names)}"
        for (epochs, batch_size), names in names_of.items()
    ]
