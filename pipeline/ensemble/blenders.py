"""The registry `BLENDERS`: everything that turns several predictors into one.

Letters: n fit rows, k new rows, m predictors, c columns. Weights and models on predictions live in
`ensemble.weights` and `.stackers` and are blenders as soon as they are registered there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.means import geometric_mean, rank_mean
from pipeline.ensemble.stackers import STACKERS
from pipeline.ensemble.two_level import two_level
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.tasks import TASKS, Floats, as_probabilities


@dataclass(frozen=True)
class Blender:
    """A checked blender: `function` fitted on some rows and applied to others, in one call.

    Attributes:
        function: `(preds, y, new_preds, *, task, metric, seed) -> (k, c)`.
        tasks: the tasks that it fits; the stage leaves it out of the others, with a note.
        max_rows: how many fit rows it takes; None is any number.
    """

    name: str
    function: Callable[..., Floats]
    tasks: tuple[str, ...] = tuple(TASKS)
    max_rows: int | None = None

    def supports(self, task: str, n_rows: int = 1) -> bool:
        """Whether a call with this task and this many fit rows blends; otherwise it raises."""
        return not self.misfit(task, n_rows)

    def misfit(self, task: str, n_rows: int) -> str:
        """Why a call with this task and this many fit rows raises; empty where it blends."""
        if task not in self.tasks:
            return f"does not fit task {task!r}, only {', '.join(self.tasks)}"
        if self.max_rows is not None and n_rows > self.max_rows:
            return f"takes at most {self.max_rows} rows to fit, got {n_rows}"
        return ""

    def __call__(
        self,
        preds: Floats,
        y: NDArray[Any],
        new_preds: Floats,
        *,
        task: str,
        metric: str,
        seed: int,
    ) -> Floats:
        """The blend of new rows, each of which depends on no other new row.

        Args:
            preds: (n, m, c) predictions of the fit rows.
            y: their targets, (n, c) or (n,) codes as in `scoring.tasks`.
            new_preds: (k, m, c).
        Returns:
            (k, c) float64; probabilities where probabilities came in.
        Raises:
            ValueError: the task does not fit, there are too many fit rows, shapes disagree, or a
                value is not finite.
        """
        misfit = self.misfit(task, len(preds))
        if misfit:
            raise ValueError(f"blender {self.name!r} {misfit}; take it out of blend.methods")
        _check(self.name, preds, y, new_preds, task)
        blend = self.function(preds, y, new_preds, task=task, metric=metric, seed=seed)
        # weights of sum 1 + 1e-16 leave [0, 1] where all members say 1
        return np.clip(blend, 0, 1) if TASKS[task].is_probability else blend


FIRST_LEVEL = ("convex", "hill_climb", "ridge", "logistic", "lightgbm")


def convex_of_blends(
    preds: Floats, y: NDArray[Any], new_preds: Floats, *, task: str, metric: str, seed: int
) -> Floats:
    """Two levels: convex weights of blends that differ in kind, those of them that fit the task.

    Non-negative weights, as in Breiman 1996: a blend that another can stand for gets none.
    """
    blenders = [BLENDERS[name] for name in FIRST_LEVEL]
    first = [blender for blender in blenders if blender.supports(task, len(preds))]
    return two_level(
        first, BLENDERS["convex"], preds, y, new_preds, task=task, metric=metric, seed=seed
    )


def _weighted_mean(
    weigh: Callable[..., Floats],
    preds: Floats,
    y: NDArray[Any],
    new_preds: Floats,
    *,
    task: str,
    metric: str,
    seed: int,
) -> Floats:
    """Sum on the prediction scale, with one weight a member or one a member and column."""
    weights = weigh(preds, y, task=task, metric=metric, seed=seed)
    which = "m" if weights.ndim == 1 else "mc"
    return as_probabilities(task, np.einsum(f"kmc,{which}->kc", new_preds, weights))


def _check(name: str, preds: Floats, y: NDArray[Any], new_preds: Floats, task: str) -> None:
    """Refuse what a blender would broadcast, or turn into NaN, in silence."""
    if new_preds.ndim != 3 or preds.shape[1:] != new_preds.shape[1:]:
        raise ValueError(
            f"blender {name!r}: predictions are {preds.shape} to fit and {new_preds.shape} new, "
            "not (rows, predictors, columns) twice with the same predictors and columns"
        )
    n, n_members, n_columns = preds.shape
    if n == 0 or n_members == 0:
        raise ValueError(f"blender {name!r}: nothing to fit on, predictions are {preds.shape}")
    expected = (n,) if TASKS[task].has_classes else (n, n_columns)
    if y.shape != expected:
        raise ValueError(f"blender {name!r}: targets of {task} are {expected}, got {y.shape}")
    for what, values in (
        ("prediction to fit", preds),
        ("target", y),
        ("new prediction", new_preds),
    ):
        bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if bad.any():
            raise ValueError(
                f"blender {name!r}: {what} not finite in {bad.sum()} of {len(values)} rows, first "
                f"row {bad.argmax()}; find the predictor that holds NaN or infinity"
            )


def check_methods(names: Iterable[str]) -> None:
    """Raise a ValueError for a method that is no blender."""
    for name in names:
        if name not in BLENDERS:
            known = ", ".join(sorted(BLENDERS))
            raise ValueError(f"blend.methods: unknown method {name!r}; choose one of: {known}")


BLENDERS: dict[str, Blender] = {
    blender.name: blender
    for blender in [
        *(Blender(name, partial(_weighted_mean, weigh)) for name, weigh in WEIGHTS.items()),
        Blender("rank_mean", rank_mean),
        Blender("geometric_mean", geometric_mean, ("binary", "multiclass", "multilabel")),
        *(Blender(name, s.function, s.tasks, s.max_rows) for name, s in STACKERS.items()),
        Blender("two_level", convex_of_blends, max_rows=100_000),  # 10 classes take minutes
    ]
}
