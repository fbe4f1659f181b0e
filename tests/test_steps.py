"""The number of epochs and steps of a unit, and the size of its batches."""

import pytest

from pipeline.members.steps import LEAST_STEPS, scheduled, steps_an_epoch
from pipeline.settings.fine_tuning import Training


def schedule(n_rows, **settings):
    found = scheduled(Training(**settings), n_rows)
    return found.epochs, found.batch_size


def test_an_epoch_takes_the_last_rows_in_a_batch_of_their_own():
    assert [steps_an_epoch(rows, 32) for rows in (1, 32, 33, 64)] == [1, 1, 2, 2]


def test_three_epochs_in_batches_of_32_are_for_sets_that_take_enough_steps_so():
    first = 32 * 53 + 1  # its 54 batches are 162 steps in three epochs
    assert (schedule(first), schedule(first - 1)) == ((3, 32), (3, 8))


def test_a_hundred_rows_take_13_epochs_of_13_batches():
    assert schedule(100) == (13, 8)


@pytest.mark.parametrize("settings", [{}, {"batch_size": 32}, {"batch_size": 5}])
@pytest.mark.parametrize("n_rows", [1, 31, 32, 33, 100, 700, 1500, 1697, 5000])
def test_a_set_takes_the_least_epochs_from_three_that_give_the_least_steps(n_rows, settings):
    epochs, batch_size = schedule(n_rows, **settings)
    an_epoch = steps_an_epoch(n_rows, batch_size)
    assert epochs * an_epoch >= LEAST_STEPS
    assert epochs == 3 or (epochs - 1) * an_epoch < LEAST_STEPS


@pytest.mark.parametrize("epochs", [0.5, 1.0, 20.0])
def test_what_is_set_is_taken_as_it_is(epochs):
    assert schedule(10, epochs=epochs, batch_size=3) == (epochs, 3)
