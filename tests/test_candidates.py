"""What a decision on top of a blend is fitted on."""

import numpy as np
import pytest

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.candidates import candidates_of


def shift(blend, y, new_blend, *, task, metric):
    """A decision that shows what it was fitted on: it adds the mean error."""
    return new_blend + (y - blend).mean(axis=0)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("name", ["mean", "ridge"])
def test_what_is_decided_for_test_rows_is_learnt_from_honest_blends(name, twice):
    rng = np.random.default_rng(0)
    y = rng.normal(3, 1, size=(30, 2))
    oof = y[:, None] + rng.normal(1, 1, size=(30, 4, 2))
    test = rng.normal(3, 1, size=(7, 4, 2))
    blend, decided = candidates_of(
        BLENDERS[name],
        {"shift": shift},
        oof,
        test,
        y,
        rng.permutation(np.arange(30) % 3),
        twice=twice,
        task="regression",
        metric="rmse",
        seed=0,
    )
    assert decided.method == f"{name}.shift"
    learnt = (y - blend.honest).mean(axis=0)
    np.testing.assert_allclose(decided.test - blend.test, np.tile(learnt, (7, 1)))
    too_good = (y - blend.in_sample).mean(axis=0)
    added = decided.in_sample - blend.in_sample
    np.testing.assert_allclose(added, np.tile(too_good, (30, 1)), atol=1e-12)
    assert name == "mean" or np.abs(learnt - too_good).min() > 0.001  # or the two look the same


@pytest.mark.parametrize(("metric", "is_candidate"), [("logloss", False), ("f1", True)])
def test_a_decision_that_makes_probabilities_constant_is_left_out(metric, is_candidate):
    """A submission of them is refused; where labels are submitted, a constant one is only told."""

    def share(blend, y, new_blend, *, task, metric):
        return np.full_like(new_blend, y.mean())

    rng = np.random.default_rng(0)
    found = candidates_of(
        BLENDERS["mean"],
        {"share": share},
        rng.random((30, 2, 1)),
        rng.random((7, 2, 1)),
        rng.integers(0, 2, 30),
        np.arange(30) % 3,
        twice=False,
        task="binary",
        metric=metric,
        seed=0,
    )
    names = ["mean", *(["mean.share"] if is_candidate else [])]
    assert [one.method for one in found] == names
