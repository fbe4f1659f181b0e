"""Predictions (n, c) of any task from one fitted head a target. Letters: n rows, c columns.

A head is a regressor, or a classifier with `classes_` and `predict_proba`, as in scikit-learn.
What the training rows cannot teach is settled here: a class that they do not hold, a label that
none or all of them bear.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier

from pipeline.scoring.tasks import TASKS, Floats


@dataclass(frozen=True)
class Heads:
    """Fitted models: one a regression target or label, or one for all classes.

    Attributes:
        unseen: the probability of each class that a model has not seen.
    """

    task: str
    n_columns: int
    models: list[Any]
    unseen: float

    def predict(self, features: Any) -> Floats:
        """Predictions (k, c) of features (k, f), k at least 1."""
        if self.task == "regression":
            return np.column_stack([model.predict(features) for model in self.models])
        if self.task == "multiclass":
            return self._probabilities(self.models[0], features, self.n_columns)
        return np.column_stack(
            [self._probabilities(model, features, 2)[:, 1] for model in self.models]
        )

    def _probabilities(self, model: Any, features: Any, n_classes: int) -> Floats:
        seen = np.asarray(model.classes_)
        found = np.full((features.shape[0], n_classes), self.unseen)
        found[:, seen] = model.predict_proba(features)
        found[:, seen] *= 1 - self.unseen * (n_classes - len(seen))
        return found


def fit_heads(
    task: str,
    n_columns: int,
    features: Any,
    y: NDArray[Any],
    fit: Callable[[Any, NDArray[Any]], Any],
) -> Heads:
    """Fit a model for each target, label or set of classes.

    Args:
        features: (n, f) array or sparse matrix.
        y: targets as in `scoring.tasks`, those of regression standardised.
        fit: `(features, target)` to a fitted head; the target is (n,) numbers, or codes of which
            at least two differ.
    """
    is_classes = TASKS[task].is_probability
    columns = y.astype(np.int64 if is_classes else np.float64).reshape(len(y), -1).T
    models = [
        shares_of(column) if is_classes and column.min() == column.max() else fit(features, column)
        for column in columns
    ]
    # as if every class had been seen once more than it was (Laplace's rule of succession)
    n_classes = n_columns if task == "multiclass" else 2
    return Heads(task, n_columns, models, 1 / (len(y) + n_classes))


def shares_of(target: NDArray[Any]) -> DummyClassifier:
    """A head that says the share of each class, where no more can be learnt from the rows."""
    return DummyClassifier(strategy="prior").fit(target, target)
