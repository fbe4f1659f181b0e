"""Whether members can learn the targets as they are set to."""

from pipeline.competition.rows import Train
from pipeline.competition.targets import as_number
from pipeline.settings.config import Config
from pipeline.settings.members import Member


def check_learnable(config: Config, train: Train) -> None:
    """Raise a ValueError if the loss of a member does not fit the targets."""
    for member in config.members:
        if isinstance(member, Member):
            _check_loss(member, config.data.train, train)


def _check_loss(member: Member, where: str, train: Train) -> None:
    words = [name for name in train.classes if as_number(name) is None]
    if member.loss == "ordinal" and words:
        raise ValueError(
            f"{where}: training.loss ordinal of member {member.name} needs classes that are "
            f"numbers, got {words[0]!r}; write them as numbers in their order, or choose another "
            "loss"
        )
