import numpy as np
import pytest
from scipy.special import expit, softmax

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.crossfit import (
    cross_decide,
    cross_decide_twice,
    cross_fit,
    cross_fit_twice,
    of_own_fold,
)
from pipeline.scoring.tasks import TASKS

CASES = [(n, t) for n in sorted(BLENDERS) for t in TASKS if BLENDERS[n].supports(t)]
METRIC = {"regression": "rmse", "binary": "logloss", "multiclass": "logloss", "multilabel": "auc"}


pytestmark = pytest.mark.usefixtures("few_steps")


def example(task, n=90, m=3, seed=0):
    """(n, m, c) predictions, targets and three folds."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 1 if task == "binary" else 3))
    raw = 2 * signal[:, None, :] + rng.normal(size=(n, m, signal.shape[1]))
    folds = rng.permutation(np.arange(n) % 3)
    if task == "regression":
        return raw, 2 * signal, folds
    if task == "multiclass":
        return softmax(raw, axis=-1), signal.argmax(axis=1), folds
    y = (rng.random(signal.shape) < expit(2 * signal)).astype(float)
    return expit(raw), (y[:, 0].astype(int) if task == "binary" else y), folds


@pytest.mark.parametrize(("name", "task"), CASES)
def test_garbage_in_the_targets_of_a_fold_changes_nothing_in_its_predictions(name, task):
    preds, y, folds = example(task)
    settings = {"task": task, "metric": METRIC[task], "seed": 0}
    expected = cross_fit(BLENDERS[name], preds, y, folds, **settings)
    garbage = y.copy()
    held_out = folds == 1
    garbage[held_out] = y[held_out].max() - y[held_out]
    if task == "regression":
        garbage[held_out] *= 1e6
    found = cross_fit(BLENDERS[name], preds, garbage, folds, **settings)
    np.testing.assert_array_equal(found[held_out], expected[held_out])
    if name not in ("mean", "rank_mean", "geometric_mean"):
        assert (found[~held_out] != expected[~held_out]).any()  # garbage was seen elsewhere


@pytest.mark.parametrize(("name", "task"), CASES)
def test_each_fold_is_one_fit_on_the_other_folds(name, task):
    preds, y, folds = example(task)
    settings = {"task": task, "metric": METRIC[task], "seed": 5}
    found = cross_fit(BLENDERS[name], preds, y, folds, **settings)
    fit, new = folds != 2, folds == 2
    expected = BLENDERS[name](preds[fit], y[fit], preds[new], **settings)
    np.testing.assert_array_equal(found[new], expected)


def test_every_row_is_blended_once_by_a_fit_that_did_not_hold_it():
    rows = np.arange(6.0)
    folds = np.array(["b", "a", "b", "c", "a", "c"])

    def blender(preds, y, new_preds, **settings):
        assert not set(y[:, 0]) & set(new_preds[:, 0, 0])
        assert len(y) == 4
        return new_preds[:, 0] * 10

    found = cross_fit(
        blender, rows[:, None, None], rows[:, None], folds, task="regression", metric="mae", seed=0
    )
    assert found[:, 0].tolist() == (rows * 10).tolist()


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (np.zeros(90), r"\(90,\)\D+1\b"),
        (np.arange(89), r"\(89,\)"),
        (np.zeros((90, 2)), r"\(90, 2\)"),
    ],
)
def test_folds_are_one_a_row_and_two_at_least(folds, message):
    preds, y, _ = example("regression")
    with pytest.raises(ValueError, match=rf"\b90\b.*{message}"):
        cross_fit(BLENDERS["mean"], preds, y, folds, task="regression", metric="rmse", seed=0)


# twice


@pytest.mark.parametrize(("name", "task"), [("ridge", "regression"), ("convex", "multiclass")])
def test_twice_holds_the_usual_cross_fit_and_never_what_it_may_not_know(name, task):
    preds, y, folds = example(task)
    settings = {"task": task, "metric": METRIC[task], "seed": 0}
    twice = cross_fit_twice(BLENDERS[name], preds, y, folds, **settings)
    usual = cross_fit(BLENDERS[name], preds, y, folds, **settings)
    np.testing.assert_array_equal(of_own_fold(twice, folds), usual)
    fit = folds == 2  # without folds 0 and 1
    for new, hidden in ((0, 1), (1, 0)):
        rows = folds == new
        expected = BLENDERS[name](preds[fit], y[fit], preds[rows], **settings)
        np.testing.assert_allclose(twice[hidden, rows], expected, rtol=1e-12)


def test_a_fit_serves_both_folds_that_it_left_out():
    folds = np.array(list("abcdeabcde"))
    fitted_on = []

    def blender(preds, y, new_preds, **settings):
        fitted_on.append(frozenset(y[:, 0]))
        return np.full((len(new_preds), 1), len(fitted_on) - 1)

    rows = np.arange(10.0)
    twice = cross_fit_twice(
        blender, rows[:, None, None], rows[:, None], folds, task="regression", metric="mae", seed=0
    )
    assert len(fitted_on) == 15
    for k, row in np.ndindex(5, 10):
        left_out = {k, k + 5, row % 5, row % 5 + 5}
        assert fitted_on[int(twice[k, row, 0])] == set(range(10)) - left_out


def shift(blend, y, new_blend, *, task, metric):
    """A decision that shows what it was fitted on: it adds the mean error."""
    return new_blend + (y - blend).mean(axis=0)


def test_a_decision_is_fitted_on_the_other_folds_and_knows_nothing_of_its_own():
    preds, y, folds = example("regression")
    settings = {"task": "regression", "metric": "rmse"}
    twice = cross_fit_twice(BLENDERS["convex"], preds, y, folds, seed=0, **settings)
    found = cross_decide(shift, twice, y, folds, **settings)
    garbage = np.where((folds == 1)[:, None], 1e6, y)
    spoiled = cross_fit_twice(BLENDERS["convex"], preds, garbage, folds, seed=0, **settings)
    again = cross_decide(shift, spoiled, garbage, folds, **settings)
    np.testing.assert_array_equal(again[folds == 1], found[folds == 1])
    assert (again[folds != 1] != found[folds != 1]).any()
    new = folds == 2
    error = (y - twice[2])[~new].mean(axis=0)
    np.testing.assert_allclose(found[new], twice[2][new] + error)


def test_a_decision_made_twice_is_the_usual_one_on_its_own_fold_and_apart_on_others():
    preds, y, folds = example("regression")
    settings = {"task": "regression", "metric": "rmse"}
    twice = cross_fit_twice(BLENDERS["convex"], preds, y, folds, seed=0, **settings)
    found = cross_decide_twice(shift, twice, y, folds, **settings)
    usual = cross_decide(shift, twice, y, folds, **settings)
    np.testing.assert_array_equal(of_own_fold(found, folds), usual)
    new, fit = folds == 1, folds == 2  # for [0] without fold 0, and for fold 1 without itself
    error = (y - twice[0])[fit].mean(axis=0)
    np.testing.assert_allclose(found[0, new], twice[0, new] + error)


def test_twice_takes_three_folds():
    preds, y, folds = example("regression")
    settings = {"task": "regression", "metric": "rmse"}
    with pytest.raises(ValueError, match=r"\b3\b.*\(90,\)\D+2\b"):
        cross_fit_twice(BLENDERS["mean"], preds, y, folds % 2, seed=0, **settings)
