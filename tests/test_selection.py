import numpy as np
import pytest

from pipeline.ensemble import selection
from pipeline.ensemble.objectives import OBJECTIVES, Objective, objective_of
from pipeline.ensemble.selection import hill_climb, selection_path
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.target import Target


@pytest.fixture
def few_bags(monkeypatch):
    """As it is, but seven times faster."""
    monkeypatch.setattr(selection, "N_BAGS", 3)


def example(n=400, m=5, seed=0):
    """A target of a regression and alike members."""
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(n, 1))
    return y, y[:, None] + rng.normal(size=(n, 1, 1)) + rng.normal(size=(n, m, 1))


def choose(preds, y, metric="rmse", task="regression", seed=0):
    return hill_climb(preds, Target.of(y, task, metric), seed=seed)


class Near(Objective):
    """How close the only row of a blend comes to a number."""

    def __init__(self, members, number):
        self.members, self.number = np.array(members, dtype=float), number

    def value(self, total, size):
        return -abs(float(total[0]) / size - self.number)


def test_a_climb_by_hand():
    # 0 is nearest to 1; its mean with 4 is 2, farther; then 0 0 4 = 1.33, then 0 0 0 4 = 1
    path = selection_path(Near([[0], [4], [9]], 1), n_steps=3)
    assert path.tolist() == [[1, 1, 1], [1, 0, 0], [2, 0, 0], [2, 1, 0], [3, 1, 0]]


def test_ties_go_to_the_earlier_member_and_the_smaller_selection():
    path = selection_path(Near([[5], [1], [1]], 1), n_steps=2)
    assert path.tolist() == [[1, 1, 1], [0, 1, 0], [0, 2, 0], [0, 3, 0]]


def test_a_climb_starts_from_the_best_few():
    # alone 1.9 is best, then 0.2, then 7; the mean of the first two is nearest to 1
    path = selection_path(Near([[7], [0.2], [1.9]], 1), n_steps=0)
    assert path.tolist() == [[1, 1, 1], [0, 1, 1]]


@pytest.mark.parametrize("metric", sorted(OBJECTIVES))
@pytest.mark.parametrize("seed", range(3))
def test_the_short_way_walks_where_the_metric_itself_would(metric, seed):
    task = METRICS[metric].tasks[0]
    y, preds = example(n=60, m=8, seed=seed)
    if task != "regression":
        y, preds = (y[:, 0] > 0).astype(int), 1 / (1 + np.exp(-preds))
    target = Target.of(y, task, metric)
    short, long = objective_of(preds, target), Objective(preds, target)
    np.testing.assert_array_equal(selection_path(short, 30), selection_path(long, 30))


def test_the_metric_itself_is_improved_whatever_its_direction():
    y, preds = example()
    preds[:, 0] = y * 0.01 + 7  # useless for rmse, the truth for pearson
    assert abs(choose(preds, y, "rmse")[0]) < 0.1  # of .2
    assert choose(preds, y, "pearson")[0] > 0.5


def test_a_metric_of_all_labels_together_gives_a_member_one_weight_for_all(few_bags):
    rng = np.random.default_rng(0)
    y = (rng.random((300, 2)) < [[0.5, 0.2]]).astype(float)
    preds = np.clip(y[:, None] * 0.4 + 0.6 * rng.random((300, 3, 2)), 0, 1)
    preds[:, 2] = rng.random((300, 2))
    weights = WEIGHTS["hill_climb"](preds, Target.of(y, "multilabel", "f1_micro"), seed=0)
    assert weights.shape == (3,)
    assert weights[2] < weights[:2].min()
    assert WEIGHTS["hill_climb"](preds, Target.of(y, "multilabel", "f1"), seed=0).shape == (3, 2)


def test_the_selection_steps_back_towards_the_mean_as_far_as_scores_best(monkeypatch):
    monkeypatch.setattr(selection, "N_STEPS", 0)
    y, error = np.random.default_rng(0).normal(size=(2, 200, 1))
    # alone the first is best; half-way back to the mean, whose error is minus the first's, is y
    preds = np.stack([y + error, y - 3 * error], axis=1)
    assert choose(preds, y) == pytest.approx([0.75, 0.25])


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_the_shares_are_those_of_the_blend_that_was_scored(weight, monkeypatch):
    monkeypatch.setattr(selection, "N_STEPS", 0)
    monkeypatch.setattr(selection, "SHRINKAGE", (weight,))
    y, error = np.random.default_rng(0).normal(size=(2, 200, 1))
    preds = np.stack([y, y + error], axis=1)
    assert choose(preds, y) == pytest.approx([0.5 + weight / 2, 0.5 - weight / 2])


def test_nothing_but_noise_leaves_the_plain_mean():
    far = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        y = rng.normal(size=(300, 1))
        preds = y[:, None] + rng.normal(size=(300, 40, 1))
        far.append(np.abs(choose(preds, y, seed=seed) - 1 / 40).sum())
    assert np.mean(far) < 0.1  # judged by the bags' own rows too, far more


def test_the_plain_mean_stays_where_the_metric_is_undefined():
    y, preds = example()
    assert choose(preds, np.ones_like(y), "pearson").tolist() == [0.2] * 5


def test_the_plain_mean_stays_where_no_weights_are_better():
    y, preds = example()
    preds[:] = 1.0
    assert choose(preds, y, "pearson") == pytest.approx([0.2] * 5, abs=1e-15)


@pytest.mark.usefixtures("few_bags")
def test_another_seed_draws_other_bags():
    y, preds = example()
    found = [choose(preds, y, "mae", seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def test_bags_are_halves_that_hold_every_class():
    y = np.array([1] * 4 + [0] * 96)
    judges, *bags = selection._judges_and_bags(y, seed=0)
    assert sorted(judges) == list(range(100))
    assert len(bags) == selection.N_BAGS
    for rows in bags:
        assert len(set(rows)) == 50
        assert y[rows].sum() == 2
    assert len({tuple(sorted(rows)) for rows in bags}) == len(bags)


def test_bags_of_many_rows_stay_small(monkeypatch):
    monkeypatch.setattr(selection, "ROWS_PER_BAG", 100)
    monkeypatch.setattr(selection, "MOST_LEFT_OUT", 300)
    judges, *bags = selection._judges_and_bags(np.arange(1000.0), seed=0)
    assert 250 <= len(judges) <= 300
    assert {len(rows) for rows in bags} == {100}


@pytest.mark.usefixtures("few_bags")
def test_labels_are_those_of_all_rows_not_of_the_bag(monkeypatch):
    y, preds = example(n=100)
    y = np.round(y)
    seen = []

    class Spy(Objective):
        def __init__(self, preds, target):
            seen.append((len(target), target.labels is y))
            super().__init__(preds, target)

    monkeypatch.setitem(OBJECTIVES, "qwk", Spy)
    choose(preds, y, "qwk")
    assert set(seen) == {(50, True)}
