"""Ensembles of equal size drawn from a grid of P poolings x S seeds.

A cell (p, s) is the member of pooling p and seed s. Three ways to draw `size` cells:

- poolings: different poolings, one seed;
- seeds: one pooling, different seeds;
- both: different poolings, each with a seed of its own.
"""

from collections.abc import Callable, Sequence
from itertools import combinations, permutations, product

import numpy as np

from pipeline.scoring.tasks import Floats

Cell = tuple[int, int]
Subset = tuple[Cell, ...]


def different_poolings(n_poolings: int, n_seeds: int, size: int) -> list[Subset]:
    chosen = product(combinations(range(n_poolings), size), range(n_seeds))
    return [tuple((p, s) for p in poolings) for poolings, s in chosen]


def different_seeds(n_poolings: int, n_seeds: int, size: int) -> list[Subset]:
    chosen = product(range(n_poolings), combinations(range(n_seeds), size))
    return [tuple((p, s) for s in seeds) for p, seeds in chosen]


def different_in_both(n_poolings: int, n_seeds: int, size: int) -> list[Subset]:
    chosen = product(combinations(range(n_poolings), size), permutations(range(n_seeds), size))
    return [tuple(zip(poolings, seeds, strict=True)) for poolings, seeds in chosen]


ARMS: dict[str, Callable[[int, int, int], list[Subset]]] = {
    "poolings": different_poolings,
    "seeds": different_seeds,
    "both": different_in_both,
}


def all_arms(
    poolings: Sequence[str], n_seeds: int, best: int
) -> dict[tuple[str, int], list[Subset]]:
    """The ensembles of each arm and size; the arm of seeds also for each pooling.

    Arms that need a larger grid are left out.

    Args:
        best: number of the pooling whose single members score best out-of-fold.
    """
    arms = {}
    for size in range(1, len(poolings) + 1):
        drawn = {name: draw(len(poolings), n_seeds, size) for name, draw in ARMS.items()}
        for p, pooling in enumerate(poolings):
            of_pooling = [subset for subset in drawn["seeds"] if subset[0][0] == p]
            if of_pooling:
                drawn[f"seeds of {pooling}"] = of_pooling
                if p == best:
                    drawn["seeds of best"] = of_pooling
        arms.update({(arm, size): subsets for arm, subsets in drawn.items() if subsets})
    return arms


def seed_weights(subsets: Sequence[Subset], times: Floats) -> Floats:
    """(subsets,) how often each subset occurs if seed s occurs `times[s]` times.

    Drawing seeds with replacement and averaging over all subsets of *distinct* draws is the
    bootstrap of a U-statistic: a subset of several seeds counts once for every choice of copies.
    Where each subset needs all seeds there is nothing to draw from, and all count once.
    """
    seeds = [sorted({s for _, s in subset}) for subset in subsets]
    if all(len(own) == len(times) for own in seeds):
        return np.ones(len(subsets))
    return np.array([np.prod(times[own]) for own in seeds])
