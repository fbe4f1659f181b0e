"""Learning rates and dropout that fit a backbone's size and the task, where they are null.

Reads config.json alone: torch takes seconds to load.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from pipeline.files.reading import read_json
from pipeline.settings.fine_tuning import Training
from pipeline.settings.members import AnyMember, Member

WIDTHS = ("hidden_size", "d_model", "dim")  # how architectures call the width of a hidden vector
LORA_RATE = 1e-4  # of adapters, on backbones of any size: Dettmers et al. 2023, arXiv:2305.14314
# of the head and the pooling, in units of learning_rate; measured in docs/LOG.md
HEAD_RATES = {"regression": 20}
HEAD_RATE = 50  # of the other tasks

AnyTraining = TypeVar("AnyTraining", bound=Training)


class Size(NamedTuple):
    """What suits backbones up to a width."""

    width: float
    learning_rate: float
    dropout: float | str


SIZES = (
    Size(512, 1e-4, 0.0),  # MiniLM: docs/LOG.md, "Training defaults"
    Size(1023, 2e-5, "pretrained"),  # base models: Devlin et al. 2019, arXiv:1810.04805, A.3
    Size(math.inf, 1e-5, "pretrained"),  # large models: Liu et al. 2019, arXiv:1907.11692, table 10
)


def width_of(backbone: Path) -> int | None:
    """Width of a backbone's hidden vectors; None if its config.json does not say."""
    config = read_json(backbone / "config.json")
    return next((config[key] for key in WIDTHS if isinstance(config.get(key), int)), None)


def size_of(width: int | None) -> Size:
    """What suits a width; of unknown width what suits base models."""
    return next(size for size in SIZES if (width or 768) <= size.width)


def for_backbone(training: AnyTraining, backbone: Path, task: str) -> AnyTraining:
    """The settings with the rates and the dropout that they leave open."""
    size = size_of(width_of(backbone))
    fitting = LORA_RATE if training.lora else size.learning_rate
    rate = fitting if training.learning_rate is None else training.learning_rate
    head, dropout = training.head_learning_rate, training.dropout
    return training.model_copy(
        update={
            "learning_rate": rate,
            "head_learning_rate": HEAD_RATES.get(task, HEAD_RATE) * rate if head is None else head,
            "dropout": size.dropout if dropout is None else dropout,
        }
    )


def rates_of_members(
    members: Iterable[AnyMember], backbones: Mapping[str, Path], task: str
) -> list[str]:
    """Rates and dropout of fine-tuned members, one line for all that share them.

    Args:
        backbones: folders by name; members of other backbones get no line.
    """
    names_of: dict[str, list[str]] = {}
    for member in members:
        if isinstance(member, Member) and member.backbone in backbones:
            backbone = backbones[member.backbone]
            fitted = for_backbone(member, backbone, task)
            line = (
                f"learning rate {fitted.learning_rate:g}, {fitted.head_learning_rate:g} for head "
                f"and pooling, dropout {fitted.dropout}, for {member.backbone}, "
                f"{width_of(backbone) or '?'} wide"
            )
            names_of.setdefault(line, []).append(member.name)
    return [f"training: {line}: {', '.join(names)}" for line, names in names_of.items()]
