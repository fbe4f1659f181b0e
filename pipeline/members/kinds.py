"""The kinds of members, and the registry `KINDS`: fine-tuned encoders and classic models.

A kind is imported when it has work: torch and scikit-learn take seconds to load.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from pipeline.competition.features import NO_COLUMNS, Columns
from pipeline.members.training_table import UnitToTrain
from pipeline.members.units import Encoding, Texts, Unit, read_run
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Jobs
from pipeline.settings.members import AnyMember


class Kind(Protocol):
    """The methods that the stages call on a kind of member, whose settings are its own class."""

    def check(self, member: Any, backbone: Path | None) -> None:
        """Raise a ValueError if a setting does not fit, before any unit is trained.

        Settings that depend on the backbone are not checked without its folder.
        """

    def encoding(self, member: Any, backbone: Path | None) -> Encoding | None:
        """How the member's units encode texts; None for a member without a backbone."""

    def inputs(
        self, encoding: Any, texts: Texts, jobs: Jobs | None, features: Columns = NO_COLUMNS
    ) -> Any:
        """Inputs of the units, such as tokens; without `jobs`, computed in this process.

        Args:
            features: columns of `data.features`, for members that read them.
        """

    def warning(self, member: Any, inputs: Any) -> str | None:
        """A warning about training on `inputs`, if there is one to give."""

    def fit(self, unit: UnitToTrain, inputs: Any, folder: Path) -> tuple[Floats, dict[str, object]]:
        """Train a unit, write its model to `folder`, and predict its held-out rows.

        Args:
            inputs: of all training rows, the held-out rows included.
        Returns:
            (n, c) predictions of the held-out rows, and entries of `run.json`: the model's hash
            `weights_sha256`, those that loading needs, and facts.
        """

    def load(self, unit: Unit) -> Callable[[Any], Floats]:
        """A trained unit, from `models/` alone: (n, c) predictions of n inputs; n may be 0.

        Damaged or replaced files raise a ValueError.
        """


def kind_of(member: AnyMember) -> Kind:
    return KINDS[member.kind]()


def kind_of_unit(unit: Unit) -> Kind:
    """The kind of a trained unit."""
    return KINDS[read_run(unit)["kind"]]()


def device_of(encoding: Encoding | None) -> str:
    """The device that a unit computes on, "cpu" or "cuda"; without torch always the CPU."""
    if encoding is None:
        return "cpu"
    from pipeline.members.bert.finetune import best_device

    return best_device().type


def check_members(members: Sequence[AnyMember], backbones: Mapping[str, Path]) -> None:
    """Build each backbone once and check all members' settings, before any unit is trained.

    Args:
        backbones: folders by the backbone's name; a backbone that is not there is not checked.
    Raises:
        ValueError: a backbone cannot be used, or a setting does not fit; the message names the
            backbone or the member.
    """
    used = {member.backbone for member in members if member.backbone} & backbones.keys()
    if used:
        from pipeline.members.bert.network import check_network

        for name in sorted(used):
            check_network(name, backbones[name])
    for member in members:
        copy = backbones.get(member.backbone) if member.backbone else None
        try:
            kind_of(member).check(member, copy)
        except ValueError as error:
            raise ValueError(f"member {member.name}: {error}") from None


def _bert() -> Kind:
    from pipeline.members.bert.encoder import Bert

    return Bert()


def _classic() -> Kind:
    from pipeline.members.classic.shallow import Classic

    return Classic()


# by the `kind` of a member's settings, which run.json repeats
KINDS: dict[str, Callable[[], Kind]] = {"bert": _bert, "classic": _classic}
