import warnings

import numpy as np
import pytest
from scipy.special import expit
from scored import observed, score

from pipeline.ensemble.stackers import BOOSTING, STACKERS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, out_of_range

CASES = [(name, task) for name in sorted(STACKERS) for task in STACKERS[name].tasks]


def example(task, n=300, m=3, seed=0, confidence=1.0):
    """Predictions and targets of fit rows, predictions and targets of new rows."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n + 1000, 1 if task == "binary" else 3))
    noise = 0.5 * rng.normal(size=(n + 1000, m, signal.shape[1]))
    raw = confidence * (2 * signal[:, None, :] + noise)
    y, preds = observed(task, signal, raw, rng)
    return preds[:n], y[:n], preds[n:], y[n:]


def stack(name, preds, y, new_preds, task, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        state = STACKERS[name].fit(preds, Target.of(y, task, "mae"), seed)
        return STACKERS[name].apply(state, new_preds, TASKS[task])


def error(task, y, predictions):
    return score("rmse" if task == "regression" else "logloss", task, y, predictions)


@pytest.mark.parametrize("name", sorted(STACKERS))
def test_a_stacker_names_tasks_that_exist(name):
    assert STACKERS[name].tasks
    assert set(STACKERS[name].tasks) <= set(TASKS)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_stacker_improves_the_mean_where_a_member_is_noise(name, task):
    preds, y, new_preds, y_new = example(task)
    rng = np.random.default_rng(1)
    for p in (preds, new_preds):
        p[:, 0] = p[rng.permutation(len(p)), 0]
    found = stack(name, preds, y, new_preds, task)
    assert not out_of_range(task, found).any()
    assert error(task, y_new, found) < 0.97 * error(task, y_new, new_preds.mean(axis=1))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_a_stacker_tempers_members_that_are_too_sure(name, task):
    preds, y, new_preds, y_new = example(task, n=500, confidence=4.0)
    found = stack(name, preds, y, new_preds, task)
    assert error(task, y_new, found) < 0.93 * error(task, y_new, new_preds.mean(axis=1))


@pytest.mark.parametrize(
    ("name", "task"), [c for c in CASES if c[1] in ("regression", "multilabel")]
)
def test_a_column_depends_on_no_other_column(name, task):
    preds, y, new_preds, _ = example(task)
    expected = stack(name, preds, y, new_preds, task)
    preds[:, :, 0], y[:, 0], new_preds[:, :, 0] = preds[::-1, :, 0], y[::-1, 0], 0.7
    np.testing.assert_array_equal(stack(name, preds, y, new_preds, task)[:, 1:], expected[:, 1:])


@pytest.mark.parametrize(("name", "task"), [c for c in CASES if c[1] != "regression"])
def test_a_column_with_one_kind_of_row_stays_the_plain_mean(name, task):
    preds, y, new_preds, _ = example(task)
    plain = new_preds.mean(axis=1)
    if task != "multiclass":
        found = stack(name, preds, np.zeros_like(y), new_preds, task)
        np.testing.assert_allclose(found, plain)
        return
    held = y != 1
    found = stack(name, preds[held], y[held], new_preds, task)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    # rescaled with the row, so no more than a factor away
    assert (found[:, 1] > 0.3 * plain[:, 1]).all()
    found = stack(name, preds[y == 1], y[y == 1], new_preds, task)
    np.testing.assert_allclose(found, plain)


def test_ridge_finds_a_combination_of_any_sign_scale_and_offset():
    preds, _, new_preds, _ = example("regression")
    truth = [1e6 * (2 * p[:, 0] - 0.5 * p[:, 1]) + 1e7 for p in (preds, new_preds)]
    found = stack("ridge", preds, truth[0], new_preds, "regression")
    np.testing.assert_allclose(found, truth[1], atol=1e-3 * truth[1].std())


def test_ridge_penalises_by_the_evidence():
    rng = np.random.default_rng(0)
    preds, y = rng.normal(size=(60, 20, 1)), rng.normal(size=(60, 1))
    found = stack("ridge", preds, y, rng.normal(size=(500, 20, 1)), "regression")
    assert found.std() < 0.4 * y.std()  # nothing to find: least squares reaches 0.7


def test_logistic_undoes_overconfidence_to_the_odds_that_were():
    preds, y, new_preds, _ = example("binary", n=3000, m=1, confidence=4.0)
    found = stack("logistic", preds, y, new_preds, "binary")
    raw = TASKS["binary"].to_raw
    slope = np.polyfit(raw(new_preds[:, 0, 0]), raw(found[:, 0]), 1)[0]
    assert 0.17 < slope < 0.27  # 1 / 4, less what noise in the member takes


@pytest.mark.parametrize(("name", "task"), [c for c in CASES if c[1] != "regression"])
def test_members_that_are_always_sure_and_sometimes_wrong_are_tempered(name, task):
    preds, y, new_preds, y_new = example(task)
    for p in (preds, new_preds):
        p[:] = np.round(p) if task != "multiclass" else np.eye(3)[p.argmax(axis=2)]
    found = stack(name, preds, y, new_preds, task)
    assert error(task, y_new, found) < error(task, y_new, new_preds.mean(axis=1)) / 2


@pytest.mark.parametrize("name", ["lightgbm", "logistic"])
def test_of_two_rows_that_members_are_sure_of_the_surer_one_ranks_higher(name):
    preds, y, _, _ = example("binary", n=30)
    surer = np.repeat(expit(np.arange(9.0, 30.0))[:, None, None], preds.shape[1], axis=1)
    assert (np.diff(stack(name, preds, y, surer, "binary")[:, 0]) > 0).all()


def test_logistic_gains_where_many_members_are_alike_and_rows_are_few():
    gains = []
    for seed in range(4):
        preds, y, new_preds, y_new = example("binary", n=300, m=40, seed=seed, confidence=1.5)
        found = stack("logistic", preds, y, new_preds, "binary")
        plain = new_preds.mean(axis=1)
        gains.append(error("binary", y_new, plain) - error("binary", y_new, found))
    assert np.mean(gains) > 0  # as with one C for any number of members it is not


@pytest.mark.parametrize("task", sorted(TASKS))
def test_boosting_on_too_few_rows_for_a_tree_is_the_plain_mean(task):
    preds, y, new_preds, _ = example(task, n=30)
    found = stack("lightgbm", preds, y, new_preds, task)
    np.testing.assert_allclose(found, new_preds.mean(axis=1), rtol=1e-9, atol=5e-5)


@pytest.mark.parametrize(("n", "least"), [(300, 20), (1500, 30)])
def test_a_leaf_of_the_trees_holds_a_fiftieth_of_the_rows_or_20(n, least):
    preds, y, *_ = example("binary", n=n)
    state = STACKERS["lightgbm"].fit(preds, Target.of(y, "binary", "auc"), 0)
    assert f"[min_data_in_leaf: {least}]" in state["columns"][0]["trees"]


def test_boosting_depends_on_its_seed_and_on_nothing_else():
    preds, y, new_preds, _ = example("regression")
    settings = dict(BOOSTING)
    first = stack("lightgbm", preds, y, new_preds, "regression", seed=1)
    other = stack("lightgbm", preds, y, new_preds, "regression", seed=2)
    again = stack("lightgbm", preds, y, new_preds, "regression", seed=1)
    assert settings == BOOSTING
    assert (first == again).all()
    assert (first != other).any()
