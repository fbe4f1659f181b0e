"""The page's tables and facts: every number is under its own heading."""

import json
import re
from dataclasses import dataclass, field
from functools import partial
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from report_numbers import whole_evidence

from pipeline.reporting.page import page
from pipeline.reporting.runs import training_terms
from pipeline.reporting.summary import summarise


@dataclass
class Cell:
    text: str = ""
    numbers: list = field(default_factory=list)


class Tables(HTMLParser):
    """The first tables of each section and the list of facts.

    Attributes:
        rows: by the section's id, the cells of each row, its heading first.
        later: likewise, of the section's second table.
        facts: the terms and descriptions of the list, in turn.
    """

    def __init__(self, html):
        super().__init__()
        self.rows, self.later, self.facts = {}, {}, []
        self._section, self._cell, self._rows = None, None, []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if tag == "section":
            self._section = found["id"]
        elif tag == "table":
            self._rows = []
            which = self.later if self._section in self.rows else self.rows
            which.setdefault(self._section, self._rows)
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th"):
            self._cell = Cell()
            self._rows[-1].append(self._cell)
        elif tag in ("dt", "dd"):
            self._cell = Cell()
            self.facts.append(self._cell)
        elif tag == "data" and self._cell:
            self._cell.numbers.append(json.loads(found["value"]))

    def handle_endtag(self, tag):
        if tag in ("td", "th", "dt", "dd"):
            self._cell = None

    def handle_data(self, data):
        if self._cell:
            self._cell.text += data

    def table(self, section):
        """Each row's name with its (heading, numbers)."""
        heads, *rows = self.rows[section]
        return {
            row[0].text.strip(): [
                (head.text, cell.numbers) for head, cell in zip(heads, row, strict=True)
            ][1:]
            for row in rows
        }


@pytest.fixture(scope="module")
def summary():
    return summarise(whole_evidence())


@pytest.fixture(scope="module")
def tables(summary):
    return Tables(page(summary))


def test_every_column_of_the_leaderboard_holds_what_its_heading_says(summary, tables):
    expected = {
        line["name"]: [
            ("rmse", [line["score"]]),
            ("gain over the mean", [line["gain"]]),
            ("95 % interval", [line["gain_low"], line["gain_high"]]),
            ("over the best single", [line["gain_over_single"]]),
            ("folds, mean ± sd", [line["fold_mean"], line["fold_sd"]]),
            ("test", [line["test"]]),
        ]
        for line in summary["leaderboard"]
    }
    assert tables.table("leaderboard") == expected


def test_small_errors_keep_four_digits_and_other_numbers_four_decimals(summary):
    chosen = {**summary["chosen"], "score": 0.00012345, "gain": 0.0000012}
    text = page({**summary, "chosen": chosen})
    assert '<data value="0.00012345">0.0001234</data>' in text
    assert '<data value="1.2e-06">+0.0000012</data>' in text
    correlation = summary["diversity"]["mean_correlation"]
    assert f'<data value="{correlation!r}">{correlation:.4f}</data>' in text


def test_a_blend_that_is_one_member_says_so_beside_its_name():
    of = whole_evidence()
    of.board["alone"] = ["m0", *[None] * (len(of.board) - 1)]
    summary = summarise(of)
    names = list(Tables(page(summary)).table("leaderboard"))
    assert names == ["blend_convex is m0 alone", *of.board["name"][1:]]
    assert summary["verdict"].startswith("Submit blend_convex, which is m0 alone")


def test_the_facts_at_the_top_are_those_of_the_chosen_blend(summary):
    """What to expect of it, where that is known, as in the verdict above them."""
    chosen, known = summary["chosen"], ("score", "gain", "gain_low", "gain_high")
    expected = {
        **dict(zip(known, (0.25, 0.5, -0.125, 0.75), strict=True)),
        "chosen": ["blend_mean"],
    }
    for line, term, told in (
        (chosen, "Held-out score", None),
        (expected, "Score to expect", expected),
    ):
        facts = Tables(page({**summary, "expected": told})).facts
        assert {t.text: f.numbers for t, f in zip(facts[::2], facts[1::2], strict=True)} == {
            term: [line["score"]],
            "Over the plain mean": [line["gain"], line["gain_low"], line["gain_high"]],
            "Test score": [chosen["test"]],
            "Mean error correlation": [summary["diversity"]["mean_correlation"]],
            "Rows": [120, 120],
        }


def test_the_page_says_what_training_did_to_targets_rows_and_classes(summary):
    member = partial(SimpleNamespace, class_weights=None)
    config = SimpleNamespace(
        competition="tiny",
        data=SimpleNamespace(weight="<w>", transform="log1p"),
        members=[
            member(name="mean"),
            member(name="max", class_weights="balanced"),
            member(name="min", class_weights={"spam": 2.5, "ham": 1.0}),
            member(name="tfidf", class_weights="balanced"),
        ],
    )
    terms = training_terms(config)
    assert terms == [
        "trained on log1p of the target, which is shown as it is",
        "training rows weighed by <w>",
        "classes weighed (balanced) in max, tfidf",
        "classes weighed (spam 2.5, ham 1) in min",
    ]
    told = page({**summary, "run": {**summary["run"], "training": terms}})
    assert "weighed by &lt;w&gt;; classes" in told
    assert 'id="training"' not in page(summary)


@pytest.mark.parametrize(
    ("groups", "said"), [(19, ["19 groups", "10 groups"]), (20, ["10 groups"]), (None, [])]
)
def test_the_page_says_what_few_groups_mean_for_intervals_and_folds(summary, groups, said):
    told = page({**summary, "rows": {**summary["rows"], "groups": groups}})
    assert re.findall(r"\d+ groups", told) == said


def test_the_page_says_what_the_chosen_blends_post_processing_does(summary):
    assert ">blend_convex: cut at 0.3.<" in page(summary)
    assert 'id="postprocessing"' not in page({**summary, "postprocessing": None})


def test_what_each_predictor_brings_stands_under_its_heading(summary, tables):
    expected = {
        line["name"]: [
            ("leave-one-out", line["leave_one_out"][:1]),
            ("95 % interval", line["leave_one_out"][1:]),
            ("Shapley value", line["shapley"][:1]),
            ("95 % interval", line["shapley"][1:]),
        ]
        for line in summary["contributions"]["predictors"]
    }
    assert tables.table("contributions") == expected


def test_scores_of_folds_and_gaps_of_drift_stand_beside_their_predictor(summary, tables):
    folds = {
        name: [(f"fold {cell['fold']}", [cell["score"]]) for cell in line]
        for name, line in summary["folds"].items()
    }
    # a cell that is far from its line's median has a mark, but no further number
    assert tables.table("folds") == folds
    gaps = {line["name"]: line["ks"] for line in summary["drift"]["predictors"]}
    gaps["length of the text"] = summary["drift"]["length_ks"]
    heading = "largest gap (KS)"
    assert tables.table("drift") == {name: [(heading, [gap])] for name, gap in gaps.items()}


def test_classes_stand_beside_their_precision_and_the_truth_before_its_decisions():
    summary = summarise(whole_evidence(kind="multiclass", metric="accuracy"))
    of, parsed = summary["classification"], Tables(page(summary))
    assert parsed.table("classification") == {
        line["name"]: [
            ("precision", [line["precision"]]),
            ("recall", [line["recall"]]),
            ("F1", [line["f1"]]),
            ("rows", [line["rows"]]),
        ]
        for line in of["classes"]
    }
    names = [line["name"] for line in of["classes"]]
    heads, *rows = parsed.later["classification"]
    assert [head.text for head in heads] == ["truth", *names]
    assert {cells[0].text: [c.numbers[0] for c in cells[1:]] for cells in rows} == dict(
        zip(names, of["matrix"], strict=True)
    )


def test_a_class_stands_beside_the_score_of_its_rows():
    summary = summarise(whole_evidence(kind="multiclass", metric="logloss"))
    table = Tables(page(summary)).table("classification")
    scores = {
        line["name"]: ("logloss", [line["score"]]) for line in summary["classification"]["classes"]
    }
    assert {name: cells[3] for name, cells in table.items()} == scores


def test_of_many_classes_the_most_frequent_and_the_largest_confusions_are_shown(monkeypatch):
    monkeypatch.setattr("pipeline.reporting.classification.MOST_CLASSES", 2)
    monkeypatch.setattr("pipeline.reporting.page.MOST_CLASSES", 2)
    summary = summarise(whole_evidence(kind="multiclass", metric="accuracy"))
    of, parsed = summary["classification"], Tables(page(summary))
    frequent = sorted(of["classes"], key=lambda line: -line["rows"])[:2]
    assert list(parsed.table("classification")) == [line["name"] for line in frequent]
    _, *rows = parsed.later["classification"]
    shown = [[c[0].text, c[1].text, c[2].numbers[0], c[3].numbers[0]] for c in rows]
    assert shown == [list(line.values()) for line in of["confusions"]]


def test_a_target_stands_beside_its_score_and_its_best_predictor():
    summary = summarise(whole_evidence(kind="several", metric="mcrmse"))
    _, *rows = Tables(page(summary)).rows["targets"]
    assert [[c.text for c in (cells[0], cells[3])] for cells in rows] == [
        [line["name"], line["best"]] for line in summary["targets"]
    ]
    assert [[n for c in cells for n in c.numbers] for cells in rows] == [
        [line["score"], line["best_score"], line["rows"]] for line in summary["targets"]
    ]


def test_of_many_targets_the_worst_are_shown_and_of_many_weights_the_largest(monkeypatch):
    monkeypatch.setattr("pipeline.reporting.page.MOST_TARGETS", 1)
    monkeypatch.setattr("pipeline.reporting.figures.MOST_WEIGHTS", 2)
    summary = summarise(whole_evidence(kind="several", metric="mcrmse"))
    summary["targets"][0]["score"] = 1e6
    summary["targets"].append({**summary["targets"][1], "score": None})
    text = page(summary)
    assert list(Tables(text).table("targets")) == [summary["targets"][0]["name"]]
    (alt,) = re.findall(r'aria-label="Weights of [^"]*: ([^"]*)"', text)
    assert re.findall(r"m\d", alt) == ["m0", "m2"]


def test_without_members_there_is_no_table_of_them(summary, tables):
    assert summary["run"]["members"] == []
    assert "run" not in tables.rows


def test_weights_stand_beside_their_predictor(tables):
    _, *rows = tables.rows["weights"]
    assert [(cells[1].text, *(n for cell in cells for n in cell.numbers)) for cells in rows] == [
        ("m0 · t0", 0.625, 0.59, 0.02, 1.0),
        ("m1 · t0", 0.125, 0.14, 0.03, 0.7),
        ("m2 · t0", 0.25, 0.27, 0.04, 0.9),
    ]


def test_the_best_and_the_worst_fold_of_all_have_the_strongest_and_no_tint():
    summary = summarise(whole_evidence(metric="pearson"))
    tints = [int(tint) for tint in re.findall(r"--t:(\d+)", page(summary))]
    scores = [cell["score"] for line in summary["folds"].values() for cell in line]
    low, high = min(scores), max(scores)
    assert tints == [round(100 * (score - low) / (high - low)) for score in scores]
    assert {0, 100} < set(tints)


@pytest.mark.parametrize("most", [2, 5])
def test_the_most_and_the_least_correlated_pairs_are_shown_in_order(most, summary, monkeypatch):
    monkeypatch.setattr("pipeline.reporting.page.MOST_PAIRS", most)
    pairs = sorted(summary["diversity"]["pairs"], key=lambda pair: -pair["correlation"])
    shown = [*pairs[:most], *pairs[-most:]]
    table = Tables(page(summary)).table("diversity")
    assert list(table) == [f"{pair['first']} · {pair['second']}" for pair in shown]
    assert [cells[0][1] for cells in table.values()] == [[pair["correlation"]] for pair in shown]
