"""Copies among predictors are reported; merely similar predictors are not."""

import numpy as np
import pytest

from pipeline.predictors.stack import Stack, lines_about_duplicates

RNG = np.random.default_rng(0)
OOF, TEST = RNG.random((40, 1, 2)), RNG.random((30, 1, 2))


def pair(oof, test) -> Stack:
    """A predictor called `a` beside one called `b` with these predictions."""
    return Stack(["a", "b"], ["member"] * 2, np.hstack([OOF, oof]), np.hstack([TEST, test]))


@pytest.mark.parametrize(
    ("oof", "test"),
    [
        (OOF, TEST),
        (OOF + 1e-9, TEST),
        (3 * OOF + 1, 3 * TEST + 1),  # on another scale
        (OOF + 1e-4 * RNG.normal(size=OOF.shape), TEST),
    ],
)
def test_a_copy_is_told_by_both_names(oof, test):
    (line,) = lines_about_duplicates(pair(oof, test))
    assert line.startswith("a and b ")


@pytest.mark.parametrize(
    ("oof", "test"),
    [
        (OOF + 0.1 * RNG.normal(size=OOF.shape), TEST),  # alike, as members are
        (OOF, TEST[::-1]),  # equal on the training rows only
        (OOF * [1, -1], TEST * [1, -1]),  # in one column only
        (np.full_like(OOF, 0.5), np.full_like(TEST, 0.5)),
        (np.tile(OOF[:1], (40, 1, 1)), np.tile(TEST[:1], (30, 1, 1))),  # a constant that starts so
    ],
)
def test_predictors_that_differ_anywhere_are_not_told(oof, test):
    assert lines_about_duplicates(pair(oof, test)) == []


def test_two_equal_constants_are_told():
    flat = Stack(["a", "b"], ["member"] * 2, np.full((5, 2, 1), 0.5), np.full((4, 2, 1), 0.5))
    assert len(lines_about_duplicates(flat)) == 1


@pytest.mark.parametrize("n", [30, 48])  # the mean of 48 rounds
def test_two_constants_that_differ_are_not_told(n):
    flat = np.tile([[[0.1], [0.7]]], (n, 1, 1))
    assert lines_about_duplicates(Stack(["a", "b"], ["member"] * 2, flat, flat)) == []


@pytest.mark.filterwarnings("error")
def test_a_single_test_row_says_little_and_no_library_warns():
    one = Stack(["a", "b"], ["member"] * 2, np.hstack([OOF, OOF]), np.hstack([TEST, TEST])[:1])
    assert len(lines_about_duplicates(one)) == 1
