"""The registry `BLENDERS` of all methods that blend predictors.

Letters: n fit rows, k new rows, m predictors, c columns. `ensemble.means`, `.weights` and
`.stackers` have the methods; each is a blender as soon as it is registered there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.ensemble.fitted import BlendModel, Fitted, State
from pipeline.ensemble.means import MEANS
from pipeline.ensemble.stackers import STACKERS
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task, as_probabilities


@dataclass(frozen=True)
class Blender:
    """A blending method that refuses a task which it does not support."""

    name: str
    model: BlendModel

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that the blender supports."""
        return self.model.tasks

    def supports(self, task: str) -> bool:
        """Whether the blender supports this task; otherwise `fit` raises."""
        return task in self.tasks

    def fit(self, preds: Floats, target: Target, *, seed: int) -> Fitted:
        """The fitted blend.

        Args:
            preds: (n, m, c) finite predictions of the fit rows, on the prediction scale.
        Raises:
            ValueError: the task does not fit.
        """
        task = target.task.name
        if not self.supports(task):
            raise ValueError(
                f"blender {self.name!r} does not fit task {task!r}, only "
                f"{', '.join(self.tasks)}; take it out of blend.methods"
            )
        values = self.model.fit(preds, target, seed)
        return Fitted(self.name, self.model, target.task, preds.shape[1:], values)


@dataclass(frozen=True)
class WeightedMean:
    """Weighted mean on the prediction scale, with weights per member, or per member and column.

    Attributes:
        weigh: one of `WEIGHTS`.
    """

    weigh: Callable[..., Floats]
    tasks: tuple[str, ...] = tuple(TASKS)

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        return {"weights": self.weigh(preds, target, seed=seed)}

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        weights = np.asarray(state["weights"])
        which = "m" if weights.ndim == 1 else "mc"
        return as_probabilities(task.name, np.einsum(f"kmc,{which}->kc", new, weights))


_MODELS: dict[str, BlendModel] = {
    **{name: WeightedMean(weigh) for name, weigh in WEIGHTS.items()},
    **MEANS,
    **STACKERS,
}
BLENDERS: dict[str, Blender] = {name: Blender(name, model) for name, model in _MODELS.items()}
