import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, softmax

from pipeline.ensemble import selection
from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.crossfit import (
    PLAIN_MEAN,
    Entry,
    choose,
    cross_fit,
    difference_interval,
    difference_intervals,
    fold_scores,
    leaderboard,
)
from pipeline.metrics import score
from pipeline.tasks import TASKS

CASES = [(n, t) for n in sorted(BLENDERS) for t in TASKS if BLENDERS[n].supports(t)]
METRIC = {"regression": "rmse", "binary": "logloss", "multiclass": "logloss", "multilabel": "auc"}


@pytest.fixture(autouse=True, scope="module")
def few_bags():
    """Hill climbing as it is, but seven times faster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "N_BAGS", 3)
        yield


def example(task, n=90, m=3, seed=0):
    """(n, m, c) predictions, targets and three folds."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 1 if task == "binary" else 3))
    raw = 2 * signal[:, None, :] + rng.normal(size=(n, m, signal.shape[1]))
    folds = rng.permutation(np.arange(n) % 3)
    if task == "regression":
        return raw, 2 * signal, folds
    if task == "multiclass":
        return softmax(raw, axis=-1), signal.argmax(axis=1), folds
    y = (rng.random(signal.shape) < expit(2 * signal)).astype(float)
    return expit(raw), (y[:, 0].astype(int) if task == "binary" else y), folds


def errors(n=200, seed=0, scales=(1.0, 1.3)):
    """A target and predictions of these root mean squared errors."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 1))
    return y, [y + scale * rng.normal(size=(n, 1)) for scale in scales]


def interval(metric, y, a, b, **settings):
    return difference_interval(metric, "regression", y, a, b, **{"seed": 0, **settings})


# cross-fitting


@pytest.mark.parametrize(("name", "task"), CASES)
def test_garbage_in_the_targets_of_a_fold_changes_nothing_in_its_predictions(name, task):
    preds, y, folds = example(task)
    settings = {"task": task, "metric": METRIC[task], "seed": 0}
    expected = cross_fit(BLENDERS[name], preds, y, folds, **settings)
    garbage = y.copy()
    held_out = folds == 1
    garbage[held_out] = y[held_out].max() - y[held_out]
    if task == "regression":
        garbage[held_out] *= 1e6
    found = cross_fit(BLENDERS[name], preds, garbage, folds, **settings)
    np.testing.assert_array_equal(found[held_out], expected[held_out])
    if name not in ("mean", "rank_mean", "geometric_mean"):
        assert (found[~held_out] != expected[~held_out]).any()  # garbage was seen elsewhere


@pytest.mark.parametrize(("name", "task"), CASES)
def test_each_fold_is_one_fit_on_the_other_folds(name, task):
    preds, y, folds = example(task)
    settings = {"task": task, "metric": METRIC[task], "seed": 5}
    found = cross_fit(BLENDERS[name], preds, y, folds, **settings)
    fit, new = folds != 2, folds == 2
    expected = BLENDERS[name](preds[fit], y[fit], preds[new], **settings)
    np.testing.assert_array_equal(found[new], expected)


def test_every_row_is_blended_once_by_a_fit_that_did_not_hold_it():
    rows = np.arange(6.0)
    folds = np.array(["b", "a", "b", "c", "a", "c"])

    def blender(preds, y, new_preds, **settings):
        assert not set(y[:, 0]) & set(new_preds[:, 0, 0])
        assert len(y) == 4
        return new_preds[:, 0] * 10

    found = cross_fit(
        blender, rows[:, None, None], rows[:, None], folds, task="regression", metric="mae", seed=0
    )
    assert found[:, 0].tolist() == (rows * 10).tolist()


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (np.zeros(90), r"with 1$"),
        (np.arange(89), r"got \(89,\)"),
        (np.zeros((90, 2)), r"\(90, 2\)"),
    ],
)
def test_folds_are_one_a_row_and_two_at_least(folds, message):
    preds, y, _ = example("regression")
    with pytest.raises(ValueError, match=f"cross-fitting 90 rows takes .*{message}"):
        cross_fit(BLENDERS["mean"], preds, y, folds, task="regression", metric="rmse", seed=0)


# intervals


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


def test_candidates_share_the_draws():
    y, (a, b, c) = errors(scales=(1, 1.1, 1.2))
    together = difference_intervals("rmse", "regression", y, [a, b], c, n_resamples=50, seed=3)
    assert together.shape == (2, 3)
    for row, candidate in zip(together, (a, b), strict=True):
        assert tuple(row) == interval("rmse", y, candidate, c, n_resamples=50, seed=3)


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


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(60):
        y, (a, b) = errors(n=100, seed=seed, scales=(1.0, 1.2))
        _, low, high = interval("rmse", y, a, b, n_resamples=150, seed=seed)
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
    found = difference_interval("auc", "binary", y, a, b, seed=0)
    assert np.isfinite(found).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nobody = difference_interval("auc", "binary", np.zeros(10, dtype=int), a, b, seed=0)
    assert np.isnan(nobody).all()


def test_fold_scores_round_to_the_labels_of_all_rows():
    y = np.array([[0.0], [2.0], [0.0], [2.0], [1.0]])
    p = np.array([[0.0], [1.2], [0.1], [1.9], [1.0]])
    folds = np.array([1, 1, 0, 0, 0])
    found = fold_scores("qwk", "regression", y, p, folds)
    assert found == pytest.approx([1, 2 / 3])  # 1.2 goes to 1, a label of the other fold


# the leaderboard and the choice


def board_of(metric="rmse", extra=(), n=300, **settings):
    """A board of a good member, the plain mean of two, and more entries."""
    y, (good, bad) = errors(n=n, scales=(0.5, 1.5))
    mean = (good + bad) / 2
    entries = [
        Entry("bad", "member", bad),
        Entry("good", "external", good),
        Entry(PLAIN_MEAN, "blend", mean, mean),
        *(make(y, good, bad) for make in extra),
    ]
    settings = {"task": "regression", "metric": metric, "n_resamples": 100, "seed": 0, **settings}
    return leaderboard(entries, y, np.arange(n) % 3, **settings), y, good, bad


def convex(y, good, bad):
    return Entry("blend_convex", "blend", 0.9 * good + 0.1 * bad, (9 * good + bad + y) / 11)


def useless(y, good, bad):
    return Entry("blend_useless", "blend", bad, good)


def undefined(y, good, bad):
    return Entry("blend_undefined", "blend", np.ones_like(y), good)


@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_the_board_is_sorted_best_first_in_either_direction(metric):
    board, *_ = board_of(metric, [useless, convex])
    names = ["blend_convex", "good", PLAIN_MEAN, "bad", "blend_useless"]
    if board["name"].iloc[0] == "good":
        names[:2] = names[1::-1]
    assert board["name"].tolist() == names
    assert board["score"].is_monotonic_increasing == (metric == "rmse")


def test_the_columns_of_the_board():
    board, y, good, bad = board_of(extra=[convex])
    columns = ["name", "kind", "score", "fold_mean", "fold_sd", "optimism"]
    assert board.columns.tolist() == [*columns, "gain", "gain_low", "gain_high", "chosen"]
    lines = board.set_index("name")
    assert lines["kind"].to_dict() == {
        "good": "external",
        "bad": "member",
        PLAIN_MEAN: "blend",
        "blend_convex": "blend",
    }
    by_fold = [np.sqrt(np.mean((bad - y)[k::3] ** 2)) for k in range(3)]
    assert lines.loc["bad", "score"] == pytest.approx(np.sqrt(np.mean((bad - y) ** 2)))
    assert lines.loc["bad", "fold_mean"] == pytest.approx(np.mean(by_fold))
    assert lines.loc["bad", "fold_sd"] == pytest.approx(np.std(by_fold, ddof=1))
    gain = lines.loc[PLAIN_MEAN, "score"] - lines.loc["good", "score"]
    assert lines.loc["good", "gain"] == pytest.approx(gain)
    assert lines.loc["good", "gain_low"] < gain < lines.loc["good", "gain_high"]
    assert lines.loc[PLAIN_MEAN, ["gain", "gain_low", "gain_high"]].tolist() == [0, 0, 0]


@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_optimism_is_how_much_better_the_in_sample_score_looks(metric):
    board, y, good, bad = board_of(metric, [convex])
    optimism = board.set_index("name")["optimism"]
    assert np.isnan(optimism[["good", "bad"]]).all()
    assert optimism[PLAIN_MEAN] == 0
    entry = convex(y, good, bad)
    in_sample, honest = (
        score(metric, "regression", y, p) for p in (entry.in_sample, entry.predictions)
    )
    assert optimism["blend_convex"] == pytest.approx(abs(in_sample - honest))


@pytest.mark.parametrize("metric", ["pearson", "spearman"])
def test_an_undefined_score_comes_last_and_is_not_chosen(metric):
    board, *_ = board_of(metric, [undefined, useless])
    last = board.iloc[-1]
    assert last["name"] == "blend_undefined"
    assert np.isnan(last[["score", "fold_mean", "fold_sd", "gain_low"]].astype(float)).all()
    assert not last["chosen"]


def test_a_blend_surely_better_than_the_mean_is_chosen():
    board, *_ = board_of(extra=[useless, convex])
    assert board.loc[board["chosen"], "name"].tolist() == ["blend_convex"]


def test_a_single_predictor_is_never_chosen_nor_a_blend_that_is_worse():
    board, *_ = board_of(extra=[useless])
    assert board["name"].iloc[0] == "good"
    assert board.loc[board["chosen"], "name"].tolist() == [PLAIN_MEAN]


def test_a_blend_that_may_be_better_by_chance_is_not_chosen():
    def lucky(y, good, bad):
        noise = np.random.default_rng(4).normal(size=y.shape)
        return Entry("blend_lucky", "blend", (good + bad) / 2 + 0.05 * noise, good)

    found = []
    for n in (300, 301, 302):
        board, *_ = board_of(extra=[lucky], n=n)
        gain = board.set_index("name").loc["blend_lucky"]
        assert gain["gain_low"] < 0 < gain["gain_high"]
        assert board.loc[board["chosen"], "name"].tolist() == [PLAIN_MEAN]
        found.append(gain["gain"])
    assert max(found) > 0  # or the test would show nothing


def test_one_predictor_alone_is_its_own_plain_mean():
    y, (a,) = errors(scales=(1,))
    entries = [Entry("only", "member", a), Entry(PLAIN_MEAN, "blend", a, a)]
    board = leaderboard(
        entries, y, np.arange(200) % 2, task="regression", metric="rmse", n_resamples=20, seed=0
    )
    assert board["gain"].tolist() == [0, 0]
    assert board.set_index("name")["chosen"].to_dict() == {"only": False, PLAIN_MEAN: True}


@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_ties_keep_their_order(metric):
    def copy(i):
        return lambda y, good, bad: Entry(f"copy_{i}", "member", good if i % 2 else bad)

    board, *_ = board_of(metric, [copy(i) for i in range(60)], n_resamples=2)
    names = board["name"].tolist()
    assert names[:31] == ["good", *(f"copy_{i}" for i in range(1, 60, 2))]
    assert names[32:] == ["bad", *(f"copy_{i}" for i in range(0, 60, 2))]


def test_groups_widen_the_intervals_of_the_board():
    groups = np.arange(300) // 30
    alone, together = (board_of(groups=g)[0].set_index("name").loc["good"] for g in (None, groups))
    assert alone["gain"] == together["gain"]
    assert alone["gain_low"] != together["gain_low"]


def test_a_board_without_the_plain_mean_is_refused():
    y, (a,) = errors(scales=(1,))
    with pytest.raises(ValueError, match=r"no 'blend_mean' among \['only'\]"):
        leaderboard(
            [Entry("only", "member", a)],
            y,
            np.arange(200) % 2,
            task="regression",
            metric="rmse",
            seed=0,
        )


@pytest.mark.parametrize(
    ("lows", "expected"),
    [
        ([0.2, 0.1, 0.3, 0.0], "blend_a"),  # the best score, not the widest margin
        ([0.2, -0.1, 0.3, 0.0], "blend_b"),
        ([0.2, 0.0, -0.3, 0.0], PLAIN_MEAN),  # above 0, not at it
        ([0.2, np.nan, np.nan, 0.0], PLAIN_MEAN),
    ],
)
def test_the_choice_is_the_best_blend_whose_interval_lies_above_0(lows, expected):
    board = pd.DataFrame(
        {
            "name": ["member", "blend_a", "blend_b", PLAIN_MEAN],
            "kind": ["member", "blend", "blend", "blend"],
            "gain_low": lows,
        }
    )
    assert choose(board) == expected
