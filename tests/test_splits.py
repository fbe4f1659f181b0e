"""Fold schemes: every row once, copies and groups whole, strata even, bad input refused."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.competition.deal import SCHEMES, make_folds, quantile_bins

TASKS = ("regression", "binary", "multiclass", "multilabel")
EVERY = [(scheme, task) for scheme in sorted(SCHEMES) for task in TASKS]
NEED_GROUPS = {scheme for scheme in SCHEMES if "group" in scheme}
FREE = sorted(set(SCHEMES) - NEED_GROUPS)


def targets(task, n_rows, seed=0):
    rng = np.random.default_rng(seed)
    if task == "regression":
        return rng.standard_normal((n_rows, 2))
    if task == "multilabel":
        return (rng.random((n_rows, 4)) < [0.05, 0.2, 0.5, 0.9]).astype(float)
    return rng.integers(0, 2 if task == "binary" else 5, n_rows)


def folds_of(scheme, task, *, n_rows=240, n=5, seed=42, y=None, texts=None, groups=None):
    """`make_folds`, with what a test leaves out filled in: each text its own, groups of three."""
    y = targets(task, n_rows) if y is None else y
    texts = [f"text {i}" for i in range(len(y))] if texts is None else texts
    if groups is None and scheme in NEED_GROUPS:
        groups = np.arange(len(y)) // 3
    return make_folds(scheme, y, task=task, n=n, seed=seed, texts=texts, groups=groups)


def same_fold(folds):
    return folds[:, None] == folds[None, :]


def spread(folds, marked):
    """Most minus fewest marked rows of a fold."""
    counts = np.bincount(folds, weights=marked)
    return counts.max() - counts.min()


@pytest.mark.parametrize(("scheme", "task"), EVERY)
def test_every_row_is_in_one_fold_and_every_fold_is_used(scheme, task):
    folds = folds_of(scheme, task)
    assert folds.shape == (240,)
    assert folds.dtype == np.int64
    assert set(folds) == set(range(5))


@pytest.mark.parametrize(("scheme", "task"), EVERY)
def test_one_seed_gives_the_same_folds_and_another_seed_another_partition(scheme, task):
    first, again = folds_of(scheme, task, seed=1), folds_of(scheme, task, seed=1)
    other = folds_of(scheme, task, seed=2)
    assert np.array_equal(first, again)
    assert not np.array_equal(same_fold(first), same_fold(other))  # not just renumbered


@pytest.mark.parametrize(("scheme", "task"), EVERY)
def test_equal_texts_share_a_fold_whatever_their_case_and_white_space(scheme, task):
    texts = [f"text {i}" for i in range(240)]
    for i in range(40):
        texts[200 + i] = f"  TEXT\n\t{i} "
    texts[0], texts[200], texts[201] = "caf\u00e9", "cafe\u0301", "\uff34ext\u200b 1"
    folds = folds_of(scheme, task, texts=texts)
    assert np.array_equal(folds[200:], folds[:40])


@pytest.mark.parametrize(("scheme", "task"), EVERY)
def test_given_groups_share_a_fold_under_every_scheme(scheme, task):
    groups = np.random.default_rng(0).permutation(240) % 31
    folds = folds_of(scheme, task, groups=groups)
    assert all(len(set(folds[groups == group])) == 1 for group in range(31))


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_no_text_and_no_group_ever_straddles_folds(scheme, data):
    words = st.sampled_from(["a b", "A  b", "ß", "ss", "", " ", "c", "d", "e", "f"])
    rows = data.draw(st.lists(st.tuples(words, st.integers(0, 9)), min_size=1, max_size=40))
    n = data.draw(st.integers(2, 4))
    # n rows that nothing else shares, so that there are always enough atoms
    texts = [row[0] for row in rows] + [f"lone {i}" for i in range(n)]
    groups = [row[1] for row in rows] + [10 + i for i in range(n)]
    y = np.arange(len(texts)) % 3
    folds = folds_of(scheme, "multiclass", y=y, n=n, texts=texts, groups=groups)
    assert set(folds) == set(range(n))
    for keys in ([" ".join(text.casefold().split()) for text in texts], groups):
        fold_of_key: dict = {}
        for key, fold in zip(keys, folds, strict=True):
            if key != "":  # rows without a text are no copies of each other
                assert fold_of_key.setdefault(key, fold) == fold


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_rows_without_a_text_are_dealt_like_any_other(scheme):
    texts = [f"text {i}" if i % 3 else "  " for i in range(300)]
    groups = np.arange(300) // 3
    folds = folds_of(scheme, "binary", n_rows=300, texts=texts, groups=groups)
    assert np.bincount(folds).tolist() == [60] * 5
    without = np.array([not text.strip() for text in texts])
    assert np.bincount(folds[without]).tolist() == [20] * 5


def test_a_shared_text_ties_two_groups_together():
    # a and b share group 1, b is quoted in group 2, c sits in group 2: one atom. d, e: their own.
    texts, groups = ["a", "b", "B", "c", "d", "e"], [1, 1, 2, 2, 3, 4]
    for seed in range(10):
        folds = folds_of(
            "group", "binary", y=np.zeros(6, int), n=3, seed=seed, texts=texts, groups=groups
        )
        assert len(set(folds[:4])) == 1
        assert len({folds[0], folds[4], folds[5]}) == 3


def test_rows_without_a_group_are_one_group_which_no_other_row_joins():
    groups = [None, "a", None, "b", "a", None, "c"]
    for seed in range(5):
        folds = folds_of("group", "binary", y=np.zeros(7, int), n=4, seed=seed, groups=groups)
        assert len({folds[0], folds[2], folds[5]}) == 1
        assert len({folds[0], folds[1], folds[3], folds[6]}) == 4


def test_texts_that_differ_in_a_letter_may_part():
    texts = [f"text {i}" for i in range(10)]
    assert len(set(folds_of("kfold", "binary", y=np.zeros(10, int), n=10, texts=texts))) == 10


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("scheme", FREE)
def test_folds_of_distinct_texts_are_of_one_size(scheme, task):
    # 241 = 5 * 48 + 1; several columns at once leave a row or two to give.
    slack = 3 if scheme == "stratified" and task in ("regression", "multilabel") else 1
    y = targets(task, 241)
    assert spread(folds_of(scheme, task, y=y), np.ones(241)) <= slack


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=2, max_size=8),
    n=st.integers(2, 10),
    seed=st.integers(0, 99),
)
def test_stratified_spreads_every_class_and_all_rows_to_within_one_row(sizes, n, seed):
    y = np.repeat(np.arange(len(sizes)), sizes)
    y = np.concatenate([y, np.zeros(10, int)])  # never fewer rows than folds
    folds = folds_of("stratified", "multiclass", y=y, n=n, seed=seed)
    assert all(spread(folds, y == code) <= 1 for code in set(y))
    assert spread(folds, np.ones(len(y))) <= 1


def test_stratified_spreads_every_label_to_within_two_rows():
    y = targets("multilabel", 1000)
    folds = folds_of("stratified", "multilabel", y=y)
    assert max(spread(folds, y[:, label]) for label in range(4)) <= 2


@pytest.mark.parametrize("n_targets", [1, 6])
def test_stratified_brings_the_fold_means_of_targets_closer_than_kfold(n_targets):
    y = np.random.default_rng(0).standard_normal((1000, n_targets))
    apart = {
        scheme: np.mean(
            [
                np.std([y[folds == fold].mean(axis=0) for fold in range(5)], axis=0)
                for folds in (folds_of(scheme, "regression", y=y, seed=s) for s in range(5))
            ]
        )
        for scheme in FREE
    }
    assert apart["stratified"] < apart["kfold"] / 2


def test_the_bins_of_a_target_hold_equal_numbers_of_rows_in_its_order():
    target = np.random.default_rng(0).permutation(70)
    bins = quantile_bins(target)  # int(log2(70)) + 1 = 7
    assert np.bincount(bins).tolist() == [10] * 7
    assert (np.diff(bins[np.argsort(target)]) >= 0).all()


def test_a_value_on_the_edge_of_two_bins_belongs_to_the_upper_one():
    # log2(9) + 1 = 4 bins, whose edges are the values 12, 14 and 16
    assert quantile_bins(np.arange(10.0, 19.0)).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]


def test_as_many_values_as_bins_are_strata_of_their_own_and_one_more_is_binned():
    few, more = np.array([1, 1, 1, 1, 1, 1, 2, 3, 9]), np.array([1, 1, 1, 1, 1, 2, 3, 4, 9])
    assert quantile_bins(few) is few
    assert quantile_bins(more).tolist() == [2, 2, 2, 2, 2, 2, 3, 3, 3]


def test_a_rating_with_few_values_is_stratified_by_value():
    y = np.repeat([1.0, 1.5, 2.0, 5.0], [100, 50, 30, 20])[:, None]
    folds = folds_of("stratified", "regression", y=y)
    assert all(spread(folds, y[:, 0] == value) == 0 for value in (1.0, 1.5, 2.0, 5.0))


@pytest.mark.parametrize("scheme", ["stratified", "stratified_group"])
@pytest.mark.parametrize(
    "y",
    [
        pytest.param(np.repeat([0, 1, 2], [57, 2, 1]), id="two rare classes"),
        pytest.param(np.arange(60) // 2, id="only rare classes"),
        pytest.param(np.zeros(60, int), id="one class"),
        pytest.param(np.repeat([0, 7, 9], [30, 20, 10]), id="codes with gaps"),
    ],
)
def test_rare_classes_are_spread_without_a_warning(scheme, y):
    groups = np.arange(60)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = folds_of(scheme, "multiclass", y=y, groups=groups)
    for code in set(y):
        rows = (y == code).sum()
        assert len(set(folds[y == code])) == min(rows, 5)


@pytest.mark.parametrize("task", TASKS)
def test_a_constant_target_is_survived_without_a_warning(task):
    y = np.ones((30, 2)) if task in ("regression", "multilabel") else np.ones(30, int)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(folds_of("stratified", task, y=y)) == set(range(5))


@settings(max_examples=50, deadline=None)
@given(sizes=st.lists(st.integers(1, 30), min_size=5, max_size=40), seed=st.integers(0, 99))
def test_group_folds_differ_by_no_more_than_the_largest_group(sizes, seed):
    # Filling the emptiest fold each time: the fullest was the emptiest when its last group came.
    groups = np.repeat(np.arange(len(sizes)), sizes)
    y = np.zeros(len(groups), int)
    folds = folds_of("group", "binary", y=y, groups=groups, seed=seed)
    assert spread(folds, np.ones(len(groups))) <= max(sizes)


def test_another_seed_gives_another_partition_where_no_two_groups_are_of_one_size():
    groups = np.repeat(np.arange(30), np.arange(1, 31))
    y = np.zeros(len(groups), int)
    one, other = (folds_of("group", "binary", y=y, groups=groups, seed=seed) for seed in (1, 2))
    assert not np.array_equal(same_fold(one), same_fold(other))


def test_a_rare_class_weighs_more_than_a_common_one():
    # 80 rows of class 0, 4 of class 1. One group has 40 of class 0, one 2 of class 1, one 10 and 2.
    # The last would rather join the 40 (half of class 0) than the 2 (half of class 1).
    y = np.array([0] * 40 + [1] * 2 + [0] * 10 + [1] * 2 + [0] * 30)
    groups = np.array([0] * 40 + [1] * 2 + [2] * 12 + list(range(3, 33)))
    for seed in range(10):
        folds = folds_of("stratified_group", "binary", y=y, n=2, groups=groups, seed=seed)
        assert np.bincount(folds, weights=y).tolist() == [2, 2]


def test_a_fold_that_got_a_larger_group_gets_the_fewer_single_rows():
    # Class 0: 8 and 6 rows. Class 1: 9 rows, of which the fold of 6 gets 5.
    y = np.array([0] * 14 + [1] * 9)
    groups = np.array([0] * 8 + [1] * 6 + list(range(2, 11)))
    for seed in range(10):
        folds = folds_of("stratified_group", "binary", y=y, n=2, groups=groups, seed=seed)
        assert sorted(np.bincount(folds)) == [11, 12]


def test_one_big_group_gets_a_fold_and_the_small_ones_share_the_others():
    groups = np.repeat(np.arange(17), [40, *[5] * 16])  # 120 rows: 40 + 2 folds of 40
    folds = folds_of("group", "binary", y=np.zeros(120, int), n=3, groups=groups)
    assert sorted(np.bincount(folds)) == [40, 40, 40]


def test_stratified_group_evens_out_the_classes_of_whole_groups():
    # 40 groups of one class each, 3 rows a group: 10 groups of class 1, so 2 of them a fold.
    y = np.repeat(np.repeat([1, 0], [10, 30]), 3)
    groups = np.repeat(np.arange(40), 3)
    for seed in range(5):
        folds = folds_of("stratified_group", "binary", y=y, groups=groups, seed=seed)
        assert np.bincount(folds, weights=y).tolist() == [6] * 5
        assert np.bincount(folds).tolist() == [24] * 5


def test_stratified_group_is_more_even_than_group_where_groups_are_mixed():
    rng = np.random.default_rng(0)
    groups = rng.integers(0, 60, 900)
    y = (rng.random(900) < rng.random(60)[groups]).astype(int)
    apart = {
        scheme: np.mean(
            [
                spread(folds_of(scheme, "binary", y=y, groups=groups, seed=s), y == 1)
                for s in range(5)
            ]
        )
        for scheme in sorted(NEED_GROUPS)
    }
    assert apart["stratified_group"] < apart["group"] / 3


def test_groups_of_text_work_as_groups_of_numbers_do():
    numbers = np.arange(240) // 3
    named = [f"document {number}" for number in numbers]
    assert np.array_equal(
        folds_of("group", "binary", groups=numbers), folds_of("group", "binary", groups=named)
    )


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_as_many_folds_as_texts_work_and_one_more_is_refused(scheme):
    y, groups = np.zeros(6, int), np.arange(6)
    assert set(folds_of(scheme, "binary", y=y, n=6, groups=groups)) == set(range(6))
    with pytest.raises(ValueError, match=r"^folds\.n: .*\b7\b.*\b6\b"):
        folds_of(scheme, "binary", y=y, n=7, groups=groups)


def test_copies_do_not_count_as_texts_of_their_own():
    texts = ["a", "A", " a ", "b", "c"]
    with pytest.raises(ValueError, match=r"^folds\.n: .*\b4\b.*\btexts\b.*\b3\b"):
        folds_of("kfold", "binary", y=np.zeros(5, int), n=4, texts=texts)


def test_fewer_groups_than_folds_are_refused():
    groups = np.repeat([0, 1, 2], 10)
    with pytest.raises(ValueError, match=r"^folds\.n: .*\b5\b.*\bgroups\b.*\b3\b"):
        folds_of("group", "binary", y=np.zeros(30, int), groups=groups)
