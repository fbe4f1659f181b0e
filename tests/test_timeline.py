"""Folds by time: a unit trains on earlier rows only, and the first rows have no OOF predictions."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import change_config, read_rows, stages, write_competition, write_rows

from pipeline.competition.rows import Train
from pipeline.competition.timeline import NO_FOLD, as_times, seen_by, time_folds
from pipeline.members.classic.estimators import TfidfLinear
from pipeline.members.kinds import KINDS
from pipeline.members.training_table import TrainingTable
from pipeline.members.units import Unit
from pipeline.settings.members import ClassicMember

# --- times


def test_times_are_numbers_or_iso_dates():
    assert as_times(["3", "-1.5", "2e3"], "abc", "t.csv").tolist() == [3, -1.5, 2000]
    dates = ["1970-01-01", "1970-01-02 01:00", "1970-01-01T00:00:05+00:00", "19700103"]
    assert as_times(dates[:3], "abc", "t.csv").tolist() == [0, 90_000, 5]
    assert as_times(["1970-01-01T01:00+01:00"], "a", "t.csv").tolist() == [0]


@pytest.mark.parametrize(
    ("cells", "row"),
    [(["1", ""], "b"), (["1", "2024-05-31"], "b"), (["2024-05-31", "2024-05-32"], "b")]
    + [(["soon", "late"], "a"), (["2024-05-31", "May"], "b"), (["", ""], "a")],
)
def test_a_cell_without_a_time_is_named(cells, row):
    with pytest.raises(ValueError, match=rf"t\.csv: .*{cells['ab'.index(row)]!r}.*'{row}'"):
        as_times(cells, ["a", "b"], "t.csv")


# --- folds


def test_blocks_of_equal_size_follow_each_other_in_time():
    order = np.random.default_rng(0).permutation(12)
    folds = time_folds(order.astype(float), 3)
    assert folds[np.argsort(order)].tolist() == [-1] * 3 + [0] * 3 + [1] * 3 + [2] * 3


def test_rows_of_one_time_share_a_block():
    times = np.array([1, 1, 2, 2, 2, 2, 3, 4, 4, 5.0])
    assert time_folds(times, 2).tolist() == [-1, -1, 0, 0, 0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("times", [[1, 1, 1, 1, 1, 2], [1, 2], [1, 2, 2, 2, 2, 2, 3]])
def test_too_few_times_for_the_folds_are_refused(times):
    with pytest.raises(ValueError, match=r"folds\.n: 3 folds"):
        time_folds(np.array(times, dtype=float), 3)


def test_a_unit_sees_what_came_before_its_fold_and_elsewhere_all_other_folds():
    folds = np.array([0, NO_FOLD, 2, 1, NO_FOLD])
    assert seen_by(folds, 0).tolist() == [False, True, False, False, True]
    assert seen_by(folds, 1).tolist() == [True, True, False, False, True]
    assert seen_by(np.array([0, 2, 1]), 1).tolist() == [True, True, False]


def test_later_rows_do_not_change_what_a_unit_predicts(tmp_path):
    rng = np.random.default_rng(0)
    texts = [(" ".join(rng.choice(list("abcdefgh"), 4)),) for _ in range(80)]
    times, y = rng.permutation(80).astype(float), rng.normal(size=(80, 1))
    folds = time_folds(times, 3)
    member, kind = ClassicMember(name="a", seed=0, model="tfidf_linear"), KINDS["classic"]()
    predicted = []
    for shift in (0, 100):
        later = y + shift * (folds >= 1)[:, None]
        others = [
            (f"new {text}",) if k >= 2 else (text,) for (text,), k in zip(texts, folds, strict=True)
        ]
        train = Train([f"{k}" for k in range(80)], others, later, (), None, ["target"])
        table = TrainingTable("tiny", "regression", "rmse", "id", train, folds)
        facts = {"encoding": None, "fingerprint": {}, "provenance": {}, "overwrite": False}
        unit = table.to_train(Unit("tiny", "a", 1), member=member, **facts)
        assert set(unit.training) == set(np.flatnonzero(folds < 1))
        inputs = kind.inputs(None, others, None)
        # of fold 1, by targets of fold 1 and on that differ
        predicted.append(kind.fit(unit, inputs, tmp_path)[0])
    np.testing.assert_array_equal(*predicted)


# --- what they are worth


@pytest.mark.parametrize("has_events", [True, False])
def test_folds_by_time_do_not_flatter_where_events_end_and_else_score_as_others(has_events):
    """Rows of an event share its word and its label, so that no model is right on new events."""
    rng = np.random.default_rng(0)
    events, letters = np.arange(360) // 4, list("abcdefghijklmnopqrstuvwxyz")
    y = rng.integers(0, 2, 90)[events] if has_events else rng.integers(0, 2, 360)
    words = np.array(["".join(rng.choice(letters, 8)) for _ in range(90)])[events]
    if not has_events:
        words = np.array(["dull", "warm"])[np.where(rng.random(360) < 0.1, 1 - y, y)]
    texts = [(f"{word} {' '.join(rng.choice(letters, 4))}",) for word in words]
    shares = []
    for folds in (rng.permutation(360) % 3, time_folds(np.arange(360.0), 3)):
        right = np.empty(360)
        for fold in range(3):
            fit, new = np.flatnonzero(seen_by(folds, fold)), np.flatnonzero(folds == fold)
            model = TfidfLinear(task="binary", n_columns=1, seed=0)
            model.fit([texts[row] for row in fit], y[fit])
            right[new] = (model.predict([texts[row] for row in new])[:, 0] > 0.5) == y[new]
        shares.append(right[folds != NO_FOLD].mean())
    if has_events:
        assert shares[0] > 0.85
        assert 0.4 < shares[1] < 0.6
    else:
        assert shares[0] > 0.8
        assert abs(shares[0] - shares[1]) < 0.05


# --- the stages


def date_of(k):
    return f"2024-{1 + k // 28:02}-{1 + k % 28:02}"


@pytest.fixture
def dated(workplace):
    """A competition whose rows have a date, in an order of their own."""
    settings = {
        "folds": {"scheme": "time", "time": "date", "n": 3},
        "members": [
            {"model": "tfidf_linear"},
            {"model": "lightgbm_text", "options": {"rounds": 10, "directions": 5}},
        ],
        "blend": {"methods": ["mean", "convex"], "postprocessing": []},
        "jobs": {"n_jobs": 1},
    }
    write_competition(workplace, "regression", n_rows=80, settings=settings)
    header, rows = read_rows(Path("data/tiny/train.csv"))
    days = np.random.default_rng(2).permutation(80)
    dated_rows = [[*row, date_of(day)] for row, day in zip(rows, days, strict=True)]
    write_rows(Path("data/tiny/train.csv"), [*header, "date"], dated_rows)
    return {row[0]: day for row, day in zip(rows, days.tolist(), strict=True)}


def test_all_stages_score_the_rows_after_the_first_block(dated, capsys):
    stages("prepare", "make_folds")
    assert "first 20 rows are for training only" in capsys.readouterr().out
    assert {day for day in dated.values() if day < 20} == {
        dated[row] for row, fold in read_rows(Path("folds/tiny.csv"))[1] if fold == "-1"
    }
    stages("train", "predict", "blend", "submit", "report")
    assert "60 training rows with OOF predictions" in capsys.readouterr().out
    for name in ("tfidf_linear", "blend_mean"):
        _, rows = read_rows(Path(f"oof/tiny/{name}/oof.csv"))
        assert {dated[row[0]] for row in rows} == set(range(20, 80))
    for fold in range(3):
        run = json.loads(Path(f"models/tiny/tfidf_linear/fold{fold}/run.json").read_text())
        assert run["rows"] == {"training": 20 * (fold + 1), "held_out": 20}
        assert run["n_folds"] == 3
    summary = json.loads(Path("reports/tiny/summary.json").read_text())
    assert summary["rows"]["train"] == 60
    assert summary["rows"]["training_only"] == 20
    assert ">20</data> before them that only train" in Path("reports/tiny/index.html").read_text()
    # of several predictors, and of what others bring
    stages("submit", words=["--predictor", "tfidf_linear", "lightgbm_text"])
    shutil.copytree("oof/tiny/tfidf_linear", "theirs")
    for part in ("oof", "test"):
        Path(f"theirs/{part}.json").unlink()
    stages("prepare", "blend", words=["--blend.external", "theirs"])
    as_labels = ["--predictor", "tfidf_linear", "--submit.as", "labels"]
    stages("submit", words=as_labels)
    submitted = Path("submissions/tiny/tfidf_linear.csv").read_bytes()
    Path("data/tiny/train.csv").unlink()
    stages("infer", words=as_labels)
    assert Path("submissions/tiny/tfidf_linear.csv").read_bytes() == submitted


def test_other_times_are_other_folds(dated, refusal):
    stages("make_folds")
    header, rows = read_rows(Path("data/tiny/train.csv"))
    write_rows(Path("data/tiny/train.csv"), header, [[*rows[0][:-1], "1999-01-01"], *rows[1:]])
    assert "times" in refusal("train")


def test_texts_in_several_blocks_are_told(dated, capsys):
    header, rows = read_rows(Path("data/tiny/train.csv"))
    at = header.index("text")
    rows = [[*row[:at], rows[0][at], *row[at + 1 :]] for row in rows]
    write_rows(Path("data/tiny/train.csv"), header, rows)
    stages("make_folds")
    assert re.search("warning: 1 texts are in several folds", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("folds", "said"),
    [
        ({"time": "day"}, r"train\.csv: .*'day'.*folds\.time"),
        ({"time": "text"}, r"train\.csv: time .*\(folds\.time\)"),
        ({"time": None}, "time is null"),
        ({"scheme": "kfold"}, "scheme is kfold.*'date'"),
        ({"similar": 0.9}, r"similar is 0\.9.*\btime\b"),
        ({"n": 200}, r"folds\.n: 200"),
    ],
)
def test_what_does_not_fit_a_time_is_one_line_at_prepare(dated, refusal, folds, said):
    change_config(folds={"scheme": "time", "time": "date", "n": 3, **folds})
    assert re.search(said, refusal("prepare"))
