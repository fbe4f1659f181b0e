"""Several predictors as one, with weights that somebody chose."""

import numpy as np
import pytest

from pipeline.predictors.submitted import Combination

ONE, OTHER = np.array([[1.0], [2.0]]), np.array([[3.0], [-2.0]])


def test_the_weighted_mean_by_hand():
    combination = Combination.of(["a", "b"], [1, 3])
    assert combination.weights == {"a": 0.25, "b": 0.75}
    mean = combination.mean({"a": ONE, "b": OTHER}, "regression")
    assert mean.tolist() == [[2.5], [-1.0]]


def test_weights_are_equal_unless_given_and_their_scale_is_free():
    equal = Combination.of(["a", "b", "c"], None)
    assert set(equal.weights.values()) == {1 / 3}
    for scale in (1e-300, 7, 1e308):
        assert Combination.of(["a", "b", "c"], [scale] * 3) == equal


def test_one_predictor_stays_as_it_is():
    combination = Combination.of(["a"], None)
    assert combination.name == "a"
    assert combination.mean({"a": OTHER}, "regression").tolist() == OTHER.tolist()


def test_rounding_leaves_probabilities_in_their_range():
    names = [f"p{k}" for k in range(10)]
    combination = Combination.of(names, [0.1, 0.7, 0.3, 0.11, 0.13, 0.17, 0.19, 0.23, 0.29, 0.31])
    sure = dict.fromkeys(names, np.ones((1, 1)))
    assert combination.mean(sure, "binary").max() <= 1


def test_a_file_has_the_names_and_the_weights_unless_they_are_equal():
    assert Combination.of(["a", "b"], [2, 2]).name == "a+b"
    assert Combination.of(["a", "b"], [0.7, 0.3]).name == "a@0.7+b@0.3"
    assert Combination.of(["a", "b"], [1, 2]).name == "a@0.333+b@0.667"


def test_a_name_of_many_predictors_fits_a_file_system():
    names = [f"predictor_{k:03}" for k in range(40)]
    name, other = Combination.of(names, None).name, Combination.of(names[::-1], None).name
    assert len(name) < 200
    assert name != other


@pytest.mark.parametrize(
    ("names", "weights", "said"),
    [
        (["a", "b"], [1.0], r"--weights: 1 for 2\b"),
        (["a"], [1.0, 2.0], r"--weights: 2 for 1\b"),
        (["a", "b", "a"], None, "--predictor: 'a'"),
    ],
)
def test_names_and_weights_that_do_not_go_together_are_refused(names, weights, said):
    with pytest.raises(ValueError, match=said):
        Combination.of(names, weights)
