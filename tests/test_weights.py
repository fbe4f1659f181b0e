import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax

from pipeline.ensemble import weights
from pipeline.ensemble.weights import WEIGHTS
from pipeline.metrics import score
from pipeline.tasks import TASKS

METRIC = {"regression": "rmse", "binary": "logloss", "multiclass": "logloss", "multilabel": "auc"}


def example(task, n=120, m=4, seed=0):
    """Targets and (n, m, 3 or 1) predictions of alike members."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 1 if task == "binary" else 3))
    noise = rng.normal(size=(n, 1, 1)) + rng.normal(size=(n, m, signal.shape[1]))
    raw = 2 * signal[:, None, :] + noise
    if task == "regression":
        return 2 * signal, raw
    if task == "multiclass":
        return (signal + rng.gumbel(size=signal.shape)).argmax(axis=1), softmax(raw, axis=-1)
    y = (rng.random(signal.shape) < expit(signal)).astype(int)
    return (y[:, 0] if task == "binary" else y.astype(float)), expit(raw)


def truth(task, y):
    return np.eye(3)[y] if task == "multiclass" else y.reshape(len(y), -1).astype(float)


def choose(name, preds, y, task, metric=None, seed=0):
    return WEIGHTS[name](preds, y, task=task, metric=metric or METRIC[task], seed=seed)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize("task", sorted(TASKS))
def test_weights_are_shares(name, task):
    y, preds = example(task)
    found = choose(name, preds, y, task)
    assert found.shape == (4,)
    assert found.dtype == np.float64
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)
    assert (choose(name, preds, y, task) == found).all()


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@given(
    preds=arrays(np.float64, (6, 3, 1), elements=st.floats(-1e6, 1e6)),
    y=arrays(np.float64, (6, 1), elements=st.floats(-1e6, 1e6)),
)
@settings(max_examples=10, deadline=None)
def test_weights_are_shares_whatever_the_numbers(name, preds, y):
    found = choose(name, preds, y, "regression", "pearson")
    assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", ["convex", "hill_climb"])
@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_member_that_is_the_truth_gets_nearly_all_weight(name, task):
    y, preds = example(task)
    preds[:, 2] = 0.99 * truth(task, y) + 0.01 * preds[:, 2]
    assert choose(name, preds, y, task, None if task != "multilabel" else "logloss")[2] > 0.95


def test_a_member_that_is_exactly_the_truth_gets_all_weight():
    y, preds = example("regression")
    preds[:, 1] = y
    assert choose("convex", preds, y, "regression").tolist() == [0, 1, 0, 0]
    preds[:, 3] = y
    assert choose("convex", preds, y, "regression").tolist() == [0, 0.5, 0, 0.5]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_convex_gives_a_member_of_the_wrong_sign_nothing(task):
    y, preds = example(task)
    preds = (truth(task, y)[:, None] + preds) / 2
    if task == "regression":
        preds *= 0.8  # or the wrong sign would help by shrinking the others
    wrong = -preds[:, 1] if task == "regression" else 1 - preds[:, 1]
    preds[:, 1] = wrong / 2 if task == "multiclass" else wrong  # three classes sum to 1 again
    assert choose("convex", preds, y, task)[1] < 1e-6


def test_convex_of_two_members_is_the_closed_form():
    y, preds = example("regression", m=2)
    y, preds = y[:, :1], preds[:, :, :1]
    a, b = (preds[:, i, 0] - y[:, 0] for i in range(2))
    first = np.sum(b * (b - a)) / np.sum((a - b) ** 2)
    assert 0.1 < first < 0.9
    np.testing.assert_allclose(choose("convex", preds, y, "regression"), [first, 1 - first])


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_convex_of_two_members_is_the_best_of_a_grid(task):
    y, preds = example(task, m=2, seed=3)
    grid = np.linspace(0, 1, 501)
    losses = [score("logloss", task, y, g * preds[:, 0] + (1 - g) * preds[:, 1]) for g in grid]
    found = choose("convex", preds, y, task)
    assert 0.05 < found[0] < 0.95
    assert found[0] == pytest.approx(grid[np.argmin(losses)], abs=2e-3)


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("seed", range(5))
def test_no_small_move_improves_convex_weights(task, seed):
    y, preds = example(task, m=6, seed=seed)
    metric = "rmse" if task == "regression" else "logloss"

    def loss(w):
        blend = np.einsum("nmc,m->nc", preds, w)
        if task != "regression":
            return score(metric, task, y, blend)
        return np.mean(((blend - y) / y.std(axis=0)) ** 2)

    found = choose("convex", preds, y, task)
    moves = [0.999 * found + 0.001 * corner for corner in np.eye(6)]
    assert min(loss(w) for w in moves) > loss(found) - 1e-7


def test_convex_counts_targets_of_different_scale_alike():
    y, preds = example("regression")
    expected = choose("convex", preds, y, "regression")
    scale, shift = np.array([1, 1e6, 1e-6]), np.array([0, 1e6, 0])
    found = choose("convex", preds * scale + shift, y * scale + shift, "regression")
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_constant_target_has_no_scale_even_if_its_deviation_rounds_to_more_than_0():
    y, preds = example("regression")
    found = []
    for constant in (0.0, 1.1):
        y[:, 1] = constant
        preds[:, :, 1] = constant + np.array([0, 0.01, 0.02, 0.03])
        found.append(choose("convex", preds, y, "regression"))
    assert y[:, 1].std() > 0
    np.testing.assert_allclose(found[1], found[0], atol=1e-6)


@pytest.mark.parametrize("task", sorted(TASKS))
def test_convex_blends_the_same_with_a_member_twice(task):
    y, preds = example(task)
    twice = np.concatenate([preds, preds[:, :1]], axis=1)
    blends = [np.einsum("nmc,m->nc", p, choose("convex", p, y, task)) for p in (preds, twice)]
    np.testing.assert_allclose(blends[0], blends[1], atol=1e-4)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_convex_survives_members_that_are_surely_wrong(task):
    y, preds = example(task)
    surely = truth(task, y)
    wrong = 1 - surely if task != "multiclass" else np.roll(surely, 1, axis=1)
    preds[:, 0] = wrong
    preds[:, 1] = np.where(np.arange(len(y))[:, None] < 5, wrong, surely)
    found = choose("convex", preds, y, task)
    assert found.sum() == pytest.approx(1)
    assert found[0] < 1e-3
    assert found[1] > 0.5


@pytest.mark.filterwarnings("error")
def test_convex_gives_members_that_are_all_wrong_equal_weights():
    y = np.array([0, 1, 0])
    preds = np.repeat((1.0 - y)[:, None, None], 4, axis=1)
    assert choose("convex", preds, y, "binary") == pytest.approx(0.25)


def test_convex_weights_are_equal_where_a_solver_fails(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("too many iterations")

    class Solution:
        x = np.full(4, np.nan)

    monkeypatch.setattr(weights, "nnls", fail)
    monkeypatch.setattr(weights, "minimize", lambda *args, **kwargs: Solution)
    for task in ("regression", "binary"):
        y, preds = example(task)
        assert choose("convex", preds, y, task).tolist() == [0.25] * 4
    preds[:, 3] = 1 - preds[:, 3]
    Solution.x = np.array([0.0, 0, 0, 1])  # a corner, and a bad one
    assert choose("convex", preds, y, "binary").tolist() == [0.25] * 4


def test_hill_climbing_improves_the_metric_itself_whatever_its_direction():
    y, preds = example("regression", seed=1)
    preds[:, 0] = y * 0.01 + 7  # useless for rmse, the truth for pearson
    assert choose("hill_climb", preds, y, "regression", "rmse")[0] < 0.05
    assert choose("hill_climb", preds, y, "regression", "pearson")[0] > 0.5


def test_hill_climbing_ranks_an_undefined_score_last():
    y, preds = example("regression", m=2)
    y, preds = y[:, :1], preds[:, :, :1].copy()
    preds[:, 0] = 1.0  # no correlation with a constant
    found = choose("hill_climb", preds, y, "regression", "pearson")
    blend = np.einsum("nmc,m->nc", preds, found)
    alone = score("pearson", "regression", y, preds[:, 1])
    assert score("pearson", "regression", y, blend) == pytest.approx(alone)
    assert choose("hill_climb", preds[:, :1], y, "regression", "pearson") == 1


def test_a_selection_that_cancels_to_a_constant_is_no_dead_end():
    y, preds = example("regression", m=3)
    noise = preds[:, 0] - y
    preds = np.stack([y + noise, -y - noise, y - 3.5 * noise], axis=1)
    # .78 and .22 of the first and last are the truth, but half of each is worse than the first
    assert choose("hill_climb", preds, y, "regression", "pearson")[2] > 0.1


def test_hill_climbing_rounds_to_the_labels_of_all_fit_rows(monkeypatch):
    y, preds = example("regression")
    y = np.round(y)

    def spy(metric, task, y_bag, blend, y_train):
        assert len(y_bag) == len(blend) == 60
        assert y_train is y
        return score(metric, task, y_bag, blend, y_train)

    monkeypatch.setattr(weights, "score", spy)
    monkeypatch.setattr(weights, "N_BAGS", 1)
    assert choose("hill_climb", preds, y, "regression", "qwk").sum() == pytest.approx(1)


def test_hill_climbing_weighs_equally_where_the_metric_is_undefined_everywhere():
    y, preds = example("regression")
    found = choose("hill_climb", preds, np.ones_like(y), "regression", "pearson")
    assert found == pytest.approx(0.25)


def test_one_climb_by_hand():
    members = np.array([[[0.0], [0.0]], [[4.0], [4.0]], [[9.0], [9.0]]])

    def value(blend):
        return -abs(blend[0, 0] - 1)  # 3/4 of the first and 1/4 of the second

    np.testing.assert_allclose(weights._climb(members, value), [0.75, 0.25, 0])


def test_a_climb_gives_ties_to_the_earlier_member_and_the_smaller_selection():
    members = np.array([[[5.0]], [[1.0]], [[1.0]]])
    assert weights._climb(members, lambda blend: -abs(blend[0, 0] - 1)).tolist() == [0, 1, 0]
    assert weights._climb(members, lambda blend: 0.0).tolist() == [1, 0, 0]


def test_a_climb_starts_from_the_best_few():
    members = np.array([[[0.0]], [[1.0]], [[-1.0]], [[50.0]]])
    seen = []

    def value(blend):
        seen.append(blend[0, 0])
        return -abs(blend[0, 0])

    assert weights._climb(members, value).tolist() == [1, 0, 0, 0]
    assert seen[:4] == [0, 1, -1, 50]  # alone
    assert seen[4:8] == [0, 0.5, 0, 12.5]  # the best one, two, three, four


@given(members=arrays(np.float64, (3, 4, 1), elements=st.floats(-5, 5)))
@settings(max_examples=30, deadline=None)
def test_a_climb_never_ends_below_the_best_single_member(members):
    target = np.arange(4.0)[:, None]

    def value(blend):
        return -float(np.abs(blend - target).mean())

    blend = np.tensordot(weights._climb(members, value), members, axes=1)
    assert value(blend) >= max(value(member) for member in members) - 1e-12


def test_bags_disagree_less_with_the_plain_mean_than_one_climb(monkeypatch):
    distances = {1: [], 20: []}
    for seed in range(3):
        y, preds = example("multilabel", m=4, seed=seed)
        for n_bags, found in distances.items():
            monkeypatch.setattr(weights, "N_BAGS", n_bags)
            found.append(np.abs(choose("hill_climb", preds, y, "multilabel") - 0.25).sum())
    assert np.mean(distances[20]) < np.mean(distances[1])
