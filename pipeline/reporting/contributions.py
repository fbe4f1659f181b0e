"""Contribution of each predictor to the plain mean: leave-one-out and Shapley values, intervals.

The value of a set of predictors is the metric of its plain mean, positive is better; that of the
empty set is the metric of the constant prediction, as on the leaderboard. The Shapley value of a
predictor is its added value, averaged over all orders in which predictors can join (Shapley 1953).
Shapley values sum to the gain of the mean of all over that constant.

Letters: n rows, m predictors, c columns, s sets of predictors, b draws of rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.reporting.moments import MOMENT_METRICS, moments_of
from pipeline.scoring.intervals import bootstrap_counts, intervals_of
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

EXACT = 12  # predictors up to which every set is scored: 4,096 sets
N_CIRCLES = 10  # with more: random circles of predictors, joined in order from every start
SETS_PER_DRAW = 256  # up to so many sets, those of 8 predictors, a draw is exact too
MOST_ROWS = 5000  # for metrics that do not follow from moments
N_DRAWS, N_DRAWS_OF_MOMENTS = 100, 300

Sets = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class SetPlan:
    """The sets to score, and the orders that make Shapley values of their scores.

    Attributes:
        sets: (s, m) membership of the predictors; the last set holds all.
        without: (m,) positions of the sets that lack one predictor only.
        orders: (orders, m) in which predictors join; None if all sets are scored.
        steps: (orders, m + 1) positions of the sets that an order passes.
        n_circles: circles that the orders come from, circle after circle.
    """

    sets: Sets
    without: NDArray[np.int64]
    orders: NDArray[np.int64] | None = None
    steps: NDArray[np.int64] | None = None
    n_circles: int = 1

    def shapley(self, values: Floats) -> Floats:
        """(circles, m) Shapley values from the (s,) values of the sets; one row if exact."""
        if self.steps is None or self.orders is None:
            return np.asarray([_exact_weights(self.sets) @ values])
        m = self.sets.shape[1]
        added: Floats = np.empty((len(self.orders), m))
        np.put_along_axis(added, self.orders, np.diff(values[self.steps], axis=1), axis=1)
        return added.reshape(self.n_circles, -1, m).mean(axis=1)


class Contributions(NamedTuple):
    """Contributions in the metric's unit, positive is better.

    Attributes:
        shapley: (m, 3) value, low, high of the 95 % bootstrap interval over rows.
        leave_one_out: (m, 3) likewise: how much worse the mean of all becomes without each
            predictor; the mean of none is the constant.
        whole: sum of the Shapley values: the gain of the mean of all over the constant.
        standard_error: largest one of the Shapley values, from sampling orders; 0 if exact.
    """

    shapley: Floats
    leave_one_out: Floats
    whole: float
    standard_error: float
    n_rows: int
    n_draws: int


def contributions(preds: Floats, target: Target, *, seed: int) -> Contributions:
    """Leave-one-out and Shapley values of every predictor in the plain mean of (n, m, c) `preds`.

    Exact up to 12 predictors, from sampled orders beyond. Metrics of second moments use all rows,
    other metrics a random sample of at most 5,000. Draws of rows may use a plan of one circle,
    whose sampling error cancels in the difference of a draw and all rows.
    """
    m, sign, rng = preds.shape[1], target.metric.sign, np.random.default_rng(seed)
    plan = drawn_plan = every_set(m) if m <= EXACT else sampled_orders(m, N_CIRCLES, rng)
    metric = target.metric
    value_of = MOMENT_METRICS.get(metric.name)
    if metric.column_weights or target.has_missing or target.weights is not None:
        value_of = None  # moments are of all rows alike
    if value_of is None and len(target) > MOST_ROWS:
        rows = np.sort(rng.choice(len(target), MOST_ROWS, replace=False))
        preds, target = preds[rows], target[rows]
    if value_of:
        draws = (bootstrap_counts(target.clusters, 1, rng)[0] for _ in range(N_DRAWS_OF_MOMENTS))
        samples = chain([np.ones(len(target))], draws)
        moments = moments_of(preds, target.as_columns(preds.shape[2]), samples)
        values, *drawn = (sign * value_of(of, plan.sets) for of in moments)
        drawn_values = values
    else:
        values = drawn_values = set_values(preds, target, plan.sets)
        if len(plan.sets) > SETS_PER_DRAW:  # each on every draw would take minutes
            drawn_plan = sampled_orders(m, 1, rng)
            drawn_values = set_values(preds, target, drawn_plan.sets)
        counts = bootstrap_counts(target.clusters, N_DRAWS, rng)
        means = _plain_means(preds, target, drawn_plan.sets)
        scores = np.column_stack([target.scorer(mean)(counts) for mean in means])
        drawn = list(_no_skill_where_undefined(sign * scores))
    by_circle = plan.shapley(values)
    shapley, left_out = by_circle.mean(axis=0), values[-1] - values[plan.without]
    sampling = by_circle.std(axis=0, ddof=1) if len(by_circle) > 1 else np.zeros(1)
    shapley_of_all = drawn_plan.shapley(drawn_values).mean(axis=0)
    changes = [drawn_plan.shapley(line).mean(axis=0) - shapley_of_all for line in drawn]
    left_out_of_all = drawn_values[-1] - drawn_values[drawn_plan.without]
    left_out_changes = [line[-1] - line[drawn_plan.without] - left_out_of_all for line in drawn]
    return Contributions(
        intervals_of(shapley, shapley + np.array(changes)),
        intervals_of(left_out, left_out + np.array(left_out_changes)),
        float(shapley.sum()),
        float(sampling.max() / np.sqrt(len(by_circle))),
        len(target),
        len(drawn),
    )


def n_scored(m: int) -> int:
    """Number of sets and draws of sets that the contributions of m predictors score by rows."""
    rng = np.random.default_rng(0)
    n_sets = 2**m if m <= EXACT else len(sampled_orders(m, N_CIRCLES, rng).sets)
    n_drawn = n_sets if n_sets <= SETS_PER_DRAW else len(sampled_orders(m, 1, rng).sets)
    return n_sets + N_DRAWS * n_drawn


def every_set(m: int) -> SetPlan:
    """All 2^m sets; set k holds predictor j where bit j of k is 1."""
    codes = np.arange(2**m)
    sets = (codes[:, None] >> np.arange(m)) % 2 == 1
    return SetPlan(sets, codes[-1] - (1 << np.arange(m)))


def sampled_orders(m: int, n_circles: int, rng: np.random.Generator) -> SetPlan:
    """Orders of joining: random circles, each from every start.

    Every predictor joins equally often at every place, so the effect of the place, most of the
    added value, has no sampling error: with 20 predictors, 400 independent orders had 10 to 80
    times the error of 200 orders from circles.
    """
    around = (np.arange(m) + np.arange(m)[:, None]) % m
    orders = np.concatenate([rng.permutation(m)[around] for _ in range(n_circles)])
    place = np.argsort(orders, axis=1)  # (orders, m) when each predictor joins
    passed = place[:, None, :] < np.arange(m + 1)[None, :, None]  # (orders, m + 1, m)
    everybody = np.ones((1, m), dtype=bool)
    all_sets = np.concatenate([passed.reshape(-1, m), everybody & ~np.eye(m, dtype=bool)])
    sets, where = np.unique(all_sets, axis=0, return_inverse=True)  # that of all comes last
    where = where.ravel()
    return SetPlan(sets, where[-m:], orders, where[:-m].reshape(len(orders), m + 1), n_circles)


def set_values(preds: Floats, target: Target, sets: Sets) -> Floats:
    """(s,) score of each set's plain mean, positive is better.

    An undefined score counts as 0, no skill; all are NaN if every score is undefined.
    """
    scores = [target.score(p) for p in _plain_means(preds, target, sets)]
    return _no_skill_where_undefined(target.metric.sign * np.array([scores]))[0]


def _plain_means(preds: Floats, target: Target, sets: Sets) -> Iterator[Floats]:
    """(n, c) the plain mean of each set; the constant prediction for the empty set."""
    n, m, c = preds.shape
    flat = np.ascontiguousarray(preds.transpose(1, 0, 2)).reshape(m, n * c)
    constant = target.constant(c, n)
    sizes = sets.sum(axis=1)
    at_once = max(1, 2_000_000 // flat.shape[1])  # sets whose blends take 16 MB
    for start in range(0, len(sets), at_once):
        of = slice(start, start + at_once)
        blends = (sets[of] / np.maximum(sizes[of], 1)[:, None]) @ flat
        for size, blend in zip(sizes[of], blends, strict=True):
            yield blend.reshape(n, c) if size else constant


def _no_skill_where_undefined(values: Floats) -> Floats:
    """(b, s) with 0 in place of NaN, except in rows that are all NaN."""
    undefined = np.isnan(values)
    return np.where(undefined & ~undefined.all(axis=1, keepdims=True), 0.0, values)


def _exact_weights(sets: Sets) -> Floats:
    """(m, 2^m) weight of each set's value in each predictor's Shapley value."""
    m = sets.shape[1]
    sizes = sets.sum(axis=1)
    joins = np.array([factorial(k) * factorial(m - k - 1) / factorial(m) for k in range(m)])
    with_it, without_it = joins[np.maximum(sizes - 1, 0)], joins[np.minimum(sizes, m - 1)]
    return np.where(sets.T, with_it, -without_it)
