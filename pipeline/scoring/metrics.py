"""Competition metrics by name, with their direction.

Letters: n rows, c columns. Targets and predictions are as in `scoring.tasks`. With several
columns `Target` averages the metric over the columns, unless it is joint. A column where the metric
is undefined (one class, a constant target) gives NaN and is left out of the mean. Predictions must
be finite; the readers check.

The values equal those of scikit-learn and SciPy, but a constant prediction has correlation 0, where
SciPy gives NaN. `scoring.samples` spells them out for speed: hill climbing scores thousands of
blends, and an interval a thousand samples.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.scoring.counts import COUNTED, Counted, fbeta
from pipeline.scoring.formulas import among_first, reciprocal_rank
from pipeline.scoring.names import OWN, PARAMETERS, POOLED, TASKS_OF_METRIC, Setting
from pipeline.scoring.own import OwnFunction
from pipeline.scoring.samples import SCORERS, Scorer
from pipeline.scoring.tasks import Floats, rows_with


@dataclass(frozen=True)
class Metric:
    """A metric of one column.

    Attributes:
        about: the formula in words.
        scorer: maps targets and predictions to the score on samples of their rows.
        decides: the metric scores hard predictions, not values or probabilities.
        counted: its formula in counts of hard predictions, if there is one.
        k: number of labels that a row of a submission may list; None where it has one answer.
        parameters: as the config gives them, in print.
        column_weights: of the mean over columns; None for equal ones.
        own: the user's function, if it is one.
    """

    name: str
    about: str
    scorer: Scorer
    greater_is_better: bool = True
    decides: bool = False
    counted: Counted | None = None
    k: int | None = None
    parameters: str = ""
    column_weights: tuple[float, ...] | None = None
    own: OwnFunction | None = None

    @property
    def label(self) -> str:
        """The name with the parameters, to be shown; of a function its file and name."""
        if self.own is not None:
            return f"{Path(self.own.file).stem}.{self.own.function}"
        return f"{self.name}({self.parameters})" if self.parameters else self.name

    @property
    def joint(self) -> bool:
        """Whether the metric scores all columns at once instead of one after another."""
        return self.name in POOLED or self.own is not None

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that the metric can score."""
        return {**TASKS_OF_METRIC, **OWN}[self.name]

    @property
    def sign(self) -> int:
        """+1 where greater is better, -1 where smaller is."""
        return 1 if self.greater_is_better else -1


def _metric(name: str, about: str, **settings: Any) -> Metric:
    return Metric(name, about, SCORERS[name], **settings)


def _error(name: str, about: str) -> Metric:
    """Less is better."""
    return _metric(name, about, greater_is_better=False)


def _decided(name: str, about: str, counted: Counted | None = None) -> Metric:
    """A metric of hard predictions, computed from their counts unless a scorer is faster."""
    counted = counted or COUNTED[name]
    scorer = SCORERS.get(name, counted.scorer)
    return Metric(name, about, scorer, decides=True, counted=counted)


def distinct_values(y: Floats) -> Floats:
    """(q, c) distinct values of each column of (n, c) targets, ascending, the last repeated."""
    values = [np.unique(column[rows_with(column)]) for column in y.T]
    most = max(map(len, values))
    return np.column_stack([np.pad(v, (0, most - len(v)), mode="edge") for v in values])


def nearest_labels(p: Floats, values: Floats) -> Floats:
    """(n, c) predictions moved to the nearest of each column of (q, c) `distinct_values`."""
    nearest = np.empty_like(p)
    for j, labels in enumerate(values.T):
        nearest[:, j] = labels[np.searchsorted((labels[1:] + labels[:-1]) / 2, p[:, j])]
    return nearest


def _fbeta(beta: float) -> Metric:
    about = "F in which recall counts `beta` times as much as precision"
    return _decided("fbeta", about, fbeta(beta))


def _map_at_k(k: int) -> Metric:
    about = "mean of 1 / rank of the truth where it is among the `k` most probable classes, else 0"
    return Metric("map_at_k", about, reciprocal_rank(k), k=k)


def _top_k_accuracy(k: int) -> Metric:
    about = "share of rows whose truth is among the `k` most probable classes"
    return Metric("top_k_accuracy", about, among_first(k), k=k)


FAMILIES: dict[str, Callable[..., Metric]] = {
    "fbeta": _fbeta,
    "map_at_k": _map_at_k,
    "top_k_accuracy": _top_k_accuracy,
}

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in [
        _error("rmse", "root of the mean squared error"),
        _error("mae", "mean absolute error"),
        _error("mcrmse", "mean over columns of the root mean squared error"),
        _error("rmsle", "root mean squared error of log(1 + value); values below 0 count as 0"),
        _error("mape", "mean absolute error relative to the target, as a share of 1"),
        _metric("r2", "explained share of the targets' variance"),
        _metric("pearson", "Pearson's correlation"),
        _metric("spearman", "correlation of the ranks"),
        _decided("accuracy", "share of right predictions"),
        _decided("f1", "harmonic mean of precision and recall of the positive class"),
        _decided("f1_macro", "mean of the F1 of the classes that occur"),
        _decided(
            "f1_micro", "F1 of the counts of all labels together; of classes it is the accuracy"
        ),
        FAMILIES["fbeta"](**PARAMETERS["fbeta"]),
        _metric("auc", "area under the ROC curve; of classes, the mean of each against the rest"),
        _error("logloss", "negative mean log-probability of the truth"),
        _decided("mcc", "Matthews' correlation of predictions and truth"),
        _metric("qwk", "Cohen's kappa with quadratic weights", decides=True),
        FAMILIES["map_at_k"](**PARAMETERS["map_at_k"]),
        FAMILIES["top_k_accuracy"](**PARAMETERS["top_k_accuracy"]),
    ]
}


def metric_of(setting: Setting) -> Metric:
    """The metric that a config names.

    Args:
        setting: as `settings.metric` checked it.
    """
    if isinstance(setting, str):
        return METRICS[setting]
    if "file" in setting:
        own, takes = OwnFunction(setting["file"], setting["function"]), setting["takes"]
        return Metric(
            f"own_{takes}",
            "a function of your own",
            own.scorer,
            setting["greater_is_better"],
            decides=takes == "labels",
            own=own,
        )
    name, weights = setting["name"], setting.get("column_weights")
    given = {key: setting[key] for key in PARAMETERS.get(name, {})}
    metric = FAMILIES[name](**given) if given else METRICS[name]
    shown = [f"{key}={value:g}" for key, value in given.items()] + ["weighted"] * bool(weights)
    return replace(
        metric,
        parameters=", ".join(shown),
        column_weights=tuple(weights.values()) if weights else None,
    )
