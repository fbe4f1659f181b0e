"""The leaderboard in the terminal."""

import re
from functools import partial

import numpy as np
import pandas as pd
import pytest

from pipeline.reporting import screen
from pipeline.scoring.metrics import METRICS

summary = partial(screen.summary, over_constant=(None, None, None), postprocessing=None)
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


def parts_of(text):
    """Of each line of the table its name, mark and cells, by name; and the words below it."""
    lines = text.splitlines()
    header = next(i for i, line in enumerate(lines) if line.split() == ["score", "gain"])
    # lines of the table begin with a mark and two blanks, or with three
    end = next(i for i in range(header + 1, len(lines)) if lines[i][1:3] != "  ")
    cells = {}
    for line in lines[header + 1 : end]:
        is_chosen, words = line.startswith("*"), line.removeprefix("*").split()
        cells[words[0]] = (is_chosen, words[1:])
    return cells, " ".join(lines[end:])


def long_board(n_blends=12, n_members=3):
    """Blends, the worst of which is chosen, then members."""
    names = [f"blend_{k}" for k in range(n_blends)] + [f"member_{k}" for k in range(n_members)]
    kinds = ["blend"] * n_blends + ["member"] * n_members
    table = pd.DataFrame({"name": names, "kind": kinds, "score": np.linspace(0.5, 0.6, len(names))})
    gains = dict.fromkeys(["gain", "gain_low", "gain_high"], 0.01)
    return table.assign(**gains, chosen=table["name"] == f"blend_{n_blends - 1}")


def test_the_chosen_line_is_marked_and_numbers_stand_below_each_other():
    text = summary(board(), METRICS["rmse"], EXPECTED)
    assert parts_of(text)[0] == {
        "blend_convex": (True, ["blend", "0.5000", "+0.0200", "[+0.0100,", "+0.0300]"]),
        "blend_mean": (False, ["blend", "0.5200", "+0.0000", "[+0.0000,", "+0.0000]"]),
        "nan": (False, ["member", "0.5400", "-0.0200", "[-0.0400,", "+0.0100]"]),
        "constant": (False, ["external", "undefined", "undefined"]),
    }
    header, *rows = text.splitlines()[1:6]
    assert {len(line) for line in (header, *rows)} == {len(header)}
    end = header.index("score") + len("score")
    assert {row[end - 1 : end + 1] for row in rows} == {"0 ", "d "}


def test_the_five_best_the_chosen_one_and_every_member_are_shown():
    text = summary(long_board(), METRICS["rmse"], EXPECTED)
    shown = [*(f"blend_{k}" for k in range(5)), "blend_11", *(f"member_{k}" for k in range(3))]
    assert list(parts_of(text)[0]) == shown
    assert re.match(r"\W*6\b.*\bleaderboard\.csv\b", parts_of(text)[1])
    assert "leaderboard.csv" not in summary(board(), METRICS["rmse"], EXPECTED)


def test_a_blend_that_is_one_member_says_so_and_is_no_gain():
    text = summary(board().assign(alone=["nan", NONE, NONE, NONE]), METRICS["rmse"], EXPECTED)
    assert parts_of(text)[0]["blend_convex"] == (True, ["blend", "0.5000", "is", "nan", "alone"])
    assert re.match(r"\* .*\bblend_convex\b.*\bnan alone\b", parts_of(text)[1])
    assert "alone" not in summary(board().assign(alone=NONE), METRICS["rmse"], EXPECTED)


@pytest.mark.parametrize("scale", [1e-300, 1e-9, 1e-3, 1, 1e4, 1e12])
def test_no_line_is_wider_than_a_hundred_characters_and_all_is_ascii(scale):
    names = ["blend_" + "x" * 90, "blend_mean", "nan", "m" * 200]
    numbers = board().select_dtypes(float).columns
    wide = board().assign(**{name: -1.23456789 * scale * board()[name] for name in numbers})
    wide = wide.assign(
        name=names,
        kind=["blend", "blend", "external, folds unknown, suspicious", "member"],
        score=1.23456789 * scale,
        alone=[NONE, NONE, NONE, NONE],
    )
    expected = {**EXPECTED, "chosen": [f"blend_{k}_of_many" for k in range(10)]}
    for alone in (NONE, names[3]):
        text = summary(wide.assign(alone=[alone, NONE, NONE, NONE]), METRICS["rmse"], expected)
        assert max(map(len, text.splitlines())) <= 100
        assert text.isascii()


@pytest.mark.parametrize("kind", ["member", "external, folds unknown"])
@pytest.mark.parametrize("alone", [NONE, "deberta-v3-large_attention-s12"])
def test_names_of_thirty_characters_are_shown_whole(kind, alone):
    names = ["blend_hill_climb.cut_points", "blend_mean"]
    names += [f"deberta-v3-large_attention-s1{k}" for k in range(2)]
    table = board().assign(name=names, kind=["blend", "blend", kind, kind])
    text = summary(table.assign(alone=[alone, NONE, NONE, NONE]), METRICS["rmse"], EXPECTED)
    assert set(parts_of(text)[0]) == set(names)
    assert max(map(len, text.splitlines())) <= 100


def test_names_that_are_too_long_keep_what_tells_them_apart():
    names = ["blend_convex", "blend_mean", *("m" * 150 + f"-s{k}" for k in range(2))]
    told = parts_of(summary(board().assign(name=names), METRICS["rmse"], EXPECTED))[0]
    assert len(told) == 4


def test_it_says_why_and_what_to_expect():
    text = summary(board(), METRICS["rmse"], EXPECTED)
    assert re.search(r"\brmse\b.*\blower\b", text)
    told = parts_of(text)[1]
    assert re.match(r"\* .*\bblend_convex\b", told)
    assert re.search(r"\b0\.5100\b.*\+0\.0100 \[-0\.0050, \+0\.0200\]", told)
    assert told.endswith(" blend_convex (2), blend_mean (1)")


def test_of_one_blend_nothing_is_chosen():
    alone = board("blend_mean").iloc[1:]
    told = parts_of(summary(alone, METRICS["rmse"], None))[1]
    assert told.startswith("* ")
    assert "mean" not in told


def test_the_plain_mean_is_chosen_for_want_of_a_better_one():
    text = summary(board("blend_mean"), METRICS["auc"], EXPECTED)
    assert re.search(r"\bauc\b.*\bhigher\b", text)
    assert re.match(r"\* .*\bblend_mean\b", parts_of(text)[1])


def test_an_estimate_that_was_not_made_is_not_told():
    told = parts_of(summary(board(), METRICS["rmse"], None))[1]
    assert re.search(r"\b0\.5000\b", told)
    assert "0.5100" not in told


def test_an_undefined_estimate_is_told_as_such():
    undefined = {**EXPECTED, "score": None, "gain": None, "gain_low": None, "gain_high": None}
    assert "undefined" in parts_of(summary(board(), METRICS["rmse"], undefined))[1]


def test_a_gain_that_rounds_to_0_is_no_loss():
    told = summary(board().assign(gain=-1e-6), METRICS["auc"], EXPECTED)
    assert "-0.0000" not in told


def test_one_bad_predictor_does_not_hide_the_digits_of_the_good_ones():
    good = board().assign(score=[1.2345e-6, 1.3e-6, 0.5, NONE], gain=[6.55e-8, 0, -0.5, NONE])
    told = summary(good, METRICS["rmse"], None)
    assert "0.000001234" in told or "0.000001235" in told
    assert "+0.000000066" in told or "+0.000000065" in told


@pytest.mark.parametrize("score", [1e-9, -1e-9, 0.0, NONE, 0.5])
def test_where_greater_is_better_four_digits_are_enough(score):
    line = board().assign(score=score)
    assert "0.01000" not in summary(line, METRICS["pearson"], None)


@pytest.mark.parametrize(
    ("scale", "shown"), [(1e-4, " 0.00005000 "), (0.1, " 0.0500 "), (1e3, " 500.0000 ")]
)
def test_small_scores_keep_four_digits(scale, shown):
    numbers = board().select_dtypes(float).columns
    scaled = board().assign(**{name: board()[name] * scale for name in numbers})
    assert shown in summary(scaled, METRICS["rmse"], None)
