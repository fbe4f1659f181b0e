"""What the stages ask of a fine-tuned member."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from pipeline.members.bert.tokens import Tokens
from pipeline.members.bert.trainer import Recipe, training_arguments
from pipeline.members.bert.unit import (
    Architecture,
    check_architecture,
    predict_unit,
    tokenize_texts,
    train_unit,
)
from pipeline.members.steps import EPOCHS
from pipeline.members.unit_folder import Assignment
from pipeline.members.units import Unit
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True)
class BertPlan:
    """See `members.kinds.Plan`; units take `Tokens`."""

    architecture: Architecture
    recipe: Recipe

    @staticmethod
    def of(settings: dict[str, Any]) -> "BertPlan":
        return BertPlan(
            Architecture(**{f.name: settings[f.name] for f in fields(Architecture)}),
            # of a unit from before a setting was there: null, what it stands for there
            Recipe(**{f.name: settings.get(f.name) for f in fields(Recipe)}),  # type: ignore[arg-type]
        )

    @property
    def source(self) -> tuple[str, int]:
        return self.architecture.backbone, self.architecture.max_length

    @property
    def needs_torch(self) -> bool:
        return True

    def check(self, competition: str) -> None:
        check_architecture(competition, self.architecture)
        for key, value in self.recipe.trainer.items():
            if not _comes_back_from_json(value):
                raise ValueError(
                    f"training.trainer: {key} is {value!r}, which run.json cannot hold; "
                    "give a number, a text, true or false, or lists and maps of these"
                )
        # a GPU, and whether there is one for fp16, is for the workers; the folder is not touched
        training_arguments(self.recipe, self.recipe.epochs or EPOCHS, Path("unused"), "cpu", "fp32")

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


def _comes_back_from_json(value: Any) -> bool:
    """False for a date of YAML, and for NaN, which would differ from itself in every later run."""
    try:
        return bool(json.loads(json.dumps(value)) == value)
    except (TypeError, ValueError):
        return False
