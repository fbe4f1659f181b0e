"""A fitted blender or post-processing: its state as plain data, and the model that applies it.

Letters: k new rows, m predictors, c columns.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.files.suggestions import choices
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task

State = dict[str, Any]  # numbers, text, arrays, None, lists and dicts: a state is written as JSON


class Model(Protocol):
    """Code that applies a fitted state."""

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        """(k, c) predictions of new rows, each independent of the other new rows.

        Args:
            state: as `fit` returned it; arrays may be lists.
            new: (k, m, c) predictions, or a (k, c) blend to post-process.
        """


class BlendModel(Model, Protocol):
    """A blender without its checks."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that the blender supports."""

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        """The state, from (n, m, c) predictions and their targets."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted blender or post-processing.

    Attributes:
        name: name in its registry.
        row: shape of one row that it applies to: (m, c), or (c,).
        values: the state that `model` needs.
    """

    name: str
    model: Model
    task: Task
    row: tuple[int, ...]
    values: State

    def apply(self, new: Floats) -> Floats:
        """(k, c) predictions of new rows, without targets or fit rows.

        Args:
            new: (k, m, c) predictions, or a (k, c) blend; rows have the shape of the fit rows.
        Raises:
            ValueError: a value is not finite.
        """
        bad = ~np.isfinite(new).reshape(len(new), -1).all(axis=1)
        if bad.any():
            raise ValueError(
                f"{self.name!r}: new prediction not finite in {bad.sum()} of {len(new)} rows, "
                f"first row {bad.argmax()}; find the predictor that holds NaN or infinity"
            )
        applied = self.model.apply(self.values, new, self.task)
        # weights may sum to 1 + 1e-16, which is more than 1 where all members predict 1
        return np.clip(applied, 0, 1) if self.task.is_probability else applied

    @property
    def uses(self) -> NDArray[np.bool_]:
        """(m,) whether the blend needs each predictor; False where all its weights are 0."""
        weights = self.values.get("weights", np.ones(self.row[0]))
        return np.any(np.reshape(weights, (self.row[0], -1)) != 0, axis=1)

    def as_json(self, columns: Sequence[str]) -> State:
        """The state of a post-processing without arrays, and its meaning in a line."""
        meaning = self.model.meaning(self.values, columns, self.task)  # type: ignore[attr-defined]
        plain = json.dumps({"meaning": meaning, **self.state}, default=lambda array: array.tolist())
        return dict(json.loads(plain))

    @property
    def state(self) -> State:
        """Plain data, from which `from_state` makes an equal object."""
        return {"name": self.name, "task": self.task.name, "row": list(self.row), **self.values}

    @staticmethod
    def from_state(state: State, model: Model) -> "Fitted":
        """The inverse of `state`; arrays may be lists."""
        values = {key: value for key, value in state.items() if key not in ("name", "task", "row")}
        return Fitted(state["name"], model, TASKS[state["task"]], tuple(state["row"]), values)


def check_names(setting: str, names: Iterable[str], registry: Collection[str]) -> None:
    """Raise a ValueError for a name of a setting that is not in its registry."""
    for name in names:
        if name not in registry:
            raise ValueError(f"{setting}: unknown name {name!r}; {choices(name, sorted(registry))}")
