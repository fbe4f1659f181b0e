"""How the units of a member are trained and reloaded, whatever the member is.

The one place that tells fine-tuned members from classic ones; what is slow to import is imported
only where a unit of that kind has work to do.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

from pipeline.members.unit_folder import Assignment
from pipeline.members.units import Unit
from pipeline.scoring.tasks import Floats


class Plan(Protocol):
    """What a member's settings come to; it travels to the workers."""

    @property
    def source(self) -> Hashable:
        """What its inputs depend on: plans of one source share them."""

    @property
    def needs_torch(self) -> bool:
        """Whether its units compute with torch, on a GPU if there is one."""

    def check(self, competition: str) -> None:
        """Find what cannot be built before any unit is trained.

        Raises:
            ValueError: a setting does not fit.
        """

    def read_inputs(
        self, competition: str, texts: Sequence[tuple[str, ...]], jobs: dict[str, Any]
    ) -> Any:
        """The texts as the units take them, such as tokens.

        Args:
            jobs: the keywords of `members.jobs.run_all`.
        """

    def warning(self, inputs: Any) -> str | None:
        """What those who train on `inputs` should know."""

    def train(self, assignment: Assignment, inputs: Any) -> None:
        """Train a unit and write its folder.

        Args:
            inputs: those of all training rows.
        """

    def predict(self, unit: Unit, inputs: Any) -> Floats:
        """Predictions (n, c) of a unit as it lies on disk.

        Raises:
            ValueError: it does not reproduce what it predicted when it was trained.
        """


def _fine_tuned(settings: dict[str, Any]) -> Plan:
    from pipeline.members.bert.plan import BertPlan

    return BertPlan.of(settings)


def _classic(settings: dict[str, Any]) -> Plan:
    from pipeline.members.classic.plan import ClassicPlan

    return ClassicPlan.of(settings)


# by the key that a member of the kind has, in the YAML and in its units' fingerprints
PLANS: dict[str, Callable[[dict[str, Any]], Plan]] = {"pooling": _fine_tuned, "model": _classic}


def plan_of(fingerprint: dict[str, Any]) -> Plan:
    """The plan that a unit's fingerprint describes: a member's settings and its backbone's copy."""
    (kind,) = PLANS.keys() & fingerprint.keys()
    return PLANS[kind](fingerprint)


def train_unit(plan: Plan, assignment: Assignment, inputs: Any) -> None:
    plan.train(assignment, inputs)


def predict_unit(plan: Plan, unit: Unit, inputs: Any) -> Floats:
    return plan.predict(unit, inputs)
