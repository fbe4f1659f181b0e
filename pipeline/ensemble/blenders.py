"""The registry `BLENDERS`: everything that turns several predictors into one.

Letters: n fit rows, k new rows, m predictors, c columns. Means, weights and models on predictions
live in `ensemble.means`, `.weights` and `.stackers`, and are blenders as soon as they are
registered there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.ensemble.fitted import BlendModel, Fitted, State, fitted_from, refuse_not_finite
from pipeline.ensemble.means import MEANS
from pipeline.ensemble.stackers import STACKERS
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task, as_probabilities


@dataclass(frozen=True)
class Blender:
    """A checked blender: fitted on the predictions and targets of some rows, applied to others'."""

    name: str
    model: BlendModel

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that it fits."""
        return self.model.tasks

    def supports(self, task: str) -> bool:
        """Whether it blends predictions of this task; otherwise `fit` raises."""
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
        refuse_not_finite(self.name, "target", y)
        values = self.model.fit(preds, target, seed)
        return Fitted(self.name, self.model, target.task, shape[1:], values)

    def from_state(self, state: State) -> Fitted:
        """The blend that has this `state`; lists in it may stand for arrays."""
        return fitted_from(state, self.model)


@dataclass(frozen=True)
class WeightedMean:
    """Sum on the prediction scale, with one weight a member or one a member and column.

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


def check_methods(names: Iterable[str]) -> None:
    """Raise a ValueError for a method that is no blender."""
    for name in names:
        if name not in BLENDERS:
            known = ", ".join(sorted(BLENDERS))
            raise ValueError(f"blend.methods: unknown method {name!r}; choose one of: {known}")


_MODELS: dict[str, BlendModel] = {
    **{name: WeightedMean(weigh) for name, weigh in WEIGHTS.items()},
    **MEANS,
    **STACKERS,
}
BLENDERS: dict[str, Blender] = {name: Blender(name, model) for name, model in _MODELS.items()}
