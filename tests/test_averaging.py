"""A member's prediction from those of its folds."""

import numpy as np
import pytest

from pipeline.members.averaging import mean_of_folds


@pytest.mark.parametrize(
    ("task", "folds", "mean"),
    [
        ("regression", [[[1.0, 8.0]], [[4.0, -2.0]]], [[2.5, 3.0]]),
        ("binary", [[[0.5]], [[0.9]]], [[0.75]]),  # odds 1 and 9: their geometric mean is 3
        ("multilabel", [[[0.5, 0.9]], [[0.9, 0.1]]], [[0.75, 0.5]]),
        # geometric means .4, .2 and .2 of .8
        ("multiclass", [[[0.8, 0.1, 0.1]], [[0.2, 0.4, 0.4]]], [[0.5, 0.25, 0.25]]),
    ],
)
def test_folds_are_averaged_on_the_raw_scale(task, folds, mean):
    by_fold = dict(enumerate(map(np.array, folds)))
    np.testing.assert_allclose(mean_of_folds(task, by_fold), mean)
