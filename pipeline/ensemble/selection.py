"""Greedy selection of members for the metric itself, by adding them or by leaving them out.

Letters: n rows, m predictors, c columns. Each way to choose weights is called as
`hill_climb(preds, y, *, task, metric, seed) -> (m,)` with the predictions (n, m, c) of one target:
c is 1, or the number of classes. Each is the average over bags of half of the rows, because one
selection on all rows believes its own luck.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.objectives import TIE, Blends, first_best, objective_of
from pipeline.tasks import Floats

N_BAGS = 20
N_STEPS = 20  # a weight is a multiple of about 1/20 in one bag
ROWS_PER_BAG = 10_000  # half of the rows, but no more than this, so that a step stays cheap


def climb(preds: Floats, y: NDArray[Any], *, task: str, metric: str, n_steps: int) -> Floats:
    """(m,) shares after one greedy walk on all rows, without bags: a part, and for timing."""
    return walk(objective_of(preds, y, task=task, metric=metric, y_train=y), n_steps)


def hill_climb(preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int) -> Floats:
    """Greedy selection with replacement (Caruana et al. 2004, ICML).

    Starts from the best few members, adds the member that helps most, again and again, and keeps
    the best selection on the way; ties go to the earlier member and to the smaller selection.
    """
    select = partial(walk, n_steps=N_STEPS)
    return _bagged(select, preds, y, task=task, metric=metric, seed=seed)


def hill_climb_signed(
    preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int
) -> Floats:
    """`hill_climb` whose steps may also take a member away, beyond nothing if that helps.

    So a member whose errors the others share can be subtracted. Probabilities are clipped to
    [0, 1] and classes sum to 1 again, when a step is judged and when the weights are applied.
    """
    select = partial(walk, n_steps=N_STEPS, signed=True)
    return _bagged(select, preds, y, task=task, metric=metric, seed=seed, signed=True)


def backward_elimination(
    preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int
) -> Floats:
    """The plain mean without the members that it is better off without.

    From the mean of all, leaves out the member without which the mean scores best, as long as that
    helps; ties leave out the later member. A member's weight is its share averaged over bags.
    """
    return _bagged(eliminate, preds, y, task=task, metric=metric, seed=seed)


def walk(objective: Blends, n_steps: int, signed: bool = False) -> Floats:
    """(m,) shares of the best selection that one greedy walk meets; equal ones if it meets none."""
    members = objective.members
    n_members = len(members)
    counts, total, size = np.zeros(n_members), np.zeros_like(members[0]), 0
    best_value, best = -np.inf, (np.ones(n_members), members.sum(axis=0), n_members)

    def add(chosen: int, step: int, found: float) -> None:
        nonlocal counts, total, size, best_value, best
        counts = counts + step * (np.arange(n_members) == chosen)
        total, size = total + step * members[chosen], size + step
        if is_better(found, best_value):
            best_value, best = found, (counts, total, size)

    alone = np.array([objective.value(member, 1) for member in members])
    for chosen in np.argsort(-alone, kind="stable"):
        add(chosen, 1, objective.value(total + members[chosen], size + 1))
    counts, total, size = best
    # steps that take away need a selection to take from, and to stay small beside it
    times = -(-2 * n_steps // size) if signed else 1
    counts, total, size = times * counts, times * total, times * size
    for _ in range(n_steps):
        found = [objective.values(total, size, step) for step in ((1, -1) if signed else (1,))]
        chosen = first_best(np.concatenate(found))
        add(chosen % n_members, 1 if chosen < n_members else -1, np.concatenate(found)[chosen])
    return best[0] / best[0].sum()


def eliminate(objective: Blends) -> Floats:
    """(m,) equal shares of the members that backward elimination leaves, 0 for the others."""
    kept = np.arange(len(objective.members))
    total = objective.members.sum(axis=0)
    value = objective.value(total, len(kept))
    while len(kept) > 1:
        found = objective.values(total, len(kept), -1, kept)
        last_best = len(kept) - 1 - first_best(found[::-1])
        if not is_better(found[last_best], value):
            break
        total, value = total - objective.members[kept[last_best]], found[last_best]
        kept = np.delete(kept, last_best)
    return np.isin(np.arange(len(objective.members)), kept) / len(kept)


def is_better(found: float, best: float) -> bool:
    """Whether a value is larger by more than rounding."""
    return bool(found > best + TIE * abs(best)) if np.isfinite(best) else bool(found > best)


def _bagged(
    select: Callable[[Blends], Floats],
    preds: Floats,
    y: NDArray[Any],
    *,
    task: str,
    metric: str,
    seed: int,
    signed: bool = False,
) -> Floats:
    """(m,) mean over bags of rows of what is selected; a bag of one target value weighs equally."""
    n_members = preds.shape[1]
    weights = np.zeros(n_members)
    for rows in _bags(y.reshape(-1), seed):
        if np.ptp(y[rows]) == 0:
            weights += 1 / n_members
            continue
        weights += select(
            objective_of(preds[rows], y[rows], task=task, metric=metric, y_train=y, signed=signed)
        )
    return weights / N_BAGS


def _bags(y: NDArray[Any], seed: int) -> Iterator[NDArray[Any]]:
    """Rows of each bag: every second of the rows in the order of their targets.

    So that a bag holds each class, and each range of a target, in its share.
    """
    rng = np.random.default_rng(seed)
    every = max(2, -(-len(y) // ROWS_PER_BAG))
    for _ in range(N_BAGS):
        shuffled = rng.permutation(len(y))
        ordered = shuffled[np.argsort(y[shuffled], kind="stable")]
        yield ordered[rng.integers(min(every, len(y))) :: every]
