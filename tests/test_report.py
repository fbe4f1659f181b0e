"""The report stage on files: the content of the page, its safety, and errors."""

import json
import re
import shutil
import sys
from html.parser import HTMLParser
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from conftest import read_rows, write_competition, write_rows
from report_cases import HOSTILE, HOSTILE_CLASS, write_members
from sklearn.metrics import cohen_kappa_score

from pipeline import blend, make_folds
from pipeline.files.writing import write_json
from pipeline.members.units import NEEDED
from pipeline.reporting.evidence import made_from, read_evidence
from pipeline.reporting.numbers import FORMATS
from pipeline.reporting.page import page
from pipeline.reporting.summary import summarise
from pipeline.settings.command import parse

STAGE = "report"
SECTIONS = {
    *("leaderboard", "folds", "diversity", "contributions", "weights", "behaviour"),
    *("drift", "disagreement", "worst", "run"),
}
OF_TASK = {
    "regression": set(),
    "binary": {"classification", "ranking"},
    "multiclass": {"classification"},
    "multilabel": {"classification", "targets"},
}
PAGE, NUMBERS = Path("reports/tiny/index.html"), Path("reports/tiny/summary.json")


class Page(HTMLParser):
    """What a browser would see: elements, words, and the numbers of <data>."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.cards, self.contents, self.labels, self.links = [], [], [], [], []
        self.text, self.numbers = "", []
        self._in_data = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.cards += [found["id"]] if tag == "section" else []
        self.contents += [found["href"][1:]] if tag == "a" and found["href"][0] == "#" else []
        self.links += [found[k] for k in ("src", "href", "xlink:href") if k in found]
        if tag == "svg":
            self.labels.append(found.get("aria-label"))
        if tag == "data":
            self.numbers.append([json.loads(found["value"]), ""])
            self._in_data = self.numbers[-1]

    def handle_endtag(self, tag):
        self._in_data = None if tag == "data" else self._in_data

    def handle_data(self, data):
        self.text += data
        if self._in_data is not None:
            self._in_data[1] += data


def numbers_in(value):
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return {n for one in inner for n in numbers_in(one)}
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {float(value)} if is_number else set()


def summary_of(config, *words):
    return summarise(read_evidence(parse("", [str(config), *words])[0]))


@pytest.mark.parametrize("task", OF_TASK)
def test_the_page_has_the_cards_of_its_task_and_only_numbers_of_the_summary(task, reported):
    folder = reported(task)
    page = Page((folder / PAGE).read_text(encoding="utf-8"))
    summary = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
    has_lengths = any(line["score"] is not None for line in summary["length"])
    assert set(page.cards) == SECTIONS | OF_TASK[task] | ({"length"} if has_lengths else set())
    assert page.contents == page.cards
    assert summary["verdict"] in page.text
    known = numbers_in(summary)
    assert len(page.numbers) > 100
    for number, written in page.numbers:
        assert number in known, written
        assert written in {style(number) for style in FORMATS.values()}
    assert not {"nan", "None", "inf"} & set(page.text.split())
    assert "constant constant" not in page.text


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_hostile_texts_stay_texts(task, reported):
    html = (reported(task) / PAGE).read_text(encoding="utf-8")
    page = Page(html)
    assert not {"img", "b", "i", "iframe"} & set(page.tags)
    assert page.tags.count("script") == page.tags.count("h1") == page.tags.count("main") == 1
    for text in HOSTILE:
        assert text[:400] in page.text
    assert "9,600 more characters" in page.text
    assert "7 * 7" in page.text
    assert (HOSTILE_CLASS in page.text) == (task == "multiclass")


def test_the_page_needs_no_other_file(reported):
    html = (reported("regression") / PAGE).read_text(encoding="utf-8")
    links = Page(html).links
    assert {link for link in links if not link.startswith(("data:", "#"))} == {
        "summary.json",
        "worst_rows.csv",
    }
    assert "url(http" not in html
    assert "@import" not in html
    assert len(html) < 500_000


@pytest.mark.parametrize("task", sorted(OF_TASK))
def test_whose_probability_it_is_is_told(reported, task):
    text = Page((reported(task) / PAGE).read_text(encoding="utf-8")).text
    assert ("those of the class yes." in text) == (task == "binary")


def test_every_figure_says_what_it_shows(reported):
    labels = Page((reported("binary") / PAGE).read_text(encoding="utf-8")).labels
    assert len(labels) >= 8
    assert all(label and len(label) > 20 for label in labels)


def test_a_second_run_does_nothing_and_a_changed_page_is_made_again(case, run):
    first = PAGE.read_bytes()
    before = PAGE.stat().st_mtime_ns
    assert run(case).startswith(f"{PAGE}: ")
    assert PAGE.stat().st_mtime_ns == before
    PAGE.write_text("changed")
    assert re.match(rf".*\bblend_\w+.*\n{PAGE}\n", run(case))
    assert PAGE.read_bytes() == first


def test_the_verdict_is_ascii_in_the_terminal_and_not_on_the_page(case, run, monkeypatch):
    monkeypatch.setattr("pipeline.reporting.summary.verdict", lambda *_: "of −0.5 to –")
    PAGE.unlink()
    assert run(case).startswith("of -0.5 to -\n")
    assert "of −0.5 to –" in PAGE.read_text("utf-8")


def test_without_models_there_are_no_curves_and_no_minutes(case):
    summary = summary_of(case)
    assert summary["learning"] == {}
    assert {m["minutes"] for m in summary["run"]["members"]} == {None}
    shown = Page(page(summary))
    assert "learning" not in shown.cards
    assert "leave-one-out a minute" not in shown.text


def test_a_single_predictor_has_no_card_that_compares_predictors(case):
    words = ("--members", "mean", "--blend.methods", "mean")
    blend.main([str(case), *words])
    shown = Page(page(summary_of(case, *words)))
    assert set(shown.cards) == SECTIONS - {"diversity", "contributions", "disagreement", "weights"}
    assert "error correlation" not in shown.text


def test_a_missing_or_changed_file_beside_the_page_is_made_again(case, run):
    for path, spoil in (
        (PAGE.with_name("worst_rows.csv"), Path.unlink),
        (NUMBERS, lambda path: path.write_text("{}")),
    ):
        first = path.read_bytes()
        spoil(path)
        run(case)
        assert path.read_bytes() == first


def test_curves_and_minutes_come_from_the_units(case):
    for fold in range(3):
        unit = Path(f"models/tiny/mean/fold{fold}")
        unit.mkdir(parents=True)
        run = {**dict.fromkeys(NEEDED), "seconds": 30, "device": "cpu", "precision": "bf16"}
        write_json(unit / "run.json", run)
        lines = [{"epoch": k / 10, "loss": 1 / k} for k in range(1, 11)]
        told = [json.dumps(line) for line in [*lines, {"epoch": 1, "train_runtime": 3}]]
        (unit / "train.log").write_text("\n".join(told) + "\n")
    shutil.rmtree("models/tiny/max", ignore_errors=True)
    summary = summary_of(case)
    assert list(summary["learning"]) == ["mean"]
    assert summary["learning"]["mean"][2]["loss"][:2] == [1, 0.5]
    minutes = {line["name"]: line["minutes"] for line in summary["leaderboard"]}
    assert minutes.pop("mean") == pytest.approx(1.5)
    assert set(minutes.values()) == {None}
    shown = Page(page(summary))
    assert [1.5, "1.5 min"] in shown.numbers
    assert shown.text.count("cpu bf16") == 1
    mean, other = summary["contributions"]["predictors"][:2]
    assert mean["gain_per_minute"] == pytest.approx(mean["leave_one_out"][0] / 1.5)
    assert other["gain_per_minute"] is None


@pytest.mark.parametrize(
    ("line", "said"), [(b"boom", "line 2"), (b"\xff", "utf-8"), (b"[" * 100_000, ""), (b"7", "")]
)
def test_a_log_that_is_no_json_is_named(case, refused, line, said):
    unit = Path("models/tiny/mean/fold1")
    unit.mkdir(parents=True)
    (unit / "train.log").write_bytes(b'{"loss": 1, "epoch": 1}\n' + line + b"\n")
    assert re.search(rf"fold1/train\.log: .*{said}", refused(case))


def test_the_test_score_is_that_of_the_solution(case):
    header, rows = read_rows(Path("oof/tiny/max/test.csv"))
    solution = [[i, str(float(v) + k % 3)] for k, (i, v) in enumerate(rows)]
    write_rows(Path("data/tiny/solution.csv"), ["id", "target"], solution[::-1])
    board = {line["name"]: line for line in summary_of(case)["leaderboard"]}
    truth, predicted = (np.array([float(row[1]) for row in table]) for table in (solution, rows))
    assert board["max"]["test"] == pytest.approx(np.corrcoef(truth, predicted)[0, 1])
    assert board["max"]["test"] > board["min"]["test"]


def test_the_test_score_of_grades_rounds_to_those_of_the_training_rows(workplace, run):
    members = [{"pooling": "mean"}, {"pooling": "max"}]
    settings = {"members": members, "metric": "qwk", "blend": {"methods": ["mean"]}}
    config = write_competition(workplace, "regression", n_rows=90, n_test=40, settings=settings)
    header, rows = read_rows(Path("data/tiny/train.csv"))
    grades = [*row_grades(row[-1] for row in rows)]
    write_rows(
        Path("data/tiny/train.csv"),
        header,
        [[*row[:-1], grade] for row, grade in zip(rows, grades, strict=True)],
    )
    make_folds.main([str(config)])
    write_members(config)
    _, predicted = read_rows(Path("oof/tiny/max/test.csv"))
    solution = [[i, "1" if k % 2 else "4"] for k, (i, _) in enumerate(predicted)]  # no 2
    write_rows(Path("data/tiny/solution.csv"), ["id", "target"], solution)
    blend.main([str(config)])
    line = {line["name"]: line for line in summary_of(config)["leaderboard"]}["max"]
    nearest = [min((1, 2, 4), key=lambda grade: abs(grade - float(p))) for _, p in predicted]
    assert set(nearest) == {1, 2, 4}
    truth, grades = [int(y) for _, y in solution], [1, 2, 3, 4]
    expected = cohen_kappa_score(truth, nearest, labels=grades, weights="quadratic")
    assert line["test"] == pytest.approx(expected)


def row_grades(targets):
    return ("1" if float(y) < -0.5 else "2" if float(y) < 1 else "4" for y in targets)


def test_a_solution_of_other_rows_is_refused(case, refused):
    write_rows(Path("data/tiny/solution.csv"), ["id", "target"], [["b000", "1"]])
    assert re.search(r"solution\.csv: .*\b39\D+40\D", refused(case))


def test_a_solution_that_is_no_number_is_refused(case, refused):
    _, rows = read_rows(Path("oof/tiny/max/test.csv"))
    lines = [[row[0], "much"] for row in rows]
    write_rows(Path("data/tiny/solution.csv"), ["id", "target"], lines)
    assert re.search(r"solution\.csv: .*\b40\b.*'much'.*\bregression\b", refused(case))


def test_a_unit_that_went_astray_is_marked_and_no_other(case):
    def spoil(name, oof, folds):
        oof[: len(HOSTILE)] /= -3  # as good as the others
        if name == "min":
            oof[folds == 1] *= -1

    write_members(case, spoil)
    blend.main([str(case)])
    folds = summary_of(case)["folds"]
    folds = {name: line for name, line in folds.items() if not name.startswith("blend_")}
    marked = [(name, c["fold"]) for name, line in folds.items() for c in line if c["outlying"]]
    assert marked == [("min", 1)]


def test_without_a_leaderboard_blend_is_asked_for(case, refused):
    Path("oof/tiny/leaderboard.csv").unlink()
    assert re.search(r"leaderboard\.csv: (?!.*\bpredictor).*\brun blend\b", refused(case))


def test_the_page_says_of_a_choice_what_it_is_worth_and_of_one_blend_nothing(case):
    assert "chosen on the rows that score it" in Page(page(summary_of(case))).text
    words = ("--blend.methods", "mean")
    blend.main([str(case), *words])
    told = Page(page(summary_of(case, *words))).text
    assert "chosen on the rows" not in told
    assert "too narrow" not in told


def test_groups_are_counted(case):
    words = ("--data.group", "document", "--competition", "grouped")
    make_folds.main([str(case), *words])
    shutil.copytree("oof/tiny", "oof/grouped")
    for path in Path("oof/grouped").glob("*/*.json"):
        path.unlink()
    for path in Path("oof/grouped").glob("leaderboard.*"):
        path.unlink()
    blend.main([str(case), *words])
    summary = summary_of(case, *words)
    assert summary["rows"]["groups"] == 45
    header, rows = read_rows(Path("data/tiny/train.csv"))
    evidence = read_evidence(parse("", [str(case), *words])[0])
    assert evidence.target.groups.tolist() == [row[header.index("document")] for row in rows]


def test_a_dot_file_beside_predictions_does_not_count(case):
    config = parse("", [str(case)])[0]
    before = made_from(config)
    for name in (".oof.csv.0123abcd.tmp", ".DS_Store"):
        Path("oof/tiny/mean", name).touch()
    assert made_from(config) == before


def test_what_lies_beside_an_external_predictor_does_not_count(case):
    shutil.copytree("oof/tiny/max", "theirs")
    config = parse("", [str(case), "--blend.external", "theirs"])[0]
    before = made_from(config)
    Path("theirs/model.bin").touch()
    assert made_from(config) == before
    for part in ("oof", "test"):
        Path(f"theirs/{part}.csv").write_text("id,target\n")
        assert made_from(config) != before
        before = made_from(config)


def test_torch_is_not_needed(case, monkeypatch):
    from pipeline.files import provenance

    def version(name):
        if name in ("torch", "transformers"):
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(provenance, "version", version)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert summary_of(case)["run"]["versions"]["torch"] is None
