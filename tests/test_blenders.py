import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scored import observed, score

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.saved import load_fitted, save_fitted
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, out_of_range

FITTING = [(n, t) for n in sorted(BLENDERS) for t in TASKS if t in BLENDERS[n].tasks]
UNFIT = [(n, t) for n in sorted(BLENDERS) for t in TASKS if t not in BLENDERS[n].tasks]
REGRESSION = [name for name, task in FITTING if task == "regression"]
METRIC = {
    "regression": "rmse",
    "binary": "logloss",
    "multiclass": "accuracy",
    "multilabel": "accuracy",
}


pytestmark = pytest.mark.usefixtures("few_steps")


def example(task, n=90, n_new=30, m=3, seed=0):
    """Predictions and targets of fit rows, and predictions of new rows."""
    rng = np.random.default_rng(seed)
    n_rows = n + n_new
    signal = rng.normal(size=(n_rows, 1 if task == "binary" else 3))
    noise = rng.normal(size=(n_rows, 1, 1)) + rng.normal(size=(n_rows, m, signal.shape[1]))
    raw = 2 * signal[:, None, :] + noise
    y, preds = observed(task, signal, raw, rng)
    return preds[:n], y[:n], preds[n:]


def fit(name, preds, y, task, metric=None, seed=0):
    target = Target.of(y, task, metric or METRIC[task])
    return BLENDERS[name].fit(preds, target, seed=seed)


def blend(name, preds, y, new_preds, task, metric=None, seed=0):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a solver that did not converge would say so
        return fit(name, preds, y, task, metric, seed).apply(new_preds)


def assert_valid(found, new_preds, task):
    assert found.shape == (len(new_preds), new_preds.shape[2])
    assert found.dtype == np.float64
    assert not out_of_range(task, found).any()


@pytest.mark.parametrize("n", [1, 2, 3, 90])
@pytest.mark.parametrize(("name", "task"), FITTING)
def test_a_blend_of_any_number_of_fit_rows_has_one_valid_prediction_a_new_row(name, task, n):
    preds, y, new_preds = example(task)
    assert_valid(blend(name, preds[:n], y[:n], new_preds, task), new_preds, task)


@pytest.mark.parametrize(("name", "task"), FITTING)
@pytest.mark.parametrize("n", [1, 90])
def test_a_blend_is_the_same_from_its_file(name, task, n, tmp_path):
    preds, y, new_preds = example(task)
    y[:40] = y[0]  # a class, a label or a target hardly varies
    blend = fit(name, preds[:n], y[:n], task)
    save_fitted(tmp_path / "a", blend)
    again = load_fitted(tmp_path / "a")
    assert again.apply(new_preds).tobytes() == blend.apply(new_preds).tobytes()
    save_fitted(tmp_path / "b", again)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("damage", [b"", b"x" * 200, b"\xff" * 8, b"\x02" + bytes(7) + b"{}"])
def test_a_damaged_file_of_a_blend_is_named(tmp_path, damage):
    (tmp_path / "convex").write_bytes(damage)
    with pytest.raises(ValueError, match="convex.*run blend again"):
        load_fitted(tmp_path / "convex")


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_a_blend_keeps_no_hold_of_the_rows_that_it_was_fitted_on(name, task):
    preds, y, new_preds = example(task)
    blend = fit(name, preds, y, task)
    expected = blend.apply(new_preds)
    preds[:], y[:] = preds[::-1] ** 2, y[0]
    np.testing.assert_array_equal(blend.apply(new_preds), expected)


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_a_blend_scores_better_than_its_members_do_on_average(name, task):
    preds, y, _ = example(task, n=200)
    metric = "rmse" if task == "regression" else "auc"
    members = np.mean([score(metric, task, y, preds[:, i]) for i in range(3)])
    found = score(metric, task, y, blend(name, preds, y, preds, task))
    assert found < members if metric == "rmse" else found > members


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_the_same_seed_gives_the_same_blend(name, task):
    preds, y, new_preds = example(task)
    again = blend(name, preds.copy(), y.copy(), new_preds.copy(), task)
    assert (blend(name, preds, y, new_preds, task) == again).all()


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_a_blend_does_without_the_members_that_it_does_not_use(name, task):
    preds, y, new_preds = example(task, m=4)
    truth = Target.of(y, task, METRIC[task]).as_columns(preds.shape[2])
    preds[:, 0] = truth + 9 * (preds[:, 1] - truth) if task == "regression" else 1 - truth
    preds[:, 0] /= 2 if task == "multiclass" else 1
    fitted = fit(name, preds, y, task)
    assert fitted.uses.any()
    if name in ("mean", "convex"):
        assert fitted.uses[0] == (name == "mean")
    expected = fitted.apply(new_preds)
    new_preds[:, ~fitted.uses] = 0
    np.testing.assert_array_equal(fitted.apply(new_preds), expected)


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_the_input_is_left_as_it_was(name, task):
    given_arrays = example(task)
    copies = [a.copy() for a in given_arrays]
    blend(name, *given_arrays, task)
    for found, expected in zip(given_arrays, copies, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_a_new_row_does_not_depend_on_the_other_new_rows(name, task):
    preds, y, new_preds = example(task)
    together = blend(name, preds, y, new_preds, task)
    alone = blend(name, preds, y, new_preds[7:8], task)
    np.testing.assert_allclose(alone, together[7:8], rtol=1e-12, atol=1e-12)
    turned = blend(name, preds, y, new_preds[::-1], task)
    np.testing.assert_allclose(turned[::-1], together, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_sure_and_constant_and_repeated_members_are_survived(name, task):
    preds, y, new_preds = example(task, m=5)
    for p in (preds, new_preds):
        p[:, 1] = 0.1 if task != "multiclass" else [0.1, 0.2, 0.7]
        p[:, 3] = p[:, 2]
        p[:, 4] = np.round(p[:, 4])
        if task == "multiclass":
            p[:, 4] = np.eye(3)[p[:, 4].argmax(axis=1)]
    assert_valid(blend(name, preds, y, new_preds, task), new_preds, task)
    preds, new_preds = np.repeat(preds[:, 1:2], 2, axis=1), np.repeat(new_preds[:, 1:2], 2, axis=1)
    assert_valid(blend(name, preds, y, new_preds, task), new_preds, task)


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_a_member_constant_on_the_fit_rows_alone_does_no_harm(name, task):
    preds, y, new_preds = example(task)
    preds[:, 1] = 0.1 if task != "multiclass" else [0.1, 0.2, 0.7]
    assert preds[:, 1].std(axis=0)[0] > 0  # by rounding
    found = blend(name, preds, y, new_preds, task)
    assert_valid(found, new_preds, task)
    assert np.abs(found).max() < 20


@pytest.mark.parametrize(("name", "task"), FITTING)
def test_one_predictor_is_enough(name, task):
    preds, y, new_preds = example(task, m=1)
    found = blend(name, preds, y, new_preds, task)
    assert_valid(found, new_preds, task)
    if name in WEIGHTS:
        np.testing.assert_allclose(found, new_preds[:, 0], rtol=1e-15)


@pytest.mark.parametrize("name", [n for n, t in FITTING if t == "multiclass"])
def test_a_class_that_no_fit_row_holds_is_survived(name):
    preds, y, new_preds = example("multiclass")
    for held in (y != 2, y == 1):  # two classes, one class
        found = blend(name, preds[held], y[held], new_preds, "multiclass")
        assert_valid(found, new_preds, "multiclass")
        assert (found[:, 2] > 0).all()


@pytest.mark.parametrize(("name", "task"), [c for c in FITTING if c[1] in ("binary", "multilabel")])
@pytest.mark.parametrize("value", [0, 1])
def test_fit_rows_of_one_class_are_survived(name, task, value):
    preds, y, new_preds = example(task)
    assert_valid(blend(name, preds, np.full_like(y, value), new_preds, task), new_preds, task)


@pytest.mark.parametrize("name", REGRESSION)
@pytest.mark.parametrize("metric", ["rmse", "pearson"])
def test_a_constant_target_is_survived(name, metric):
    preds, y, new_preds = example("regression")
    y[:] = 0.1
    assert np.isfinite(blend(name, preds, y, new_preds, "regression", metric)).all()


@pytest.mark.parametrize("name", REGRESSION)
def test_a_target_of_a_million_is_blended_like_one_of_one(name):
    preds, y, new_preds = example("regression")
    expected = blend(name, preds, y, new_preds, "regression")
    found = blend(name, 1e6 * preds, 1e6 * y, 1e6 * new_preds, "regression")
    np.testing.assert_allclose(found / 1e6, expected, atol=1e-3)
    found = blend(name, 1e6 + preds, 1e6 + y, 1e6 + new_preds, "regression")
    np.testing.assert_allclose(found - 1e6, expected, atol=1e-3)


@pytest.mark.parametrize(("name", "task"), [c for c in FITTING if c[0] in ("mean", "rank_mean")])
def test_every_member_twice_is_every_member_once(name, task):
    preds, y, new_preds = example(task)
    once = blend(name, preds, y, new_preds, task)
    twice = blend(name, np.repeat(preds, 2, axis=1), y, np.repeat(new_preds, 2, axis=1), task)
    np.testing.assert_allclose(twice, once, atol=1e-12)


def test_the_mean_is_the_arithmetic_mean_of_predictions():
    preds, y, new_preds = example("multiclass")
    expected = new_preds.mean(axis=1)
    np.testing.assert_allclose(blend("mean", preds, y, new_preds, "multiclass"), expected)


@pytest.mark.parametrize("task", ["binary", "multilabel", "multiclass"])
def test_the_geometric_mean_is_the_mean_of_log_odds(task):
    preds, y, new_preds = example(task)
    found = blend("geometric_mean", preds, y, new_preds, task)
    product = np.prod(new_preds, axis=1) ** (1 / 3)
    rest = np.prod(1 - new_preds, axis=1) ** (1 / 3)
    total = product.sum(axis=1, keepdims=True) if task == "multiclass" else product + rest
    np.testing.assert_allclose(found, product / total)


def test_members_that_are_all_sure_stay_probabilities():
    preds, y, new_preds = example("binary", m=7)
    new_preds[:] = 1.0
    for name in WEIGHTS:
        assert blend(name, preds, y, new_preds, "binary").max() <= 1


@pytest.mark.parametrize(("name", "task"), UNFIT)
def test_a_blender_that_does_not_fit_the_task_says_so(name, task):
    preds, y, new_preds = example(task)
    with pytest.raises(ValueError, match=f"'{name}'.*'{task}'.*blend.methods"):
        blend(name, preds, y, new_preds, task)


def test_only_these_pass_over_a_task():
    classes = ("binary", "multiclass", "multilabel")
    of_regression = [("ridge", task) for task in classes]
    of_classes = [(name, "regression") for name in ("geometric_mean", "logistic")]
    assert sorted(UNFIT) == sorted([*of_regression, *of_classes])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_new_values_that_are_not_finite_are_refused(value):
    preds, y, new_preds = example("regression")
    new_preds[4:6] = value
    with pytest.raises(ValueError, match=r"'mean': .*\bnew\b.*\b2\D+30\D.*\b4\b"):
        blend("mean", preds, y, new_preds, "regression")
    new_preds[4:6] = 1e12
    blend("mean", preds, y, new_preds, "regression")


def test_rank_mean_by_hand():
    # ranks of a: .5 1.5 2.5 3.5; of b: 1.5 .5 3 3; sums 2 2 5.5 6.5
    a, b = [0.0, 1.0, 2.0, 3.0], [20.0, 10.0, 30.0, 30.0]
    preds = np.stack([a, b], axis=1)[:, :, None]
    # plain means 10, 5.5, 16, 16.5, sorted 5.5 10 16 16.5; the tie takes the middle of its two
    new_preds = np.array([[[0.0], [20.0]], [[2.0], [30.0]], [[99.0], [99.0]], [[-9.0], [-9.0]]])
    found = blend("rank_mean", preds, np.zeros((4, 1)), new_preds, "regression")
    np.testing.assert_allclose(found[:, 0], [7.75, 16, 16.5, 7.75])


def test_rank_mean_of_one_member_is_that_member_on_the_fit_rows():
    preds, y, _ = example("regression", m=1)
    preds = np.round(preds, 1)  # with ties
    found = blend("rank_mean", preds, y, preds, "regression")
    np.testing.assert_allclose(found, preds[:, 0], atol=1e-12)


@pytest.mark.parametrize("task", ["regression", "binary", "multilabel"])
def test_rank_mean_is_distributed_as_the_plain_mean(task):
    preds, y, new_preds = example(task)
    found = np.sort(blend("rank_mean", preds, y, preds, task), axis=0)
    plain = np.sort(preds.mean(axis=1), axis=0)
    ties = 1.0 if task == "regression" else 0.2  # rows of equal sums share the middle
    assert np.abs(found - plain).max() < ties
    assert np.abs(found - plain).mean() < 0.02
    new = blend("rank_mean", preds, y, 10 * new_preds - 5, task)
    assert (new >= plain[0]).all()
    assert (new <= plain[-1]).all()


@given(
    preds=arrays(np.float64, (8, 2, 1), elements=st.integers(-20, 20)),
    new_preds=arrays(np.float64, (5, 2, 1), elements=st.integers(-25, 25)),
)
@settings(max_examples=60, deadline=None)
def test_rank_mean_keeps_an_order_on_which_all_members_agree(preds, new_preds):
    y = np.zeros((8, 1))
    found = blend("rank_mean", preds, y, new_preds, "regression")
    below = (new_preds[:, None] <= new_preds[None]).all(axis=(2, 3))  # (5, 5) row i under row j
    assert (found[:, None, 0] <= found[None, :, 0] + 1e-9)[below].all()


@given(preds=arrays(np.float64, (8, 2, 1), elements=st.integers(-20, 20)))
@settings(max_examples=60, deadline=None)
def test_rank_mean_orders_rows_the_same_however_a_member_spreads_its_values(preds):
    y, spread = np.zeros((8, 1)), preds.copy()
    spread[:, 1] = preds[:, 1] ** 3 + 1000
    orders = [blend("rank_mean", p, y, p, "regression")[:, 0] for p in (preds, spread)]
    # rows may tie in one blend where the plain means that lend the quantiles tie
    steps = [np.sign(np.round(o[:, None] - o[None], 9)) for o in orders]
    assert (steps[0] * steps[1] >= 0).all()


def test_rank_mean_gives_a_row_without_any_class_its_plain_mean():
    preds = np.eye(9)[:, None]  # a ninth of each class ranks in the middle, where the quantile is 0
    undecided = np.full((1, 1, 9), 1 / 9)
    found = blend("rank_mean", preds, np.arange(9), undecided, "multiclass")
    np.testing.assert_allclose(found, 1 / 9)
