"""How the chosen predictor behaves: calibration, residuals, drift to the test rows, short texts.

Letters: n training rows, k test rows, c columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from pipeline.competition.rows import joined
from pipeline.reporting.evidence import Evidence
from pipeline.scoring.intervals import standard_error
from pipeline.scoring.tasks import Floats, as_columns, rows_with, spread

N_BINS, N_LENGTHS = 10, 5
FEWEST = 20  # rows of a score that is worth showing
N_BARS = 30
N_CALIBRATED = 6  # classes or labels that have a curve of their own


def calibration(evidence: Evidence) -> dict[str, Any]:
    """Predicted probability against the observed share, in ten bins, and the calibration error.

    Binary: the positive class. Multiclass: the most probable class. Multilabel: all labels pooled.
    The most frequent classes or labels also for themselves.
    """
    p = evidence.chosen_oof
    truth = as_columns(evidence.config.task, evidence.train.y, p.shape[1])
    frequent = np.argsort(-np.nansum(truth, axis=0), kind="stable")[:N_CALIBRATED]
    single = [
        {"name": evidence.train.columns[j], **_calibration(p[:, j], truth[:, j])} for j in frequent
    ]
    if evidence.config.task == "multiclass":
        top = p.argmax(axis=1)[:, None]
        p, truth = np.take_along_axis(p, top, 1), np.take_along_axis(truth, top, 1)
    return {**_calibration(p.ravel(), truth.ravel()), "columns": single if len(single) > 1 else []}


def _calibration(p: Floats, truth: Floats) -> dict[str, Any]:
    p, truth = p[rows_with(truth)], truth[rows_with(truth)]
    in_bins = [(p[rows], truth[rows]) for rows in _bins(p, N_BINS)]
    bins = [
        {"cases": len(p_bin), "predicted": float(p_bin.mean()), "observed": float(y_bin.mean())}
        for p_bin, y_bin in in_bins
    ]
    distance = sum(b["cases"] * abs(b["predicted"] - b["observed"]) for b in bins)
    return {"bins": bins, "expected_error": distance / len(p)}


def residuals(evidence: Evidence) -> dict[str, Any]:
    """Target minus prediction in ten bins of the prediction; several targets are standardised."""
    y, p = evidence.train.y, evidence.chosen_oof
    several = y.shape[1] > 1
    if several:
        center = np.nanmean(y, axis=0)
        y, p = (y - center) / spread(y), (p - center) / spread(y)
    residual = (y - p).ravel()
    there = rows_with(residual)
    p, residual = p.ravel()[there], residual[there]
    bins = []
    for rows in _bins(p, N_BINS):
        low, median, high = np.quantile(residual[rows], [0.1, 0.5, 0.9]).tolist()
        predicted = {"predicted": float(p[rows].mean()), "cases": len(rows)}
        bins.append({**predicted, "low": low, "median": median, "high": high})
    return {"bins": bins, "standardised": several}


def drift(evidence: Evidence) -> dict[str, Any]:
    """Out-of-fold against test predictions: the largest gap of their distributions (KS)."""
    train, test, stack = evidence.train, evidence.test, evidence.stack
    gaps = {name: _gaps(stack.oof[:, i], stack.test[:, i]) for i, name in enumerate(stack.names)}
    gaps[evidence.chosen_name] = _gaps(evidence.chosen_oof, evidence.chosen_test)
    at = int(gaps[evidence.chosen_name].argmax())
    oof, unseen = evidence.chosen_oof[:, at], evidence.chosen_test[:, at]
    # unlike NumPy's own edges, also where predictions differ by rounding only
    edges = np.linspace(min(oof.min(), unseen.min()), max(oof.max(), unseen.max()), N_BARS + 1)
    lengths = [np.array([len(t) for t in joined(rows.texts)]) for rows in (train, test)]
    return {
        "predictors": [
            {"name": name, "ks": float(gap.max()), "column": train.columns[int(gap.argmax())]}
            for name, gap in gaps.items()
        ],
        "chance": chance_gap(len(train.ids), len(test.ids), len(train.columns)),
        "length_ks": float(_gaps(*lengths)),
        "column": train.columns[at],
        "edges": edges.tolist(),
        "oof_share": (np.histogram(oof, edges)[0] / len(oof)).tolist(),
        "test_share": (np.histogram(unseen, edges)[0] / len(unseen)).tolist(),
    }


def _gaps(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """The largest gap of the distributions of each column."""
    # asymptotic: the p-value is not needed, and an exact one takes long
    return np.asarray(ks_2samp(first, second, method="asymp").statistic)


def chance_gap(n: int, k: int, n_columns: int) -> float:
    """The 95 % quantile of the largest gap among `n_columns` pairs of equal distributions.

    Smirnov's limit for two samples of n and k, with Bonferroni's bound for several columns.
    """
    return float(np.sqrt(-np.log(0.05 / n_columns / 2) / 2) * np.sqrt((n + k) / (n * k)))


def by_length(evidence: Evidence) -> list[dict[str, float | None]]:
    """The chosen predictor's score on the shortest to the longest fifth of the training texts."""
    lengths = np.array([len(text) for text in joined(evidence.train.texts)])
    rng = np.random.default_rng(evidence.config.seed)
    bins: list[dict[str, float | None]] = []
    for rows in _bins(lengths, N_LENGTHS):
        score = error = np.nan
        if len(rows) >= FEWEST:
            target, predictions = evidence.target[rows], evidence.chosen_oof[rows]
            score, error = target.score(predictions), standard_error(target, predictions, rng)
        span = {"shortest": int(lengths[rows].min()), "longest": int(lengths[rows].max())}
        bins.append({**span, "rows": len(rows), "score": score, "se": error})
    return bins


def _bins(values: NDArray[Any], n: int) -> list[NDArray[np.int64]]:
    """The positions of the values in each of n bins between quantiles; equal values share a bin."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, n + 1)[1:-1]))
    bins = np.searchsorted(edges, values, side="left")
    return [np.flatnonzero(bins == b) for b in np.unique(bins)]
