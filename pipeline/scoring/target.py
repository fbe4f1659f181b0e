"""`Target`: the targets of some rows together with their task and metric.

Letters: n rows, c columns.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.scoring.formulas import LEAST, SampleScore, mean_of_defined
from pipeline.scoring.metrics import Metric, distinct_values, metric_of, nearest_labels
from pipeline.scoring.names import UNWEIGHTED, Setting
from pipeline.scoring.tasks import TASKS, Floats, Rows, Task, as_columns, decide, rows_with


@dataclass(frozen=True, eq=False)
class Target:
    """The targets of some rows, with the task and the metric of the competition.

    Attributes:
        y: (n, c) float64 for regression and multilabel, NaN where a cell is missing; (n,) integer
            codes otherwise.
        groups: (n,) names of groups that the bootstrap draws whole; None draws single rows.
        weights: (n,) weights of the rows in the metric; None if all weigh alike.
        labels: (any, c) regression targets; `qwk` rounds to their values. None means those of `y`.
    """

    y: NDArray[Any]
    task: Task
    metric: Metric
    groups: NDArray[Any] | None = None
    labels: Floats | None = None
    weights: Floats | None = None

    @staticmethod
    def of(
        y: NDArray[Any],
        task: str,
        metric: Setting,
        groups: Any = None,
        labels: Floats | None = None,
        weights: Floats | None = None,
    ) -> "Target":
        """A target from the task's name and the metric's setting; groups may be any sequence.

        Raises:
            ValueError: cells are missing, and the metric needs all targets of a row; or rows have
                weights, which the metric does not take, or where they weigh no target varies.
        """
        groups = None if groups is None else np.asarray(groups, dtype=object)  # may be long texts
        target = Target(y, TASKS[task], metric_of(metric), groups, labels, weights)
        if weights is not None:
            if target.metric.own or target.metric.name in UNWEIGHTED:
                raise ValueError(
                    f"data.metric_weight: metric {target.metric.label} takes no weights of rows; "
                    "leave it out, or choose another metric"
                )
            n_values = pd.DataFrame(y[weights > 0]).nunique()  # of each target
            if n_values.min() < 1 or n_values.max() < 2:
                raise ValueError(
                    "data.metric_weight: where rows weigh more than 0, no target varies or one has "
                    "no value; give more rows a weight"
                )
        if target.has_missing and target.metric.joint:
            raise ValueError(
                f"metric {target.metric.label} scores all targets of a row at once, but "
                f"{np.isnan(y).sum()} cells of data.target are missing; choose a metric that is a "
                "mean over targets, or fill them in"
            )
        return target

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Rows) -> "Target":
        """The targets of some rows, to score them: `qwk` rounds to the labels of all rows.

        Fits take `only(rows)` instead, which does not know the labels of held-out rows.
        """
        return replace(self.only(rows), labels=self.y if self.labels is None else self.labels)

    def only(self, rows: Rows) -> "Target":
        """The targets of some rows, without the labels of the others, to fit on them."""
        groups = None if self.groups is None else self.groups[rows]
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, y=self.y[rows], groups=groups, weights=weights, labels=None)

    @cached_property
    def rows(self) -> list[Rows]:
        """The rows that each column of `y` has a value in, as `rows_with` gives them."""
        return [rows_with(column) for column in np.atleast_2d(self.y.T)]

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """(n,) cluster number of each row; a cluster is drawn whole: a group, or a single row."""
        if self.groups is None:
            return np.arange(len(self))
        return np.unique(self.groups, return_inverse=True)[1]

    @cached_property
    def label_values(self) -> Floats:
        """(q, c) ascending values that `qwk` rounds to; hill climbing rounds thousands of times."""
        return distinct_values(self.y if self.labels is None else self.labels)

    @property
    def has_missing(self) -> bool:
        """Whether a cell of `y` is missing."""
        return not all(isinstance(rows, slice) for rows in self.rows)

    def column(self, j: int) -> "Target":
        """The target of column j on its `rows`; a label of a multilabel task becomes binary."""
        target, labels = self.only(self.rows[j]), self.labels
        metric = replace(self.metric, column_weights=None)
        if self.task.is_probability:
            codes = target.y[:, j].astype(np.int64)
            return replace(target, y=codes, task=TASKS["binary"], metric=metric, labels=labels)
        labels = None if labels is None else labels[:, [j]]
        return replace(target, y=target.y[:, [j]], metric=metric, labels=labels)

    def as_columns(self, n_columns: int) -> Floats:
        """(n, c) targets on the prediction scale: 0 and 1 where predictions are probabilities."""
        return as_columns(self.task.name, self.y, n_columns)

    def constant(self, n_columns: int, n_rows: int) -> Floats:
        """(n_rows, n_columns) the constant prediction to beat: the best for mae, rmsle, mape.

        For other metrics the means; those of classes and labels are their shares. The constant is
        fitted on these targets.
        """
        center = CENTERS.get(self.metric.name, np.average)
        weights = np.ones(len(self)) if self.weights is None else self.weights
        columns = ((column, rows_with(column)) for column in self.as_columns(n_columns).T)
        best = [float(center(column[rows], weights=weights[rows])) for column, rows in columns]
        return np.tile(best, (n_rows, 1))

    def scored_columns(self, predictions: Floats) -> list[tuple[NDArray[Any], NDArray[Any]]]:
        """Pairs of targets and predictions, one for each column that the metric scores.

        A column's pair holds its `rows`.

        Args:
            predictions: (n, c) finite, on the prediction scale.
        """
        p: NDArray[Any] = predictions
        if self.metric.decides and self.task.is_probability:
            p = decide(self.task.name, p)
        elif self.metric.decides:
            p = nearest_labels(p, self.label_values)
        elif self.task.name == "binary":
            p = p[:, 0]
        if self.y.ndim == 2 and not self.metric.joint:
            return [(self.y[rows, j], p[rows, j]) for j, rows in enumerate(self.rows)]
        return [(self.y, p)]

    @property
    def has_column_scores(self) -> bool:
        """Whether the score is a mean over several columns."""
        return self.y.ndim == 2 and self.y.shape[1] > 1 and not self.metric.joint

    def column_scorer(self, predictions: Floats) -> Callable[[Floats], Floats]:
        """A function from (B, n) counts of the rows to (c, B) scores of the `scored_columns`.

        Rows count by their weights, if they have any. A score is NaN where it is undefined or has
        no rows. c is 1 for binary, multiclass and a joint metric.
        """
        parts = [
            (rows, self.metric.scorer(y, p) if len(y) else _undefined)
            for rows, (y, p) in zip(self.rows, self.scored_columns(predictions), strict=False)
        ]

        def scores(counts: Floats) -> Floats:
            counts = counts if self.weights is None else counts * self.weights
            return np.array([score(counts[:, rows]) for rows, score in parts])

        return scores

    def column_scores(self, predictions: Floats) -> Floats:
        """(c,) the metric on each of the `scored_columns`, as `column_scorer` gives it."""
        return self.column_scorer(predictions)(np.ones((1, len(self))))[:, 0]

    def scorer(self, predictions: Floats) -> SampleScore:
        """The metric on samples of the rows: the mean of the columns' scores that are not NaN."""
        scores, weights = self.column_scorer(predictions), self.metric.column_weights
        return lambda counts: mean_of_defined(scores(counts), weights)

    def score(self, predictions: Floats) -> float:
        """The metric on all rows."""
        return float(self.scorer(predictions)(np.ones((1, len(self))))[0])


def _undefined(counts: Floats) -> Floats:
    return np.full(len(counts), np.nan)


def _median(values: Floats, weights: Floats) -> Any:
    return np.quantile(values, 0.5, weights=weights, method="inverted_cdf")


def _median_by_inverse(values: Floats, weights: Floats) -> Any:
    """The constant of least relative error: the median with weights 1 / |value|."""
    return _median(values, weights / np.maximum(np.abs(values), LEAST))


def _mean_of_logarithms(values: Floats, weights: Floats) -> Any:
    return np.expm1(np.average(np.log1p(np.maximum(values, 0)), weights=weights))


CENTERS: dict[str, Callable[..., Any]] = {
    "mae": _median,
    "rmsle": _mean_of_logarithms,
    "mape": _median_by_inverse,
}
