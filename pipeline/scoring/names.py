"""The names of the metrics and the tasks that each of them scores.

A config is checked against these names without loading NumPy; `scoring.metrics` has the functions.
"""

_CLASSES = ("binary", "multiclass")
_LABELLED = (*_CLASSES, "multilabel")

TASKS_OF_METRIC: dict[str, tuple[str, ...]] = {
    "rmse": ("regression",),
    "mae": ("regression",),
    "mcrmse": ("regression",),
    "r2": ("regression",),
    "pearson": ("regression",),
    "spearman": ("regression",),
    "accuracy": _LABELLED,
    "f1": ("binary", "multilabel"),
    "f1_macro": _CLASSES,
    "auc": _LABELLED,
    "logloss": _LABELLED,
    "mcc": _LABELLED,
    "qwk": ("regression", *_CLASSES),
}
