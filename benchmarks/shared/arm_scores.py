"""Scores of the arms of a grid, on draws of rows and seeds.

Letters: P poolings, S seeds, n rows, c columns.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.shared.arms import Subset, seed_weights
from pipeline.scoring.intervals import bootstrap_counts
from pipeline.scoring.metrics import Metric
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

Arm = tuple[str, int]  # its name and the size of its ensembles

DIFFERENCES = (
    ("poolings", "seeds"),
    ("both", "seeds"),
    ("both", "poolings"),
    ("poolings", "seeds of best"),
    ("both", "seeds of best"),
)


@dataclass(frozen=True)
class Grid:
    """Predictions of all cells on one part of a competition's rows.

    Attributes:
        preds: (P, S, n, c).
        target: of the rows, with the labels of the training rows.
    """

    preds: Floats
    target: Target


def drawn_scores(
    grid: Grid, arms: dict[Arm, list[Subset]], blends: dict[Subset, Floats], n_draws: int
) -> dict[Arm, Floats]:
    """(1 + draws,) scores of each arm: on all rows and seeds, then on each draw of both.

    Args:
        blends: (n, c) predictions of each ensemble that an arm names.
    """
    rng = np.random.default_rng(0)
    n, n_seeds = len(grid.target), grid.preds.shape[1]
    times, seeds = np.ones((1 + n_draws, n)), np.ones((1 + n_draws, n_seeds))
    for i in range(1, 1 + n_draws):
        times[i] = bootstrap_counts(grid.target.clusters, 1, rng)
        seeds[i] = bootstrap_counts(np.arange(n_seeds), 1, rng)
    scores = {subset: grid.target.scorer(blend)(times) for subset, blend in blends.items()}
    arm_scores = {}
    for arm, subsets in arms.items():
        weights = np.array([seed_weights(subsets, draw) for draw in seeds])
        total = np.einsum("bs,sb->b", weights, np.array([scores[s] for s in subsets]))
        n_drawn = weights.sum(axis=1)
        nothing = np.full(1 + n_draws, np.nan)  # too few different seeds for any ensemble
        arm_scores[arm] = np.divide(total, n_drawn, out=nothing, where=n_drawn > 0)
    return arm_scores


def score_lines(
    scores: dict[Arm, Floats], metric: Metric, blend: str, n_ensembles: dict[Arm, int]
) -> list[dict[str, Any]]:
    """A line for each arm's score, its gain over one member, and each difference of arms."""
    lines = []

    def add(arm: str, minus: str, size: int, values: Floats) -> None:
        low, high = np.nanpercentile(values[1:], [2.5, 97.5])
        n = n_ensembles[arm, size]
        line = {"blend": blend, "arm": arm, "minus": minus, "size": size, "ensembles": n}
        lines.append({**line, "value": values[0], "low": low, "high": high})

    for (arm, size), values in scores.items():
        add(arm, "", size, values)
        if size > 1 and (arm, 1) in scores:
            add(arm, "one member", size, metric.sign * (values - scores[arm, 1]))
    for arm, minus in DIFFERENCES:
        for size in sorted({size for _, size in scores} - {1}):
            if (arm, size) in scores and (minus, size) in scores:
                difference = scores[arm, size] - scores[minus, size]
                add(arm, minus, size, metric.sign * difference)
    return lines


def error_correlations(grid: Grid) -> dict[str, float]:
    """Mean correlation of two cells' errors: same seed, same pooling, neither."""
    y = grid.target.as_columns(grid.preds.shape[-1])
    n_poolings, n_seeds = grid.preds.shape[:2]
    errors = (grid.preds - y).reshape(n_poolings * n_seeds, -1)
    between = np.atleast_2d(np.corrcoef(errors))
    pooling, seed = np.divmod(np.arange(len(errors)), n_seeds)
    pair = np.triu(np.ones_like(between, dtype=bool), 1)
    same_pooling, same_seed = pooling[:, None] == pooling, seed[:, None] == seed
    return {
        "another pooling, same seed": float(between[pair & ~same_pooling & same_seed].mean()),
        "same pooling, another seed": float(between[pair & same_pooling & ~same_seed].mean()),
        "another of both": float(between[pair & ~same_pooling & ~same_seed].mean()),
    }
