"""What the terminal says of a leaderboard."""

import re

import numpy as np
import pandas as pd
import pytest

from pipeline.reporting.screen import summary

NONE = np.nan
COLUMNS = ["name", "kind", "score", "gain", "gain_low", "gain_high"]
SINGLE = ["gain_over_single", "gain_over_single_low", "gain_over_single_high"]


def board(chosen="blend_convex"):
    lines = [
        ["blend_convex", "blend", 0.5, 0.02, 0.01, 0.03, 0.04, 0.01, 0.05, 0.006],
        ["blend_mean", "blend", 0.52, 0.0, 0.0, 0.0, 0.02, -0.01, 0.04, 0.0],
        ["nan", "member", 0.54, -0.02, -0.04, 0.01, 0.0, 0.0, 0.0, NONE],
        ["constant", "external", NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE],
    ]
    table = pd.DataFrame(lines, columns=[*COLUMNS, *SINGLE, "optimism"])
    return table.assign(chosen=table["name"] == chosen)


EXPECTED = {
    "score": 0.51,
    "gain": 0.01,
    "gain_low": -0.005,
    "gain_high": 0.02,
    "chosen": ["blend_convex", "blend_mean", "blend_convex"],
}


def test_columns_are_aligned_and_the_chosen_line_is_marked():
    lines = summary(board(), "rmse", EXPECTED).splitlines()
    header, *rows = lines[2:7]
    assert [row.split()[0] for row in rows] == ["*", "blend_mean", "nan", "constant"]
    for title in ("score", "over the plain mean", "over the best single"):
        end = header.index(title) + len(title)
        assert {row[end - 1 : end + 1] for row in rows} <= {"0 ", "0", "] ", "]", "d ", "d"}
    gains = ["+0.0200 [+0.0100, +0.0300]", "+0.0400 [+0.0100, +0.0500]"]
    assert " ".join(rows[0].split()) == f"* blend_convex blend 0.5000 {' '.join(gains)} +0.0060"
    assert rows[3].split() == ["constant", "external", *["undefined"] * 3]


def test_it_says_why_and_what_to_expect():
    told = summary(board(), "rmse", EXPECTED)
    assert re.search(r"\brmse\b.*\blower\b", told)
    why, what_to_expect, chosen = told.splitlines()[7:]
    assert re.match(r"\* .*\bblend_convex\b", why)
    assert re.search(r"\b0\.5100\b.*\+0\.0100 \[-0\.0050, \+0\.0200\]", what_to_expect)
    assert chosen.endswith(" blend_convex (2), blend_mean (1)")


def test_of_one_blend_nothing_is_chosen():
    alone = board("blend_mean").iloc[1:]
    (of_the_choice,) = summary(alone, "rmse", None).splitlines()[6:]
    assert of_the_choice.startswith("* ")
    assert "mean" not in of_the_choice


def test_the_plain_mean_is_chosen_for_want_of_a_better_one():
    told = summary(board("blend_mean"), "auc", EXPECTED)
    assert re.search(r"\bauc\b.*\bhigher\b", told)
    assert re.match(r"\* .*\bmean\b", told.splitlines()[7])


def test_an_estimate_that_was_not_made_is_not_told():
    told = summary(board(), "rmse", None)
    assert re.search(r"\b0\.5000\b", told.splitlines()[8])


def test_an_undefined_estimate_is_told_as_such():
    undefined = {**EXPECTED, "score": None, "gain": None, "gain_low": None, "gain_high": None}
    assert "undefined" in summary(board(), "rmse", undefined).splitlines()[8]


def test_one_bad_predictor_does_not_hide_the_digits_of_the_good_ones():
    good = board().assign(score=[1.2345e-6, 1.3e-6, 0.5, NONE], gain=[6.55e-8, 0, -0.5, NONE])
    told = summary(good, "rmse", None)
    assert "0.000001234" in told or "0.000001235" in told
    assert "+0.000000066" in told or "+0.000000065" in told


@pytest.mark.parametrize("score", [1e-9, -1e-9, 0.0, NONE, 0.5])
def test_where_greater_is_better_four_digits_are_enough(score):
    line = board().assign(score=score)
    assert "0.01000" not in summary(line, "pearson", None)


@pytest.mark.parametrize(
    ("scale", "shown"), [(1e-4, " 0.00005000 "), (0.1, " 0.0500 "), (1e3, " 500.0000 ")]
)
def test_small_scores_keep_four_digits(scale, shown):
    numbers = board().select_dtypes(float).columns
    scaled = board().assign(**{name: board()[name] * scale for name in numbers})
    assert shown in summary(scaled, "rmse", None)
