"""Whether members can learn the targets as they are set to."""

import numpy as np

from pipeline.competition.rows import Train
from pipeline.competition.targets import as_number
from pipeline.files.suggestions import choices
from pipeline.settings.config import Config
from pipeline.settings.members import Member


def check_learnable(config: Config, train: Train) -> None:
    """Raise a ValueError if no target varies, or a member's loss or weights do not fit them."""
    where, names = config.data.train, train.classes or train.columns
    if not train.classes and (np.nanmax(train.y, axis=0) == np.nanmin(train.y, axis=0)).all():
        raise ValueError(
            f"{where}: no target varies, {names[0]!r} is {np.nanmax(train.y[:, 0]):g} on all "
            f"{len(train.y)} rows; correct data.target, or raise data.train_rows if it is set"
        )
    words = [name for name in train.classes if as_number(name) is None]
    for member in config.members:
        weights = member.class_weights
        unknown = [n for n in weights if n not in names] if isinstance(weights, dict) else []
        if unknown:
            raise ValueError(
                f"training.class_weights of member {member.name}: {where} has no class "
                f"{unknown[0]!r}; " + choices(unknown[0], names)
            )
        if not isinstance(member, Member):
            continue
        smooths = member.trainer.get("label_smoothing_factor")
        if train.shares is not None and (smooths or member.loss == "focal"):
            setting = "trainer.label_smoothing_factor" if smooths else "training.loss focal"
            raise ValueError(
                f"{where}: {setting} of member {member.name} takes rows of one class, but "
                "data.target names columns of probabilities; leave it out"
            )
        if member.loss == "ordinal" and words:
            raise ValueError(
                f"{where}: training.loss ordinal of member {member.name} needs classes that are "
                f"numbers, got {words[0]!r}; write them as numbers in their order, or choose "
                "another loss"
            )
