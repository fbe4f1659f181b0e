"""Greedy selection of members for the metric itself, by adding them or by leaving them out.

Letters: n rows, m predictors, c columns, s steps. Each way to choose weights is called as
`hill_climb(preds, y, *, task, metric, seed) -> (m,)` with the predictions (n, m, c) of one target:
c is 1, or the number of classes.

A selection believes in the luck of its rows. So each of many bags goes its way on half of the rows.
The weights are the mean of the bags' selections after the step, and at the part of the way there
from the plain mean, that are best for the rows left out. With 40 alike members and 300 rows, RMSE,
the bags alone lost .0034 to the plain mean, and so they gain .0009.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.objectives import Objective, first_best, worth
from pipeline.ensemble.shortcuts import objective_of
from pipeline.scoring.tasks import Floats

N_BAGS = 20
N_STEPS = 20  # a weight is a multiple of about 1/20 in one bag
ROWS_PER_BAG = 10_000  # half of the rows, but no more than this, so that a step stays cheap
PARTS = (0.25, 0.5, 0.75, 1.0)  # of the way from the plain mean to a selection
N_JUDGES = 20_000  # rows at most that say where to stop


def climb(preds: Floats, y: NDArray[Any], *, task: str, metric: str, n_steps: int) -> Floats:
    """(m,) shares of the best selection of one climb on all rows, without bags: for timing."""
    objective = objective_of(preds, y, task=task, metric=metric, y_train=y)
    path = upwards(objective, n_steps)
    totals = (np.tensordot(counts, objective.members, axes=1) for counts in path)
    values = [objective.value(t, c.sum()) for t, c in zip(totals, path, strict=True)]
    best = path[first_best(np.array(values))]
    return best / best.sum()


def hill_climb(preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int) -> Floats:
    """Greedy selection with replacement (Caruana et al. 2004, ICML).

    Starts from the best few members and adds the member that helps most, again and again; ties go
    to the earlier member and to the smaller selection.
    """
    select = partial(upwards, n_steps=N_STEPS)
    return _bagged(select, preds, y, task=task, metric=metric, seed=seed)


def hill_climb_signed(
    preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int
) -> Floats:
    """`hill_climb` whose steps may also take a member away, beyond nothing if that helps.

    So a member whose errors the others share can be subtracted. Probabilities are clipped to
    [0, 1] and classes sum to 1 again, when a step is judged and when the weights are applied.
    """
    select = partial(upwards, n_steps=N_STEPS, signed=True)
    return _bagged(select, preds, y, task=task, metric=metric, seed=seed, signed=True)


def backward_elimination(
    preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int
) -> Floats:
    """The plain mean without the members that it is better off without.

    From the mean of all, leaves out the member without which the mean scores best, as long as that
    helps; ties leave out the later member.
    """
    return _bagged(downwards, preds, y, task=task, metric=metric, seed=seed)


def upwards(objective: Objective, n_steps: int, signed: bool = False) -> Floats:
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
    # steps that take away need a selection to take from, and to stay small beside it
    times = -(-2 * n_steps // size) if signed else 1
    counts, total, size = times * counts, times * members[order[:size]].sum(axis=0), times * size
    for _ in range(n_steps):
        found = [objective.values(total, size, step) for step in ((1, -1) if signed else (1,))]
        best = first_best(np.concatenate(found))
        chosen, step = best % n_members, 1 if best < n_members else -1
        counts = counts + step * (np.arange(n_members) == chosen)
        total, size = total + step * members[chosen], size + step
        path.append(counts)
    return np.array(path)


def downwards(objective: Objective) -> Floats:
    """(m, m) which members are in: all, then one less a step; the same again where none helps."""
    n_members = len(objective.members)
    kept = np.arange(n_members)
    total = objective.members.sum(axis=0)
    value = objective.value(total, n_members)
    path = np.ones((n_members, n_members))
    for i in range(1, n_members):
        found = objective.values(total, len(kept), -1, kept)
        last_best = len(kept) - 1 - first_best(found[::-1])
        if not is_better(found[last_best], value):
            break
        total, value = total - objective.members[kept[last_best]], found[last_best]
        path[i:, kept[last_best]] = 0
        kept = np.delete(kept, last_best)
    return path


def is_better(value: float, best: float) -> bool:
    """Whether a value is larger by more than rounding."""
    return first_best(np.array([best, value])) == 1


def _bagged(
    select: Callable[[Objective], Floats],
    preds: Floats,
    y: NDArray[Any],
    *,
    task: str,
    metric: str,
    seed: int,
    signed: bool = False,
) -> Floats:
    """(m,) mean shares over the bags, at the step and part of the way best for rows left out.

    Of a row, a step's blend is the mean over the bags that the row is not in. Ties go to the part
    closer to the plain mean, with which every path begins, and to the earlier step.
    """
    setting: dict[str, Any] = {"task": task, "metric": metric, "y_train": y}
    judges, *bags = _judges_and_bags(y.reshape(-1), seed)
    paths, left_out = [], []
    for rows in bags:
        if np.ptp(y[rows]) == 0:
            continue  # of such rows most metrics say nothing
        counts = select(objective_of(preds[rows], y[rows], signed=signed, **setting))
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
            value = worth(towards, y[judges[judged]], **setting)
            if is_better(value, best_value):
                best_value, best = value, shares[0] + part * (share - shares[0])
    return best


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
