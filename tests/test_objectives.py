"""Every fast objective against `Objective`, the metric itself on the rows of every blend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from scored import score

from pipeline.ensemble.objectives import (
    OBJECTIVES,
    TIE,
    Auc,
    Correlation,
    LogLoss,
    Objective,
    area,
    first_best,
    objective_of,
)
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.target import Target

CASES = [
    (task, metric)
    for metric in sorted(OBJECTIVES)
    for task in METRICS[metric].tasks
    if task != "multilabel"  # a label is a binary task
]


def in_bits(values, bits):
    """Rounded to `bits` after the point: sums in any order are equal, and so are ties."""
    return np.round(values * 2.0**bits) / 2.0**bits


def example(task, n=80, m=6, seed=0, bits=30):
    """Targets and predictions of one target; few bits give many ties, and exact sums."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 3 if task == "multiclass" else 1))
    raw = signal[:, None] + rng.normal(size=(n, m, signal.shape[1]))
    if task == "regression":
        return signal, in_bits(raw, bits)
    if task == "binary":
        y = (rng.random(n) < expit(signal[:, 0])).astype(int)
        y[:2] = 0, 1
        return y, in_bits(expit(raw), bits)
    y = (signal + rng.gumbel(size=signal.shape)).argmax(axis=1)
    y[:3] = 0, 1, 2
    return y, softmax(raw, axis=-1)


def both_ways(task, metric, preds, y):
    target = Target.of(y, task, metric)
    return objective_of(preds, target), Objective(preds, target)


@pytest.mark.parametrize(("task", "metric"), CASES)
@given(
    seed=st.integers(0, 10_000),
    bits=st.integers(2, 30),
    counts=st.lists(st.integers(0, 4), min_size=6, max_size=6),
)
@settings(max_examples=25, deadline=None)
def test_the_short_way_chooses_what_the_metric_itself_chooses(task, metric, seed, bits, counts):
    y, preds = example(task, seed=seed, bits=bits)
    short, long = both_ways(task, metric, preds, y)
    counts = np.array(counts)
    found, expected = (
        objective.values(np.tensordot(counts, objective.members, axes=1), counts.sum())
        for objective in (short, long)
    )
    assert first_best(found) == first_best(expected)
    if metric not in ("r2", "auc"):  # only ordered alike, or not all computed
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_the_short_way_values_one_blend_as_the_metric_does(task, metric):
    y, preds = example(task)
    weights = np.array([3, 0, 1, 1, 0, 2])
    short, _ = both_ways(task, metric, preds, y)
    found = short.value(np.tensordot(weights, short.members, axes=1), 7)
    blend = np.einsum("nmc,m->nc", preds, weights / 7)
    by = "rmse" if metric == "r2" else metric
    assert found == pytest.approx(METRICS[by].sign * score(by, task, y, blend), rel=1e-9)


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_weights_of_rows_count_in_the_short_way_as_in_the_metric(task, metric):
    y, preds = example(task, n=5000)
    weights = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    target = Target.of(y, task, "rmse" if metric == "r2" else metric, weights=weights)
    short, long = objective_of(preds, target), Objective(preds, target)
    assert (type(short) is Objective) == (metric == "auc")
    found, expected = (o.values(o.members[:2].sum(axis=0), 2) for o in (short, long))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    values = [o.value(o.members[:3].sum(axis=0), 3) for o in (short, long)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def test_sure_members_are_clipped_as_the_metric_clips():
    y = np.array([1, 0, 1])
    preds = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])[:, :, None]
    short, long = both_ways("binary", "logloss", preds, y)
    for objective in (short, long):
        found = [objective.value(member, 1) for member in objective.members]
        np.testing.assert_allclose(found, [0, np.log(np.finfo(float).eps)], atol=1e-12)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_second_moments_keep_their_digits_at_a_million(offset):
    y, preds = example("regression")
    for metric in ("rmse", "pearson"):
        short, long = both_ways("regression", metric, preds + offset, y + offset)
        total, rows = (o.members[:2].sum(axis=0) for o in (short, long))
        np.testing.assert_allclose(short.values(total, 2), long.values(rows, 2), rtol=1e-8)


def test_a_huge_member_does_not_drown_the_others_in_rounding():
    y, preds = example("regression")
    preds[:, 5] *= 1e9
    short, long = both_ways("regression", "rmse", preds, y)
    found, expected = (o.values(o.members[:2].sum(axis=0), 2) for o in (short, long))
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_members_that_cancel_to_a_constant_have_no_correlation():
    y, preds = example("regression", m=2)
    preds[:, 1] = 1 - preds[:, 0]
    short = Correlation(preds, Target.of(y, "regression", "pearson"))
    assert short.value(short.members.sum(axis=0), 2) == -np.inf
    assert np.isfinite(short.values(short.members[0], 1)[0])


def test_the_area_is_the_share_of_ordered_pairs_and_a_tie_is_half_a_pair():
    positives, negatives = np.array([0.8, 0.4]), np.array([0.4, 0.1, 0.9])
    assert area(positives.copy(), negatives.copy()) == pytest.approx((2 + 1.5) / 6)
    assert area(negatives, positives) == pytest.approx((0 + 0.5 + 2) / 6)


def test_without_positives_or_negatives_there_is_no_area():
    none, some = np.array([]), np.array([0.5])
    assert np.isnan(area(none, some))
    assert np.isnan(area(some, none))


def test_auc_sorts_few_candidates(monkeypatch):
    y, preds = example("binary", n=5000, m=30)
    auc = Auc(preds, Target.of(y, "binary", "auc"))
    sorted_sizes = []
    area = auc._area
    monkeypatch.setattr(auc, "_area", lambda *args: sorted_sizes.append(1) or area(*args))
    auc.values(auc.members[:3].sum(axis=0), 3)
    assert 1 <= len(sorted_sizes) < 5


def test_members_of_an_auc_lie_in_a_row_in_memory():
    y, preds = example("multiclass", n=60, m=4)
    auc = Auc(preds, Target.of(y, "multiclass", "auc"))
    assert auc.members.flags.c_contiguous  # a step reads 200,000 numbers 8 times slower otherwise


def test_the_bound_of_an_auc_is_no_less_than_it():
    for seed in range(20):
        y, preds = example("binary", seed=seed, bits=3 * (seed % 4 + 1))
        auc = Auc(preds, Target.of(y, "binary", "auc"))
        for member in auc.members:
            assert auc._upper_bound(member.copy(), 1) >= auc.value(member, 1) * (1 - TIE)


def test_long_rows_are_summed_in_blocks():
    y, preds = example("binary", n=10_001, m=2)
    log_loss = LogLoss(preds, Target.of(y, "binary", "logloss"))
    expected = -score("logloss", "binary", y, preds.mean(axis=1))
    assert log_loss.value(log_loss.members.sum(axis=0), 2) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    ("values", "best"),
    [([1, 2, 2], 1), ([-1, -1 - 1e-15, -2], 0), ([-1 - 1e-15, -1], 0), ([-np.inf, -np.inf], 0)],
)
def test_ties_up_to_rounding_go_to_the_first(values, best):
    assert first_best(np.array(values)) == best
