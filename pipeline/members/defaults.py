"""Settings of training where they are null: rates and dropout by backbone and task, steps by rows.

Reads a backbone's config.json alone: torch takes seconds to load.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pipeline.files.reading import read_json
from pipeline.settings.fine_tuning import Training
from pipeline.settings.members import AnyMember, Member

WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")  # names of the width of a hidden vector
BASE_WIDTH = 768  # taken where config.json does not say
# in units of the rate of the backbone when it is trained whole; measured in docs/LOG.md
LORA_RATE = 10  # of adapters; on large backbones the 1e-4 of Dettmers et al. 2023, arXiv:2305.14314
HEAD_RATES = {"regression": 20, "binary": 50, "multiclass": 50, "multilabel": 50}  # of the head
EPOCHS = 3.0
BATCH, SMALL_BATCH = 32, 8
LEAST_STEPS = 160  # optimizer steps that a unit takes at the least; measured in docs/LOG.md

# largest width, learning rate, dropout
SIZES: tuple[tuple[float, float, float | str], ...] = (
    (512, 1e-4, 0.0),  # MiniLM: docs/LOG.md, "Training defaults"
    (1023, 2e-5, "pretrained"),  # base models: Devlin et al. 2019, arXiv:1810.04805, A.3
    (math.inf, 1e-5, "pretrained"),  # large models: Liu et al. 2019, arXiv:1907.11692, table 10
)

AnyTraining = TypeVar("AnyTraining", bound=Training)


def width_of(backbone: Path) -> int | None:
    """Width of a backbone's hidden vectors; None if its config.json does not say."""
    config = read_json(backbone / "config.json")
    return next((config[key] for key in WIDTHS if isinstance(config.get(key), int)), None)


def for_backbone(training: AnyTraining, backbone: Path, task: str) -> AnyTraining:
    """The settings with the rates and the dropout that they leave open."""
    width = width_of(backbone) or BASE_WIDTH
    _, own_rate, dropout = next(size for size in SIZES if width <= size[0])
    factor = LORA_RATE if training.lora else 1
    rate, head = training.learning_rate, training.head_learning_rate
    rate = factor * own_rate if rate is None else rate
    return training.model_copy(
        update={
            "learning_rate": rate,
            "head_learning_rate": rate / factor * HEAD_RATES[task] if head is None else head,
            "dropout": dropout if training.dropout is None else training.dropout,
        }
    )


def scheduled(training: AnyTraining, n_rows: int) -> AnyTraining:
    """`training` of `n_rows` rows, with epochs and batch size where it leaves them open.

    Three epochs in batches of 32; where these are fewer than `LEAST_STEPS` steps, batches of 8, and
    as many epochs as these steps need. Small training sets need more steps, not another learning
    rate (Mosbach et al. 2021, arXiv:2006.04884; Zhang et al. 2021, arXiv:2006.05987).
    """
    n_batches = batches_a_step(training)
    is_small = EPOCHS * steps_an_epoch(n_rows, BATCH * n_batches) < LEAST_STEPS
    batch_size = training.batch_size or (SMALL_BATCH if is_small else BATCH)
    least = float(math.ceil(LEAST_STEPS / steps_an_epoch(n_rows, batch_size * n_batches)))
    epochs = training.epochs or max(EPOCHS, least)
    return training.model_copy(update={"epochs": epochs, "batch_size": batch_size})


def batches_a_step(training: Training) -> int:
    return training.trainer.get("gradient_accumulation_steps", 1)


def steps_an_epoch(n_rows: int, rows_a_step: int) -> int:
    return math.ceil(n_rows / rows_a_step)


def rates_of_members(
    members: Iterable[AnyMember], backbones: Mapping[str, Path], task: str
) -> list[str]:
    """Rates and dropout of fine-tuned members, one line for all that share them.

    Args:
        backbones: folders by name; members of other backbones get no line.
    """
    lines = {}
    for member in members:
        if isinstance(member, Member) and member.backbone in backbones:
            backbone = backbones[member.backbone]
            fitted = for_backbone(member, backbone, task)
            lines[member.name] = (
                f"learning rate {fitted.learning_rate:g}, {fitted.head_learning_rate:g} for head "
                f"and pooling, dropout {fitted.dropout}, for "
                f"{'adapters of ' if member.lora else ''}{member.backbone}, "
                f"{width_of(backbone) or '?'} wide"
            )
    return _shared(lines)


def steps_of_units(members: Iterable[AnyMember], n_rows: int) -> list[str]:
    """Training length of a unit with `n_rows` rows, one line for all members that share it."""
    lines = {}
    for member in members:
        if isinstance(member, Member):
            of_unit: Any = scheduled(member, n_rows)
            batch_size, n_batches = of_unit.batch_size, batches_a_step(member)
            n_steps = math.ceil(of_unit.epochs * steps_an_epoch(n_rows, batch_size * n_batches))
            lines[member.name] = (
                f"{n_steps} steps a unit, {of_unit.epochs:g} epochs of {n_rows} rows in batches of "
                f"{batch_size}{f', {n_batches} to a step' if n_batches > 1 else ''}"
            )
    return _shared(lines)


def _shared(lines: Mapping[str, str]) -> list[str]:
    """Each distinct line once, with the members whose line it is."""
    names_of: dict[str, list[str]] = {}
    for name, line in lines.items():
        names_of.setdefault(line, []).append(name)
    return [f"training: {line}: {', '.join(names)}" for line, names in names_of.items()]
