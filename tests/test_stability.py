"""How weights vary over fits on other rows."""

import numpy as np
import pytest
from scored import target_of

from pipeline.ensemble import stability
from pipeline.ensemble.stability import N_HALVES, weight_table
from pipeline.ensemble.weights import WEIGHTS


def stack(n=120, scales=(0.2, 1.0, 3.0)):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(n, 1))
    preds = np.stack([y + scale * rng.normal(size=y.shape) for scale in scales], axis=1)
    return preds, y


def table_of(weigh, n=120, columns=("target",), groups=None):
    preds, y = stack(n)
    target, names = target_of(y, groups), ["a", "b", "c"]
    weights = weigh(preds, target, seed=0)
    return weight_table(weights, weigh, preds, target, names, columns, seed=0)


def test_equal_weights_do_not_vary():
    table = table_of(WEIGHTS["mean"])
    assert table.columns.tolist() == ["predictor", "weight", "mean", "sd", "selected"]
    assert table["predictor"].tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(table["weight"], 1 / 3)
    np.testing.assert_allclose(table["mean"], 1 / 3)
    np.testing.assert_allclose(table["sd"], 0, atol=1e-15)
    assert table["selected"].tolist() == [1, 1, 1]


def test_the_best_predictor_is_always_selected_and_the_worst_seldom():
    table = table_of(WEIGHTS["convex"]).set_index("predictor")
    assert table.loc["a", "selected"] == 1
    assert table.loc["c", "selected"] < 1
    assert 0 < table.loc["a", "sd"] < 0.1


def seen_by(n, most_rows, groups=None):
    """The targets of every fit, in order."""
    seen = []

    def weigh(preds, target, *, seed):
        seen.append(target.y[:, 0])
        return np.ones(3)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stability, "MOST_ROWS", most_rows)
        table_of(weigh, n=n, groups=groups)
    return seen


def test_every_other_fit_sees_half_of_the_rows_each_once():
    all_rows, *others = seen_by(120, 5000)
    assert len(all_rows) == 120
    assert len(others) == N_HALVES
    assert {(len(half), len(set(half))) for half in others} == {(60, 60)}
    assert len({tuple(half) for half in others}) == N_HALVES


def test_no_other_fit_is_larger_than_what_is_allowed():
    all_rows, *others = seen_by(120, 50)
    assert [len(all_rows), *map(len, others)] == [120, *[50] * N_HALVES]


def test_fits_on_few_of_the_rows_tell_the_spread_of_fits_on_all(monkeypatch):
    """The mean of n rows has a standard deviation of sd / sqrt(n), whatever parts it is told by."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(4000, 1))
    monkeypatch.setattr(stability, "N_HALVES", 400)

    def mean_of_target(_, target, *, seed):
        return np.array([target.y.mean()])

    for most_rows in (5000, 400):
        monkeypatch.setattr(stability, "MOST_ROWS", most_rows)
        settings = (np.ones(1), mean_of_target, y[:, None], target_of(y))
        table = weight_table(*settings, ["a"], ["target"], seed=0)
        assert table["sd"].item() == pytest.approx(1 / np.sqrt(4000), rel=0.12)


def test_halves_hold_whole_groups():
    groups = np.array([f"g{k // 5}" for k in range(120)])
    all_rows, *others = seen_by(120, 5000, groups)
    row_of = {value: row for row, value in enumerate(all_rows)}
    for half in others:
        held = np.bincount([row_of[value] for value in half], minlength=120).reshape(24, 5)
        assert set(held.sum(axis=1)) == {0, 5}


def test_the_spread_over_halves_is_about_that_over_other_data():
    rng = np.random.default_rng(0)

    def drawn(n=400):
        y = rng.normal(size=(n, 1))
        return np.stack([y + rng.normal(size=y.shape) for _ in range(3)], axis=1), y

    spreads, fitted = [], []
    for _ in range(30):
        preds, y = drawn()
        target, convex = target_of(y), WEIGHTS["convex"]
        weights = convex(preds, target, seed=0)
        names = ["a", "b", "c"]
        table = weight_table(weights, convex, preds, target, names, ["target"], seed=0)
        spreads.append(table["sd"])
        fitted.append(weights)
    assert np.mean(spreads) == pytest.approx(np.std(fitted, axis=0, ddof=1).mean(), rel=0.3)


def test_a_negative_weight_is_selected_too_and_one_of_rounding_is_not():
    table = table_of(lambda preds, target, seed: np.array([1.2, -0.2, 1e-7]))
    assert table["selected"].tolist() == [1, 1, 0]


def test_another_seed_draws_other_halves():
    preds, y = stack()
    settings = (np.ones(3) / 3, WEIGHTS["convex"], preds, target_of(y), ["a", "b", "c"], ["target"])
    one, same, other = (weight_table(*settings, seed=seed)["sd"] for seed in (1, 1, 2))
    assert one.equals(same)
    assert not one.equals(other)


def test_targets_with_weights_of_their_own_have_lines_of_their_own():
    weights = np.array([[0.5, 0.0], [0.5, 1.0], [0.0, 0.0]])
    table = table_of(lambda preds, target, seed: weights, columns=("x", "y"))
    assert table.columns.tolist()[:3] == ["predictor", "target", "weight"]
    lines = list(table[["predictor", "target", "weight"]].itertuples(index=False, name=None))
    assert lines[:3] == [("a", "x", 0.5), ("a", "y", 0.0), ("b", "x", 0.5)]
    assert table["selected"].tolist() == [1, 0, 1, 1, 0, 0]
