"""The contest: when the choice is measured, and the gain over the constant."""

import numpy as np
import pytest

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.contest import MOST_NESTED, hold_contest, measures_choice
from pipeline.ensemble.leaderboard import Entry
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target


@pytest.mark.parametrize(
    ("n_candidates", "n_rows", "n_folds", "measured"),
    [
        (2, MOST_NESTED, 3, True),
        (1, MOST_NESTED, 3, False),
        (2, MOST_NESTED + 1, 3, False),
        (2, MOST_NESTED, 2, False),
    ],
)
def test_the_choice_is_measured_on_few_rows_of_three_folds(n_candidates, n_rows, n_folds, measured):
    assert measures_choice(n_candidates, n_rows, n_folds) == measured


def test_the_gain_over_the_constant_is_the_chosen_blends_with_the_noise_of_its_fits():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 1))
    singles = [
        Entry(f"m{k}", "member", y + s * rng.normal(size=y.shape)) for k, s in [(0, 0.3), (1, 2)]
    ]
    target, folds = Target.of(y, "regression", "rmse"), np.arange(60) % 3
    blenders = [BLENDERS["mean"], BLENDERS["convex"]]
    contest = hold_contest(
        blenders, {}, singles, rng.normal(size=(9, 2, 1)), target, folds, ["target"], seed=0
    )
    chosen = {c.entry.name: c for c in contest.candidates}["blend_convex"]
    assert contest.board.set_index("name").loc["blend_convex", "chosen"]
    assert chosen.fit_variance > 0
    expected = difference_interval(
        target,
        chosen.cross_fitted,
        np.full_like(y, y.mean()),
        seed=0,
        fit_variance=chosen.fit_variance,
    )
    assert contest.over_constant == pytest.approx(expected)
