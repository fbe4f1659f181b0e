"""What a fitted blender, or a fitted post-processing, is: plain data, and the code that applies it.

Letters: k new rows, m predictors, c columns.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task

State = dict[str, Any]  # numbers, text, arrays, None, and lists and dicts of these


class Model(Protocol):
    """How a state that was fitted is applied; its `fit` is up to the registry that it stands in."""

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        """(k, c) predictions of new rows, each of which depends on no other new row.

        Args:
            state: as `fit` returned it; a list may stand for an array.
            new: (k, m, c) predictions, or a (k, c) blend to post-process.
        """
        ...


class BlendModel(Model, Protocol):
    """A blender without its checks."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that it fits; the blend stage leaves it out of the others."""
        ...

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        """What `apply` needs, from (n, m, c) predictions and their targets."""
        ...


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted blender or post-processing.

    Attributes:
        name: as in its registry.
        row: the shape of a row that it is applied to: (m, c), or (c,).
        values: what `model` needs, nothing else.
    """

    name: str
    model: Model
    task: Task
    row: tuple[int, ...]
    values: State

    def apply(self, new: Floats) -> Floats:
        """Predictions of new rows; needs neither targets nor the rows that it was fitted on.

        Args:
            new: (k, m, c) predictions, or (k, c) of a blend.
        Returns:
            (k, c) float64; probabilities where probabilities came in.
        Raises:
            ValueError: the shape is another than that of the fit rows, or a value is not finite.
        """
        if new.shape[1:] != self.row:
            raise ValueError(
                f"{self.name!r} was fitted on rows of shape {self.row}, the new predictions are "
                f"{new.shape}; give the same predictors and columns"
            )
        refuse_not_finite(self.name, "new prediction", new)
        applied = self.model.apply(self.values, new, self.task)
        # weights of sum 1 + 1e-16 leave [0, 1] where all members say 1
        return np.clip(applied, 0, 1) if self.task.is_probability else applied

    @property
    def state(self) -> State:
        """All of it as plain data; `from_state` of the same registry gives the same thing back."""
        return {"name": self.name, "task": self.task.name, "row": list(self.row), **self.values}


def fitted_from(state: State, model: Model) -> Fitted:
    """The inverse of `Fitted.state`; lists in the state may stand for arrays."""
    values = {key: value for key, value in state.items() if key not in ("name", "task", "row")}
    return Fitted(state["name"], model, TASKS[state["task"]], tuple(state["row"]), values)


def refuse_not_finite(name: str, what: str, values: Floats) -> None:
    """Refuse what a model would turn into NaN in silence.

    Raises:
        ValueError: a value of (n, ...) `values` is not finite.
    """
    bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if bad.any():
        raise ValueError(
            f"{name!r}: {what} not finite in {bad.sum()} of {len(values)} rows, first row "
            f"{bad.argmax()}; find the predictor that holds NaN or infinity"
        )
