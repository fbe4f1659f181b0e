"""The report's numbers: their format, and values by hand."""

import re

import numpy as np
import pytest
from matplotlib import rc_context
from report_numbers import evidence
from scipy.stats import ks_2samp, kstwobign
from scored import score

from pipeline.files.reading import read_csv_as_text
from pipeline.files.writing import save_csv, without_nan
from pipeline.reporting.behaviour import by_length, calibration, chance_gap, drift, residuals
from pipeline.reporting.curves import length
from pipeline.reporting.examples import loss_of_rows, telling_rows, worst_rows
from pipeline.reporting.numbers import FORMATS
from pipeline.reporting.runs import learning_curves, minutes_of
from pipeline.reporting.svg import VARIABLES, drawn
from pipeline.reporting.verdict import verdict
from pipeline.scoring.metrics import METRICS


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
        ("signed", -0.00001, "0"),
        ("signed", float("nan"), "–"),
        ("rate", 0.0000953, "+0.000095"),
        ("rate", -0.25, "−0.25"),
        ("short", 0.926, "0.93"),
        ("short", -0.001, "0.00"),
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


def over_max(line, metric):
    """The line with its gain over the best single predictor, which has no interval."""
    score = line["score"]
    gain = None if score is None else METRICS[metric].sign * (score - 0.52)
    ends = dict.fromkeys(("gain_over_single_low", "gain_over_single_high"))
    return {"gain_over_single": gain, **ends, **line}


def board(chosen, over_constant=(0.3, 0.2, 0.4), expected=None, metric="rmse", **more):
    base = {"alone": None, "gain_low": 0.001, "gain_high": 0.003}
    line = {"name": chosen, "kind": "blend", "score": 0.5, "gain": 0.002, **base, **more}
    line, expected = over_max(line, metric), expected and over_max(expected, metric)
    singles = [
        {"name": "max", "kind": "member", "score": 0.52},
        {"name": "min", "kind": "member", "score": 0.6},
        {"name": "constant", "kind": "constant", "score": 0.8},
    ]
    return line, [line, *singles], METRICS[metric], expected, over_constant


EXPECTED = {"score": 0.51, "gain": 0.0015, "gain_low": -0.001, "gain_high": 0.004}


def test_the_verdict_names_the_blend_its_gain_and_the_best_single_one():
    told = verdict(*board("blend_convex"))
    assert re.match(r"\w+ blend_convex\b.*\brmse\b.*\b0\.5000\b.* better by 0\.0020\b", told)
    assert re.search(r"0\.0020\b.*\b2\b.*\b95 %.*\+0\.0010\b.*\+0\.0030\b", told)
    assert re.search(r"\+0\.0030\b.* better by 0\.0200\b.*\bmax\W*$", told)


def test_a_gain_is_told_in_words_whichever_way_the_metric_goes():
    told = verdict(*board("blend_convex", metric="auc"))
    assert re.search(r" better by 0\.0020\b.* worse by 0\.0200\b.*\bmax\W*$", told)
    same = verdict(*board("blend_convex", score=0.52))
    assert re.search(r" as good as .*\bmax\W*$", same)
    alike = verdict(*board("blend_convex", score=0.52001, gain=0.00001))
    assert " by " not in alike
    assert alike.count(" as good as ") == 2
    over_single = {f"gain_over_single{end}": 0.0 for end in ("", "_low", "_high")}
    rounded = verdict(*board("blend_convex", score=0.52 + 1e-15, **over_single))
    assert re.search(r" as good as .*\bmax\W*$", rounded)


def test_the_verdict_expects_what_choosing_scores_where_that_is_known():
    flattering = {"gain_over_single_low": 0.01, "gain_over_single_high": 0.03}
    told = verdict(*board("blend_convex", expected=EXPECTED, **flattering))
    assert re.match(r"\w+ blend_convex: expect rmse 0\.5100, better by 0\.0015\b", told)
    assert re.search(r"−0\.0010 to \+0\.0040\b.* better by 0\.0100\b.*\bmax\W*$", told)
    more = {"gain_over_single_low": -0.004, "gain_over_single_high": 0.02}
    told = verdict(*board("blend_convex", expected=EXPECTED | more, **flattering))
    assert re.search(r"\b0\.0100\b.*\bmax\b.*−0\.0040\b.*\+0\.0200\b", told)
    for more in ({"alone": "max"}, {}):
        told = verdict(*board("blend_mean", expected=EXPECTED, **more))
        assert "expect rmse 0.5100" in told
        assert "0.5000" not in told


@pytest.mark.parametrize(("gain", "hinted"), [(-0.0015, True), (0.0, True), (0.0015, False)])
def test_a_choice_that_gains_nothing_has_the_plain_mean_beside_it(gain, hinted):
    told = verdict(*board("blend_convex", expected=EXPECTED | {"gain": gain}))
    assert ("blend_mean" in told) == hinted
    unsure = board("blend_convex", expected=EXPECTED | {"gain": gain}, over_constant=(0, -1, 1))
    assert "blend_mean" not in verdict(*unsure)


def test_small_errors_keep_four_digits_in_the_verdict():
    small = {"score": 0.5e-5, "gain": 0.2e-7, "gain_low": 0.1e-7, "gain_high": 0.3e-7}
    told = verdict(*board("blend_convex", **small))
    assert re.search(r"\b0\.000005000, better by 0\.000000020 .*\+0\.000000010\b", told)
    assert "0.0000, " in verdict(*board("blend_convex", metric="auc", **small))


def test_an_expected_score_that_is_undefined_claims_no_gain():
    told = verdict(*board("blend_convex", expected=dict.fromkeys(EXPECTED)))
    assert re.match(r"\w+ blend_convex: expect rmse –\W*$", told)


def test_a_choice_that_is_not_surely_better_than_a_constant_is_warned_about_first():
    assert "constant" not in verdict(*board("blend_convex"))
    assert "constant" not in verdict(*board("blend_convex", over_constant=(None, None, None)))
    told = verdict(*board("blend_convex", over_constant=(0.01, -0.02, 0.04)))
    assert re.match(r"[^.]*\bconstant\b[^.]*\. The best is blend_convex\b", told)
    assert told.count("Submit") == 1  # nothing yet


def test_the_verdict_takes_the_interval_over_the_single_one_where_there_is_one():
    more = {"gain_over_single_low": -0.01, "gain_over_single_high": 0.05}
    told = verdict(*board("blend_convex", **more))
    assert re.search(r"\b0\.0200\b.*\bmax\b.*−0\.0100\b.*\+0\.0500\b", told)


def test_the_verdict_says_when_nothing_beats_the_plain_mean():
    told = verdict(*board("blend_mean"))
    assert re.match(r"\w+ blend_mean\b.*\b2\b.*\b0\.5000\b", told)


def test_the_verdict_of_a_blend_that_is_one_member_claims_no_gain():
    told = verdict(*board("blend_convex", alone="max", score=0.52))
    assert re.match(r"\w+ blend_convex\b.*\bmax alone\b.*\b0\.5200\W*$", told)
    assert "better" not in told
    not_the_best = verdict(*board("blend_convex", alone="min", score=0.6))
    assert re.search(r"\bmin alone\b.*\b0\.6000\b.* worse by 0\.0800\b.*\bmax\W*$", not_the_best)
    assert "alone" not in verdict(*board("blend_convex", alone=None))


def test_of_one_predictor_the_verdict_compares_once():
    line, board_lines, *rest = board("blend_mean.clip")
    told = verdict(line, [line, board_lines[1], board_lines[-1]], *rest)
    assert re.search(r" better by 0\.0020\b[^.]* only predictor, max \(.*\)\.$", told)
    assert told.count("max") == 1


def test_a_figure_has_the_colours_of_the_page_and_an_escaped_description():
    def draw(figure):
        figure.subplots().plot([0, 1], [0, 1], label="<b>&")
        figure.text(0.5, 0.5, '<script>"$x$"</script>')
        return 'a "quoted" <b>'

    svg = drawn(draw)
    assert svg.startswith('<svg role="img" aria-label="a &quot;quoted&quot; &lt;b&gt;"')
    assert "<script" not in svg
    assert "var(--line)" in svg
    assert "DejaVu" not in svg
    assert not [colour for colour in VARIABLES if colour in svg]
    with rc_context({"font.family": "serif", "lines.linewidth": 9, "axes.grid.axis": "x"}):
        assert svg == drawn(draw)


def test_calibration_by_hand():
    """Said .2 of ten cases of which 3 are true, .9 of ten of which 8 are."""
    said = np.repeat([0.2, 0.9], 10)[:, None, None]
    y = np.array([1] * 3 + [0] * 7 + [1] * 8 + [0] * 2)
    found = calibration(evidence("binary", y, said, classes=("no", "yes")))
    assert [b["observed"] for b in found["bins"]] == pytest.approx([0.3, 0.8])
    assert [b["cases"] for b in found["bins"]] == [10, 10]
    assert found["expected_error"] == pytest.approx(0.1)


def test_calibration_of_several_classes_is_that_of_the_likeliest():
    said = np.array([[[0.7, 0.2, 0.1]], [[0.1, 0.2, 0.7]]])
    found = calibration(evidence("multiclass", np.array([0, 0]), said, classes=("a", "b", "c")))
    assert found["bins"] == [{"cases": 2, "predicted": pytest.approx(0.7), "observed": 0.5}]


def test_the_most_frequent_labels_have_a_calibration_of_their_own(monkeypatch):
    monkeypatch.setattr("pipeline.reporting.behaviour.N_CALIBRATED", 2)
    y = np.zeros((10, 3))
    y[:2, 0], y[:7, 1], y[:4, 2] = 1, 1, 1
    said = np.tile([0.1, 0.6, 0.5], (10, 1, 1))
    found = calibration(evidence("multilabel", y, said))["columns"]
    assert [column["name"] for column in found] == ["t1", "t2"]
    bins = [column["bins"] for column in found]
    assert [(b["predicted"], b["observed"]) for (b,) in bins] == [
        (pytest.approx(0.6), 0.7),
        (pytest.approx(0.5), 0.4),
    ]
    assert [column["expected_error"] for column in found] == pytest.approx([0.1, 0.1])


def test_residuals_are_truth_less_prediction():
    p = np.repeat(np.arange(10.0), 11)[:, None, None]
    off = np.tile(np.arange(-5.0, 6.0), 10)[:, None]
    found = residuals(evidence("regression", p[:, 0] + off + 1, p))["bins"]
    assert {b["cases"] for b in found} == {11}
    assert [b["median"] for b in found] == pytest.approx([1] * 10)
    assert [b["low"] for b in found] == pytest.approx([-3] * 10)
    assert [b["high"] for b in found] == pytest.approx([5] * 10)


def test_residuals_of_two_targets_are_in_standard_deviations_of_each():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 2)) * [1, 100] + [5, -300]
    off = np.tile([0.5, -200.0], (200, 1))
    found = residuals(evidence("regression", y, (y + off)[:, None]))
    assert found["standardised"]
    sd = y.std(axis=0)
    p, residual = (((y + off - y.mean(axis=0)) / sd).ravel(), (-off / sd).ravel())
    order = np.argsort(p)
    assert [b["cases"] for b in found["bins"]] == [40] * 10
    for k, b in enumerate(found["bins"]):
        at = order[40 * k : 40 * k + 40]
        assert b["predicted"] == pytest.approx(p[at].mean())
        told = [b["low"], b["median"], b["high"]]
        assert told == pytest.approx(np.quantile(residual[at], [0.1, 0.5, 0.9]).tolist())


def test_shares_of_drift_are_those_of_all_rows_of_their_table():
    oof = np.random.default_rng(0).normal(size=(50, 2, 2))
    of = evidence("regression", oof[:, 0], oof, chosen=oof[:, 1])
    of.chosen_test = oof[:20, 1] + [0.5, 3.0]
    of.test.ids = of.test.ids[:20]
    found = drift(of)
    assert found["column"] == "t1"
    rows = {"oof_share": oof[:, 1, 1], "test_share": of.chosen_test[:, 1]}
    assert found["edges"][0] == min(of.min() for of in rows.values())
    assert found["edges"][-1] == max(of.max() for of in rows.values())
    for key, values in rows.items():
        expected = np.histogram(values, found["edges"])[0] / len(values)
        assert found[key] == pytest.approx(expected.tolist())
    assert found["chance"] == pytest.approx(chance_gap(50, 20, 2))


def test_equal_predictions_do_not_drift():
    oof = np.random.default_rng(0).normal(size=(50, 2, 1))
    found = drift(evidence("regression", oof[:, 0], oof))
    assert [line["ks"] for line in found["predictors"]] == [0, 0]
    assert sum(found["oof_share"]) == pytest.approx(1)
    assert found["chance"] == pytest.approx(kstwobign.isf(0.05) * (2 / 50) ** 0.5, rel=1e-4)


def test_predictions_that_are_equal_up_to_rounding_have_a_histogram():
    oof = np.full((50, 2, 1), 0.3)
    of = evidence("binary", np.arange(50) % 2, oof)
    of.chosen_test = np.nextafter(oof[:, 0], 1)
    found = drift(of)
    assert sum(found["oof_share"]) == sum(found["test_share"]) == pytest.approx(1)


def test_test_predictions_out_of_reach_drift_as_far_as_can_be():
    oof = np.random.default_rng(0).normal(size=(50, 2, 1))
    of = evidence("regression", oof[:, 0], oof)
    of.stack.test = oof + [[[0], [100]]]
    of.chosen_test = oof[:, 0] - 100
    assert [line["ks"] for line in drift(of)["predictors"]] == [1, 1]  # m0 is the chosen one
    of.chosen_name = "blend"
    assert [line["ks"] for line in drift(of)["predictors"]] == [0, 1, 1]


def test_the_largest_gap_of_several_columns_exceeds_its_limit_in_one_case_of_twenty():
    rng = np.random.default_rng(0)
    limit = chance_gap(200, 100, 10)
    largest = [
        max(
            ks_2samp(rng.normal(size=200), rng.normal(size=100), method="asymp").statistic
            for _ in range(10)
        )
        for _ in range(300)
    ]
    assert 0 < np.mean(np.array(largest) > limit) < 0.08


def test_the_worst_row_comes_first_and_long_texts_are_cut():
    y = np.zeros((30, 1))
    oof = np.zeros((30, 2, 1))
    oof[7] = 9  # both are wrong
    oof[3, 1] = 5  # they disagree
    found = telling_rows(evidence("regression", y, oof, texts=["y" * 500] * 30))
    assert found["worst"][0]["id"] == "r7"
    assert found["disagreement"][0]["id"] == "r3"
    assert found["disagreement"][0]["members"] == {"m0": "0", "m1": "5"}
    assert len(found["worst"]) == len(found["disagreement"]) == 20
    assert [row["measure"] for row in found["worst"]] == pytest.approx([81] + [0] * 19)
    assert (len(found["worst"][0]["text"]), found["worst"][0]["characters_left_out"]) == (400, 100)


def test_the_file_of_worst_rows_has_whole_texts_and_exact_numbers(monkeypatch):
    monkeypatch.setattr("pipeline.reporting.examples.N_IN_FILE", 2)
    y = np.array([[1.0], [2.0], [3.0]])
    texts = [letter * 500 for letter in "abc"]
    of = evidence("regression", y, y[:, None] + [[[1 / 3]], [[-3]], [[0]]], texts=texts)
    of.folds = np.array([2, 0, 1])
    sd = np.sqrt(2 / 3)
    found = worst_rows(of).to_dict("split", index=False)
    assert found["columns"] == ["id", "fold", "truth", "prediction", "error", "text"]
    assert found["data"] == [
        ["r1", 0, 2.0, -1.0, pytest.approx((3 / sd) ** 2), texts[1]],
        ["r0", 2, 1.0, 1 + 1 / 3, pytest.approx((1 / 3 / sd) ** 2), texts[0]],
    ]


def test_a_text_with_an_old_line_end_stays_one_row_of_the_file(tmp_path):
    y = np.array([[1.0], [2.0]])
    of = evidence("regression", y, y[:, None] + 1, texts=["first\rsecond", "one\r\nother"])
    of.folds = np.array([0, 1])
    save_csv(tmp_path / "rows.csv", worst_rows(of))
    assert read_csv_as_text(tmp_path / "rows.csv")["text"].tolist() == [
        "first\nsecond",
        "one\r\nother",
    ]


def test_worst_rows_of_classes_have_their_names_and_those_of_targets_a_column_each():
    p = np.array([[[0.9, 0.1]], [[0.4, 0.6]]])
    of = evidence("multiclass", np.array([0, 0]), p, classes=("a", "b"))
    of.folds = np.array([0, 1])
    found = worst_rows(of)[["id", "truth", "prediction"]].to_numpy().tolist()
    assert found == [["r1", "a", "b"], ["r0", "a", "a"]]
    of = evidence("multilabel", np.array([[1.0, 0.0], [0.0, 1.0]]), p)
    of.folds = np.array([0, 1])
    found = worst_rows(of).drop(columns=["fold", "error", "text"]).to_dict("records")
    assert found[1] == {
        "id": "r0",
        **{"truth t0": 1.0, "prediction t0": 0.9, "truth t1": 0.0, "prediction t1": 0.1},
    }


def test_the_loss_of_a_row_is_minus_the_log_of_what_the_truth_was_given():
    p = np.array([[[0.9, 0.1]], [[0.4, 0.6]]])
    found = loss_of_rows(evidence("multiclass", np.array([0, 0]), p, classes=("a", "b")))
    assert found == pytest.approx(-np.log([0.9, 0.4]))
    found = loss_of_rows(evidence("binary", np.array([0, 1]), p[:, :, :1], classes=("a", "b")))
    assert found == pytest.approx(-np.log([0.1, 0.4]))


def test_the_mean_loss_of_the_rows_is_the_log_loss_that_is_scored():
    """Also where the truth was given nothing, and where classes are written with few digits."""
    p = np.array([[[1.0, 0.0, 0.0]], [[0.33, 0.33, 0.33]], [[0.2, 0.3, 0.5]]])
    y = np.array([1, 0, 2])
    found = loss_of_rows(evidence("multiclass", y, p, classes=("a", "b", "c")))
    assert found.mean() == pytest.approx(score("logloss", "multiclass", y, p[:, 0]))
    labels = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    found = loss_of_rows(evidence("multilabel", labels, p[:, :, :2]))
    assert found.mean() == pytest.approx(score("logloss", "multilabel", labels, p[:, 0, :2]))


def test_texts_with_few_positives_have_a_score_whatever_a_draw_lacks():
    """With one positive, every third draw holds none; without any there is no score."""
    rng = np.random.default_rng(0)
    texts = ["w" * (1 + i % 5) for i in range(200)]
    y = np.zeros(200, dtype=np.int64)
    y[[0, 5, 6]] = 1  # of the first fifth two, of the second one
    oof = rng.random((200, 1, 1))
    of = evidence("binary", y, oof, texts=texts, metric="auc", classes=("a", "b"))
    first, second, *others = by_length(of)
    for found in (first, second):
        assert 0 < found["se"] < 1
        assert 0 <= found["score"] <= 1
    assert np.isnan([found["score"] for found in others]).all()
    assert np.isnan([found["se"] for found in others]).all()


def test_a_score_without_an_error_has_no_bar():
    bin_of = {"shortest": 1, "longest": 2, "rows": 30, "score": 0.5}
    bins = [{**bin_of, "se": se} for se in (0.1, None)]
    about = {"metric": "auc", "greater_is_better": True}
    summary = {"length": bins, "chosen": {"score": 0.5}, **about}
    assert "<svg" in drawn(length, summary)


def test_lengths_are_cut_into_fifths_and_few_rows_have_no_score():
    texts = ["w" * (1 + i % 5) for i in range(200)]
    y = np.arange(200.0)[:, None]
    found = by_length(evidence("regression", y, y[:, None] + 1, texts=texts))
    assert [(b["shortest"], b["rows"]) for b in found] == [(k, 40) for k in (1, 2, 3, 4, 5)]
    assert [b["score"] for b in found] == pytest.approx([1] * 5)
    of = evidence("regression", y, y[:, None] + 1, texts=texts, chosen=y + y % 2)
    errors = [np.sqrt(np.mean((y[k::5] % 2) ** 2)) for k in range(5)]
    chosen = by_length(of)
    assert [b["score"] for b in chosen] == pytest.approx(errors)
    assert [b["longest"] for b in chosen] == [1, 2, 3, 4, 5]
    of.chosen_oof = np.where((np.arange(200) % 5 == 0)[:, None], y, y + y % 2)  # no error of fold 0
    assert [b["se"] > 0 for b in by_length(of)] == [False, True, True, True, True]
    few = by_length(evidence("regression", y[:30], y[:30, None], texts=texts[:30]))
    assert np.isnan([b["score"] for b in few]).all()
