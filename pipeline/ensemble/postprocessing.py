"""What is done to one blend to suit the metric, and the registry `DECISIONS`.

Letters: n fit rows, k new rows, c columns. Each is called as
`DECISIONS[name](blend, y, new_blend, *, task, metric) -> (k, c)`, fitted on honest predictions of
the fit rows and applied to others in that one call. What comes out is on the prediction scale
again: thresholds and cut points arrive at 0.5, at equal odds and at the middle between two labels,
where `scoring.metrics` decides. A column whose targets are all equal is left as it is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.calibration import isotonic, temperature
from pipeline.ensemble.thresholds import cut_points, threshold
from pipeline.scoring.counts import COUNTED
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.tasks import TASKS, Floats


@dataclass(frozen=True)
class Decision:
    """A checked decision: `function` with the tasks and the metrics that it fits."""

    name: str
    function: Callable[..., Floats]
    tasks: tuple[str, ...]
    metrics: tuple[str, ...]

    def fits(self, task: str, metric: str) -> bool:
        """Whether a call with this task and metric decides; otherwise it raises."""
        return task in self.tasks and metric in self.metrics and task in METRICS[metric].tasks

    def __call__(
        self, blend: Floats, y: NDArray[Any], new_blend: Floats, *, task: str, metric: str
    ) -> Floats:
        """The new rows' blend, each of which depends on no other new row.

        Args:
            blend: (n, c) predictions of the fit rows by a blender that did not see their targets.
            y: their targets, (n, c) or (n,) codes as in `scoring.tasks`.
            new_blend: (k, c).
        Returns:
            (k, c) float64; probabilities where probabilities came in.
        Raises:
            ValueError: the task or the metric does not fit, or shapes disagree.
        """
        if not self.fits(task, metric):
            raise ValueError(
                f"decision {self.name!r} does not fit task {task!r} with metric {metric!r}, only "
                f"{', '.join(self.tasks)} with {', '.join(self.metrics)}; "
                "take it out of blend.decisions"
            )
        expected = blend.shape[:1] if TASKS[task].has_classes else blend.shape
        if blend.ndim != 2 or blend.shape[1:] != new_blend.shape[1:] or y.shape != expected:
            raise ValueError(
                f"decision {self.name!r}: the blend is {blend.shape} to fit and {new_blend.shape} "
                f"new, its targets {y.shape}; rows and columns have to agree"
            )
        return self.function(blend, y, new_blend, task=task, metric=metric)


def clip(blend: Floats, y: Floats, new_blend: Floats, *, task: str, metric: str) -> Floats:
    """No prediction beyond the least and the greatest target of the fit rows."""
    low, high = y.min(axis=0), y.max(axis=0)
    return np.where(low < high, np.clip(new_blend, low, high), new_blend)


def check_decisions(names: Iterable[str]) -> None:
    """Raise a ValueError for a name that is no decision."""
    for name in names:
        if name not in DECISIONS:
            known = ", ".join(sorted(DECISIONS))
            raise ValueError(f"blend.decisions: unknown decision {name!r}; choose one of: {known}")


_PROBABILITIES = tuple(name for name, task in TASKS.items() if task.is_probability)

DECISIONS: dict[str, Decision] = {
    decision.name: decision
    for decision in [
        Decision("threshold", threshold, _PROBABILITIES, tuple(COUNTED)),
        Decision("cut_points", cut_points, ("regression", "binary", "multiclass"), ("qwk",)),
        Decision("temperature", temperature, _PROBABILITIES, ("logloss",)),
        Decision("isotonic", isotonic, _PROBABILITIES, ("logloss",)),
        Decision("clip", clip, ("regression",), ("rmse", "mae", "mcrmse", "r2")),
    ]
}
