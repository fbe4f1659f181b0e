"""The names of the metrics and the tasks that each of them scores.

A config is checked against these names without loading NumPy; `scoring.metrics` has the functions.
"""

from collections.abc import Mapping
from typing import Any

Setting = str | Mapping[str, Any]  # of a metric: its name, or a map with a name or a file

CLASSES = ("binary", "multiclass")
LABELLED = (*CLASSES, "multilabel")

TASKS_OF_METRIC: dict[str, tuple[str, ...]] = {
    "rmse": ("regression",),
    "mae": ("regression",),
    "mcrmse": ("regression",),
    "rmsle": ("regression",),
    "mape": ("regression",),
    "r2": ("regression",),
    "pearson": ("regression",),
    "spearman": ("regression",),
    "accuracy": LABELLED,
    "f1": ("binary", "multilabel"),
    "f1_macro": CLASSES,
    "f1_micro": ("multiclass", "multilabel"),
    "fbeta": ("binary", "multilabel"),
    "auc": LABELLED,
    "logloss": LABELLED,
    "mcc": LABELLED,
    "qwk": ("regression", *CLASSES),
    "map_at_k": ("multiclass",),
    "top_k_accuracy": ("multiclass",),
}
POOLED = ("f1_micro",)  # scores all labels at once, so it is no mean over columns
UNWEIGHTED = ("spearman",)  # ranks of weighted rows have no agreed meaning

# a function of the user's own, named after what it takes
OWN: dict[str, tuple[str, ...]] = {
    "own_values": ("regression",),
    "own_probabilities": LABELLED,
    "own_labels": ("regression", *LABELLED),
}

# the parameter that a metric needs, and an example of its value
PARAMETERS: dict[str, dict[str, float]] = {
    "fbeta": {"beta": 2},
    "map_at_k": {"k": 3},
    "top_k_accuracy": {"k": 2},
}
