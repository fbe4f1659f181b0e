"""How the chosen predictor behaves: calibration, residuals, and drift from training to test.

Letters: n training rows, k test rows, c columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from pipeline.competition.rows import joined
from pipeline.reporting.evidence import Evidence
from pipeline.scoring.tasks import Floats, as_columns, spread

N_BINS = 10
N_BARS = 30


def calibration(of: Evidence) -> dict[str, Any]:
    """How often what is said to be true with a probability is true, in tenths of the cases.

    Binary: the positive class. Several classes: the likeliest one. Labels: all of them pooled.
    """
    truth = as_columns(of.config.task, of.train.y, of.chosen_oof.shape[1])
    said = of.chosen_oof
    if of.config.task == "multiclass":
        top = said.argmax(axis=1)[:, None]
        said, truth = np.take_along_axis(said, top, 1), np.take_along_axis(truth, top, 1)
    p, came_true = said.ravel(), truth.ravel()
    bins = _tenths(p)
    lines = [
        {
            "cases": int((bins == b).sum()),
            "said": float(p[bins == b].mean()),
            "true": float(came_true[bins == b].mean()),
        }
        for b in np.unique(bins)
    ]
    distance = sum(line["cases"] * abs(line["said"] - line["true"]) for line in lines)
    return {"bins": lines, "expected_error": distance / len(p)}


def residuals(of: Evidence) -> dict[str, Any]:
    """Truth less prediction by tenths of the predictions; several targets: in their deviations."""
    y, p = of.train.y, of.chosen_oof
    several = y.shape[1] > 1
    if several:
        y, p = (y - y.mean(axis=0)) / spread(y), (p - y.mean(axis=0)) / spread(y)
    said, left = p.ravel(), (y - p).ravel()
    bins = _tenths(said)
    lines = []
    for b in np.unique(bins):
        low, median, high = np.quantile(left[bins == b], [0.1, 0.5, 0.9])
        mean = float(said[bins == b].mean())
        rows = int((bins == b).sum())
        lines.append({"said": mean, "low": low, "median": median, "high": high, "cases": rows})
    return {"bins": lines, "standardised": several}


def drift(of: Evidence) -> dict[str, Any]:
    """Out-of-fold against test predictions: the largest gap of their distributions (KS)."""
    n, k = len(of.train.ids), len(of.test.ids)
    columns = of.train.columns
    gaps = {
        name: _gaps(of.stack.oof[:, i], of.stack.test[:, i])
        for i, name in enumerate(of.stack.names)
    }
    gaps[of.chosen_name] = _gaps(of.chosen_oof, of.chosen_test)
    at = int(gaps[of.chosen_name].argmax())
    both = np.concatenate([of.chosen_oof[:, at], of.chosen_test[:, at]])
    edges = np.histogram_bin_edges(both, bins=N_BARS)
    lengths = [np.array([len(t) for t in joined(rows.texts)]) for rows in (of.train, of.test)]
    return {
        "predictors": [
            {"name": name, "ks": float(found.max()), "column": columns[int(found.argmax())]}
            for name, found in gaps.items()
        ],
        "chance": chance_gap(n, k, len(columns)),
        "length_ks": _ks(*lengths),
        "column": columns[at],
        "edges": edges,
        "oof_share": np.histogram(of.chosen_oof[:, at], edges)[0] / n,
        "test_share": np.histogram(of.chosen_test[:, at], edges)[0] / k,
    }


def _gaps(oof: Floats, test: Floats) -> Floats:
    return np.array([_ks(oof[:, j], test[:, j]) for j in range(oof.shape[1])])


def _ks(first: NDArray[Any], second: NDArray[Any]) -> float:
    # asymptotic: the p-value is not needed, and an exact one takes long
    return float(ks_2samp(first, second, method="asymp").statistic)


def chance_gap(n: int, k: int, n_columns: int) -> float:
    """What the largest gap of `n_columns` equal distributions stays below in 95 % of cases.

    Smirnov's limit for two samples of n and k, and Bonferroni's bound for several columns.
    """
    return float(np.sqrt(-np.log(0.05 / n_columns / 2) / 2) * np.sqrt((n + k) / (n * k)))


def _tenths(values: Floats) -> NDArray[np.int64]:
    """(n,) the tenth of each value; equal values share one."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, N_BINS + 1)[1:-1]))
    return np.searchsorted(edges, values, side="left")
