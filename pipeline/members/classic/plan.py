"""What the stages ask of a classic member."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.members.classic.classics import CLASSICS, check_options
from pipeline.members.classic.unit import predict_unit, train_unit
from pipeline.members.unit_folder import Assignment
from pipeline.members.units import Unit
from pipeline.scoring.tasks import Floats

Texts = Sequence[tuple[str, ...]]
MANY_ROWS = 20_000  # 8,000 take 22 s a fit (docs/LOG.md), so these about two minutes


@dataclass(frozen=True)
class ClassicPlan:
    """See `members.kinds.Plan`; units take texts or, where there is a backbone, embeddings.

    Attributes:
        options: all that the model has.
        backbone: name of the folder in the competition's `backbones`.
    """

    model: str
    options: dict[str, Any]
    seed: int
    backbone: str | None

    @staticmethod
    def of(settings: dict[str, Any]) -> "ClassicPlan":
        return ClassicPlan(*(settings[key] for key in ("model", "options", "seed", "backbone")))

    @property
    def source(self) -> tuple[str | int, ...]:
        if self.backbone is None:
            return ("texts",)
        return "embeddings", self.backbone, self.options["max_length"]

    @property
    def needs_torch(self) -> bool:
        return self.backbone is not None  # the parity of its units embeds texts again

    def check(self, competition: str) -> None:
        check_options(self.model, self.options)

    def read_inputs(self, competition: str, texts: Texts, jobs: dict[str, Any]) -> Any:
        if self.backbone is None:
            return texts
        # imported here: torch takes seconds to load, and other models need none of it
        from pipeline.members.bert.embeddings import embed_texts

        longest = self.options["max_length"]
        return embed_texts(competition, self.backbone, longest, texts, jobs)

    def warning(self, inputs: Any) -> str | None:
        if self.model != "embedding_svr" or len(inputs) <= MANY_ROWS:
            return None
        slower = (len(inputs) / MANY_ROWS) ** 2
        return (
            f"embedding_svr takes time that grows with the square of the rows; {len(inputs):,} are "
            f"about {slower:.0f} times as slow as {MANY_ROWS:,}, which take minutes a unit"
        )

    def train(self, assignment: Assignment, inputs: Any) -> None:
        model = CLASSICS[self.model](
            task=assignment.task,
            n_columns=len(assignment.rows.columns),
            seed=self.seed,
            **self.options,
        )
        facts = {"model": self.model, "options": self.options, "seed": self.seed}
        train_unit(assignment, model, inputs, self._device(), facts)

    def predict(self, unit: Unit, inputs: Any) -> Floats:
        def read(texts: Texts) -> Any:
            if self.backbone is None:
                return texts
            from pipeline.members.bert.embeddings import embed

            longest = self.options["max_length"]
            return embed(unit.competition, self.backbone, longest, texts)

        return predict_unit(unit, inputs, read, self._device())

    def _device(self) -> str:
        """What the inputs are computed on; all else runs on the CPU."""
        if self.backbone is None:
            return "cpu"
        from pipeline.members.bert.finetune import best_device

        return best_device().type
