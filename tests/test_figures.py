"""The report's figures, read from the axes before they become SVG."""

import json
import re

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from report_numbers import whole_evidence

from pipeline.reporting import curves, figures
from pipeline.reporting.summary import summarise
from pipeline.reporting.svg import STYLE, WIDTH, drawn


@pytest.fixture(scope="module")
def summary():
    return summarise(whole_evidence())


@pytest.fixture
def axes_of():
    """Makes the axes that a figure of the report draws on."""

    def axes(function, *arguments):
        figure = Figure()
        function(figure, *arguments)
        return figure.axes[0]

    return axes


def names_at(axes):
    """The names along the y axis by their place."""
    texts = [label.get_text() for label in axes.get_yticklabels()]
    return dict(zip(axes.get_yticks().tolist(), texts, strict=True))


def points_of(axes, marker):
    """By name, the x of the points with this marker."""
    names, lines = names_at(axes), [line for line in axes.lines if line.get_marker() == marker]
    xy = [(x, y) for line in lines for x, y in np.transpose(line.get_data())]
    return {names[y]: x for x, y in xy}


def spans_of(axes):
    """By name, the ends of its horizontal line."""
    names = names_at(axes)
    found = {}
    for line in axes.lines:
        (*xs,), (*ys,) = line.get_data()
        if line.get_marker() == "None" and ys[0] == ys[1]:
            found[names[ys[0]]] = xs
    return found


def bars_of(axes):
    """By name, the end of its bar."""
    names = names_at(axes)
    return {names[round(b.get_y() + b.get_height() / 2)]: b.get_width() for b in axes.patches}


def test_a_point_of_the_gains_is_the_gain_and_its_line_the_interval(summary, axes_of):
    axes, board = axes_of(figures.gains, summary), summary["leaderboard"]
    assert list(names_at(axes).values()) == [line["name"] for line in board]
    assert points_of(axes, "o") == {line["name"]: line["gain"] for line in board}
    ends = {line["name"]: [line["gain_low"], line["gain_high"]] for line in board}
    assert spans_of(axes) == ends


def test_a_gain_far_below_the_others_is_a_number_at_the_edge(summary, axes_of):
    *near, last = summary["leaderboard"]
    far = {**last, "gain": -9.0, "gain_low": -9.5, "gain_high": -8.5}
    axes = axes_of(figures.gains, {**summary, "leaderboard": [*near, far]})
    assert list(points_of(axes, "o")) == [line["name"] for line in near]
    assert [(text.get_text(), text.get_position()[1]) for text in axes.texts] == [
        ("← −9.0000", len(near))
    ]
    assert axes.get_xlim()[0] > -8.5


def test_a_small_gain_at_the_edge_has_the_digits_of_the_page(summary, axes_of):
    board = [
        {**line, "gain": gain, "gain_low": gain, "gain_high": gain}
        for line, gain in zip(summary["leaderboard"], [0, 0, 0, 0, 0, 0, -2.5e-5], strict=True)
    ]
    of_errors = {"leaderboard": board, "greater_is_better": False}
    chosen = {**summary["chosen"], "score": 1.2e-4}
    axes = axes_of(figures.gains, {**summary, **of_errors, "chosen": chosen})
    assert [text.get_text() for text in axes.texts] == ["← −0.0000250"]


@pytest.mark.parametrize("figure", [figures.gains, figures.three_scores])
def test_the_constant_is_in_no_figure_for_it_would_leave_the_others_no_room(
    figure, summary, axes_of
):
    constant = {**summary["leaderboard"][0], "name": "constant", "kind": "constant", "gain": -9.0}
    more = {**summary, "leaderboard": [*summary["leaderboard"], constant]}
    assert names_at(axes_of(figure, more)) == names_at(axes_of(figure, summary))


def test_each_of_the_three_scores_has_its_own_mark(summary, axes_of):
    axes, board = axes_of(figures.three_scores, summary), summary["leaderboard"]
    marks = {line.get_label(): line for line in axes.lines}
    for label, key in (("in-sample", "in_sample"), ("held out", "score"), ("test", "test")):
        known = [(line[key], at) for at, line in enumerate(board) if line[key] is not None]
        assert list(zip(*marks[label].get_data(), strict=True)) == known


@pytest.mark.filterwarnings("error")
def test_a_figure_without_a_defined_score_is_drawn_and_no_library_warns(summary):
    unknown = dict.fromkeys(("in_sample", "score", "test"))
    board = [{**line, **unknown} for line in summary["leaderboard"]]
    none = {"leaderboard": board, "chosen": board[0]}
    assert "test –" in drawn(figures.three_scores, {**summary, **none})


@pytest.mark.parametrize("figure", [figures.gains, figures.three_scores, figures.correlations])
def test_a_long_name_leaves_its_figure_a_third_of_the_width(figure):
    """Its start and its end tell it apart."""
    long = "deberta-v3-large-weighted-layer-max-seed-2024"
    made = json.loads(json.dumps(summarise(whole_evidence())).replace("m4", long))
    figure_of = Figure(figsize=(WIDTH, 3), layout="constrained")
    with matplotlib.rc_context(STYLE):
        figure(figure_of, made)
        figure_of.draw_without_rendering()
    (axes,) = figure_of.axes
    assert axes.get_position().width > 1 / 3
    (name,) = [text for text in names_at(axes).values() if "…" in text]
    assert re.fullmatch(r"deberta-.*….*-2024", name)


def test_a_correlation_stands_between_the_names_of_its_pair(summary, axes_of):
    axes = axes_of(figures.correlations, summary)
    across = [label.get_text() for label in axes.get_xticklabels()]
    down = [label.get_text() for label in axes.get_yticklabels()]
    places = [*axes.get_xticks(), *axes.get_yticks()]
    assert places == [0.5, 1.5, 2.5, 3.5, 4.5] * 2
    assert axes.get_ylim() == (5, 0)  # the first name is at the top
    found = {}
    for text in axes.texts:
        x, y = (int(at) for at in text.get_position())
        found[across[x], down[y]] = text.get_text()
    expected = {}
    for pair in summary["diversity"]["pairs"]:
        told = f"{pair['correlation']:.2f}".replace("0.", ".").replace("-", "−")
        expected[pair["first"], pair["second"]] = expected[pair["second"], pair["first"]] = told
    assert found == expected
    assert len(set(expected.values())) > 5


def test_a_bar_is_as_long_as_its_weight(summary, axes_of):
    axes = axes_of(figures.weights, summary, "blend_convex")
    assert bars_of(axes) == {"m0 · t0": 0.625, "m1 · t0": 0.125, "m2 · t0": 0.25}
    assert points_of(axes, "o") == {"m0 · t0": 0.59, "m1 · t0": 0.14, "m2 · t0": 0.27}
    spans = {"m0 · t0": [0.57, 0.61], "m1 · t0": [0.11, 0.17], "m2 · t0": [0.23, 0.31]}
    assert spans_of(axes) == {name: pytest.approx(ends) for name, ends in spans.items()}


@pytest.mark.parametrize("key", ["leave_one_out", "shapley"])
def test_what_predictors_bring_is_sorted_by_what_is_shown(summary, axes_of, key):
    values = {"leave_one_out": [0.1, 0.5, 0.3, -0.2, 0.2], "shapley": [0.4, 0.1, 0.3, 0.2, 0.5]}
    lines = [
        {"name": f"m{i}", **{k: [v[i], v[i] - 0.05, v[i] + 0.05] for k, v in values.items()}}
        for i in range(5)
    ]
    made = {"metric": "rmse", "contributions": {"predictors": lines, "whole": 1.5}}
    axes = axes_of(getattr(figures, key), made)
    order = {
        "leave_one_out": ["m1", "m2", "m4", "m0", "m3"],
        "shapley": ["m4", "m0", "m2", "m3", "m1"],
    }
    assert list(names_at(axes).values()) == order[key]
    shown = bars_of(axes) if key == "leave_one_out" else points_of(axes, "o")
    assert shown == {line["name"]: line[key][0] for line in lines}
    assert spans_of(axes) == {line["name"]: line[key][1:] for line in lines}


def test_the_prediction_lies_across_and_the_observed_share_up(axes_of):
    bins = [{"predicted": 0.2, "observed": 0.3}, {"predicted": 0.9, "observed": 0.6}]
    axes = axes_of(curves.calibration, {"calibration": {"bins": bins, "expected_error": 0.2}})
    (line,) = (line for line in axes.lines if line.get_marker() == "o")
    assert [list(of) for of in line.get_data()] == [[0.2, 0.9], [0.3, 0.6]]
    assert "probability" in axes.get_xlabel()
    assert "observed" in axes.get_ylabel()


@pytest.mark.parametrize(
    ("figure", "labels"),
    [
        (curves.roc, ["share of the negatives", "share of the positives"]),
        (curves.precision_recall, ["recall", "precision"]),
        (curves.by_threshold, ["threshold of the probability", "f1"]),
    ],
)
def test_a_curve_of_classes_is_that_of_the_summary(figure, labels, axes_of):
    summary = summarise(whole_evidence(kind="binary", metric="f1"))
    axes, name = axes_of(figure, summary), figure.__name__
    of = summary["by_threshold"] if name == "by_threshold" else summary["ranking"][name]
    curve = [of["thresholds"], of["scores"]] if name == "by_threshold" else [of["x"], of["y"]]
    lines = [[list(values) for values in line.get_data()] for line in axes.lines]
    assert curve in lines
    assert [axes.get_xlabel(), axes.get_ylabel()] == labels


def test_the_cut_in_use_stands_beside_that_at_a_half(axes_of):
    of = {"thresholds": [0, 1], "scores": [0.2, 0.4], "cut": 0.3}
    axes = axes_of(curves.by_threshold, {"by_threshold": of, "metric": "f1"})
    upright = {line.get_color(): list(line.get_xdata()) for line in axes.lines[:2]}
    assert upright == {curves.QUIET: [0.5, 0.5], curves.ORANGE: [0.3, 0.3]}


def test_a_panel_of_calibration_lies_under_its_labels_name():
    figure = Figure()
    columns = [
        {"name": name, "bins": [{"predicted": at, "observed": at / 2}], "expected_error": at / 2}
        for name, at in (("funny", 0.2), ("a label with a long name", 0.8))
    ]
    told = curves.calibration_of_columns(figure, {"calibration": {"columns": columns}})
    panels = {axes.get_title(loc="left"): line_of(axes) for axes in figure.axes}
    assert panels == {"funny": [[0.2], [0.1]], "a label …ong name": [[0.8], [0.4]]}
    assert re.search(r"\bfunny 0\.1000\b.*\ba label with a long name 0\.4000\b", told)


def test_the_outlines_of_drift_are_those_of_their_labels(summary, axes_of):
    axes, drift = axes_of(curves.drift, summary), summary["drift"]
    outlines = {patch.get_label(): patch.get_data() for patch in axes.patches}
    for label, key in (("training rows, held out", "oof_share"), ("test rows", "test_share")):
        values, edges, _ = outlines[label]
        assert list(values) == drift[key]
        assert list(edges) == drift["edges"]


def line_of(axes, marker="o"):
    (line,) = (line for line in axes.lines if line.get_marker() == marker)
    return [list(of) for of in line.get_data()]


def test_residuals_lie_over_their_prediction_between_their_quantiles(axes_of):
    bins = [
        {"predicted": 1.0, "low": -3.0, "median": 0.5, "high": 2.0},
        {"predicted": 4.0, "low": -1.0, "median": 0.25, "high": 5.0},
    ]
    axes = axes_of(curves.residuals, {"residuals": {"bins": bins, "standardised": True}})
    assert line_of(axes) == [[1.0, 4.0], [0.5, 0.25]]
    (band,) = axes.collections
    corners = {(x, y) for x, y in band.get_paths()[0].vertices.tolist()}
    assert corners == {(1.0, -3.0), (1.0, 2.0), (4.0, -1.0), (4.0, 5.0)}
    assert re.search("prediction.*standard deviations", axes.get_xlabel())
    assert axes.get_ylabel() == "target − prediction"


def test_a_score_by_length_has_a_bar_of_two_standard_errors_over_its_span(axes_of):
    bins = [
        {"shortest": 1, "longest": 9, "score": 0.5, "se": 0.125},
        {"shortest": 10, "longest": 19, "score": None, "se": None},
        {"shortest": 20, "longest": 40, "score": 0.75, "se": 0.0625},
    ]
    made = {"length": bins, "chosen": {"score": 0.625}, "metric": "auc", "greater_is_better": True}
    axes = axes_of(curves.length, made)
    assert line_of(axes) == [[0, 2], [0.5, 0.75]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1–9", "10–19", "20–40"]
    lines = [[list(of) for of in line.get_data()] for line in axes.lines]
    assert [[0, 0], [0.25, 0.75]] in lines
    assert [[2, 2], [0.625, 0.875]] in lines
    assert [[0, 1], [0.625, 0.625]] in lines  # the score of all rows
    assert axes.get_ylabel() == "auc"


@pytest.mark.parametrize(
    ("greater_is_better", "score", "ends"),
    [
        (True, 0.8, [0.4, 1]),
        (False, 0.3, [0, 0.7]),
        (True, 80.0, [79.6, 80.4]),  # metrics of the user's own
        (False, -3.0, [-3.4, -2.6]),
    ],
)
def test_a_bar_of_a_loss_ends_at_0_and_one_of_a_score_at_1_unless_the_score_is_beyond(
    greater_is_better, score, ends, axes_of
):
    bins = [{"shortest": 1, "longest": 9, "score": score, "se": 0.2}]
    made = {"length": bins, "chosen": {"score": 0.5}, "metric": "any"}
    axes = axes_of(curves.length, {**made, "greater_is_better": greater_is_better})
    bars = [list(line.get_ydata()) for line in axes.lines if list(line.get_xdata()) == [0, 0]]
    assert bars == [pytest.approx(ends)]


def test_shapley_values_stand_around_an_equal_share(summary, axes_of):
    axes = axes_of(figures.shapley, summary)
    share = summary["contributions"]["whole"] / 5
    assert [[share, share], [0, 1]] in [[list(of) for of in line.get_data()] for line in axes.lines]


def test_the_chosen_point_is_larger_and_kinds_have_their_colours(summary, axes_of):
    axes, board = axes_of(figures.gains, summary), summary["leaderboard"]
    points = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() == "o"}
    sizes = [points[at].get_markersize() for at in range(len(board))]
    assert [size == max(sizes) for size in sizes] == [line["chosen"] for line in board]
    assert sizes.count(max(sizes)) == 1
    colours = {line["kind"]: points[at].get_color() for at, line in enumerate(board)}
    assert {points[at].get_color() for at in range(len(board))} == set(colours.values())
    assert len(set(colours.values())) == len(colours) == 2


def test_a_loss_without_a_predictor_is_coloured_by_its_sign(axes_of):
    lines = [
        {"name": name, "leave_one_out": [loss, loss - 1, loss + 1]}
        for name, loss in (("a", 0.5), ("b", 0.25), ("c", -0.5))
    ]
    made = {"metric": "rmse", "contributions": {"predictors": lines}}
    a, b, c = (bar.get_facecolor() for bar in axes_of(figures.leave_one_out, made).patches)
    assert a == b != c


def test_a_curve_of_learning_is_its_units_and_lies_under_its_members_name():
    units = {
        "mean": [{"fold": 0, "epoch": [0.5, 1.0], "loss": [2.0, 1.0]}],
        "max": [{"fold": k, "epoch": [0.25, 0.75], "loss": [4.0 + k, 3.0 + k]} for k in range(2)],
    }
    figure = Figure()
    told = curves.learning(figure, {"learning": units})
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    for name, of_member in units.items():
        found = [[list(of) for of in line.get_data()] for line in panels[name].lines]
        assert found == [[unit["epoch"], unit["loss"]] for unit in of_member]
    assert re.search(r"\bmean 1\.0000\b.*\bmax 3\.5000\b", told)
    low, high = panels["mean"].get_ylim()
    assert low == 0
    assert high > 5
