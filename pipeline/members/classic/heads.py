"""Predictions (n, c) of any task from scikit-learn regressors or classifiers, one per target.

They also cover what a classifier cannot learn: a class without training rows, a label of none or
all of them. Letters: n rows, c columns, f features.
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
    """Fitted models: one per regression target or label, or one for all classes.

    Attributes:
        unseen: the probability of each class without training rows.
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
        probabilities = np.full((features.shape[0], n_classes), self.unseen)
        seen_share = 1 - self.unseen * (n_classes - len(seen))
        probabilities[:, seen] = seen_share * model.predict_proba(features)
        return probabilities


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
        fit: `(features, target)` to a fitted model; the target is (n,) numbers, or codes of at
            least two classes.
    """
    has_codes = TASKS[task].is_probability
    columns = y.astype(np.int64 if has_codes else np.float64).reshape(len(y), -1).T
    models = [
        shares_of(column) if has_codes and column.min() == column.max() else fit(features, column)
        for column in columns
    ]
    # as if every class had one more row (Laplace's rule of succession)
    n_classes = n_columns if task == "multiclass" else 2
    return Heads(task, n_columns, models, 1 / (len(y) + n_classes))


def shares_of(target: NDArray[Any]) -> DummyClassifier:
    """A classifier that predicts each class's share of the rows."""
    return DummyClassifier(strategy="prior").fit(target, target)
