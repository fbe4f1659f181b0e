"""Competition metrics by name, with direction and the tasks they fit.

Letters: n rows, c columns. Targets and predictions are as in `scoring.tasks`. With several
columns `Target` computes a metric on each and averages. A column where it is undefined (one class
only, a constant target, a label without positives) is NaN and leaves the mean. Predictions must be
finite; the readers check.

The values are scikit-learn's and SciPy's, as the tests check; but a constant prediction correlates
0 with what varies, where SciPy gives NaN. `scoring.formulas` writes the formulas out because
intervals and hill climbing score thousands of blends: on 5,000 rows scikit-learn's AUC takes
5.5 ms, most of it input checks, and this one 0.2 ms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.counts import COUNTED, counts
from pipeline.scoring.formulas import ROW_MEANS, area, correlation, kappa, mean_of_defined, r2
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True)
class Metric:
    """A metric of one column, `function(y, predictions)`.

    Attributes:
        tasks: the tasks that it fits.
        decides: it scores hard decisions, not values or probabilities.
    """

    name: str
    function: Callable[..., float]
    greater_is_better: bool
    tasks: tuple[str, ...]
    decides: bool = False

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
    # imported here: scipy.stats takes half a second to load; no other metric needs it
    from scipy.stats import rankdata

    return _pearson(rankdata(y), rankdata(p))


def _qwk(y: NDArray[Any], p: NDArray[Any]) -> float:
    return float(kappa(np.mean((y - p) ** 2), _variance(y), np.mean((p - y.mean()) ** 2)))


def _auc(y: NDArray[Any], p: Floats) -> float:
    if p.ndim == 2:  # one class against the rest, averaged over the classes that the rows hold
        return float(mean_of_defined([_auc(y == k, p[:, k]) for k in range(p.shape[1])]))
    return area(p[y == 1], p[y != 1])


def _counted(name: str) -> Callable[..., float]:
    return lambda y, p: float(COUNTED[name](*counts(y, p))[0])


def _varies(values: NDArray[Any]) -> bool:
    return bool((values != values[0]).any())


def _variance(values: NDArray[Any]) -> float:
    return float(values.var()) if _varies(values) else 0.0  # of a constant rounding may leave some


def _centred(values: Floats) -> Floats:
    """Values less their mean; the largest becomes 1, or squares would leave the range of floats."""
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


_CLASSES = ("binary", "multiclass")
_LABELLED = ("binary", "multiclass", "multilabel")

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in [
        Metric("rmse", ROW_MEANS["rmse"], False, ("regression",)),
        Metric("mae", ROW_MEANS["mae"], False, ("regression",)),
        Metric("mcrmse", ROW_MEANS["mcrmse"], False, ("regression",)),
        Metric("r2", _r2, True, ("regression",)),
        Metric("pearson", _pearson, True, ("regression",)),
        Metric("spearman", _spearman, True, ("regression",)),
        Metric("accuracy", ROW_MEANS["accuracy"], True, _LABELLED, decides=True),
        Metric("f1", _counted("f1"), True, ("binary", "multilabel"), decides=True),
        Metric("f1_macro", _counted("f1_macro"), True, _CLASSES, decides=True),
        Metric("auc", _auc, True, _LABELLED),
        Metric("logloss", ROW_MEANS["logloss"], False, _LABELLED),
        Metric("mcc", _counted("mcc"), True, _LABELLED, decides=True),
        Metric("qwk", _qwk, True, ("regression", *_CLASSES), decides=True),
    ]
}
