"""The report's numbers: how they are written, and what they are by hand."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from pipeline.reporting.behaviour import ks
from pipeline.reporting.numbers import FORMATS
from pipeline.reporting.runs import learning_curves, minutes_of
from pipeline.reporting.summary import without_nan
from pipeline.reporting.svg import VARIABLES, drawn
from pipeline.reporting.verdict import verdict


@pytest.mark.parametrize(
    ("style", "number", "written"),
    [
        ("value", 0.93498, "0.9350"),
        ("value", -0.5, "−0.5000"),
        ("value", -0.00001, "0.0000"),
        ("value", 12345.67, "12,345.7"),
        ("value", None, "–"),
        ("signed", 0.00062, "+0.0006"),
        ("signed", -0.0023, "−0.0023"),
        ("signed", 0, "0"),
        ("signed", -0.00001, "−0.0000"),
        ("signed", float("nan"), "–"),
        ("rate", 0.0000953, "+0.000095"),
        ("rate", -0.25, "−0.25"),
        ("short", 0.926, "0.93"),
        ("count", 3325, "3,325"),
        ("percent", 0.9, "90 %"),
        ("duration", 0.5, "30 s"),
        ("duration", 14.23, "14.2 min"),
        ("duration", 150, "2.5 h"),
        ("duration", None, "–"),
    ],
)
def test_numbers_are_written_the_same_way_everywhere(style, number, written):
    assert FORMATS[style](number) == written


def test_json_gets_no_nan_and_no_numpy():
    found = without_nan({"a": np.array([1.0, np.nan]), "b": (np.int64(3), {"c": np.bool_(True)})})
    assert found == {"a": [1.0, None], "b": [3, {"c": True}]}
    assert type(found["b"][0]) is int


def test_the_gap_of_two_distributions_is_scipys():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=70).round(1), rng.normal(0.3, 1, 50).round(1)
    assert ks(first, second) == pytest.approx(ks_2samp(first, second).statistic)
    assert ks(first, first) == 0
    assert ks(first, first + 100) == 1


def test_minutes_are_known_only_when_those_of_all_units_are():
    runs = {0: {"seconds": 60}, 1: {"seconds": 30}}
    assert minutes_of(runs, 2) == pytest.approx(1.5)
    assert minutes_of(runs, 3) is None
    assert minutes_of({0: {}}, 1) is None


def test_a_long_log_becomes_sixty_means():
    log = [{"epoch": k / 100, "loss": float(k)} for k in range(600)]
    (unit,) = learning_curves({"mean": {0: log}, "max": {}})["mean"]
    assert len(unit["loss"]) == 60
    assert unit["loss"][0] == pytest.approx(4.5)
    assert unit["epoch"][-1] == pytest.approx(5.945)


def board(chosen, **more):
    base = {"gain_low": 0.001, "gain_high": 0.003}
    return {
        "metric": "rmse",
        "greater_is_better": False,
        "chosen": {"name": chosen, "kind": "blend", "score": 0.5, "gain": 0.002, **base, **more},
        "leaderboard": [
            {"name": chosen, "kind": "blend", "score": 0.5},
            {"name": "max", "kind": "member", "score": 0.52},
            {"name": "min", "kind": "member", "score": 0.6},
        ],
    }


def test_the_verdict_names_the_blend_its_gain_and_the_best_single_one():
    assert verdict(board("blend_convex")) == (
        "Submit blend_convex: its rmse on held-out rows is 0.5000, +0.0020 over the plain mean of "
        "the 2 predictors (95 % interval +0.0010 to +0.0030), and +0.0200 over the best single "
        "one, max."
    )


def test_the_verdict_takes_the_interval_over_the_single_one_where_there_is_one():
    more = {"gain_over_single_low": -0.01, "gain_over_single_high": 0.05}
    assert verdict(board("blend_convex", **more)).endswith("one, max (−0.0100 to +0.0500).")


def test_the_verdict_says_when_nothing_beats_the_plain_mean():
    told = verdict(board("blend_mean"))
    assert told.startswith("Submit blend_mean: no blend is surely better than the plain mean of")


def test_a_figure_has_the_colours_of_the_page_and_an_escaped_description():
    def draw(figure):
        figure.subplots().plot([0, 1], [0, 1], label="<b>&")
        figure.text(0.5, 0.5, '<script>"$x$"</script>')

    svg = drawn(draw, 2, 'a "quoted" <b>')
    assert svg.startswith('<svg role="img" aria-label="a &quot;quoted&quot; &lt;b&gt;"')
    assert "<script" not in svg
    assert "var(--line)" in svg
    assert not [colour for colour in VARIABLES if colour in svg]
    assert svg == drawn(draw, 2, 'a "quoted" <b>')
