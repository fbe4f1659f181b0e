"""Every metric on bootstrap samples given by counts, against `Target.score` on gathered rows."""

import warnings

import numpy as np
import pytest

from pipeline.scoring.intervals import bootstrap_counts
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.target import Target

CASES = [(name, task) for name, metric in METRICS.items() for task in metric.tasks]


def rows_of(task, n, seed=0):
    """Targets with ties and (n, c) predictions with ties."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.integers(0, 4, (n, 2)).astype(float)
        return y, np.round(y + rng.normal(size=y.shape), 1)
    if task == "multilabel":
        y = rng.integers(0, 2, (n, 3)).astype(float)
        return y, np.round(0.3 * y + 0.7 * rng.random(y.shape), 2)
    if task == "binary":
        y = rng.integers(0, 2, n)
        return y, np.round(0.3 * y + 0.7 * rng.random(n), 2)[:, None]
    y = rng.integers(0, 4, n)
    p = rng.random((n, 4)) + 0.5 * np.eye(4)[y]
    return y, p / p.sum(axis=1, keepdims=True)


def gathered(metric, task, y, p, times):
    rows = [np.repeat(np.arange(len(y)), t.astype(int)) for t in times]
    target = Target.of(y, task, metric)
    return [target[r].score(p[r]) for r in rows]


def drawn(n, n_samples, size=None, seed=0):
    rng = np.random.default_rng(seed)
    draws = rng.integers(n, size=(n_samples, size or n))
    return np.array([np.bincount(rows, minlength=n) for rows in draws], dtype=float)


def test_weights_of_columns_hold_in_samples_too():
    y, p = rows_of("regression", 40)
    weighted = {"name": "r2", "column_weights": {"a": 3, "b": 1}}
    times = drawn(40, 10)
    times[0], y[:20, 1] = np.repeat([2, 0], 20), 1  # the second column is undefined on this sample
    found = Target.of(y, "regression", weighted).scorer(p)(times)
    np.testing.assert_allclose(found, gathered(weighted, "regression", y, p, times))


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_a_bootstrap_sample_scores_as_its_rows_do(metric, task):
    y, p = rows_of(task, 80)
    times = drawn(80, 30)
    found = Target.of(y, task, metric).scorer(p)(times)
    np.testing.assert_allclose(found, gathered(metric, task, y, p, times), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_it_is_undefined_where_it_is_on_the_rows(metric, task):
    y, p = rows_of(task, 12)
    p[:9] = p[0]  # of 3 rows drawn all are often alike
    times = drawn(12, 200, size=3)
    expected = gathered(metric, task, y, p, times)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Target.of(y, task, metric).scorer(p)(times)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("metric", ["rmse", "r2", "pearson", "spearman"])
def test_a_wild_row_spoils_only_the_draws_that_hold_it(metric):
    y, p = rows_of("regression", 60)
    y, p = y + 1e4, p + 1e4
    y[7] = 1e9
    times = drawn(60, 40)
    assert 5 < (times[:, 7] == 0).sum() < 35
    found = Target.of(y, "regression", metric).scorer(p)(times)
    expected = gathered(metric, "regression", y, p, times)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_a_constant_has_no_correlation_whatever_rounding_leaves_of_it(metric):
    constant = np.full((50, 1), 0.1)
    varied = np.random.default_rng(0).normal(size=(50, 1))
    times = drawn(50, 10)
    assert np.isnan(Target.of(constant, "regression", metric).scorer(varied)(times)).all()
    assert (Target.of(varied, "regression", metric).scorer(constant)(times) == 0).all()


def test_rows_without_groups_are_drawn_alone():
    y = np.zeros((4, 1))
    alone = Target.of(y, "regression", "rmse")
    assert alone.clusters.tolist() == [0, 1, 2, 3]
    grouped = Target.of(y, "regression", "rmse", ["b", "a", "b", "c"])
    assert grouped.clusters.tolist() == [1, 0, 1, 2]


def test_a_sample_draws_as_many_clusters_as_there_are_each_with_all_its_rows():
    cluster = np.repeat(np.arange(30), 4)
    counts = bootstrap_counts(cluster, 1, np.random.default_rng(0)).reshape(30, 4)
    assert (counts == counts[:, :1]).all()
    assert counts[:, 0].sum() == 30
    assert 0 in counts
    assert counts.max() > 1
