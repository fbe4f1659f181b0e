"""Hard predictions of the chosen predictor against the truth; scores by target and threshold.

Letters: n training rows, c columns, q classes or labels.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import (
    average_precision_score,
    confusion_matrix,
    precision_recall_curve,
    precision_recall_fscore_support,
    roc_auc_score,
    roc_curve,
)

from pipeline.ensemble.cut_points import MOST_LABELS
from pipeline.reporting.evidence import Evidence
from pipeline.scoring.formulas import RowMean
from pipeline.scoring.metrics import nearest_labels
from pipeline.scoring.tasks import TASKS, Floats, decide

MOST_CLASSES = 12  # of a confusion matrix
N_CONFUSIONS = 20  # largest ones, where there are more classes
N_POINTS = 150  # of a curve: more than a figure can show


def score_of_targets(evidence: Evidence) -> list[dict[str, Any]]:
    """The score on each target or label, and the best single predictor there; empty for one.

    Rows are those of the target, or those with the label; `present`, those that have a value there.
    """
    target, names = evidence.target, evidence.train.columns
    if not target.has_column_scores:
        return []
    there = ~np.isnan(target.y)
    rows = (target.y == 1 if target.task.is_probability else there).sum(axis=0)
    scores = target.column_scores(evidence.chosen_oof)
    singles = np.array([target.column_scores(oof) for oof in evidence.stack.oof.swapaxes(0, 1)])
    best = np.nan_to_num(target.metric.sign * singles, nan=-np.inf).argmax(axis=0)
    return [
        {
            "name": name,
            "score": scores[j],
            "rows": rows[j],
            "present": there[:, j].sum(),
            "best": evidence.stack.names[best[j]],
            "best_score": singles[best[j], j],
        }
        for j, name in enumerate(names)
    ]


def classification(evidence: Evidence) -> dict[str, Any] | None:
    """Precision, recall and F1 of each class or label, and the confusions of classes.

    A class also has its score if `class_scores` has one.

    None for a regression, unless its metric decides for one of a hundred training labels at most.
    NaN where a class is never decided for. The whole confusion matrix up to 12 classes, else the 20
    largest confusions.
    """
    decided = _decided(evidence)
    if decided is None:
        return None
    names, y, decision = decided
    codes = np.arange(len(names))
    pairs = [(y, decision, codes)]
    if y.ndim == 2:  # labels one by one, on the rows that have them
        rows = evidence.target.rows
        pairs = [(y[of, j], decision[of, j], np.array([1])) for j, of in enumerate(rows)]
    precision, recall, f1, n_rows = np.column_stack(
        [
            precision_recall_fscore_support(*pair, labels=scored, zero_division=np.nan)
            for *pair, scored in pairs
        ]
    )
    classes = [
        {"name": name, "precision": p, "recall": r, "f1": f, "rows": int(n)}
        for name, p, r, f, n in zip(names, precision, recall, f1, n_rows, strict=True)
    ]
    for line, score in zip(classes, class_scores(evidence), strict=False):
        line["score"] = score
    matrix = confusion_matrix(y, decision, labels=codes) if y.ndim == 1 else None
    if matrix is None or len(names) <= MOST_CLASSES:
        return {"classes": classes, "matrix": matrix, "confusions": []}
    wrong = matrix - np.diag(matrix.diagonal())
    largest = np.argsort(-wrong, axis=None, kind="stable")[:N_CONFUSIONS]
    confusions = [
        {"truth": names[i], "decided": names[j], "rows": matrix[i, j], "share": share}
        for i, j in zip(*np.unravel_index(largest, matrix.shape), strict=True)
        if (share := wrong[i, j] / n_rows[i] if n_rows[i] else 0) > 0
    ]
    return {"classes": classes, "matrix": None, "confusions": confusions}


def class_scores(evidence: Evidence) -> list[float]:
    """The metric on the rows of each class; empty where it is no mean over rows.

    AUC is that of each of several classes against the rest. Scores of hard predictions are left to
    precision and recall.
    """
    target, y, p = evidence.target, evidence.target.y, evidence.chosen_oof
    if not target.task.has_classes or target.metric.decides:
        return []
    if isinstance(target.metric.scorer, RowMean):
        of_class = [y == k for k in range(len(evidence.train.classes))]
        return [target[rows].score(p[rows]) for rows in of_class]
    if target.metric.name != "auc" or target.task.name == "binary":
        return []
    one = [replace(target, y=(y == k).astype(int), task=TASKS["binary"]) for k in range(p.shape[1])]
    return [against_rest.score(p[:, [k]]) for k, against_rest in enumerate(one)]


def _decided(evidence: Evidence) -> tuple[tuple[str, ...], NDArray[Any], NDArray[np.int64]] | None:
    """Names of the classes or labels, (n,) or (n, q) truth, and predictions of the same shape."""
    task, train, p = evidence.config.task, evidence.train, evidence.chosen_oof
    if task != "regression":
        return train.classes or train.columns, train.y, decide(task, p)
    if not evidence.target.metric.decides or len(train.columns) > 1:
        return None
    labels, y = np.unique(train.y, return_inverse=True)
    if len(labels) > MOST_LABELS:
        return None
    decision = np.searchsorted(labels, nearest_labels(p, labels[:, None])[:, 0])
    return tuple(f"{label:g}" for label in labels), y.ravel(), decision


def ranking(evidence: Evidence) -> dict[str, Any] | None:
    """The ROC and the precision-recall curve of a binary task whose rows have both classes."""
    y, p = evidence.train.y, evidence.chosen_oof[:, 0]
    if evidence.config.task != "binary" or len(np.unique(y)) < 2:
        return None
    false_positives, recall, _ = roc_curve(y, p)
    precision, recall_of_precision, _ = precision_recall_curve(y, p)
    return {
        "roc": {"x": _thinned(false_positives), "y": _thinned(recall), "area": roc_auc_score(y, p)},
        "precision_recall": {
            "x": _thinned(recall_of_precision),
            "y": _thinned(precision),
            "area": average_precision_score(y, p),
            "share": y.mean(),
        },
    }


def _thinned(values: Floats) -> Floats:
    """At most 150 of the values, in equal steps, the first and the last among them."""
    return values[np.unique(np.linspace(0, len(values) - 1, N_POINTS).round().astype(int))]


def by_threshold(evidence: Evidence) -> dict[str, Any] | None:
    """The score if a binary task decides at other thresholds; None if its metric decides nothing.

    Thresholds are on the scale of the blend before its cut moved to 0.5. The cut was fitted on
    these rows, so the score at the cut is in-sample.
    """
    if evidence.config.task != "binary" or not evidence.target.metric.decides:
        return None
    name, cut, fitted = evidence.chosen_name, 0.5, evidence.postprocessing
    if fitted.get("name") == "threshold":
        name = name.removesuffix(".threshold")
        cut = evidence.target.task.to_prediction(-np.asarray(fitted["shift"]))[0]
    p = evidence.blends[name]
    quantiles = np.quantile(p, np.linspace(0, 1, N_POINTS // 3))
    tried = np.unique([*np.linspace(0, 1, N_POINTS // 3), *quantiles, cut])
    scores = [evidence.target.score((p >= threshold).astype(np.float64)) for threshold in tried]
    return {"thresholds": tried, "scores": scores, "cut": cut, "of": name}
