import numpy as np
import pytest
from scipy.special import expit

from pipeline.ensemble import blenders
from pipeline.ensemble.blenders import BLENDERS, FIRST_LEVEL
from pipeline.ensemble.two_level import N_PARTS, two_level
from pipeline.scoring.metrics import score
from pipeline.scoring.tasks import TASKS

SETTING = {"task": "regression", "metric": "rmse", "seed": 0}


def example(n=100, n_new=40, m=3, seed=0):
    """Predictions and targets of fit rows, predictions and targets of new rows."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n + n_new, 1))
    preds = y[:, None, :] + rng.normal(size=(n + n_new, m, 1))
    return preds[:n], y[:n], preds[n:], y[n:]


def only(i):
    """A blender that is one of the predictors."""
    return lambda preds, y, new_preds, **setting: new_preds[:, i]


def by_heart(preds, y, new_preds, **setting):
    """A blender that knows the fit rows' targets and nothing about other rows."""
    known = {row.tobytes(): target for row, target in zip(preds, y, strict=True)}
    return np.array([known.get(row.tobytes(), np.zeros(y.shape[1])) for row in new_preds])


def mean(preds, y, new_preds, **setting):
    return new_preds.mean(axis=1)


def test_the_mean_of_single_predictors_is_their_mean():
    preds, y, new_preds, _ = example()
    found = two_level([only(0), only(2)], mean, preds, y, new_preds, **SETTING)
    np.testing.assert_allclose(found, new_preds[:, [0, 2]].mean(axis=1))


def test_the_second_level_sees_only_blends_of_rows_that_were_held_out():
    preds, y, new_preds, _ = example()
    seen = {}

    def second(first, targets, new_first, *, task, metric, seed):
        seen.update(first=first, targets=targets, new_first=new_first)
        return new_first[:, 1]

    two_level([by_heart, only(1)], second, preds, y, preds, **SETTING)
    assert (seen["first"][:, 0] == 0).all()
    np.testing.assert_array_equal(seen["first"][:, 1], preds[:, 1])
    np.testing.assert_array_equal(seen["targets"], y)
    np.testing.assert_array_equal(seen["new_first"][:, 0], y)  # fitted on all of the fit rows


def test_a_blender_that_learns_by_heart_earns_no_weight():
    preds, y, new_preds, _ = example()
    found = two_level([by_heart, only(1)], BLENDERS["convex"], preds, y, new_preds, **SETTING)
    alone = two_level([only(1)], BLENDERS["convex"], preds, y, new_preds, **SETTING)
    half = new_preds[:, 1] / 2  # noise of 1 on a signal of 1: half of the predictor is right
    assert np.abs(alone - new_preds[:, 1]).max() < 1e-9
    assert np.abs(found - half).max() < 0.3 * np.abs(half).max()


def test_fewer_rows_than_two_a_part_give_the_mean_of_the_first_level():
    preds, y, new_preds, _ = example(n=2 * N_PARTS - 1)

    def never(*arrays, **setting):
        raise AssertionError

    found = two_level([only(0), only(1)], never, preds, y, new_preds, **SETTING)
    np.testing.assert_allclose(found, new_preds[:, :2].mean(axis=1))


def test_a_class_of_one_row_is_in_one_part_and_survived():
    rng = np.random.default_rng(0)
    y = np.array([0, 1] * 20 + [2])
    preds = rng.dirichlet(np.ones(3), size=(41, 2))
    for first in (["convex", "logistic"], ["lightgbm"]):
        found = two_level(
            [BLENDERS[name] for name in first],
            BLENDERS["convex"],
            preds,
            y,
            preds,
            task="multiclass",
            metric="logloss",
            seed=0,
        )
        np.testing.assert_allclose(found.sum(axis=1), 1)


def test_two_levels_nest():
    preds, y, new_preds, _ = example()

    def inner(*arrays, **setting):
        return two_level([only(0), only(1)], BLENDERS["convex"], *arrays, **setting)

    found = two_level([inner, only(2)], BLENDERS["convex"], preds, y, new_preds, **SETTING)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_first_level_of_every_task_is_of_several_kinds(task):
    assert sum(BLENDERS[name].supports(task) for name in FIRST_LEVEL) >= 4


@pytest.mark.parametrize("kind", ["linear", "steps"])
def test_two_levels_are_near_the_best_of_their_first_level(kind, monkeypatch):
    monkeypatch.setattr(blenders, "FIRST_LEVEL", ("convex", "logistic", "lightgbm"))
    rng = np.random.default_rng(1)
    signal = rng.normal(size=3000)
    raw = 2 * signal[:, None] + rng.normal(size=(3000, 3))
    odds = 4 * raw.mean(axis=1) if kind == "linear" else 3 * np.sign(raw.mean(axis=1)) - 1
    y = (rng.random(3000) < expit(odds)).astype(int)
    preds, setting = expit(raw)[:, :, None], {"task": "binary", "metric": "logloss", "seed": 0}

    def loss(name):
        found = BLENDERS[name](preds[:1000], y[:1000], preds[1000:], **setting)
        return score("logloss", "binary", y[1000:], found)

    assert loss("two_level") < min(loss(name) for name in ("convex", "logistic", "lightgbm")) + 0.01
