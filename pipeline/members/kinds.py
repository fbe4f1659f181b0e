"""The kinds of members, and the registry `KINDS`: fine-tuned encoders and classic models.

The one place that tells kinds apart. A kind is imported only where there is work for it: torch and
scikit-learn take seconds to load.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from pipeline.members.units import Encoding, Outcome, Texts, Unit, UnitRows, read_run
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Jobs
from pipeline.settings.members import AnyMember, Options

M = TypeVar("M", contravariant=True)  # the settings of the kind's members


class Predictor(Protocol):
    """A unit that was read back from disk."""

    @property
    def device(self) -> str:
        """What it computes with, "cpu" or "cuda"."""

    def predict(self, inputs: Any) -> Floats:
        """(n, c) predictions of n inputs, on the prediction scale; n may be 0."""


class Kind(Protocol[M]):
    """What the stages ask of a kind of member."""

    def check(self, member: M, backbone: Path | None) -> None:
        """Find what cannot be built before any unit is trained.

        Args:
            backbone: folder of the competition's copy; None where there is none yet: what depends
                on it is not checked.
        Raises:
            ValueError: a setting does not fit.
        """

    def encoding(self, member: M, backbone: Path | None) -> Encoding:
        """How the member's units take texts.

        Args:
            backbone: folder of the competition's copy; None for a member that reads none.
        """

    def inputs(self, encoding: Encoding, texts: Texts, jobs: Jobs | None) -> Any:
        """The texts as units of this encoding take them, such as tokens.

        Args:
            jobs: how to work side by side; None: all in this process.
        """

    def warning(self, member: M, inputs: Any) -> str | None:
        """What those who train on `inputs` should know."""

    def fit(
        self, member: M, encoding: Encoding, rows: UnitRows, inputs: Any, folder: Path
    ) -> Outcome:
        """Train a unit, write its model to `folder`, and predict the rows of its fold.

        Args:
            inputs: of all training rows, those of the fold among them.
        """

    def load(self, unit: Unit) -> Predictor:
        """A trained unit, from what `models/` holds alone.

        Raises:
            ValueError: its files are not those that were written.
        """


class Registered(NamedTuple):
    """A kind that is not imported yet.

    Attributes:
        kind: imports it.
        defaults: options that a member's model has unless the member says otherwise.
    """

    kind: Callable[[], Kind[Any]]
    defaults: Callable[[Any], Options]


def kind_of(member: AnyMember) -> Kind[Any]:
    return KINDS[member.kind].kind()


def kind_of_unit(unit: Unit) -> Kind[Any]:
    """The kind of a trained unit, as its `run.json` says.

    Raises:
        ValueError: it does not say so, as those of older versions.
    """
    name = read_run(unit).get("kind")
    if name not in KINDS:
        raise ValueError(
            f"{unit.folder}: run.json has 'kind' {name!r}, should be one of {', '.join(KINDS)}; "
            "another version wrote it: remove the folder and run train again"
        )
    return KINDS[name].kind()


def settings_on_record(member: AnyMember) -> Mapping[str, object]:
    """A member's settings for its fingerprint, with the options that its model has by default.

    Raises:
        ValueError: there is no such model.
    """
    defaults = KINDS[member.kind].defaults(member)
    return {**member.settings, "options": {**defaults, **member.options}}


def check_members(members: Sequence[AnyMember], backbones: Mapping[str, Path]) -> None:
    """Find what cannot be built before any unit is trained.

    Args:
        backbones: folder of the competition's copy, by the backbone's name; may be empty.
    Raises:
        ValueError: a setting of a member, which is named, does not fit.
    """
    for member in members:
        copy = backbones.get(member.backbone) if member.backbone else None
        try:
            kind_of(member).check(member, copy)
        except ValueError as error:
            raise ValueError(f"member {member.name}: {error}") from None


def _bert() -> Kind[Any]:
    from pipeline.members.bert.encoder import Bert

    return Bert()


def _classic() -> Kind[Any]:
    from pipeline.members.classic.shallow import Classic

    return Classic()


def _no_defaults(member: Any) -> Options:
    return {}


def _defaults_of_model(member: Any) -> Options:
    from pipeline.members.classic.estimators import default_options

    return default_options(member.model)


# by the `kind` of a member's settings; a unit's run.json says it too
KINDS: dict[str, Registered] = {
    "bert": Registered(_bert, _no_defaults),
    "classic": Registered(_classic, _defaults_of_model),
}
