"""Greedy selection of members for the metric itself.

Letters: n rows, m predictors, c columns, s steps. The predictions (n, m, c) are those of one
target: c is 1, or the number of classes.

A selection believes in the luck of its rows. So each of many bags goes its way on half of the rows.
The weights are the mean of the bags' selections after the step, and at the part of the way there
from the plain mean, that are best for the rows left out. With 40 alike members and 300 rows, RMSE,
the bags alone lost .0034 to the plain mean, and so they gain .0009.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.objectives import Objective, first_best, worth
from pipeline.ensemble.shortcuts import objective_of
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_BAGS = 20
N_STEPS = 20  # a weight is a multiple of about 1/20 in one bag
ROWS_PER_BAG = 10_000  # half of the rows, but no more than this, so that a step stays cheap
PARTS = (0.25, 0.5, 0.75, 1.0)  # of the way from the plain mean to a selection
N_JUDGES = 20_000  # rows at most that say where to stop


def hill_climb(preds: Floats, target: Target, *, seed: int) -> Floats:
    """Greedy selection with replacement (Caruana et al. 2004, ICML).

    Starts from the best few members and adds the member that helps most, again and again; ties go
    to the earlier member and to the smaller selection.

    Returns:
        (m,) mean shares over the bags, at the step and part of the way that are best for the rows
        left out: of a row, a step's blend is the mean over the bags that the row is not in. Ties
        go to the part closer to the plain mean, with which every path begins, and to the earlier
        step.
    """
    y = target.y
    judges, *bags = _judges_and_bags(y.reshape(-1), seed)
    paths, left_out = [], []
    for rows in bags:
        if np.ptp(y[rows]) == 0:
            continue  # of such rows most metrics say nothing
        counts = upwards(objective_of(preds[rows], target[rows]), N_STEPS)
        paths.append(counts / counts.sum(axis=1, keepdims=True))
        left_out.append(~np.isin(judges, rows))
    times = np.sum(left_out, axis=0)
    judged = times > 0
    if not judged.any():
        return np.full(preds.shape[1], 1 / preds.shape[1])
    blends = np.zeros((len(paths[0]), len(judges), preds.shape[2]))
    for path, judging in zip(paths, left_out, strict=True):
        blends[:, judging] += np.tensordot(path, preds[judges[judging]], axes=(1, 1))
    blends = blends[:, judged] / times[judged, None]
    shares = np.mean(paths, axis=0)
    best_value, best = -np.inf, np.full(preds.shape[1], 1 / preds.shape[1])
    for part in PARTS:
        for blend, share in zip(blends, shares, strict=True):
            towards = blends[0] + part * (blend - blends[0])
            value = worth(towards, target[judges[judged]])
            if is_better(value, best_value):
                best_value, best = value, shares[0] + part * (share - shares[0])
    return best


def upwards(objective: Objective, n_steps: int) -> Floats:
    """(2 + s, m) how often each member is in: all once, the best few once, then step by step."""
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


def is_better(value: float, best: float) -> bool:
    """Whether a value is larger by more than rounding."""
    return first_best(np.array([best, value])) == 1


def _judges_and_bags(y: NDArray[Any], seed: int) -> Iterator[NDArray[Any]]:
    """Rows that judge, then those of each bag: every so many of the rows in the order of targets.

    So that each holds each class, and each range of a target, in its share.
    """
    rng = np.random.default_rng(seed)
    for i in range(1 + N_BAGS):
        shuffled = rng.permutation(len(y))
        ordered = shuffled[np.argsort(y[shuffled], kind="stable")]
        every = max(2, -(-len(y) // ROWS_PER_BAG)) if i else -(-len(y) // N_JUDGES)
        # copied, or the few rows would keep the order of all in memory
        yield ordered[rng.integers(min(every, len(y))) :: every].copy()
