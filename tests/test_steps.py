"""The number of epochs and steps of a unit."""

import pytest

from pipeline.members.steps import LEAST_STEPS, epochs_for, steps_an_epoch


def test_an_epoch_takes_the_last_rows_in_a_batch_of_their_own():
    assert [steps_an_epoch(rows, 32) for rows in (1, 32, 33, 64)] == [1, 1, 2, 2]


def test_large_sets_take_three_epochs():
    assert epochs_for(None, 32 * LEAST_STEPS, 32) == 3


def test_a_hundred_rows_take_20_epochs_of_4_steps():
    assert epochs_for(None, 100, 32) == 20


@pytest.mark.parametrize("n_rows", [1, 31, 32, 33, 100, 700, 1500, 1601])
def test_small_sets_take_the_least_epochs_that_give_the_least_steps(n_rows):
    epochs, an_epoch = epochs_for(None, n_rows, 32), steps_an_epoch(n_rows, 32)
    assert epochs * an_epoch >= LEAST_STEPS
    assert epochs == 3 or (epochs - 1) * an_epoch < LEAST_STEPS


@pytest.mark.parametrize("epochs", [0.5, 1.0, 20.0])
def test_epochs_that_are_set_are_taken_as_they_are(epochs):
    assert epochs_for(epochs, 10, 32) == epochs
