"""Greedy selection of members for the metric itself, with bags against overfitting.

Letters: n rows, m predictors, c columns, s steps. The predictions (n, m, c) are those of one
target: c is 1, or the number of classes, or that of all columns if the metric is joint. Method:
docs/method.md, "Blenders".
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.objectives import Objective, first_best, objective_of, score_of_blend
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_BAGS = 20
N_STEPS = 20  # so a weight in one bag is a multiple of about 1/20
ROWS_PER_BAG = 10_000  # a bag has half of the rows, but no more than this
SHRINKAGE = (0.25, 0.5, 0.75, 1.0)  # weight of the selection; the plain mean has the rest
MOST_LEFT_OUT = 20_000  # rows, at most, that choose the step and the shrinkage


def hill_climb(preds: Floats, target: Target, *, seed: int) -> Floats:
    """Greedy selection with replacement (Caruana et al. 2004, ICML).

    Each bag starts from its best few members and adds the member that helps most, step by step.

    Returns:
        (m,) mean shares over the bags, at the step and the shrinkage that score best on the rows
        outside the bags. Ties go to the stronger shrinkage and to the earlier step.
    """
    y, equal = target.y, np.full(preds.shape[1], 1 / preds.shape[1])
    judges, *bags = _judges_and_bags(y.reshape(len(y), -1).mean(axis=1), seed)
    paths, left_out = [], []
    for bag in bags:
        rows = bag if target.weights is None else bag[target.weights[bag] > 0]
        if not len(rows) or np.ptp(y[rows]) == 0:
            continue  # most metrics are undefined on a constant target
        counts = selection_path(objective_of(preds[rows], target[rows]), N_STEPS)
        paths.append(counts / counts.sum(axis=1, keepdims=True))
        left_out.append(~np.isin(judges, rows))
    n_bags_without = np.sum(left_out, axis=0)
    judged = n_bags_without > 0
    if not judged.any():
        return equal
    # a left-out row's blend at a step is the mean over the bags without this row
    blends = np.zeros((len(paths[0]), len(judges), preds.shape[2]))
    for path, outside in zip(paths, left_out, strict=True):
        blends[:, outside] += np.tensordot(path, preds[judges[outside]], axes=(1, 1))
    blends = blends[:, judged] / n_bags_without[judged, None]
    shares = np.mean(paths, axis=0)  # every path begins with the plain mean
    best_score, best, judging = -np.inf, equal, target[judges[judged]]
    for weight in SHRINKAGE:
        for blend, share in zip(blends, shares, strict=True):
            shrunk = blends[0] + weight * (blend - blends[0])
            score = score_of_blend(shrunk, judging)
            if first_best(np.array([best_score, score])) == 1:
                best_score, best = score, shares[0] + weight * (share - shares[0])
    return best


def selection_path(objective: Objective, n_steps: int) -> Floats:
    """(2 + s, m) member counts: all members, the best few, then after each step."""
    members = objective.members
    n_members = len(members)
    alone = np.array([objective.value(member, 1) for member in members])
    order = np.argsort(-alone, kind="stable")
    total, prefixes = np.zeros_like(members[0]), []
    for size, chosen in enumerate(order, start=1):
        total = total + members[chosen]
        prefixes.append(objective.value(total, size))
    size = 1 + first_best(np.array(prefixes))
    counts = np.isin(np.arange(n_members), order[:size]).astype(np.float64)
    path = [np.ones(n_members), counts]
    total = members[order[:size]].sum(axis=0)
    for _ in range(n_steps):
        chosen = first_best(objective.values(total, size))
        counts = counts + (np.arange(n_members) == chosen)
        total, size = total + members[chosen], size + 1
        path.append(counts)
    return np.array(path)


def _judges_and_bags(y: NDArray[Any], seed: int) -> Iterator[NDArray[Any]]:
    """Rows that may judge, then the rows of each bag, each stratified by the target."""
    rng = np.random.default_rng(seed)
    for i in range(1 + N_BAGS):
        shuffled = rng.permutation(len(y))
        ordered = shuffled[np.argsort(y[shuffled], kind="stable")]
        every = max(2, -(-len(y) // ROWS_PER_BAG)) if i else -(-len(y) // MOST_LEFT_OUT)
        # a copy, because a view would keep the whole order in memory
        yield ordered[rng.integers(min(every, len(y))) :: every].copy()
