"""`jobs.minutes`: training stops in time, later stages take what stands, a second run goes on."""

from pathlib import Path
from types import SimpleNamespace

import conftest
import pytest
from conftest import read_rows, write_competition

from pipeline.competition.rows import texts_by
from pipeline.files.writing import write_json
from pipeline.members import training
from pipeline.members.jobs import run_all
from pipeline.members.pieces import Piece
from pipeline.members.units import NEEDED, Unit, read_run
from pipeline.settings.config import Jobs

MEMBERS = ("tfidf_linear", "words")


@pytest.fixture
def stages(workplace):
    """Run stages of a competition of two classic members and two folds."""
    members = [{"model": "tfidf_linear"}]
    members.append({"model": "tfidf_linear", "name": "words", "options": {"max_features": 9}})
    settings = {"folds": {"n": 2}, "members": members, "jobs": {"n_jobs": 1}, "backbone": None}
    write_competition(workplace, "regression", settings=settings)

    def run(*names, minutes=1, words=()):
        budget = [] if minutes is None else ["--jobs.minutes", str(minutes)]
        conftest.stages(*names, words=[*budget, *words])

    return run


@pytest.fixture
def slow_from(monkeypatch):
    """Let further units be expected to take an hour once so many are trained."""

    def change(n_trained):
        def expected(*_):
            return 3600 * (len(list(Path("models/tiny").glob("*/fold*"))) >= n_trained)

        monkeypatch.setattr(training, "expected_seconds", expected)

    return change


def units():
    return sorted(str(path.relative_to("models/tiny")) for path in Path("models").glob("*/*/fold*"))


def test_whole_members_come_first_and_the_later_stages_take_them(stages, slow_from, capsys):
    slow_from(3)
    stages("make_folds", "train")
    assert units() == ["tfidf_linear/fold0", "tfidf_linear/fold1", "words/fold0"]
    assert "words (1 of 2 folds)" in capsys.readouterr().out
    assert not Path("oof/tiny/words").exists()
    stages("predict", "blend", "submit", "report")
    assert capsys.readouterr().out.count("not trained on all folds yet: words;") == 4
    _, board = read_rows(Path("oof/tiny/leaderboard.csv"))
    assert "tfidf_linear" in [line[0] for line in board]
    assert "words" not in [line[0] for line in board]
    assert Path("submissions/tiny/submission.csv").is_file()


def test_a_second_run_goes_on_and_the_blend_takes_the_member_then(stages, slow_from):
    slow_from(3)
    stages("make_folds", "train", "predict", "blend")
    first = {unit: (Path("models/tiny") / unit / "run.json").read_bytes() for unit in units()}
    slow_from(99)
    stages("train", "predict", "blend")
    assert len(units()) == 4
    assert {unit: (Path("models/tiny") / unit / "run.json").read_bytes() for unit in first} == first
    _, board = read_rows(Path("oof/tiny/leaderboard.csv"))
    assert set(MEMBERS) <= {line[0] for line in board}


@pytest.mark.parametrize("n_anew", [2, 3])
def test_a_member_trained_anew_in_part_is_no_whole_one(n_anew, stages, monkeypatch, capsys):
    stages("make_folds", "train", "predict", minutes=None)
    before = Path("oof/tiny/words/oof.json").read_bytes()
    seconds = iter([0] * n_anew + [3600] * (4 - n_anew))
    monkeypatch.setattr(training, "expected_seconds", lambda *_: next(seconds))
    stages("train", words=("--seed", "7", "--overwrite"))
    assert f"words ({n_anew - 2} of 2 folds)" in capsys.readouterr().out
    assert Path("oof/tiny/words/oof.json").read_bytes() == before
    stages("predict", "blend", words=("--seed", "7"))
    left_out, as_it_was = (
        "not trained on all folds yet: words;",
        "oof/tiny/words: trained with seed",
    )
    told = capsys.readouterr().out
    assert (left_out in told, as_it_was in told) == (n_anew == 3, n_anew == 2)


def test_without_any_whole_member_the_next_stage_says_what_to_do(stages, slow_from, refusal):
    slow_from(1)
    stages("make_folds", "train")
    assert "jobs.minutes" in refusal("predict", "--jobs.minutes", "1")


def test_without_a_budget_a_member_that_is_not_trained_is_an_error(stages, slow_from, refusal):
    slow_from(3)
    stages("make_folds", "train")
    assert "models/tiny/words/fold1" in refusal("predict")


def test_the_budget_counts_what_precedes_the_first_unit(stages, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def two_minutes_of_reading(*arguments):
        now[0] += 120
        return texts_by(*arguments)

    monkeypatch.setattr(training, "texts_by", two_minutes_of_reading)
    stages("make_folds", "train")
    assert units() == []


def test_a_unit_is_expected_to_take_what_its_member_took_or_else_its_kind(workplace):
    table = SimpleNamespace(units_of=lambda m: [Unit("tiny", m.name, k) for k in range(3)])

    def unit(name, kind="bert", rate=1):
        member = SimpleNamespace(name=name, kind=kind)
        return SimpleNamespace(member=member, table=table, fingerprint={"rate": rate})

    seconds = {("mean", 0): 40, ("mean", 1): 50, ("max", 0): 90, ("tfidf", 0): 2}
    for (member, fold), taken in seconds.items():
        run = {**dict.fromkeys(NEEDED), "fingerprint": {"rate": 1}, "unit_seconds": taken}
        write_json(Unit("tiny", member, fold).folder / "run.json", run)
    mean, svr, minimum = unit("mean"), unit("svr", "classic"), unit("min")
    of_run = [mean, unit("max"), unit("tfidf", "classic"), svr, minimum]
    assert training.expected_seconds(mean, of_run) == 50
    assert training.expected_seconds(minimum, of_run) == 90
    assert training.expected_seconds(svr, of_run) == 2
    assert training.expected_seconds(minimum, [minimum, svr]) == 0
    anew = unit("mean", rate=2)
    assert training.expected_seconds(anew, [anew]) == 0


@pytest.mark.parametrize(("under_way", "left"), [(0.0, "3 min"), (1.0, "60 s"), (3.0, "0 s")])
def test_the_time_that_is_left_counts_what_is_done_of_units_under_way(
    monkeypatch, capsys, under_way, left
):
    """After 60 s one of four units is finished, and others are under way."""
    clock = iter([0.0, 60.0])
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(training, "under_way", lambda pieces: under_way)
    monkeypatch.setattr(training, "run_all", lambda *_, on_result, **__: on_result(0, ["ok"]) or [])
    training._run([Piece("mean fold 0", ())] * 4, Jobs(), 0.0)
    assert f"(1 of 4, about {left} left)" in capsys.readouterr().out


def test_a_unit_records_its_seconds(stages):
    stages("make_folds", "train", minutes=None)
    assert 0 < read_run(Unit("tiny", "words", 0))["unit_seconds"] < 600


def double(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_pieces_that_are_not_started_have_no_result(n_jobs):
    pieces = [Piece(f"piece {k}", (k,)) for k in range(6)]
    asked = []

    def starts(i):
        asked.append(i)
        return i % 3 == 0

    results = run_all(double, pieces, Jobs(n_jobs=n_jobs), title="test", starts=starts)
    assert results == [0, None, None, 6, None, None]
    assert asked == list(range(6))
