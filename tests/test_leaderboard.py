"""The leaderboard and the choice."""

import numpy as np
import pandas as pd
import pytest
from scored import errors, score, target_of

from pipeline.ensemble.leaderboard import PLAIN_MEAN, Entry, choose, fold_scores, leaderboard
from pipeline.scoring.intervals import N_BOOTSTRAP, bootstrap_scores, difference_interval
from pipeline.scoring.target import Target


def test_fold_scores_round_to_the_labels_of_all_rows():
    y = np.array([[0.0], [2.0], [0.0], [2.0], [1.0]])
    p = np.array([[0.0], [1.2], [0.1], [1.9], [1.0]])
    folds = np.array([1, 1, 0, 0, 0])
    found = fold_scores(Target.of(y, "regression", "qwk"), p, folds)
    assert found == pytest.approx([1, 2 / 3])  # 1.2 goes to 1, a label of the other fold


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
    target = Target.of(y, "regression", metric)
    settings = {"n_bootstrap": 100, "seed": 0, **settings}
    return leaderboard(entries, target, np.arange(n) % 3, **settings), y, good, bad


def convex(y, good, bad):
    return Entry("blend_convex", "blend", 0.9 * good + 0.1 * bad, (9 * good + bad + y) / 11)


def useless(y, good, bad):
    return Entry("blend_useless", "blend", bad, good)


def constant(y, good, bad):
    return Entry("blend_constant", "blend", np.ones_like(y), good)


@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_the_board_is_sorted_best_first_in_either_direction(metric):
    board, *_ = board_of(metric, [useless, convex])
    names = ["blend_convex", "good", PLAIN_MEAN, "bad", "blend_useless"]
    assert board["name"].tolist() == names
    assert board["score"].is_monotonic_increasing == (metric == "rmse")


def test_the_columns_of_the_board():
    board, y, good, bad = board_of(extra=[convex])
    gains = [
        f"{gain}{end}" for gain in ("gain", "gain_over_single") for end in ("", "_low", "_high")
    ]
    columns = [
        "name",
        "kind",
        "alone",
        "score",
        "fold_mean",
        "fold_sd",
        "optimism",
        *gains,
        "chosen",
    ]
    assert board.columns.tolist() == columns
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


def test_the_best_single_predictor_is_no_blend():
    board, y, good, bad = board_of(extra=[convex], n_bootstrap=N_BOOTSTRAP)
    lines = board.set_index("name")
    gains = ["gain_over_single", "gain_over_single_low", "gain_over_single_high"]
    assert lines.loc["good", gains].tolist() == [0, 0, 0]
    for name, other in (("blend_convex", convex(y, good, bad).predictions), ("bad", bad)):
        expected = difference_interval(Target.of(y, "regression", "rmse"), other, good, seed=0)
        assert lines.loc[name, gains].tolist() == pytest.approx(expected)


def test_a_blend_whose_weights_all_lie_on_one_member_is_that_member():
    def all_on(y, good, bad):
        return Entry("blend_all", "blend", (1 - 1e-9) * good + 1e-9 * bad, good)

    board, *_ = board_of(extra=[all_on, convex])
    alone = board.set_index("name")["alone"]
    assert alone["blend_all"] == "good"
    assert alone.drop("blend_all").isna().all()  # a single predictor is not said to be itself


def test_a_blend_with_a_little_of_another_member_is_a_blend():
    def nearly(y, good, bad):
        return Entry("blend_nearly", "blend", 0.999 * good + 0.001 * bad, good)

    board, *_ = board_of(extra=[nearly])
    assert board["alone"].isna().all()


def test_a_fold_without_a_score_is_left_out_of_the_folds_mean_and_deviation():
    y = np.array([0, 1, 1, 0, 1, 1, 1, 1])
    p = np.array([0.1, 0.9, 0.2, 0.3, 0.8, 0.9, 0.5, 0.4])[:, None]
    folds = np.repeat([0, 1, 2], [3, 3, 2])  # the last holds one class
    entries = [Entry(PLAIN_MEAN, "blend", p, p)]
    target = Target.of(y, "binary", "auc")
    (line,) = leaderboard(entries, target, folds, n_bootstrap=5, seed=0).to_dict("records")
    by_fold = [1.0, 1.0]
    assert (line["fold_mean"], line["fold_sd"]) == (np.mean(by_fold), np.std(by_fold, ddof=1))


def test_a_blend_that_leaves_its_member_on_one_row_is_a_blend():
    def nearly(y, good, bad):
        values = good.copy()
        values[0] = bad[0]
        return Entry("blend_nearly", "blend", values, good)

    board, *_ = board_of(extra=[nearly])
    assert board["alone"].isna().all()


def test_blends_alone_have_no_single_predictor_to_beat():
    y, (a, b) = errors(scales=(1, 2))
    entries = [Entry(PLAIN_MEAN, "blend", a, a), Entry("blend_b", "blend", b, b)]
    board = leaderboard(entries, target_of(y), np.arange(200) % 2, n_bootstrap=9, seed=0)
    assert board.filter(like="single").isna().all(axis=None)


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
def test_a_constant_blend_comes_last_and_is_not_chosen(metric):
    board, *_ = board_of(metric, [constant, useless])
    last = board.iloc[-1]
    assert last["name"] == "blend_constant"
    assert last["score"] == 0
    assert last["gain_low"] < 0
    assert not last["chosen"]


def test_a_blend_surely_better_than_the_mean_is_chosen():
    board, *_ = board_of(extra=[useless, convex])
    assert board.loc[board["chosen"], "name"].tolist() == ["blend_convex"]


def test_a_single_predictor_is_never_chosen_nor_a_blend_that_is_worse():
    board, *_ = board_of(extra=[useless])
    assert board["name"].iloc[0] == "good"
    assert board.loc[board["chosen"], "name"].tolist() == [PLAIN_MEAN]


def test_one_predictor_alone_is_its_own_plain_mean():
    y, (a,) = errors(scales=(1,))
    entries = [Entry("only", "member", a), Entry(PLAIN_MEAN, "blend", a, a)]
    board = leaderboard(entries, target_of(y), np.arange(200) % 2, n_bootstrap=20, seed=0)
    assert board["gain"].tolist() == [0, 0]
    assert board.set_index("name")["chosen"].to_dict() == {"only": False, PLAIN_MEAN: True}


@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_ties_keep_their_order(metric):
    def copy(i):
        return lambda y, good, bad: Entry(f"copy_{i}", "member", good if i % 2 else bad)

    board, *_ = board_of(metric, [copy(i) for i in range(60)], n_bootstrap=2)
    names = board["name"].tolist()
    assert names[:31] == ["good", *(f"copy_{i}" for i in range(1, 60, 2))]
    assert names[32:] == ["bad", *(f"copy_{i}" for i in range(0, 60, 2))]


def test_groups_widen_the_intervals_of_the_board():
    """Five copies of each row hold no more evidence than one: sqrt(5) times the width."""
    y, (good, bad) = (np.repeat(of, 5, axis=-2) for of in errors(n=100, scales=(0.5, 1.5)))
    entries = [Entry("good", "member", good), Entry(PLAIN_MEAN, "blend", (good + bad) / 2)]
    folds, groups = np.arange(500) % 3, np.arange(500) // 5
    alone, together = (
        leaderboard(entries, target_of(y, g), folds, seed=0).set_index("name").loc["good"]
        for g in (None, groups)
    )
    assert alone["gain"] == together["gain"]
    widths = [line["gain_high"] - line["gain_low"] for line in (alone, together)]
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(5), rel=0.15)


def test_the_noise_of_fitting_widens_the_intervals_about_the_gain():
    """By sqrt(1 + v / variance of the draws); of lines without such noise it widens none."""
    y, (good, bad) = errors(scales=(0.5, 1.5))
    blend, mean = 0.9 * good + 0.1 * bad, (good + bad) / 2
    drawn = bootstrap_scores(target_of(y), [blend, mean, good], n_bootstrap=100, seed=0)
    spread = {
        "gain": (drawn[:, 1] - drawn[:, 0]).var(),
        "gain_over_single": (drawn[:, 2] - drawn[:, 0]).var(),
    }
    v = 3 * spread["gain"]

    def board_with(fit_variance):
        entries = [
            Entry("good", "member", good),
            Entry(PLAIN_MEAN, "blend", mean),
            Entry("blend_b", "blend", blend, fit_variance=fit_variance),
        ]
        board = leaderboard(entries, target_of(y), np.arange(200) % 3, n_bootstrap=100, seed=0)
        return board.set_index("name")

    given, noisy = board_with(0.0), board_with(v)
    for gain, variance in spread.items():
        ends = [f"{gain}_low", f"{gain}_high"]
        before, after = (
            board.loc["blend_b", ends] - board.loc["blend_b", gain] for board in (given, noisy)
        )
        assert after.tolist() == pytest.approx((np.sqrt(1 + v / variance) * before).tolist())
    others = ["good", PLAIN_MEAN]
    pd.testing.assert_frame_equal(noisy.loc[others], given.loc[others])


@pytest.mark.parametrize(
    ("gains", "errors", "expected"),
    [
        ([0.9, 0.3, 0.2, 0.0], [0.1, 0.5, 0.1, 0.0], "blend_a"),  # no member, however good
        ([0.9, 0.3, 0.2, 0.0], [0.1, 0.7, 0.3, 0.0], "blend_b"),
        ([0.9, 0.3, 0.2, 0.0], [0.1, 0.7, 0.5, 0.0], PLAIN_MEAN),
        ([0.9, -0.1, -0.2, 0.0], [0.1, 0.0, 0.0, 0.0], PLAIN_MEAN),
        ([0.9, np.nan, np.nan, 0.0], [0.1, np.nan, np.nan, 0.0], PLAIN_MEAN),
        ([0.9, np.nan, 0.1, 0.0], [0.1, np.nan, 0.1, 0.0], "blend_b"),
    ],
)
def test_the_choice_is_the_best_blend_that_gains_half_a_standard_error(gains, errors, expected):
    board = pd.DataFrame(
        {
            "name": ["member", "blend_a", "blend_b", PLAIN_MEAN],
            "kind": ["member", "blend", "blend", "blend"],
            "gain": gains,
            "gain_low": np.array(gains) - 1.96 * np.array(errors),
        }
    )
    assert choose(board) == expected
