"""Whatever a file was made from: once it changes, the file is made again or refused by its name.

A finished competition without models is copied; each test changes one thing.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import CONFIG, change_config, read_rows, stage, write_rows

from pipeline.files.stamp import is_current, read_stamp, written_with_stamp
from pipeline.files.writing import write_json
from pipeline.reporting.evidence import made_from
from pipeline.settings.command import load_config

OOF, BOARD = Path("oof/tiny"), Path("oof/tiny/leaderboard.csv")
PAGE = Path("reports/tiny/index.html")
TRAIN, TEST = Path("data/tiny/train.csv"), Path("data/tiny/test.csv")


@pytest.fixture(autouse=True)
def case(reported, workplace):
    """A copy of the regression with its report, as the current folder."""
    shutil.copytree(reported("regression"), workplace, dirs_exist_ok=True)


@pytest.fixture
def own_folds():
    """The same folds from a file of one's own, which look at no text, target or group."""
    shutil.copy("folds/tiny.csv", "own.csv")
    change_config(folds={"scheme": "file", "path": "own.csv"})
    stage("make_folds", "--overwrite")
    stage("blend")


def change_cell(path, column, change, row=50):
    header, rows = read_rows(path)
    at = header.index(column)
    rows[row][at] = change(rows[row][at])
    write_rows(path, header, rows)


def change_last_digit(path):
    """Change a file by hand and leave its stamp alone."""
    content = path.read_text(encoding="utf-8")
    at = max(i for i, character in enumerate(content) if character in "0123456789")
    digit = str((int(content[at]) + 1) % 10)
    path.write_text(content[:at] + digit + content[at + 1 :], encoding="utf-8")


# --- folds and members


def test_targets_that_changed_under_folds_of_ones_own_are_refused(own_folds, refusal):
    change_cell(TRAIN, "target", lambda y: f"{float(y) + 1}")
    said = r"oof/tiny/mean/oof\.csv: .*\btargets\b"
    for name, words in (("blend", ()), ("report", ()), ("submit", ("--predictor", "mean"))):
        assert re.search(said, refusal(name, *words))


@pytest.mark.parametrize("name", ["submit", "report"])
@pytest.mark.parametrize(("setting", "said"), [("group", "groups"), ("metric_weight", "weights")])
def test_a_leaderboard_of_other_groups_or_weights_is_not_taken(
    name, setting, said, own_folds, refusal
):
    header, rows = read_rows(TRAIN)
    write_rows(TRAIN, [*header, "w"], [[*row, str(k % 2)] for k, row in enumerate(rows)])
    for words in ((f"--data.{setting}", "w"), ()):
        assert re.search(rf"leaderboard\.csv: .*{said}.*\brun blend\b", refusal(name, *words))
        stage("blend", f"--data.{setting}", "w")  # so without the setting it is another board


def test_groups_that_changed_under_folds_of_ones_own_make_the_leaderboard_again(own_folds):
    boards = {BOARD.read_bytes()}
    stage("blend", "--data.group", "document")
    boards.add(BOARD.read_bytes())
    for row in range(40):
        change_cell(TRAIN, "document", lambda _: "one", row)
    stage("blend", "--data.group", "document")
    boards.add(BOARD.read_bytes())
    assert len(boards) == 3


@pytest.mark.parametrize("column", ["text", "fold"])
def test_texts_or_folds_that_changed_under_folds_of_ones_own_are_refused(
    column, own_folds, refusal
):
    if column == "fold":
        change_cell(Path("own.csv"), "fold", lambda fold: str((int(fold) + 1) % 3))
        stage("make_folds", "--overwrite")
    else:
        change_cell(TRAIN, "text", lambda text: f"{text} more")
    for name in ("blend", "report"):
        line = refusal(name)
        assert re.search(rf"oof/tiny/mean/oof\.csv: .*\b{column}s\b", line)


def test_another_path_of_folds_is_refused_by_both_names(own_folds, refusal):
    shutil.copy("own.csv", "other.csv")
    for name in ("blend", "report"):
        line = refusal(name, "--folds.path", "other.csv")
        assert re.search(r"folds/tiny\.csv: .*folds\.path\b.*'own\.csv'.*'other\.csv'", line)


@pytest.mark.parametrize("column", ["id", "text"])
def test_another_test_row_is_refused(column, refusal):
    """Other texts under the same ids, and the same texts under other ids in the sample too."""
    name = read_rows(TEST)[1][3][0]
    change_cell(TEST, column, lambda cell: f"{cell}x", row=3)
    if column == "id":
        sample = Path("data/tiny/sample_submission.csv")
        header, rows = read_rows(sample)
        write_rows(sample, header, [[{name: f"{name}x"}.get(r[0], r[0]), *r[1:]] for r in rows])
        for path in OOF.glob("*/test.csv"):
            ids = path.read_text().replace(f"{name},", f"{name}x,")
            path.write_text(ids)
            restamp(path)
    for stage_name, words in (("blend", ()), ("submit", ("--predictor", "mean"))):
        line = refusal(stage_name, *words)
        assert re.search(r"oof/tiny/mean/test\.csv: .*\btest rows\b", line)


def restamp(path, **made_from):
    """Give a changed file a stamp as if it had been written so, made from other things if given."""
    content, stamp = path.read_bytes(), read_stamp(path)
    with written_with_stamp(path, {**stamp.made_from, **made_from}) as temporary:
        temporary.write_bytes(content)


def test_parts_from_other_models_are_not_submitted(refusal):
    restamp(OOF / "max/test.csv", models="other")
    line = refusal("submit", "--predictor", "max")
    assert re.search(r"oof/tiny/max: .*\boof\.csv\b.*\btest\.csv\b", line)


# --- blends


def test_another_test_part_of_a_member_makes_the_blends_again(refusal):
    before = (OOF / "blend_mean/test.csv").read_bytes()
    change_last_digit(OOF / "max/test.csv")
    restamp(OOF / "max/test.csv")
    for name in ("submit", "report"):
        line = refusal(name)
        assert re.search(r"leaderboard\.csv: .*\bpredictors\b.*'max'.*\brun blend\b", line)
    line = refusal("submit", "--predictor", "blend_mean")
    assert re.search(r"oof/tiny/blend_mean: max .*\brun blend\b", line)
    stage("blend")
    assert (OOF / "blend_mean/test.csv").read_bytes() != before


def test_a_blend_whose_predictor_is_gone_is_not_submitted(refusal):
    shutil.rmtree(OOF / "max")
    line = refusal("submit", "--predictor", "blend_mean")
    assert re.search(r"oof/tiny/blend_mean: max .*\brun blend\b", line)


def test_a_line_of_the_leaderboard_about_other_predictions_is_not_recorded():
    record = Path("submissions/tiny/max.json")
    stage("submit", "--predictor", "max")
    assert json.loads(record.read_text(encoding="utf-8"))["leaderboard"]["name"] == "max"
    change_last_digit(OOF / "max/oof.csv")
    restamp(OOF / "max/oof.csv")
    stage("submit", "--predictor", "max")
    assert json.loads(record.read_text(encoding="utf-8"))["leaderboard"] == {}


def test_a_leaderboard_that_was_edited_is_refused_and_made_again(refusal):
    before = BOARD.read_bytes()
    header, rows = read_rows(BOARD)
    at = header.index("chosen")
    for row in rows:
        row[at] = str(row[0] == "blend_convex" and row[at] == "False")
    write_rows(BOARD, header, rows)
    for words in (("submit",), ("submit", "--predictor", "mean"), ("report",)):
        assert re.search(r"oof/tiny/leaderboard\.csv: .*\brun blend\b", refusal(*words))
    stage("blend")
    assert BOARD.read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--seed", "7"), r"\bseed\b.*\b42\b.*\b7\b"),
        (("--metric", "spearman"), r"\bmetric\b.*'pearson'.*'spearman'"),
        (("--blend.methods", "mean"), r"\bmethods\b.*\['mean'\]"),
        (("--blend.postprocessing", "clip"), r"\bpostprocessing\b"),
        (("--members", "mean", "max"), r"\bpredictors\b"),
    ],
)
def test_a_leaderboard_of_other_settings_is_made_again_and_not_taken(words, said, refusal):
    for name in ("submit", "report"):
        line = refusal(name, *words)
        assert re.search(rf"oof/tiny/leaderboard\.csv: .*{said}.*\brun blend\b", line)
    before = BOARD.with_suffix(".json").read_bytes()
    stage("blend", *words)
    assert BOARD.with_suffix(".json").read_bytes() != before
    stage("submit", *words)


# --- the report


CHANGES = {
    "the text of a training row": lambda patch: change_cell(TRAIN, "text", lambda t: f"{t} more"),
    "the text of a test row": lambda patch: change_cell(TEST, "text", lambda t: f"{t} more", 3),
    "a solution": lambda patch: write_rows(
        TEST.with_name("solution.csv"), ["id", "target"], read_rows(OOF / "max/test.csv")[1]
    ),
    "a setting": lambda patch: CONFIG.write_text(CONFIG.read_text() + "submit: {as: labels}\n"),
    "a member's predictions": lambda patch: change_last_digit(OOF / "max/oof.csv"),
    "a blend's predictions": lambda patch: change_last_digit(OOF / "blend_mean/test.csv"),
    "the folds": lambda patch: change_last_digit(Path("folds/tiny.csv")),
    "the leaderboard": lambda patch: change_last_digit(BOARD),
    "the expected score": lambda patch: change_last_digit(BOARD.with_suffix(".json")),
    "a member's run": lambda patch: write_json(
        Path("models/tiny/max/fold0/run.json"), {"seconds": 30}
    ),
    "a member's log": lambda patch: write_json(
        Path("models/tiny/max/fold0/train.log"), {"loss": 1, "epoch": 1}
    ),
    "the page": lambda patch: change_last_digit(PAGE),
    "the version": lambda patch: patch.setattr("pipeline.files.stamp.__version__", "0.0.1"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_report_is_up_to_date_until_something_changes(what, monkeypatch):
    config = load_config(CONFIG)
    assert is_current(PAGE, made_from(config))
    CHANGES[what](monkeypatch)
    assert not is_current(PAGE, made_from(load_config(CONFIG)))


@pytest.mark.parametrize("name", ["blend", "submit", "report"])
@pytest.mark.parametrize(("part", "first"), [("oof", "train"), ("test", "predict")])
def test_a_stage_that_comes_too_early_names_the_one_to_run_first(refusal, name, part, first):
    (OOF / "mean" / f"{part}.csv").unlink()
    assert re.search(rf"oof/tiny/mean/{part}\.csv: .*\brun {first} first", refusal(name))


def test_infer_without_blends_names_the_stage_to_run_first(refusal):
    shutil.rmtree("models/tiny/blend", ignore_errors=True)
    assert re.search(r"models/tiny/blend/leaderboard\.csv: .*\brun blend first", refusal("infer"))


def test_without_a_leaderboard_an_unknown_predictor_is_told_by_its_name(refusal):
    BOARD.unlink()
    assert re.search(r"'meam'.* 'mean'", refusal("submit", "--predictor", "meam"))
