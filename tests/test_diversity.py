"""Diversity of predictors: identities, hand-computed pairs, limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.reporting.diversity import ambiguity, clustered, error_correlation, errors, pairwise

TASKS = ("regression", "binary", "multiclass", "multilabel")


def made_up(task, n=80, m=4, c=3, seed=0):
    """Predictions (n, m, c) and targets of a task."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.normal(5, 3, (n, c))
        return y[:, None] + rng.normal(0, 1, (n, m, c)), y
    if task == "multiclass":
        raw = np.exp(rng.normal(0, 2, (n, m, c)))
        return raw / raw.sum(axis=2, keepdims=True), rng.integers(c, size=n)
    p = rng.uniform(0.01, 0.99, (n, m, 1 if task == "binary" else c))
    return p, rng.integers(2, size=n) if task == "binary" else rng.integers(2, size=(n, c)) * 1.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6), st.floats(1e-3, 1e3))
def test_squared_error_of_the_mean_is_mean_error_less_diversity(seed, m, scale):
    preds, y = made_up("regression", m=m, seed=seed)
    preds, y = scale * preds, scale * y
    found = ambiguity(preds, y, "regression")
    of_mean = (((preds.mean(axis=1) - y) / y.std(axis=0)) ** 2).mean()
    assert found.combined == pytest.approx(of_mean, abs=1e-10)
    assert found.diversity == pytest.approx(found.rows.mean(), abs=1e-10)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 6))
def test_log_loss_of_the_geometric_mean_is_mean_loss_less_diversity(seed, m):
    preds, y = made_up("multiclass", m=m, seed=seed)
    geometric = np.exp(np.log(preds).mean(axis=1))
    geometric /= geometric.sum(axis=1, keepdims=True)
    loss = -np.log(geometric[np.arange(len(y)), y]).mean()
    assert ambiguity(preds, y, "multiclass").combined == pytest.approx(loss, abs=1e-10)


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_the_same_holds_for_each_yes_or_no(task):
    preds, y = made_up(task)
    odds = np.exp(np.log(preds / (1 - preds)).mean(axis=1))
    combined = odds / (1 + odds)
    truth = y.reshape(combined.shape)
    loss = -np.log(np.where(truth == 1, combined, 1 - combined)).mean()
    assert ambiguity(preds, y, task).combined == pytest.approx(loss, abs=1e-10)


@pytest.mark.parametrize("task", TASKS)
def test_identical_members_have_no_diversity(task):
    preds, y = made_up(task, m=1)
    copies = np.repeat(preds, 3, axis=1)
    found = ambiguity(copies, y, task)
    assert found.diversity == pytest.approx(0, abs=1e-10)
    assert found.rows == pytest.approx(np.zeros(len(y)), abs=1e-10)
    assert error_correlation(copies, y, task) == pytest.approx(np.ones((3, 3)))
    if task != "regression":
        assert (pairwise(copies, y, task)["disagreement"] == 0).all()


@pytest.mark.parametrize("task", TASKS)
def test_certain_and_wrong_members_have_finite_numbers(task):
    preds, y = made_up(task, m=2)
    preds = (preds > 0.5).astype(float)
    found = ambiguity(preds, y, task)
    assert np.isfinite([found.diversity, found.combined]).all()
    assert found.diversity >= 0


def test_errors_of_opposite_sign_correlate_minus_one():
    y = np.array([[1.0], [2.0], [4.0], [8.0]])
    off = np.array([[1.0], [-1.0], [2.0], [0.5]])
    preds = np.stack([y + off, y - off, y + 2 * off + 3], axis=1)
    expected = [[1, -1, 1], [-1, 1, -1], [1, -1, 1]]
    assert error_correlation(preds, y, "regression") == pytest.approx(np.array(expected))


def test_columns_count_the_same_whatever_their_unit():
    preds, y = made_up("regression")
    unit = np.array([1.0, 1000.0, 0.001])
    same = error_correlation(preds * unit, y * unit, "regression")
    assert same == pytest.approx(error_correlation(preds, y, "regression"))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("n", [10, 10_000])
def test_a_constant_error_correlates_with_nothing(scale, n):
    preds, y = made_up("regression", n=n, m=3)
    preds[:, 1] = y + 1
    preds[:, 2] = y + 1 + 1e-9 * preds[:, 0]  # near enough to be told from rounding
    found = error_correlation(scale * preds, scale * y, "regression")
    assert np.isnan(found[1, [0, 2]]).all()
    assert np.isfinite(found[0, 2])


def test_errors_of_probabilities_are_distances_from_one_hot():
    preds = np.array([[[0.2, 0.3, 0.5]]])
    assert errors(preds, np.array([2]), "multiclass") == pytest.approx(
        np.array([[[0.2, 0.3, -0.5]]])
    )
    assert errors(np.array([[[0.7]]]), np.array([1]), "binary") == pytest.approx(
        np.array([[[-0.3]]])
    )


def test_pairs_by_hand():
    """Right: a on rows 0 to 5, b on 0 to 3 and 6; both wrong on 7 to 9."""
    y = np.ones(10, dtype=int)
    a, b = np.full(10, 0.1), np.full(10, 0.1)
    a[:6] = b[:4] = b[6] = 0.9
    found = pairwise(np.stack([a, b], axis=1)[:, :, None], y, "binary")
    assert found["disagreement"][0, 1] == pytest.approx(0.3)
    assert found["double_fault"][0, 1] == pytest.approx(0.3)
    assert found["yule_q"][0, 1] == pytest.approx((4 * 3 - 2 * 1) / (4 * 3 + 2 * 1))
    assert np.diag(found["double_fault"]) == pytest.approx([0.4, 0.5])


def test_yules_q_is_undefined_where_a_member_is_always_right():
    y = np.array([0, 1, 1])
    preds = np.stack([np.abs(y - 0.1), [0.9, 0.9, 0.1]], axis=1)[:, :, None]
    assert np.isnan(pairwise(preds, y, "binary")["yule_q"][0, 1])


def test_alike_predictors_stand_side_by_side():
    alike = np.array([[1, 0.1, 0.9, 0.1], [0.1, 1, 0.2, 0.8], [0.9, 0.2, 1, 0], [0.1, 0.8, 0, 1]])
    order = clustered(alike).tolist()
    assert abs(order.index(0) - order.index(2)) == abs(order.index(1) - order.index(3)) == 1
    assert clustered(np.eye(2)).tolist() == [0, 1]
