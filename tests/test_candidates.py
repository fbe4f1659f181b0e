"""The predictions that the post-processing of a blend is fitted on."""

from types import SimpleNamespace

import numpy as np
import pytest
from scored import Shift

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.candidates import candidates_of
from pipeline.ensemble.crossfit import cross_postprocess
from pipeline.scoring.intervals import estimate_fit_variance
from pipeline.scoring.target import Target


@pytest.mark.parametrize("keep_pairs", [False, True])
@pytest.mark.parametrize("name", ["mean", "ridge"])
def test_post_processing_of_test_rows_is_fitted_on_cross_fitted_blends(name, keep_pairs):
    rng = np.random.default_rng(0)
    y = rng.normal(3, 1, size=(30, 2))
    oof = y[:, None] + rng.normal(1, 1, size=(30, 4, 2))
    test = rng.normal(3, 1, size=(7, 4, 2))
    blend, processed = candidates_of(
        BLENDERS[name],
        {"shift": Shift()},
        oof,
        test,
        Target.of(y, "regression", "rmse"),
        rng.permutation(np.arange(30) % 3),
        keep_pairs=keep_pairs,
        seed=0,
    )
    assert processed.entry.name == f"blend_{name}.shift"
    learnt = (y - blend.entry.predictions).mean(axis=0)
    np.testing.assert_allclose(processed.test - blend.test, np.tile(learnt, (7, 1)))
    too_good = (y - blend.entry.in_sample).mean(axis=0)
    added = processed.entry.in_sample - blend.entry.in_sample
    np.testing.assert_allclose(added, np.tile(too_good, (30, 1)), atol=1e-12)
    assert name == "mean" or np.abs(learnt - too_good).min() > 0.001  # or the two look the same


def test_the_pairs_of_a_post_processed_blend_are_post_processed_themselves():
    rng = np.random.default_rng(0)
    y = rng.normal(3, 1, size=(30, 1))
    oof, test = y[:, None] + rng.normal(1, 1, size=(30, 2, 1)), rng.normal(size=(7, 2, 1))
    target, folds = Target.of(y, "regression", "rmse"), np.arange(30) % 3
    blend, processed = candidates_of(
        BLENDERS["mean"], {"shift": Shift()}, oof, test, target, folds, keep_pairs=True, seed=0
    )
    expected = cross_postprocess(Shift(), blend.held_out_pairs, target, folds, whole=True)
    np.testing.assert_array_equal(processed.held_out_pairs, expected)
    assert processed.entry.fit_variance == estimate_fit_variance(target, expected, folds, seed=0)
    assert processed.entry.fit_variance != blend.entry.fit_variance


@pytest.mark.parametrize(("metric", "is_candidate"), [("logloss", False), ("f1", True)])
def test_post_processing_that_makes_probabilities_constant_is_left_out(metric, is_candidate):
    """A submission of them is refused; where labels are submitted, a constant one is only told."""

    class Share:
        def fit(self, blend, target):
            return SimpleNamespace(apply=lambda new: np.full_like(new, target.y.mean()))

    rng = np.random.default_rng(0)
    found = candidates_of(
        BLENDERS["mean"],
        {"share": Share()},
        rng.random((30, 2, 1)),
        rng.random((7, 2, 1)),
        Target.of(rng.integers(0, 2, 30), "binary", metric),
        np.arange(30) % 3,
        keep_pairs=False,
        seed=0,
    )
    names = ["blend_mean", *(["blend_mean.share"] if is_candidate else [])]
    assert [one.entry.name for one in found] == names
