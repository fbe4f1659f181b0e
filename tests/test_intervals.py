"""Paired bootstrap intervals of differences between scores."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from scored import errors, score, target_of

from pipeline.ensemble.crossfit import cross_fit_pairs, of_own_fold
from pipeline.scoring import intervals
from pipeline.scoring.intervals import (
    bootstrap_scores,
    difference_interval,
    estimate_fit_variance,
    intervals_of,
    standard_error,
)
from pipeline.scoring.target import Target


def interval(metric, y, a, b, groups=None, **settings):
    return difference_interval(target_of(y, groups, metric), a, b, **{"seed": 0, **settings})


def test_a_difference_is_an_improvement_whatever_the_direction_of_the_metric():
    y, (better, worse) = errors(n=500)
    for metric in ("rmse", "pearson"):
        difference, low, high = interval(metric, y, better, worse)
        gap = score(metric, "regression", y, better) - score(metric, "regression", y, worse)
        assert difference == pytest.approx(abs(gap))
        assert 0 < low < difference < high
        mirrored = interval(metric, y, worse, better)
        assert mirrored == pytest.approx((-difference, -high, -low))


@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_identical_predictions_differ_by_exactly_nothing(metric):
    y, (a, _) = errors()
    found = interval(metric, y, a, a.copy())
    assert found == (0, 0, 0)
    assert not np.signbit(found).any()


def test_the_interval_is_paired():
    y, (a, _) = errors()
    shifted = a + 0.01  # nearly the same errors, row by row
    _, low, high = interval("rmse", y, a, shifted)
    alone = [interval("rmse", y[i::2], p[i::2], 0 * y[i::2]) for i, p in ((0, a), (1, shifted))]
    assert high - low < 0.1 * min(h - lo for _, lo, h in alone)


def test_the_interval_is_that_of_a_plain_bootstrap():
    y, (a, b) = errors(n=60)
    _, low, high = interval("mae", y, a, b)
    rng = np.random.default_rng(99)
    gain = np.abs(b - y)[:, 0] - np.abs(a - y)[:, 0]
    drawn = [rng.choice(gain, size=60).mean() for _ in range(4000)]
    np.testing.assert_allclose([low, high], np.percentile(drawn, [2.5, 97.5]), atol=0.03)


def test_the_interval_covers_the_truth_about_as_often_as_it_says(monkeypatch):
    monkeypatch.setitem(bootstrap_scores.__kwdefaults__, "n_bootstrap", 150)  # for speed
    covered = 0
    for seed in range(60):
        y, (a, b) = errors(n=100, seed=seed, scales=(1.0, 1.2))
        _, low, high = interval("rmse", y, a, b, seed=seed)
        covered += low <= 0.2 <= high
    assert 52 <= covered <= 59  # of 60, 57 expected


def test_groups_are_drawn_whole():
    y, (a, b) = errors(n=80)
    expected = interval("rmse", y, a, b)
    copies = np.repeat(np.arange(80), 5)  # five copies of a row are the evidence of one
    names = np.array([f"g{i:02d}" for i in copies])
    order = np.random.default_rng(0).permutation(len(copies))
    found = interval("rmse", y[copies], a[copies], b[copies], groups=copies)
    assert found == pytest.approx(expected)
    found = interval(
        "rmse", y[copies][order], a[copies][order], b[copies][order], groups=names[order]
    )
    assert found == pytest.approx(expected)
    _, low, high = interval("rmse", y[copies], a[copies], b[copies])
    assert 1.9 < (expected[2] - expected[1]) / (high - low) < 2.6  # sqrt(5)


def test_draws_without_a_value_are_left_out():
    y = np.array([1] + [0] * 9)  # a third of the draws hold no positive
    rng = np.random.default_rng(0)
    a, b = rng.random((10, 1)), rng.random((10, 1))
    found = difference_interval(Target.of(y, "binary", "auc"), a, b, seed=0)
    assert np.isfinite(found).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nobody = difference_interval(
            Target.of(np.zeros(10, dtype=int), "binary", "auc"), a, b, seed=0
        )
    assert np.isnan(nobody).all()


def test_the_draws_are_the_same_in_blocks(monkeypatch):
    y, (a, b) = errors(n=40)
    settings = {"n_bootstrap": 25, "seed": 3}
    at_once = bootstrap_scores(target_of(y, metric="pearson"), [a, b], **settings)
    monkeypatch.setattr(intervals, "AT_ONCE", 40 * 7)
    np.testing.assert_allclose(
        bootstrap_scores(target_of(y, metric="pearson"), [a, b], **settings), at_once, rtol=1e-12
    )


def test_what_rounding_makes_is_no_difference():
    y, (a, _) = errors()
    found = interval("rmse", y, a * (1 + 4e-16), a)
    assert found == (0, 0, 0)
    found = interval("rmse", y, a * (1 - 1e-9), a)
    assert found[0] != 0


@pytest.mark.parametrize("n", [400, 20_000])
def test_the_standard_error_of_an_rmse_is_that_of_the_formula(n):
    """sd of the squared errors / (2 rmse sqrt n); beyond 5,000 rows from some of them."""
    y, (predictions,) = errors(n=n, scales=(1.0,))
    predictions[: n // 4] = y[: n // 4]  # no error on the first rows
    squared = (predictions - y) ** 2
    expected = squared.std() / (2 * np.sqrt(squared.mean() * n))
    found = [standard_error(target_of(y), predictions, np.random.default_rng(k)) for k in range(4)]
    assert np.mean(found) == pytest.approx(expected, rel=0.15)


# what fits add


class LeastSquares:
    def fit(self, preds, target, *, seed):
        weights = np.linalg.lstsq(preds[:, :, 0], target.y, rcond=None)[0]
        return SimpleNamespace(apply=lambda new: new[:, :, 0] @ weights)


def test_more_variance_widens_an_interval_about_its_value():
    values, drawn = np.array([1.0, 2.0]), np.random.default_rng(0).normal([1, 2], size=(4000, 2))
    narrow = intervals_of(values, drawn)
    wide = intervals_of(values, drawn, np.array([0.0, 3 * drawn[:, 1].var()]))
    np.testing.assert_array_equal(wide[0], narrow[0])
    np.testing.assert_allclose(wide[1] - 2, 2 * (narrow[1] - 2))


def test_what_is_not_fitted_has_no_variance_of_fits():
    y, (a, _) = errors(n=60)
    pairs = np.repeat(a[None], 5, axis=0)
    assert estimate_fit_variance(target_of(y), pairs, np.arange(60) % 5, seed=0) == 0


def test_an_estimate_of_the_variance_of_fits_below_0_counts_as_0():
    y, (own, other) = errors(n=60)
    folds = np.arange(60) % 4
    # fits without one fold more agree on every row, so only leaving the fold in makes a difference
    pairs = np.where((folds == np.arange(4)[:, None])[:, :, None], own, other)
    assert estimate_fit_variance(target_of(y), pairs, folds, seed=0) == 0


def test_the_estimated_variance_of_fits_is_what_intervals_of_useless_fits_lack(monkeypatch):
    """Least squares on noise: the bootstrap with the fits as given sees half of the variance."""
    monkeypatch.setitem(bootstrap_scores.__kwdefaults__, "n_bootstrap", 60)  # for speed
    rng, folds = np.random.default_rng(0), np.arange(100) % 5
    gains, seen, added = [], [], []
    for seed in range(150):
        preds, y = rng.normal(size=(100, 5, 1)), rng.normal(size=(100, 1))
        target = target_of(y)
        pairs = cross_fit_pairs(LeastSquares(), preds, target, folds, seed=seed)
        weights = [
            np.linalg.lstsq(preds[folds != k, :, 0], y[folds != k], rcond=None)[0] for k in range(5)
        ]
        fresh = np.mean([1 - np.sqrt(1 + (w**2).sum()) for w in weights])  # of noise with sd 1
        honest, nothing = of_own_fold(pairs, folds), np.zeros_like(y)
        gain, *_ = difference_interval(target, honest, nothing, seed=0)
        drawn = bootstrap_scores(target, [nothing, honest], seed=seed)
        gains.append(gain - fresh)
        seen.append((drawn[:, 0] - drawn[:, 1]).var())
        added.append(estimate_fit_variance(target, pairs, folds, seed=seed))
    assert 0.3 < np.mean(seen) / np.var(gains) < 0.7
    assert 0.8 < (np.mean(seen) + np.mean(added)) / np.var(gains) < 1.25
