"""Contributions to the plain mean: the sum, the axioms, a reference over all orders, intervals."""

import warnings
from itertools import permutations

import numpy as np
import pytest
from scored import score
from test_diversity import made_up

from pipeline.reporting.contributions import contributions, every_set, sampled_orders, set_values
from pipeline.reporting.moments import MOMENT_METRICS, moments_of
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.target import Target

PAIRS = [(metric, task) for metric, of in METRICS.items() for task in of.tasks]


def scored(metric, task, preds, y, **kwargs):
    return contributions(preds, Target.of(y, task, metric, **kwargs), seed=0)


@pytest.mark.parametrize(("metric", "task"), PAIRS)
def test_shapley_values_sum_to_the_whole_gain(metric, task):
    preds, y = made_up(task, n=30, m=3, c=2)
    found = scored(metric, task, preds, y)
    plan = every_set(3)
    values = set_values(preds, Target.of(y, task, metric), plan.sets)
    assert found.shapley[:, 0].sum() == pytest.approx(values[-1] - values[0], abs=1e-10)
    assert values[-1] == pytest.approx(
        METRICS[metric].sign * score(metric, task, y, preds.mean(axis=1)), abs=1e-10
    )
    assert found.standard_error == 0
    assert (found.shapley[:, 1] <= found.shapley[:, 2]).all()


@pytest.mark.parametrize("metric", sorted(MOMENT_METRICS))
def test_moments_score_every_set_as_the_rows_do(metric):
    preds, y = made_up("regression", n=50, m=4)
    preds, y = preds + 1e4, y + 1e4
    sets = every_set(4).sets
    by_rows = set_values(preds, Target.of(y, "regression", metric), sets)
    (moments,) = moments_of(preds, y, [np.ones(len(y))])
    by_moments = METRICS[metric].sign * MOMENT_METRICS[metric](moments, sets)
    assert by_moments == pytest.approx(by_rows, abs=1e-9)


@pytest.mark.parametrize("metric", sorted(MOMENT_METRICS))
def test_draws_that_hold_one_of_two_values_score_as_their_rows_do(metric):
    rng = np.random.default_rng(0)
    y = rng.choice([0.1, 0.7], size=(12, 2), p=[0.8, 0.2])
    preds = y[:, None] + rng.normal(size=(12, 3, 2))
    preds[:, 1] = np.round(y)  # constant together with the target
    preds[:, 2] = rng.choice([0.3, 0.4], size=(12, 1), p=[0.8, 0.2])  # and apart from it
    sets = every_set(3).sets[1:]
    times = rng.multinomial(12, np.full(12, 1 / 12), size=200)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = [MOMENT_METRICS[metric](of, sets) for of in moments_of(preds, y, times)]
    rows = [np.repeat(np.arange(12), t) for t in times]
    expected = [
        [score(metric, "regression", y[r], preds[r][:, members].mean(axis=1)) for members in sets]
        for r in rows
    ]
    assert metric in ("rmse", "mcrmse") or np.isnan(expected).any()
    np.testing.assert_allclose(found, expected, atol=1e-9)  # NaN for NaN


def test_values_are_the_mean_over_all_orders_of_joining():
    preds, y = made_up("binary", n=30, m=3)
    sets = every_set(3).sets
    worth = dict(
        zip(
            map(tuple, sets),
            set_values(preds, Target.of(y, "binary", "logloss"), sets),
            strict=True,
        )
    )
    expected = np.zeros(3)
    for order in permutations(range(3)):
        inside = [False] * 3
        for one in order:
            before = worth[tuple(inside)]
            inside[one] = True
            expected[one] += (worth[tuple(inside)] - before) / 6
    found = scored("logloss", "binary", preds, y).shapley[:, 0]
    assert found == pytest.approx(expected, abs=1e-10)


def test_twins_bring_the_same():
    preds, y = made_up("regression", m=4)
    preds[:, 3] = preds[:, 1]
    found = scored("rmse", "regression", preds, y)
    assert found.shapley[1] == pytest.approx(found.shapley[3])
    assert found.leave_one_out[1] == pytest.approx(found.leave_one_out[3])


def test_one_without_whom_the_mean_is_better_has_a_negative_leave_one_out():
    preds, y = made_up("regression", m=4)
    preds[:, 2] = -3 * preds[:, 2]
    found = scored("rmse", "regression", preds, y).leave_one_out
    assert found[2, 2] < 0 < found[0, 0]


def test_leave_one_out_is_the_difference_of_two_means():
    preds, y = made_up("regression", m=3)
    found = scored("mae", "regression", preds, y).leave_one_out[1, 0]
    without = preds[:, [0, 2]].mean(axis=1)
    expected = np.abs(without - y).mean() - np.abs(preds.mean(axis=1) - y).mean()
    assert found == pytest.approx(expected)


def test_a_lone_predictor_brings_all():
    preds, y = made_up("regression", m=1)
    found = scored("pearson", "regression", preds, y)
    assert found.shapley[0, 0] == pytest.approx(score("pearson", "regression", y, preds[:, 0]))
    assert found.leave_one_out[0, 0] == pytest.approx(found.whole)


def test_a_constant_predictor_and_a_constant_target_are_survived():
    preds, y = made_up("regression", m=3, c=1)
    preds[:, 1] = 7.1
    assert np.isfinite(scored("pearson", "regression", preds, y).shapley).all()
    undefined = scored("pearson", "regression", preds, np.full_like(y, 0.1))
    assert np.isnan(undefined.shapley).all()


@pytest.mark.parametrize(("metric", "task"), [("rmse", "regression"), ("mae", "regression")])
def test_sampled_orders_agree_with_all_sets_within_their_stated_error(metric, task, monkeypatch):
    preds, y = made_up(task, m=6)
    exact = scored(metric, task, preds, y)
    monkeypatch.setattr("pipeline.reporting.contributions.EXACT", 5)
    monkeypatch.setattr("pipeline.reporting.contributions.SETS_PER_DRAW", 10)
    sampled = scored(metric, task, preds, y)
    assert sampled.standard_error > 0
    assert sampled.whole == pytest.approx(exact.whole, abs=1e-10)
    distance = np.abs(sampled.shapley[:, 0] - exact.shapley[:, 0])
    assert (distance < 4 * sampled.standard_error).all()
    assert sampled.leave_one_out[:, 0] == pytest.approx(exact.leave_one_out[:, 0])
    width = np.ptp(exact.shapley[:, 1:], axis=1)
    assert np.ptp(sampled.shapley[:, 1:], axis=1) == pytest.approx(width, rel=0.3)


def test_every_order_starts_with_nobody_and_ends_with_all():
    plan = sampled_orders(5, 2, np.random.default_rng(0))
    assert plan.steps is not None
    assert plan.orders is not None
    assert not plan.sets[plan.steps[:, 0]].any()
    assert plan.sets[plan.steps[:, -1]].all()
    assert plan.sets[-1].all()
    for circle in plan.orders.reshape(2, 5, 5):  # everybody once at every place
        assert (np.sort(circle, axis=0) == np.arange(5)[:, None]).all()
    assert plan.sets[plan.without].tolist() == (~np.eye(5, dtype=bool)).tolist()


def test_rows_beyond_the_limit_are_left_out_and_counted(monkeypatch):
    monkeypatch.setattr("pipeline.reporting.contributions.MOST_ROWS", 30)
    preds, y = made_up("regression", n=50)
    assert scored("mae", "regression", preds, y).n_rows == 30
    assert scored("rmse", "regression", preds, y).n_rows == 50


@pytest.mark.parametrize("most_sets", [256, 2])  # every set is drawn, or those of a few orders
@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_an_interval_lies_around_its_value(metric, most_sets, monkeypatch):
    monkeypatch.setattr("pipeline.reporting.contributions.SETS_PER_DRAW", most_sets)
    found = scored(metric, "regression", *made_up("regression", n=300))
    value, low, high = np.concatenate([found.shapley, found.leave_one_out]).T
    assert ((low < value) & (value < high)).all()


@pytest.mark.parametrize("metric", ["rmse", "mae"])
def test_groups_that_resemble_each_other_widen_the_interval(metric):
    preds, y = made_up("regression", n=30)
    preds, y = np.repeat(preds, 8, axis=0), np.repeat(y, 8, axis=0)
    by_rows = scored(metric, "regression", preds, y)
    by_groups = scored(metric, "regression", preds, y, groups=np.repeat(np.arange(30), 8))
    wider = np.ptp(by_groups.leave_one_out[:, 1:], axis=1) > 1.5 * np.ptp(
        by_rows.leave_one_out[:, 1:], axis=1
    )
    assert wider.all()


@pytest.mark.parametrize("metric", ["mae", "rmsle", "rmse"])
def test_the_whole_gain_is_over_the_constant_of_the_leaderboard(metric):
    preds, y = made_up("regression", m=3)
    preds, y = np.exp(preds / 3), np.exp(y / 3)  # the mean is far from the median
    target = Target.of(y, "regression", metric)
    gain = target.score(target.constant(3, len(y))) - target.score(preds.mean(axis=1))
    assert contributions(preds, target, seed=0).whole == pytest.approx(gain)


def test_a_sample_of_rows_rounds_to_the_grades_of_all_rows(monkeypatch):
    monkeypatch.setattr("pipeline.reporting.contributions.MOST_ROWS", 30)
    y = np.repeat([1.0, 2.0, 3.0, 4.0], [60, 30, 1, 59])[:, None]  # the sample lacks the 3
    preds = np.random.default_rng(0).normal(y[:, None], 1.0, (150, 2, 1))
    target = Target.of(y, "regression", "qwk")
    rows = np.sort(np.random.default_rng(0).choice(150, 30, replace=False))
    assert 3.0 not in y[rows]
    part, mean = target[rows], preds[rows].mean(axis=1)
    gain = part.score(mean) - part.score(part.constant(1, 30))
    assert contributions(preds, target, seed=0).whole == pytest.approx(gain)
