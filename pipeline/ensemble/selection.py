"""Greedy selection of members for the metric itself, by adding them or by leaving them out.

Letters: n rows, m predictors, c columns, s steps. Each way to choose weights is called as
`hill_climb(preds, y, *, task, metric, seed) -> (m,)` with the predictions (n, m, c) of one target:
c is 1, or the number of classes.

A selection believes in the luck of its rows. So each of many bags goes its way on half of the rows,
the other half scores every step of it, and the bags stop together where those scores are best on
average: at the plain mean, if no step is of use. The weights are the mean of the bags' selections.
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
    """(m,) shares of the best selection of one climb on all rows, without bags: for timing."""
    objective = objective_of(preds, y, task=task, metric=metric, y_train=y)
    counts = upwards(objective, n_steps)
    best = counts[first_best(_values(objective, counts))]
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


def upwards(objective: Blends, n_steps: int, signed: bool = False) -> Floats:
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


def downwards(objective: Blends) -> Floats:
    """(m, m) which members are in: all, then one less each step; the same again where none helps."""
    n_members = len(objective.members)
    kept = np.arange(n_members)
    total = objective.members.sum(axis=0)
    value = objective.value(total, n_members)
    path = np.ones((n_members, n_members))
    for i in range(1, n_members):
        found = objective.values(total, len(kept), -1, kept)
        last_best = len(kept) - 1 - first_best(found[::-1])
        if not found[last_best] > value + TIE * abs(value):
            break
        total, value = total - objective.members[kept[last_best]], found[last_best]
        path[i:, kept[last_best]] = 0
        kept = np.delete(kept, last_best)
    return path


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
    """(m,) mean share over the bags, all stopped at the step that is best for rows left out."""
    paths, values = [], []
    for halves in _bags(y.reshape(-1), seed):
        if any(np.ptp(y[rows]) == 0 for rows in halves):
            continue  # of such rows most metrics say nothing
        bag, left_out = (
            objective_of(preds[rows], y[rows], task=task, metric=metric, y_train=y, signed=signed)
            for rows in halves
        )
        counts = select(bag)
        paths.append(counts / counts.sum(axis=1, keepdims=True))
        values.append(_values(left_out, counts))
    if not paths:
        return np.full(preds.shape[1], 1 / preds.shape[1])
    return np.mean(paths, axis=0)[first_best(np.mean(values, axis=0))]


def _values(objective: Blends, counts: Floats) -> Floats:
    """(s,) what each of (s, m) selections is worth."""
    return np.array(
        [objective.value(np.tensordot(row, objective.members, axes=1), row.sum()) for row in counts]
    )


def _bags(y: NDArray[Any], seed: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Rows of each bag and as many left out: every second of the rows in the order of targets.

    So that each half holds each class, and each range of a target, in its share.
    """
    rng = np.random.default_rng(seed)
    every = max(2, -(-len(y) // ROWS_PER_BAG))
    for _ in range(N_BAGS):
        shuffled = rng.permutation(len(y))
        ordered = shuffled[np.argsort(y[shuffled], kind="stable")]
        first, second = rng.permutation(min(every, len(y)))[:2]
        yield ordered[first::every], ordered[second::every]
