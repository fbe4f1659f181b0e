"""Means of predictors, and the registry `BLENDERS` of all methods that blend them.

Letters: n fit rows, k new rows, m predictors, c columns. `ensemble.weights` and `.stackers` have
the other methods; each is a blender as soon as it is registered there.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.ensemble.fitted import BlendModel, Fitted, State
from pipeline.ensemble.stackers import STACKERS
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.names import LABELLED
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task, as_probabilities


@dataclass(frozen=True)
class Blender:
    """A blending method that refuses a task which it does not support."""

    name: str
    model: BlendModel

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that it supports; for others `fit` raises."""
        return self.model.tasks

    def fit(self, preds: Floats, target: Target, *, seed: int) -> Fitted:
        """The fitted blend.

        Args:
            preds: (n, m, c) finite predictions of the fit rows, on the prediction scale.
        Raises:
            ValueError: the task does not fit.
        """
        task = target.task.name
        if task not in self.tasks:
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


class GeometricMean:
    """Mean of log-odds or log-softmax: a logarithmic opinion pool (Genest & Zidek 1986).

    Confident members count for more than in the plain mean.
    """

    tasks = LABELLED

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        return {}

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        n_members = new.shape[1]
        # member by member, to avoid a raw copy of the stack
        total = sum(task.to_raw(new[:, i]) for i in range(n_members))
        return np.asarray(task.to_prediction(total / n_members))


class RankMean:
    """Mean of ranks among the fit rows, on the scale of the plain mean.

    Members of equal order count equally, whatever their scale. Formula: docs/method.md, "Blenders".
    """

    tasks = tuple(TASKS)

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        """Sorted predictions (n, m, c), sums of ranks (n, c) and plain means (n, c)."""
        members = np.sort(preds, axis=0)
        sums = _sums_of_ranks(members, preds)
        return {
            "members": members,
            "sums": np.sort(sums, axis=0),
            "means": np.sort(preds.mean(axis=1), axis=0),
        }

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        sums, means = np.asarray(state["sums"]), np.asarray(state["means"])
        new_sums = _sums_of_ranks(np.asarray(state["members"]), new)
        places = np.arange(len(means)) + 0.5
        blend = np.empty_like(new_sums)
        for j in range(blend.shape[1]):
            blend[:, j] = np.interp(_rank(sums[:, j], new_sums[:, j]), places, means[:, j])
        if task.name != "multiclass":
            return blend
        total = blend.sum(axis=1, keepdims=True)
        return np.where(total > 0, blend / np.where(total > 0, total, 1), new.mean(axis=1))


def _sums_of_ranks(members: Floats, new: Floats) -> Floats:
    """(k, c) sums over members of the ranks of (k, m, c) values among those of (n, m, c)."""
    # sums, not means: sums of halves are exact, so ties stay ties
    sums = np.zeros((len(new), new.shape[2]))
    for i, j in np.ndindex(new.shape[1:]):
        sums[:, j] += _rank(members[:, i, j], new[:, i, j])
    return sums


def _rank(fit: Floats, new: Floats) -> Floats:
    """(k,) number of (n,) fit values below each new value; a tie counts half."""
    values, counts = np.unique(fit, return_counts=True)
    # linear between fit values, so that new values keep their order
    return np.interp(new, values, np.cumsum(counts) - counts / 2)


_MODELS: dict[str, BlendModel] = {
    **{name: WeightedMean(weigh) for name, weigh in WEIGHTS.items()},
    "rank_mean": RankMean(),
    "geometric_mean": GeometricMean(),
    **STACKERS,
}
BLENDERS: dict[str, Blender] = {name: Blender(name, model) for name, model in _MODELS.items()}
