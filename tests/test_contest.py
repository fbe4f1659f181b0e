"""The contest: when the choice is measured, and the gain over the constant."""

import joblib
import numpy as np
import pytest

from pipeline.ensemble import contest as contest_module
from pipeline.ensemble.contest import MOST_NESTED, hold_contest, methods_that_fit
from pipeline.ensemble.leaderboard import Entry
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target


@pytest.mark.parametrize(
    ("blenders", "n_rows", "n_folds", "is_nested"),
    [
        (["convex"], MOST_NESTED, 3, True),
        ([], MOST_NESTED, 3, False),
        (["convex"], MOST_NESTED + 1, 3, False),
        (["convex"], MOST_NESTED, 2, False),
    ],
)
def test_the_choice_is_measured_on_few_rows_of_three_folds(blenders, n_rows, n_folds, is_nested):
    target = Target.of(np.zeros((n_rows, 1)), "regression", "rmse")
    methods = methods_that_fit(blenders, [], target, np.arange(n_rows) % n_folds)
    assert methods.is_nested == is_nested
    assert bool(methods.notes) == (bool(blenders) and not is_nested)


@pytest.mark.parametrize(("n_groups", "n_notes"), [(19, 1), (20, 0), (None, 0)])
def test_a_note_says_that_few_groups_make_intervals_too_narrow(n_groups, n_notes):
    groups = n_groups and [f"g{row % n_groups}" for row in range(60)]
    target = Target.of(np.zeros((60, 1)), "regression", "rmse", groups)
    notes = methods_that_fit(["convex"], [], target, np.arange(60) % 3).notes
    assert [note for note in notes if f" {n_groups} groups" in note] == notes
    assert len(notes) == n_notes


def test_the_gain_over_the_constant_is_the_chosen_blends_with_the_noise_of_its_fits():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 1))
    good, bad = (y + scale * rng.normal(size=y.shape) for scale in (0.3, 2))
    singles = [Entry("good", "member", good), Entry("bad", "member", bad)]
    target, folds = Target.of(y, "regression", "rmse"), np.arange(60) % 3
    methods, test = methods_that_fit(["convex"], [], target, folds), rng.normal(size=(9, 2, 1))
    contest = hold_contest(methods, singles, test, target, folds, ["target"], seed=0)
    (chosen,) = [c.entry for c in contest.candidates if c.entry.name == "blend_convex"]
    assert contest.board.set_index("name").loc["blend_convex", "chosen"]
    assert chosen.fit_variance > 0
    expected = difference_interval(
        target,
        chosen.predictions,
        np.full_like(y, y.mean()),
        seed=0,
        fit_variance=chosen.fit_variance,
    )
    assert contest.over_constant == pytest.approx(expected)


def test_blenders_fitted_side_by_side_give_the_same_bytes(monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=90)
    singles = [Entry(f"m{i}", "member", rng.dirichlet(np.ones(3), 90)) for i in range(3)]
    target, folds = Target.of(y, "multiclass", "logloss"), np.arange(90) % 3
    methods = methods_that_fit(["hill_climb", "logistic", "lightgbm"], ["all"], target, folds)
    test = rng.dirichlet(np.ones(3), (9, 3))

    def held(n_jobs):
        return hold_contest(
            methods, singles, test, target, folds, ["a", "b", "c"], seed=0, n_jobs=n_jobs
        )

    one = held(1)
    monkeypatch.setattr(contest_module, "MANY", 0)
    two = held(2)
    assert one.board.equals(two.board)
    assert [c.entry.name for c in one.candidates] == [c.entry.name for c in two.candidates]
    for alone, beside in zip(one.candidates, two.candidates, strict=True):
        assert alone.entry.predictions.tobytes() == beside.entry.predictions.tobytes()
        assert alone.test.tobytes() == beside.test.tobytes()
    assert one.weights.keys() == {"mean", "hill_climb"} == two.weights.keys()
    assert all(table.equals(two.weights[name]) for name, table in one.weights.items())


def test_no_more_processes_start_than_there_are_blenders(monkeypatch):
    y = np.arange(60.0)[:, None]
    target, folds = Target.of(y, "regression", "rmse"), np.arange(60) % 3
    methods, asked, parallel = methods_that_fit(["convex"], [], target, folds), [], joblib.Parallel
    monkeypatch.setattr(contest_module, "MANY", 0)
    monkeypatch.setattr(joblib, "Parallel", lambda n, **_: asked.append(n) or parallel(1))
    singles = [Entry("one", "member", y + 1), Entry("two", "member", y - 2)]
    of_test = np.zeros((9, 2, 1))
    hold_contest(methods, singles, of_test, target, folds, ["target"], seed=0, n_jobs=10**6)
    assert asked == [2]
