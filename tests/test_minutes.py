"""`jobs.minutes`: training stops in time, later stages take what stands, a second run goes on."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import read_rows, write_competition

from pipeline.members import training
from pipeline.members.jobs import run_all
from pipeline.members.pieces import Piece
from pipeline.members.units import Unit, read_run
from pipeline.settings.config import Jobs

MEMBERS = ("tfidf_linear", "words")


@pytest.fixture
def stages(workplace):
    """Run stages of a competition of two classic members and two folds."""
    members = [{"model": "tfidf_linear"}]
    members.append({"model": "tfidf_linear", "name": "words", "options": {"max_features": 9}})
    settings = {"folds": {"n": 2}, "members": members, "jobs": {"n_jobs": 1}, "backbone": None}
    config = write_competition(workplace, "regression", settings=settings)

    def run(*names, minutes=1):
        for name in names:
            words = [] if minutes is None else ["--jobs.minutes", str(minutes)]
            import_module(f"pipeline.{name}").main([str(config), *words])

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


def test_a_second_run_goes_on_and_the_blend_takes_the_member_then(stages, slow_from, capsys):
    slow_from(3)
    stages("make_folds", "train", "predict", "blend")
    first = {unit: (Path("models/tiny") / unit / "run.json").read_bytes() for unit in units()}
    slow_from(99)
    stages("train", "predict", "blend")
    assert len(units()) == 4
    assert {unit: (Path("models/tiny") / unit / "run.json").read_bytes() for unit in first} == first
    _, board = read_rows(Path("oof/tiny/leaderboard.csv"))
    assert set(MEMBERS) <= {line[0] for line in board}


def test_without_any_whole_member_the_next_stage_says_what_to_do(stages, slow_from, capsys):
    slow_from(1)
    stages("make_folds", "train")
    with pytest.raises(SystemExit, match="^2$"):
        stages("predict")
    assert "jobs.minutes" in capsys.readouterr().err


def test_without_a_budget_a_member_that_is_not_trained_is_an_error(stages, slow_from, capsys):
    slow_from(3)
    stages("make_folds", "train")
    with pytest.raises(SystemExit, match="^2$"):
        stages("predict", minutes=None)
    assert "models/tiny/words/fold1" in capsys.readouterr().err


def test_a_unit_is_expected_to_take_what_its_member_took_or_else_its_kind(workplace, monkeypatch):
    def unit(member, fold, kind="bert"):
        return SimpleNamespace(unit=Unit("tiny", member, fold), member=SimpleNamespace(kind=kind))

    seconds = {("mean", 0): 40, ("mean", 1): 50, ("max", 0): 90, ("tfidf", 0): 2}
    for member, fold in seconds:
        Unit("tiny", member, fold).folder.mkdir(parents=True)
    monkeypatch.setattr(training, "read_run", lambda u: {"unit_seconds": seconds[u.member, u.fold]})
    of_run = [unit("mean", k) for k in range(3)] + [unit("max", k) for k in range(2)]
    of_run += [unit("tfidf", 0, "classic"), unit("svr", 0, "classic")]
    assert training.expected_seconds(unit("mean", 2), of_run) == 50
    assert training.expected_seconds(unit("min", 0), of_run) == 90
    assert training.expected_seconds(unit("svr", 0, "classic"), of_run) == 2
    assert training.expected_seconds(unit("mean", 0), of_run[3:4]) == 90
    assert training.expected_seconds(unit("mean", 0), of_run[5:]) == 0


@pytest.mark.parametrize(("under_way", "left"), [(0.0, "3 min"), (1.0, "60 s"), (3.0, "0 s")])
def test_the_time_that_is_left_counts_what_is_done_of_units_under_way(
    monkeypatch, capsys, under_way, left
):
    """After 60 s one of four units is finished, and others are under way."""
    unit = SimpleNamespace(unit="mean fold 0", encoding=None)
    clock = iter([0.0, 60.0])
    monkeypatch.setattr(training, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(training, "under_way", lambda pieces: under_way)
    monkeypatch.setattr(training, "doubts_about", lambda trained: [])
    monkeypatch.setattr(training, "read_run", lambda unit: {"metric": "rmse", "score": 1.0})
    monkeypatch.setattr(training, "run_all", lambda *_, on_result, **__: on_result(0, 60.0) or [])
    training._run([Piece("mean fold 0", (unit, None))] * 4, Jobs())
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
