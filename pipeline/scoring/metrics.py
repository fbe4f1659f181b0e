"""Competition metrics by name, with direction and the tasks they fit.

Letters: n rows, c columns. Targets and predictions are as in `scoring.tasks`. With several
columns `Target` computes a metric on each and averages. A column where it is undefined (one class
only, a constant target, a label without positives) is NaN and leaves the mean. Predictions must be
finite; the readers check.

The values are scikit-learn's and SciPy's, as the tests check; but a constant prediction correlates
0 with what varies, where SciPy gives NaN. The formulas are written out because
intervals and hill climbing score thousands of blends: on 5,000 rows scikit-learn's AUC takes
5.5 ms, most of it input checks, and this one 0.2 ms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline.scoring.counts import COUNTED, counts
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


def _rmse(y: Floats, p: Floats) -> float:
    return float(np.sqrt(np.mean((y - p) ** 2)))


def _mae(y: Floats, p: Floats) -> float:
    return float(np.mean(np.abs(y - p)))


def _r2(y: Floats, p: Floats) -> float:
    return float(1 - np.sum((y - p) ** 2) / np.sum((y - y.mean()) ** 2)) if _varies(y) else np.nan


def _pearson(y: Floats, p: Floats) -> float:
    if not _varies(y):
        return np.nan
    if not _varies(p):
        return 0.0  # no skill; undefined, it would leave the mean of several targets to the others
    y, p = y - y.mean(), p - p.mean()
    # the largest becomes 1, or squares of huge or tiny values would leave the range of floats
    y, p = y / np.abs(y).max(), p / np.abs(p).max()
    return float(np.clip(y @ p / np.sqrt((y @ y) * (p @ p)), -1, 1))


def _spearman(y: Floats, p: Floats) -> float:
    return _pearson(rankdata(y), rankdata(p))


def _counted(name: str) -> Callable[..., float]:
    return lambda y, p: float(COUNTED[name](*counts(y, p))[0])


def _qwk(y: NDArray[Any], p: NDArray[Any]) -> float:
    """Cohen's kappa with weights of the squared difference of values (Cohen 1968).

    Written with moments, so that a label that nobody holds or predicts still counts as a step.
    """
    if not _varies(y):
        return np.nan
    chance = y.var() + p.var() + (y.mean() - p.mean()) ** 2
    return float(1 - np.mean((y - p) ** 2) / chance)


def _auc(y: NDArray[Any], p: Floats) -> float:
    if p.ndim == 2:  # one class against the rest, averaged over the classes that the rows hold
        return mean_of_defined([_auc(y == k, p[:, k]) for k in range(p.shape[1])])
    positives, negatives = np.sort(p[y == 1]), np.sort(p[y != 1])
    n_pairs = len(positives) * len(negatives)
    if n_pairs == 0:
        return np.nan
    # Mann-Whitney: the share of pairs in the right order, a tie being half a pair
    below = negatives.searchsorted(positives, "left").sum()
    not_above = negatives.searchsorted(positives, "right").sum()
    return float((below + not_above) / 2 / n_pairs)


def _log_loss(y: NDArray[Any], p: Floats) -> float:
    if p.ndim == 1:
        of_truth = np.where(y == 1, p, 1 - p)
    else:
        of_truth = p[np.arange(len(y)), y] / p.sum(axis=1)
    return float(-np.mean(np.log(np.clip(of_truth, np.finfo(np.float64).eps, None))))


def _varies(values: NDArray[Any]) -> bool:
    return bool((values != values[0]).any())


def mean_of_defined(values: list[float]) -> float:
    """The mean without NaN, which is undefined; NaN where nothing is left."""
    defined = [v for v in values if not np.isnan(v)]
    return float(np.mean(defined)) if defined else np.nan


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
        Metric("rmse", _rmse, False, ("regression",)),
        Metric("mae", _mae, False, ("regression",)),
        Metric("mcrmse", _rmse, False, ("regression",)),
        Metric("r2", _r2, True, ("regression",)),
        Metric("pearson", _pearson, True, ("regression",)),
        Metric("spearman", _spearman, True, ("regression",)),
        Metric("accuracy", _counted("accuracy"), True, _LABELLED, decides=True),
        Metric("f1", _counted("f1"), True, ("binary", "multilabel"), decides=True),
        Metric("f1_macro", _counted("f1_macro"), True, _CLASSES, decides=True),
        Metric("auc", _auc, True, _LABELLED),
        Metric("logloss", _log_loss, False, _LABELLED),
        Metric("mcc", _counted("mcc"), True, _LABELLED, decides=True),
        Metric("qwk", _qwk, True, ("regression", *_CLASSES), decides=True),
    ]
}
