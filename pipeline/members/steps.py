"""Epochs and optimizer steps of a unit, computed without loading torch."""

import math
from collections.abc import Iterable
from typing import Any, TypeVar

from pipeline.settings.fine_tuning import Training
from pipeline.settings.members import AnyMember, Member

EPOCHS = 3.0
BATCH, SMALL_BATCH = 32, 8
LEAST_STEPS = 160  # optimizer steps that a unit takes at the least; measured in docs/LOG.md

AnyTraining = TypeVar("AnyTraining", bound=Training)


def scheduled(training: AnyTraining, n_rows: int) -> AnyTraining:
    """`training` of `n_rows` rows, with epochs and batch size where it leaves them open.

    Three epochs in batches of 32; where these are fewer than `LEAST_STEPS` steps, batches of 8, and
    as many epochs as these steps need. Small training sets need more steps, not another learning
    rate (Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987).
    """
    is_small = EPOCHS * steps_an_epoch(n_rows, BATCH) < LEAST_STEPS
    batch_size = training.batch_size or (SMALL_BATCH if is_small else BATCH)
    least = float(math.ceil(LEAST_STEPS / steps_an_epoch(n_rows, batch_size)))
    epochs = training.epochs or max(EPOCHS, least)
    return training.model_copy(update={"epochs": epochs, "batch_size": batch_size})


def steps_an_epoch(n_rows: int, batch_size: int) -> int:
    return math.ceil(n_rows / batch_size)


def steps_of_units(members: Iterable[AnyMember], n_rows: int) -> list[str]:
    """Training length of a unit with `n_rows` rows, one line for all members that share it."""
    names_of: dict[tuple[Any, Any], list[str]] = {}
    for member in members:
        if isinstance(member, Member):
            of_unit = scheduled(member, n_rows)
            names_of.setdefault((of_unit.epochs, of_unit.batch_size), []).append(member.name)
    return [
        f"training: {math.ceil(epochs * steps_an_epoch(n_rows, batch_size))} steps a unit, "
        f"{epochs:g} epochs of {n_rows} rows in batches of {batch_size}: {', '.join(names)}"
        for (epochs, batch_size), names in names_of.items()
    ]
