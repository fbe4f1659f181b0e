"""What the stages ask of a fine-tuned member."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from pipeline.bert.finetune import Recipe
from pipeline.bert.tokens import Tokens
from pipeline.bert.unit import (
    Architecture,
    check_architecture,
    predict_unit,
    tokenize_texts,
    train_unit,
)
from pipeline.tasks import Floats
from pipeline.unit_folder import Assignment
from pipeline.units import Unit


@dataclass(frozen=True)
class BertPlan:
    """See `pipeline.plans.Plan`; units take `Tokens`."""

    architecture: Architecture
    recipe: Recipe

    @staticmethod
    def of(settings: dict[str, Any]) -> "BertPlan":
        return BertPlan(
            Architecture(**{f.name: settings[f.name] for f in fields(Architecture)}),
            Recipe(**{f.name: settings[f.name] for f in fields(Recipe)}),
        )

    @property
    def source(self) -> tuple[str, int]:
        return self.architecture.backbone, self.architecture.max_length

    @property
    def needs_torch(self) -> bool:
        return True

    def check(self, competition: str) -> None:
        check_architecture(competition, self.architecture)

    def read_inputs(
        self, competition: str, texts: Sequence[tuple[str, ...]], jobs: dict[str, Any]
    ) -> Tokens:
        return tokenize_texts(competition, *self.source, texts)

    def warning(self, inputs: Tokens) -> str | None:
        if not inputs.n_cut:
            return None
        return (
            f"{inputs.n_cut} of {len(inputs)} texts ({inputs.n_cut / len(inputs):.1%}) are longer "
            f"than training.max_length {self.architecture.max_length} and lose their end"
        )

    def train(self, assignment: Assignment, inputs: Tokens) -> None:
        train_unit(assignment, self.architecture, self.recipe, inputs)

    def predict(self, unit: Unit, inputs: Tokens) -> Floats:
        return predict_unit(unit, inputs)
