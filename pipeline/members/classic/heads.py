"""The base class of classic models: one head per target, from scikit-learn's models.

It also covers what a classifier cannot learn: a class without training rows, a label of none or all
of them. Letters: n rows, k new rows, c columns, f features.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier

from pipeline.competition.features import NO_COLUMNS, Columns
from pipeline.members.classic.tabular import Tabular
from pipeline.scoring.tasks import TASKS, Floats, rows_with


@dataclass(kw_only=True, eq=False)
class Estimator:
    """A classic model; the fields of a subclass are its options, each with a default.

    Inputs are rows of texts, or embeddings (n, P, H) for `settings.members.EMBEDDING_MODELS`.
    Vocabularies, scalers and all other parameters are learned from the rows passed to `fit`.
    """

    reads_features: ClassVar[bool] = False  # the columns of data.features
    many_rows: ClassVar[float] = np.inf  # more take long: time grows with their square

    task: str
    n_columns: int
    seed: int

    def learn_features(self, inputs: Any) -> Any:
        """Learn how to make features, and return those of `inputs`, an array or sparse (n, f)."""
        raise NotImplementedError

    def features(self, inputs: Any) -> Any:
        """The (k, f) features of new inputs."""
        raise NotImplementedError

    def fit_head(self, features: Any, target: NDArray[Any], weights: Floats | None) -> Any:
        """A fitted model of one target: (n,) numbers, or codes of at least two classes.

        Args:
            weights: (n,) of the rows, with a mean of 1; None for equal ones.
        """
        raise NotImplementedError

    def fit(
        self,
        inputs: Any,
        y: NDArray[Any],
        cells: Columns = NO_COLUMNS,
        weights: Floats | None = None,
    ) -> None:
        """Fit one head per target or label, or one for all classes.

        Args:
            cells: of the columns of `data.features`, for a model that reads them.
            y: targets as in `scoring.tasks`, those of regression standardised. A head is fitted
                on the rows whose target is not missing.
            weights: in the shape of `y`.
        """
        self.tabular = Tabular(cells)
        features = self._beside(self.learn_features(inputs), cells)
        has_codes = TASKS[self.task].is_probability
        n_classes = self.n_columns if self.task == "multiclass" else 2
        self.heads: list[Any] = []
        self.unseen: list[float] = []
        for j, column in enumerate(y.reshape(len(y), -1).T):
            rows = rows_with(column)
            target = column[rows].astype(np.int64 if has_codes else np.float64)
            own = None if weights is None else weights.reshape(len(y), -1)[rows, j].copy()
            of_rows = features if isinstance(rows, slice) else features[rows]
            is_constant = has_codes and target.min() == target.max()
            head = shares_of(target, own) if is_constant else self.fit_head(of_rows, target, own)
            self.heads.append(head)
            # probability of a class without rows: as if every class had one more row (Laplace)
            self.unseen.append(1 / (len(target) + n_classes))

    def _beside(self, features: Any, cells: Columns) -> Any:
        """The (n, f) features of texts with those of the cells behind them."""
        return np.hstack([features, self.tabular.values(cells)]) if cells else features

    def predict(self, inputs: Any, cells: Columns = NO_COLUMNS) -> Floats:
        """Predictions (k, c) on the scale of `y`; k is at least 1."""
        features = self._beside(self.features(inputs), cells)
        if self.task == "regression":
            return np.column_stack([head.predict(features) for head in self.heads])
        if self.task == "multiclass":
            return self._probabilities(0, features, self.n_columns)
        heads = range(len(self.heads))
        return np.column_stack([self._probabilities(j, features, 2)[:, 1] for j in heads])

    def _probabilities(self, j: int, features: Any, n_classes: int) -> Floats:
        head, unseen = self.heads[j], self.unseen[j]
        seen = np.asarray(head.classes_)
        probabilities = np.full((features.shape[0], n_classes), unseen)
        seen_share = 1 - unseen * (n_classes - len(seen))
        probabilities[:, seen] = seen_share * head.predict_proba(features)
        return probabilities


def shares_of(target: NDArray[Any], weights: Floats | None) -> DummyClassifier:
    """A classifier that predicts each class's share of the rows."""
    return DummyClassifier(strategy="prior").fit(target, target, weights)
