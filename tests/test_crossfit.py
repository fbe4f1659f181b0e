from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, softmax
from scored import Shift

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.crossfit import cross_fit, cross_fit_pairs, cross_postprocess, of_own_fold
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS

CASES = [(n, t) for n in sorted(BLENDERS) for t in TASKS if t in BLENDERS[n].tasks]
METRIC = {"regression": "rmse", "binary": "logloss", "multiclass": "logloss", "multilabel": "auc"}


pytestmark = pytest.mark.usefixtures("few_steps")


def target_of(task, y):
    return Target.of(y, task, METRIC[task])


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
    expected = cross_fit(BLENDERS[name], preds, target_of(task, y), folds, seed=0)
    garbage = y.copy()
    held_out = folds == 1
    garbage[held_out] = y[held_out].max() - y[held_out]
    if task == "regression":
        garbage[held_out] *= 1e6
    found = cross_fit(BLENDERS[name], preds, target_of(task, garbage), folds, seed=0)
    np.testing.assert_array_equal(found[held_out], expected[held_out])
    if name not in ("mean", "rank_mean", "geometric_mean"):
        assert (found[~held_out] != expected[~held_out]).any()  # garbage was seen elsewhere


@pytest.mark.parametrize(("name", "task"), CASES)
def test_each_fold_is_one_fit_on_the_other_folds(name, task):
    preds, y, folds = example(task)
    found = cross_fit(BLENDERS[name], preds, target_of(task, y), folds, seed=0)
    fit, new = folds != 2, folds == 2
    expected = BLENDERS[name].fit(preds[fit], target_of(task, y[fit]), seed=0).apply(preds[new])
    np.testing.assert_array_equal(found[new], expected)


def test_every_row_is_blended_once_by_a_fit_that_did_not_hold_it():
    rows = np.arange(6.0)
    folds = np.array(["b", "a", "b", "c", "a", "c"])

    class Tenfold:
        def fit(self, preds, target, *, seed):
            assert len(target) == 4

            def apply(new):
                assert not set(target.y[:, 0]) & set(new[:, 0, 0])
                return new[:, 0] * 10

            return SimpleNamespace(apply=apply)

    target = target_of("regression", rows[:, None])
    found = cross_fit(Tenfold(), rows[:, None, None], target, folds, seed=0)
    assert found[:, 0].tolist() == (rows * 10).tolist()


# held-out pairs


@pytest.mark.parametrize(("name", "task"), [("ridge", "regression"), ("convex", "multiclass")])
def test_pairs_hold_the_usual_cross_fit_and_never_what_it_may_not_know(name, task):
    preds, y, folds = example(task)
    pairs = cross_fit_pairs(BLENDERS[name], preds, target_of(task, y), folds, seed=0)
    usual = cross_fit(BLENDERS[name], preds, target_of(task, y), folds, seed=0)
    np.testing.assert_array_equal(of_own_fold(pairs, folds), usual)
    fit = folds == 2  # without folds 0 and 1
    for new, hidden in ((0, 1), (1, 0)):
        rows = folds == new
        expected = (
            BLENDERS[name].fit(preds[fit], target_of(task, y[fit]), seed=0).apply(preds[rows])
        )
        np.testing.assert_allclose(pairs[hidden, rows], expected, rtol=1e-12)


def test_a_fit_serves_both_folds_that_it_left_out():
    folds = np.array(list("abcdeabcde"))
    fitted_on = []

    class Counting:
        def fit(self, preds, target, *, seed):
            fitted_on.append(frozenset(target.y[:, 0]))
            return SimpleNamespace(apply=lambda new: np.full((len(new), 1), len(fitted_on) - 1))

    rows = np.arange(10.0)
    target = target_of("regression", rows[:, None])
    pairs = cross_fit_pairs(Counting(), rows[:, None, None], target, folds, seed=0)
    assert len(fitted_on) == 15
    for k, row in np.ndindex(5, 10):
        left_out = {k, k + 5, row % 5, row % 5 + 5}
        assert fitted_on[int(pairs[k, row, 0])] == set(range(10)) - left_out


def test_post_processing_is_fitted_on_the_other_folds_and_knows_nothing_of_its_own():
    preds, y, folds = example("regression")
    pairs = cross_fit_pairs(BLENDERS["convex"], preds, target_of("regression", y), folds, seed=0)
    target = target_of("regression", y)
    found = of_own_fold(cross_postprocess(Shift(), pairs, target, folds, whole=False), folds)
    garbage = np.where((folds == 1)[:, None], 1e6, y)
    spoiled = cross_fit_pairs(
        BLENDERS["convex"], preds, target_of("regression", garbage), folds, seed=0
    )
    target = target_of("regression", garbage)
    again = of_own_fold(cross_postprocess(Shift(), spoiled, target, folds, whole=False), folds)
    np.testing.assert_array_equal(again[folds == 1], found[folds == 1])
    assert (again[folds != 1] != found[folds != 1]).any()
    new = folds == 2
    error = (y - pairs[2])[~new].mean(axis=0)
    np.testing.assert_allclose(found[new], pairs[2][new] + error)


def test_post_processed_pairs_are_the_usual_ones_on_their_own_fold_and_apart_on_others():
    preds, y, folds = example("regression")
    target = target_of("regression", y)
    pairs = cross_fit_pairs(BLENDERS["convex"], preds, target, folds, seed=0)
    found = cross_postprocess(Shift(), pairs, target, folds, whole=True)
    usual = cross_postprocess(Shift(), pairs, target, folds, whole=False)
    np.testing.assert_array_equal(of_own_fold(found, folds), of_own_fold(usual, folds))
    new, fit = folds == 1, folds == 2  # for [0] without fold 0, and for fold 1 without itself
    error = (y - pairs[0])[fit].mean(axis=0)
    np.testing.assert_allclose(found[0, new], pairs[0, new] + error)


def test_a_fit_knows_no_label_that_only_the_held_out_fold_has():
    y, folds = np.array([[1.0], [2.0], [1.0], [2.0], [1.0], [3.0]]), np.arange(6) % 2
    labels = []

    class Spy:
        def fit(self, preds, target, *, seed):
            labels.append(np.unique(target.scored_columns(preds[:, 0])[0][1]).tolist())
            return SimpleNamespace(apply=lambda new: new[:, 0])

    cross_fit(Spy(), 10 * y[:, None], Target.of(y, "regression", "qwk"), folds, seed=0)
    assert labels == [[3.0], [1.0]]
