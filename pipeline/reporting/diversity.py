"""Diversity of predictors: how their errors correlate, and how that lowers the loss of their mean.

Letters: n rows, m predictors, c columns. `preds` (n, m, c) and `y` are as in `scoring.tasks`; cells
that `y` lacks are left out. Nothing here is fitted.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.special import log_softmax

from pipeline.scoring.tasks import TASKS, TINY, Floats, as_columns, decide, spread


@dataclass(frozen=True, eq=False)
class Ambiguity:
    """The combined loss is the members' mean loss less their mean ambiguity: an identity.

    Attributes:
        loss: name of the loss.
        of_members: their mean loss.
        diversity: mean divergence of the members from the combination, on the loss's scale.
        rows: (n,) mean ambiguity on each row: large where members disagree.
    """

    loss: str
    of_members: float
    diversity: float
    rows: Floats

    @property
    def combined(self) -> float:
        return self.of_members - self.diversity


def errors(preds: Floats, y: NDArray[Any], task: str) -> Floats:
    """(n, m, c) prediction minus target, NaN where that is missing.

    For regression in standard deviations of each target.
    """
    truth = as_columns(task, y, preds.shape[2])
    difference: Floats = preds - truth[:, None, :]
    return difference if TASKS[task].is_probability else difference / spread(truth)


def error_correlation(preds: Floats, y: NDArray[Any], task: str) -> Floats:
    """(m, m) Pearson correlations of the errors, all columns together, each around its own mean.

    1 on the diagonal; NaN beside it where a predictor's error is constant.
    """
    truth, centred = as_columns(task, y, preds.shape[2]), errors(preds, y, task)
    # exact zeros for a constant error, whose mean would round
    first = (~np.isnan(centred)).argmax(axis=0)[None]
    centred = centred - np.take_along_axis(centred, first, 0)
    centred = centred - np.nanmean(centred, axis=0)
    # rounding alone gives constant errors some standard deviation
    largest = np.maximum(np.abs(preds).max(axis=(0, 1)), np.nanmax(np.abs(truth), axis=0))
    unit = 1.0 if TASKS[task].is_probability else spread(truth)
    varies = np.sqrt(np.nanmean(centred**2, axis=0)) > TINY * largest / unit
    counted = varies & ~np.isnan(centred)
    flat = np.where(counted, centred, 0).transpose(1, 0, 2).reshape(preds.shape[1], -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    scaled = flat / np.where(lengths == 0, np.nan, lengths)
    correlation = np.clip(scaled @ scaled.T, -1, 1)
    np.fill_diagonal(correlation, 1)
    return correlation


def clustered(correlation: Floats) -> NDArray[np.int64]:
    """(m,) an order that puts predictors with similar errors side by side (average linkage)."""
    if len(correlation) < 3:
        return np.arange(len(correlation))
    distance = 1 - np.nan_to_num(correlation)
    upper = distance[np.triu_indices(len(distance), 1)]
    return leaves_list(linkage(upper, "average", optimal_ordering=len(distance) <= 50))


def pairwise(preds: Floats, y: NDArray[Any], task: str) -> dict[str, Floats]:
    """(m, m) measures of the hard predictions of pairs (Kuncheva & Whitaker 2003).

    The task has classes or labels; with several labels, each label is a prediction.

    Returns:
        disagreement: share of the predictions where exactly one of the two is right; double_fault:
        share where both are wrong; yule_q: 1 if both are always right or wrong together, 0 if they
        are independent, -1 if never together, NaN if one of them is always or never right.
    """
    hits = [(decide(task, p) == y)[~np.isnan(y)] for p in preds.swapaxes(0, 1)]
    right = np.stack(hits, axis=1).astype(np.float64)
    wrong = 1 - right
    both, neither = right.T @ right, wrong.T @ wrong
    first, second = right.T @ wrong, wrong.T @ right
    odds, against = both * neither, first * second
    with np.errstate(invalid="ignore"):
        yule_q = (odds - against) / (odds + against)
    disagreement, double_fault = (first + second) / len(right), neither / len(right)
    return {"disagreement": disagreement, "double_fault": double_fault, "yule_q": yule_q}


def ambiguity(preds: Floats, y: NDArray[Any], task: str) -> Ambiguity:
    """The members' losses and their ambiguities, whose mean lowers the loss of the combination.

    Regression: squared error in units of the target's variance, and the arithmetic mean (Krogh &
    Vedelsby 1995). Probabilities: log loss and the normalised geometric mean; the ambiguity is the
    divergence of the combination from the member (Wood et al. 2023). Columns of a regression or
    of labels are averaged.
    """
    if not TASKS[task].is_probability:
        error = errors(preds, y, task)
        name = "squared error in variances of the target, of the arithmetic mean"
        return _ambiguity(name, error**2, (error - error.mean(axis=1, keepdims=True)) ** 2)
    logs = _log_probabilities(preds, task)  # (n, m, cases, outcomes)
    combined = log_softmax(logs.mean(axis=1, keepdims=True), axis=-1)
    divergence = (np.exp(combined) * (combined - logs)).sum(axis=-1)  # (n, m, cases)
    truth = y[:, None] if y.ndim == 1 else y
    missing = np.isnan(truth)[:, None, :]  # (n, 1, cases)
    codes = np.where(missing, 0, truth[:, None, :]).astype(np.int64)
    of_truth = np.take_along_axis(logs, codes[..., None], axis=-1)[..., 0]
    name, lacks = "log loss of the normalised geometric mean", np.where(missing, np.nan, 0.0)
    return _ambiguity(name, lacks - of_truth, lacks + divergence)


def _ambiguity(name: str, losses: Floats, divergences: Floats) -> Ambiguity:
    """The means of the (n, m, cases) cells, NaN where the target is missing."""
    of_members, diversity = (float(np.nanmean(cells)) for cells in (losses, divergences))
    return Ambiguity(name, of_members, diversity, np.nanmean(divergences, axis=(1, 2)))


def _log_probabilities(preds: Floats, task: str) -> Floats:
    """(n, m, cases, outcomes): one case of c classes, or c cases of no and yes."""
    p = np.clip(preds, TINY, 1 - TINY)
    if task == "multiclass":
        return log_softmax(np.log(p), axis=-1)[:, :, None, :]
    return np.log(np.stack([1 - p, p], axis=-1))
