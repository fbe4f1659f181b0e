"""Competition metrics by name, with their direction.

Letters: n rows, c columns. Targets and predictions are as in `scoring.tasks`. With several
columns `Target` averages the metric over the columns. A column where the metric is undefined (one
class, a constant target) gives NaN and is left out of the mean. Predictions must be finite; the
readers check.

The values equal those of scikit-learn and SciPy, but a constant prediction has correlation 0, where
SciPy gives NaN. `scoring.formulas` spells the formulas out for speed: on 5,000 rows AUC takes
0.2 ms, scikit-learn's 5.5 ms, and hill climbing scores thousands of blends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.counts import COUNTED, counts
from pipeline.scoring.formulas import ROW_MEANS, area, correlation, kappa, mean_of_defined, r2
from pipeline.scoring.names import TASKS_OF_METRIC
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True)
class Metric:
    """A metric of one column, `function(y, predictions)`.

    Attributes:
        decides: the metric scores hard decisions, not values or probabilities.
    """

    name: str
    function: Callable[..., float]
    greater_is_better: bool
    decides: bool = False

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that the metric can score."""
        return TASKS_OF_METRIC[self.name]

    @property
    def sign(self) -> int:
        """+1 where greater is better, -1 where smaller is."""
        return 1 if self.greater_is_better else -1


def _r2(y: Floats, p: Floats) -> float:
    return float(r2(np.mean((y - p) ** 2), _variance(y)))


def _pearson(y: Floats, p: Floats) -> float:
    y, p = _centred(y), _centred(p)
    return float(correlation(y @ p, y @ y, p @ p))


def _spearman(y: Floats, p: Floats) -> float:
    # imported here: scipy.stats takes half a second to load, and no other metric needs it
    from scipy.stats import rankdata

    return _pearson(rankdata(y), rankdata(p))


def _qwk(y: NDArray[Any], p: NDArray[Any]) -> float:
    return float(kappa(np.mean((y - p) ** 2), _variance(y), np.mean((p - y.mean()) ** 2)))


def _auc(y: NDArray[Any], p: Floats) -> float:
    if p.ndim == 2:  # one class against the rest, averaged over the classes that occur in y
        return float(mean_of_defined([_auc(y == k, p[:, k]) for k in range(p.shape[1])]))
    return area(p[y == 1], p[y != 1])


def _counted(name: str) -> Callable[..., float]:
    return lambda y, p: float(COUNTED[name](*counts(y, p))[0])


def _varies(values: NDArray[Any]) -> bool:
    return bool((values != values[0]).any())


def _variance(values: NDArray[Any]) -> float:
    return float(values.var()) if _varies(values) else 0.0  # rounding may give a constant some


def _centred(values: Floats) -> Floats:
    """Values minus their mean, scaled to a maximum of 1 so that squares do not overflow."""
    if not _varies(values):
        return np.zeros_like(values)
    values = values - values.mean()
    return values / np.abs(values).max()


def nearest_labels(p: Floats, y_train: Floats) -> Floats:
    """(n, c) predictions moved to the nearest value of each column of (any, c) `y_train`."""
    nearest = np.empty_like(p)
    for j in range(p.shape[1]):
        labels = np.unique(y_train[:, j])
        nearest[:, j] = labels[np.searchsorted((labels[1:] + labels[:-1]) / 2, p[:, j])]
    return nearest


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in [
        Metric("rmse", ROW_MEANS["rmse"], greater_is_better=False),
        Metric("mae", ROW_MEANS["mae"], greater_is_better=False),
        Metric("mcrmse", ROW_MEANS["mcrmse"], greater_is_better=False),
        Metric("r2", _r2, greater_is_better=True),
        Metric("pearson", _pearson, greater_is_better=True),
        Metric("spearman", _spearman, greater_is_better=True),
        Metric("accuracy", ROW_MEANS["accuracy"], greater_is_better=True, decides=True),
        Metric("f1", _counted("f1"), greater_is_better=True, decides=True),
        Metric("f1_macro", _counted("f1_macro"), greater_is_better=True, decides=True),
        Metric("auc", _auc, greater_is_better=True),
        Metric("logloss", ROW_MEANS["logloss"], greater_is_better=False),
        Metric("mcc", _counted("mcc"), greater_is_better=True, decides=True),
        Metric("qwk", _qwk, greater_is_better=True, decides=True),
    ]
}
