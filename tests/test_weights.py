import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import expit, softmax
from scored import score

from pipeline.ensemble import selection, weights
from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, as_probabilities, out_of_range

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


N_SETS = {"regression": 3, "binary": 1, "multiclass": 1, "multilabel": 3}


@pytest.fixture(autouse=True, scope="module")
def few_bags():
    """Greedy selections as they are, but seven times faster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "N_BAGS", 3)
        yield


def single(task, **settings):
    """`example` with one target."""
    y, preds = example(task, **settings)
    return (y[:, :1], preds[:, :, :1]) if task == "regression" else (y, preds)


def truth(task, y):
    return np.eye(3)[y] if task == "multiclass" else y.reshape(len(y), -1).astype(float)


def choose(name, preds, y, task, metric=None, seed=0):
    return WEIGHTS[name](preds, Target.of(y, task, metric or METRIC[task]), seed=seed)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize("task", sorted(TASKS))
def test_weights_are_shares(name, task):
    y, preds = example(task)
    found = choose(name, preds, y, task)
    several = N_SETS[task] > 1 and name != "mean"
    assert found.shape == ((4, 3) if several else (4,))
    assert found.dtype == np.float64
    if name != "linear":
        assert (found >= 0).all()
    np.testing.assert_allclose(found.sum(axis=0), 1)
    assert (choose(name, preds, y, task) == found).all()


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@given(
    preds=arrays(np.float64, (6, 3, 1), elements=st.floats(-1e6, 1e6)),
    y=arrays(np.float64, (6, 1), elements=st.floats(-1e6, 1e6)),
)
@settings(max_examples=10, deadline=None)
def test_weights_are_shares_whatever_the_numbers(name, preds, y):
    found = choose(name, preds, y, "regression", "pearson")
    if name != "linear":
        assert (found >= 0).all()
    assert found.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", ["convex", "hill_climb"])
@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_member_that_is_the_truth_gets_nearly_all_weight(name, task):
    y, preds = example(task)
    preds[:, 2] = 0.99 * truth(task, y) + 0.01 * preds[:, 2]
    assert choose(name, preds, y, task, None if task != "multilabel" else "logloss")[2].min() > 0.95


def test_a_member_that_is_exactly_the_truth_gets_all_weight():
    y, preds = single("regression")
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
    assert choose("convex", preds, y, task)[1].max() < 1e-6


def test_convex_of_two_members_is_the_closed_form():
    y, preds = example("regression", m=2)
    y, preds = y[:, :1], preds[:, :, :1]
    a, b = (preds[:, i, 0] - y[:, 0] for i in range(2))
    first = np.sum(b * (b - a)) / np.sum((a - b) ** 2)
    assert 0.1 < first < 0.9
    np.testing.assert_allclose(choose("convex", preds, y, "regression"), [first, 1 - first])


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize("unit", [1e-12, 1e12])
def test_the_unit_of_the_target_changes_no_weight(name, unit):
    y, preds = single("regression")
    found = choose(name, unit * preds, unit * y, "regression")
    np.testing.assert_allclose(found, choose(name, preds, y, "regression"), atol=1e-6)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_convex_of_two_members_is_the_best_of_a_grid(task):
    y, preds = example(task, m=2, seed=3)
    grid = np.linspace(0, 1, 501)
    losses = [score("logloss", task, y, g * preds[:, 0] + (1 - g) * preds[:, 1]) for g in grid]
    found = choose("convex", preds, y, task)
    assert 0.05 < found[0] < 0.95
    assert found[0] == pytest.approx(grid[np.argmin(losses)], abs=2e-3)


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
@pytest.mark.parametrize("seed", range(5))
def test_no_small_move_improves_convex_weights(task, seed):
    y, preds = single(task, m=6, seed=seed)
    metric = "rmse" if task == "regression" else "logloss"

    def loss(w):
        return score(metric, task, y, np.einsum("nmc,m->nc", preds, w))

    found = choose("convex", preds, y, task)
    moves = [0.999 * found + 0.001 * corner for corner in np.eye(6)]
    assert min(loss(w) for w in moves) > loss(found) - 1e-7


@pytest.mark.parametrize("name", sorted(WEIGHTS))
@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_a_target_has_the_weights_that_it_would_have_alone(name, task):
    y, preds = example(task)
    found = choose(name, preds, y, task)
    for j in range(3):
        alone = choose(name, preds[:, :, [j]], y[:, [j]], task)
        np.testing.assert_array_equal(found if name == "mean" else found[:, j], alone)


@pytest.mark.parametrize("name", sorted(set(WEIGHTS) - {"mean"}))
def test_a_label_is_weighted_as_a_binary_task(name):
    y, preds = example("multilabel")
    found = choose(name, preds, y, "multilabel", "logloss")[:, 1]
    alone = choose(name, preds[:, :, [1]], y[:, 1].astype(int), "binary", "logloss")
    np.testing.assert_array_equal(found, alone)


@pytest.mark.parametrize("name", sorted(set(WEIGHTS) - {"mean"}))
@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_target_of_one_value_has_equal_weights(name, task):
    y, preds = example(task)
    y[...] = 1
    np.testing.assert_array_equal(choose(name, preds, y, task), 0.25)


@pytest.mark.parametrize("name", sorted(set(WEIGHTS) - {"mean"}))
@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_a_member_twice_changes_no_blend(name, task):
    y, preds = single(task)
    twice = np.concatenate([preds, preds[:, :1]], axis=1)
    once, found = choose(name, preds, y, task), choose(name, twice, y, task)
    np.testing.assert_allclose(found[1:4], once[1:], atol=1e-6)
    np.testing.assert_allclose(found[[0, 4]], once[0] / 2, atol=1e-6)


def blend_of(name, preds, y, task="regression", metric=None):
    target = Target.of(y, task, metric or METRIC[task])
    return BLENDERS[name].fit(preds, target, seed=0).apply(preds)


@pytest.mark.parametrize("name", sorted(WEIGHTS))
def test_two_members_that_complete_each_other_are_the_truth(name):
    rng = np.random.default_rng(0)
    y, error = rng.normal(size=(2, 200, 1))
    preds = np.stack([y + error, y - error], axis=1)
    np.testing.assert_allclose(choose(name, preds, y, "regression"), 0.5, atol=0.03)


@pytest.mark.parametrize("name", sorted(set(WEIGHTS) - {"mean"}))
def test_a_useless_and_a_constant_member_hardly_count(name):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(600, 1))
    noise = rng.normal(size=(600, 4, 1))
    preds = y[:, None] + 0.5 * noise
    preds[:, 1], preds[:, 2] = 3 * noise[:, 1], 0.7
    found = np.abs(choose(name, preds, y, "regression"))
    assert found[1] < 0.07
    assert found[2] < 0.2  # a little of a constant shrinks the others, as it should


@pytest.mark.parametrize("name", sorted(set(WEIGHTS) - {"mean"}))
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_the_wrong_sign_is_used_with_a_negative_weight_or_not_at_all(name, task):
    rng = np.random.default_rng(1)
    signal, shared = rng.normal(size=(2, 2000))
    raw = (signal + shared)[:, None] + 0.3 * rng.normal(size=(2000, 3))
    raw[:, 1] = 2 * shared - 0.5 * signal  # the error of the others, and the signal turned around
    y, preds = (signal[:, None], raw[:, :, None])
    if task == "binary":
        y, preds = (rng.random(2000) < expit(3 * signal)).astype(int), expit(preds)
    found = choose(name, preds, y, task)[1]
    if name == "linear":
        assert found < -0.1
    else:
        assert 0 <= found < 0.03


def test_least_squares_of_classes_is_the_least_brier_score():
    y, preds = example("multiclass", n=3000)
    preds[:, 3] = preds[np.random.default_rng(0).permutation(3000), 3]
    found = choose("linear", preds, y, "multiclass")

    def brier(w):
        return ((np.einsum("nmc,m->nc", preds, w) - truth("multiclass", y)) ** 2).sum(axis=1).mean()

    assert brier(found) < brier(choose("convex", preds, y, "multiclass"))
    moves = [0.99 * found + 0.01 * corner for corner in np.eye(4)]
    assert min(brier(w) for w in moves) > brier(found) - 1e-4


def test_linear_weights_of_many_rows_are_those_of_least_squares():
    y, preds = single("regression", n=5000)
    errors = preds[:, :, 0] - y
    free = np.linalg.solve(errors.T @ errors, np.ones(4))
    np.testing.assert_allclose(
        choose("linear", preds, y, "regression"), free / free.sum(), atol=0.02
    )


@pytest.mark.parametrize("digits", [4, 7, 15])
def test_linear_gives_no_great_weights_to_copies_that_differ_by_rounding(digits):
    """Test predictions may be rounded otherwise, and a great weight would show that."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        y = 5 + rng.normal(size=(200, 1))
        p = y + rng.normal(size=(200, 1))
        copy = p.round(digits) if digits < 15 else p * (1 + 2e-16)
        found = choose("linear", np.stack([p, copy], axis=1), y, "regression", seed=seed)
        assert np.abs(found).max() < 10


def test_linear_survives_constant_members_that_differ_by_rounding():
    for seed in (12, 24, 38):  # weights were 1e291, 1e16 and 1e292
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 3, int(rng.integers(4, 40)))
        shares = rng.random((3, 1)).repeat(3, axis=1) + 1e-3
        shares /= shares.sum(axis=1, keepdims=True)
        found = choose("linear", np.tile(shares, (len(y), 1, 1)), y, "multiclass")
        assert np.abs(found).max() < 1


def test_another_seed_judges_the_penalty_of_linear_weights_on_other_parts():
    y, preds = single("regression", n=40)
    found = [choose("linear", preds, y, "regression", seed=seed) for seed in (0, 0, *range(1, 9))]
    np.testing.assert_array_equal(found[0], found[1])
    assert any((other != found[0]).any() for other in found[2:])


def test_linear_weights_of_alike_members_stay_close_to_equal():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(60, 1))
    preds = y[:, None] + rng.normal(size=(60, 1, 1)) + rng.normal(size=(60, 20, 1))
    errors = preds[:, :, 0] - y
    free = np.linalg.solve(errors.T @ errors, np.ones(20))
    away = np.abs(choose("linear", preds, y, "regression") - 0.05).sum()
    assert away < 0.5 * np.abs(free / free.sum() - 0.05).sum()


def test_negative_weights_still_make_probabilities():
    y, preds = example("multiclass", n=1000)
    preds = 0.7 * preds + 0.3 * truth("multiclass", y)[:, None]
    preds[:, 0] = 1.5 * preds[:, 0] - 0.5 * preds[:, 1].mean(axis=0)
    preds = np.clip(preds, 0, None) / np.clip(preds, 0, None).sum(axis=-1, keepdims=True)
    found = blend_of("linear", preds, y, "multiclass")
    assert not out_of_range("multiclass", found).any()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
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


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_convex_weights_are_0_or_matter(task):
    """A blend needs each member whose weight is not 0, also where new rows are predicted."""
    for seed in range(5):
        y, preds = example(task, m=5, seed=seed)
        preds[:, :3] = np.random.default_rng(seed).permutation(preds[:, :3])
        found = choose("convex", preds, y, task)
        assert ((found == 0) | (found > 1e-6)).all()
        assert (found == 0).any()
        assert found.sum(axis=0) == pytest.approx(1)


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
        y, preds = single(task)
        assert choose("convex", preds, y, task).tolist() == [0.25] * 4
    preds[:, 3] = 1 - preds[:, 3]
    Solution.x = np.array([0.0, 0, 0, 1])  # a corner, and a bad one
    assert choose("convex", preds, y, "binary").tolist() == [0.25] * 4


def test_probabilities_below_0_are_clipped_and_classes_sum_to_1_again():
    blend = np.array([[-0.2, 0.6, 0.6], [0.2, 0.3, 0.4999]])
    expected = [[0, 0.5, 0.5], [0.2, 0.3, 0.4999]]
    np.testing.assert_allclose(as_probabilities("multiclass", blend), expected)
    np.testing.assert_array_equal(as_probabilities("binary", 2 * blend[:, :1]), [[0], [0.4]])
    assert as_probabilities("regression", blend) is blend


@pytest.mark.parametrize("name", ["convex", "hill_climb"])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_choosing_weights_takes_less_than_two_copies_of_the_stack(name, task):
    y, preds = single(task, n=100_000, m=40)
    tracemalloc.start()
    choose(name, preds, y, task)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * preds.nbytes
