"""How many steps a unit takes, which is known before torch is loaded."""

import math
from collections.abc import Iterable

from pipeline.settings.members import AnyMember, Member

EPOCHS = 3.0  # passes over rows enough
LEAST_STEPS = 150  # optimizer steps that a unit takes at the least


def epochs_for(epochs: float | None, n_rows: int, batch_size: int) -> float:
    """Passes over `n_rows` training rows: as set, else three, and more where rows are few.

    A few dozen steps leave a pretrained encoder where it was; what small sets need is steps, not
    another rate (Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987).
    """
    if epochs is not None:
        return epochs
    return max(EPOCHS, float(math.ceil(LEAST_STEPS / steps_an_epoch(n_rows, batch_size))))


def steps_an_epoch(n_rows: int, batch_size: int) -> int:
    return math.ceil(n_rows / batch_size)


def steps_of_units(members: Iterable[AnyMember], n_rows: int) -> list[str]:
    """A line for the fine-tuned members that train alike: how long a unit of theirs trains.

    Args:
        n_rows: training rows of a unit.
    """
    alike: dict[tuple[float, int], list[str]] = {}
    for member in members:
        if isinstance(member, Member):
            epochs = epochs_for(member.epochs, n_rows, member.batch_size)
            alike.setdefault((epochs, member.batch_size), []).append(member.name)
    return [
        f"training: {math.ceil(epochs * steps_an_epoch(n_rows, batch_size))} steps a unit, "
        f"{epochs:g} epochs of {n_rows} rows in batches of {batch_size}: {', '.join(names)}"
        for (epochs, batch_size), names in alike.items()
    ]
