"""The registry `BLENDERS` of all methods that blend predictors.

Letters: n fit rows, k new rows, m predictors, c columns. `ensemble.means`, `.weights` and
`.stackers` have the methods; each is a blender as soon as it is registered there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.ensemble.fitted import BlendModel, Fitted, State, refuse_not_finite
from pipeline.ensemble.means import MEANS
from pipeline.ensemble.stackers import STACKERS
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task, as_probabilities


@dataclass(frozen=True)
class Blender:
    """A blending method with checks of its input."""

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
            preds: (n, m, c) predictions of the fit rows, on the prediction scale.
        Raises:
            ValueError: the task does not fit, shapes disagree, or a value is not finite.
        """
        task, shape, y = target.task.name, preds.shape, target.y
        if not self.supports(task):
            raise ValueError(
                f"blender {self.name!r} does not fit task {task!r}, only "
                f"{', '.join(self.tasks)}; take it out of blend.methods"
            )
        if preds.ndim != 3 or 0 in shape[:2]:
            raise ValueError(
                f"blender {self.name!r}: predictions to fit are {shape}, not (rows, predictors, "
                "columns) with at least one row and one predictor"
            )
        expected = shape[:1] if target.task.has_classes else shape[::2]
        if y.shape != expected:
            raise ValueError(
                f"blender {self.name!r}: targets of {task} are {expected}, got {y.shape}"
            )
        refuse_not_finite(self.name, "prediction to fit", preds)
        # NaN only where a row has no target at all
        largest = np.fmax.reduce(np.abs(y).reshape(len(y), -1), axis=1)
        refuse_not_finite(self.name, "target", largest)
        values = self.model.fit(preds, target, seed)
        return Fitted(self.name, self.model, target.task, shape[1:], values)


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
