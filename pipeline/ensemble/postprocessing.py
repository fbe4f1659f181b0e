"""Post-processing that adapts a blend to the metric, and the registry `POSTPROCESSING`.

Letters: n fit rows, k new rows, c columns. Results stay on the prediction scale: predictions are
moved so that the best threshold or cut point lies where `Target.score` decides, at 0.5, at equal
odds or midway between two labels. A column with constant targets stays unchanged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipeline.ensemble.calibration import Isotonic, Temperature
from pipeline.ensemble.cut_points import CutPoints
from pipeline.ensemble.fitted import Fitted, Model, State
from pipeline.ensemble.thresholds import Threshold
from pipeline.scoring.metrics import METRICS, Metric
from pipeline.scoring.names import LABELLED, TASKS_OF_METRIC
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task


class PostprocessingModel(Model, Protocol):
    """A post-processing without its checks."""

    def fit(self, blend: Floats, target: Target) -> State:
        """The state, from a (n, c) blend and its targets.

        Columns that nothing ties, neither a sum of 1 nor a metric that scores them at once, come
        one by one; each entry of the state then lists one value.
        """

    def meaning(self, state: State, columns: Sequence[str], task: Task) -> str:
        """What it does to the blend, in a line.

        Args:
            columns: names of the c prediction columns.
        """


@dataclass(frozen=True)
class Postprocessing:
    """A post-processing with the metrics that it fits.

    Attributes:
        metrics: by name, the tasks in which it adapts a blend to the metric.
    """

    name: str
    model: PostprocessingModel
    metrics: Mapping[str, tuple[str, ...]]

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that it fits with some metric; the docs list them."""
        return tuple(name for name in TASKS if any(name in of for of in self.metrics.values()))

    def fits(self, task: str, metric: Metric) -> bool:
        """Whether it adapts a blend of this task to the metric; `fit` takes no other."""
        return task in self.metrics.get(metric.name, ())

    def fit(self, blend: Floats, target: Target) -> Fitted:
        """The post-processing, fitted on (n, c) cross-fitted predictions."""
        at_once = target.task.has_classes or (target.metric.decides and target.metric.joint)
        values = self.model.fit(blend, target) if at_once else self._by_column(blend, target)
        return Fitted(self.name, self.model, target.task, blend.shape[1:], values)

    def _by_column(self, blend: Floats, target: Target) -> State:
        """The state from fits of single columns; each of its entries lists one value a column."""
        states = [
            self.model.fit(blend[rows][:, [j]], target.column(j))
            for j, rows in enumerate(target.rows)
        ]
        return {key: [value for of in states for value in of[key]] for key in states[0]}


class Clip:
    """Predictions clipped to the range of the fit rows' targets."""

    def fit(self, blend: Floats, target: Target) -> State:
        return {"low": target.y.min(axis=0), "high": target.y.max(axis=0)}

    def meaning(self, state: State, columns: Sequence[str], task: Task) -> str:
        ends = zip(columns, state["low"], state["high"], strict=True)
        return "clipped to " + ", ".join(f"{n} [{low:.4g}, {high:.4g}]" for n, low, high in ends)

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        low, high = np.asarray(state["low"]), np.asarray(state["high"])
        return np.where(low < high, np.clip(new, low, high), new)


COUNTING = ("threshold", "cut_points")  # they tune the metric on rows that weigh alike

_DECIDED = {name: metric.tasks for name, metric in METRICS.items() if metric.counted}
_DECIDED["own_labels"] = LABELLED
_ORDERED = {"qwk": TASKS_OF_METRIC["qwk"], "own_labels": ("regression",)}
_CALIBRATED = dict.fromkeys(["logloss", "own_probabilities"], LABELLED)
_ERRORS = ["rmse", "mae", "mcrmse", "rmsle", "mape", "r2", "own_values"]

POSTPROCESSING: dict[str, Postprocessing] = {
    postprocessing.name: postprocessing
    for postprocessing in [
        Postprocessing("threshold", Threshold(), _DECIDED),
        Postprocessing("cut_points", CutPoints(), _ORDERED),
        Postprocessing("temperature", Temperature(), _CALIBRATED),
        Postprocessing("isotonic", Isotonic(), _CALIBRATED),
        Postprocessing("clip", Clip(), dict.fromkeys(_ERRORS, ("regression",))),
    ]
}
