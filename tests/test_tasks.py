import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipeline.scoring.tasks import TASKS, TRANSFORMS, Scaling, decide, out_of_range


@pytest.mark.parametrize("task", sorted(TASKS))
@given(odds=arrays(np.float64, (5, 3), elements=st.floats(-20, 20)))
@settings(deadline=None)
def test_to_prediction_undoes_to_raw(task, odds):
    predictions = TASKS[task].to_prediction(odds)
    again = TASKS[task].to_prediction(TASKS[task].to_raw(predictions))
    np.testing.assert_allclose(again, predictions, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_raw_values_of_certain_predictions_are_finite(task):
    certain = np.array([[0.0, 1.0], [1.0, 0.0]])
    raw = TASKS[task].to_raw(certain)
    assert np.isfinite(raw).all()
    np.testing.assert_allclose(TASKS[task].to_prediction(raw), certain, atol=1e-12)


def test_raw_scales_by_hand():
    np.testing.assert_allclose(TASKS["binary"].to_raw(np.array([[0.8]])), np.log(4))
    np.testing.assert_allclose(
        TASKS["multiclass"].to_raw(np.array([[0.2, 0.2, 0.6]])), np.log([[0.2, 0.2, 0.6]])
    )
    assert TASKS["regression"].to_raw(np.array([[7.0]])) == 7.0


def test_raw_multiclass_is_normalised_along_the_last_axis():
    raw = TASKS["multiclass"].to_raw(np.full((2, 5, 4), 0.5))  # rows that sum to 2
    np.testing.assert_allclose(np.exp(raw), 0.25)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_restored_targets_are_the_targets(transform):
    y = np.array([[0.0, 7.0], [3.5, 7.0], [1e6, 7.0]])
    scaling = Scaling.of(y, transform)
    np.testing.assert_allclose(scaling.standardise(y).mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaling.restore(scaling.standardise(y)), y, rtol=1e-9, atol=1e-9)


def test_log1p_standardises_logarithms_and_never_predicts_below_0():
    scaling = Scaling.of(np.expm1([[1.0], [3.0]]), "log1p")
    assert scaling == Scaling([2.0], [1.0], "log1p")
    np.testing.assert_allclose(scaling.restore(np.array([[0.0], [-9.0]])), [[np.expm1(2)], [0]])


def test_decisions_by_hand():
    assert decide("binary", np.array([[0.4], [0.5], [0.6]])).tolist() == [0, 1, 1]
    assert decide("multiclass", np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]])).tolist() == [1, 0]
    assert decide("multilabel", np.array([[0.9, 0.1], [0.5, 0.49]])).tolist() == [[1, 0], [1, 0]]


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_out_of_range(task, value):
    predictions = np.array([[0.5, 0.5], [value, 0.5]])
    assert out_of_range(task, predictions).tolist() == [False, True]


@pytest.mark.parametrize("task", ["binary", "multilabel"])
def test_probabilities_lie_between_0_and_1_but_for_rounding(task):
    column = np.array([[-1e-7], [1 + 1e-7], [-1e-5], [1 + 1e-5], [0.5]])
    assert out_of_range(task, column).tolist() == [False, False, True, True, False]


def test_a_regression_prediction_may_be_any_number():
    assert not out_of_range("regression", np.array([[-3.0], [1e300]])).any()


def test_classes_must_sum_to_1_but_for_a_few_digits():
    excess = np.array([0, 0.01, -0.01, 0.02, -0.02])  # two classes of two digits
    predictions = np.stack([np.full(5, 0.25), 0.75 + excess], axis=1)
    assert out_of_range("multiclass", predictions).tolist() == [False] * 3 + [True] * 2
    assert not out_of_range("multilabel", predictions).any()


@pytest.mark.parametrize("digits", [2, 3])
def test_rounded_probabilities_of_any_number_of_classes_are_probabilities(digits):
    for n_classes in (2, 3, 10):
        predictions = np.random.default_rng(0).dirichlet(np.ones(n_classes), 2000)
        assert not out_of_range("multiclass", predictions.round(digits)).any()
    many = np.full((1, 100), 0.0106)
    assert out_of_range("multiclass", many).all()
