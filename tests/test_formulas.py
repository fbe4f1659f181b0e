"""The formulas shared by scores, bootstrap and blends, by hand and at their limits."""

import numpy as np
import pytest

from pipeline.scoring.counts import COUNTED
from pipeline.scoring.formulas import (
    ROW_MEANS,
    correlation,
    kappa,
    mean_of_defined,
    probability_of_truth,
    r2,
    ratio,
)


def test_a_constant_prediction_correlates_0_and_with_a_constant_target_nothing_does():
    found = correlation(np.array([0.5, 0.0, 0.0]), np.array([1.0, 1.0, 0.0]), np.array([1.0, 0, 1]))
    np.testing.assert_array_equal(found, [0.5, 0.0, np.nan])


def test_nothing_of_a_constant_target_can_be_explained():
    assert r2(0.25, 1.0) == 0.75
    assert np.isnan(r2(0.25, 0.0))
    assert np.isnan(kappa(0.25, 0.0, 1.0))
    assert kappa(0.5, 1.0, 1.0) == 0.75


def test_a_ratio_by_nothing_is_undefined_and_leaves_the_mean():
    found = ratio(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([2.0, 0.0]))
    np.testing.assert_array_equal(found, [[0.5, np.nan], [1.5, np.nan]])
    np.testing.assert_array_equal(mean_of_defined(found), [1.0, np.nan])
    np.testing.assert_array_equal(mean_of_defined(found.T), [0.5, 1.5])


def test_the_truth_has_its_probability_whatever_lies_between_rows_and_classes():
    y, p = np.array([1, 0]), np.array([[0.2, 0.8], [0.3, 0.6]])
    by_hand = [0.8, 0.3 / 0.9]
    assert probability_of_truth(y, p) == pytest.approx(by_hand)
    members = np.stack([p, p[::-1]], axis=1)  # (n, m, classes)
    assert probability_of_truth(y, members)[:, 0] == pytest.approx(by_hand)
    label = members[:, :, 1:]  # (n, m, 1)
    assert probability_of_truth(y, label) == pytest.approx(np.array([[0.8, 0.6], [0.4, 0.2]]))


def test_accuracy_of_rows_is_accuracy_of_counts():
    y, p = np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2])
    hits, actual, decided = np.array([[[1.0, 1, 1]], [[1, 2, 1]], [[1, 1, 2]]])
    of_rows = ROW_MEANS["accuracy"](y, p)(np.ones((1, 4)))
    assert of_rows == COUNTED["accuracy"](hits, actual, decided) == 0.75
