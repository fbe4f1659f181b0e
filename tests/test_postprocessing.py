import json
import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, softmax
from scored import score

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.candidates import candidates_of
from pipeline.ensemble.fitted import check_names
from pipeline.ensemble.postprocessing import POSTPROCESSING
from pipeline.ensemble.saved import load_fitted, save_fitted
from pipeline.ensemble.thresholds import _best_cut, _sums_while_turning
from pipeline.scoring.counts import COUNTED
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, out_of_range

FITTING = [
    (name, task, metric)
    for name in sorted(POSTPROCESSING)
    for task in TASKS
    for metric in METRICS
    if POSTPROCESSING[name].fits(task, METRICS[metric])
]
RATINGS = np.arange(5.0)


def example(task, n=400, seed=0):
    """A perfectly calibrated blend and its targets; ratings 0 to 4 for a regression."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 1 if task == "binary" else 3))
    if task == "regression":
        truth = np.clip(np.round(2 + 1.2 * signal), 0, 4)
        return truth + 0.3 * rng.normal(size=truth.shape), truth
    if task == "multiclass":
        p = softmax(1.5 * signal + [0, -0.5, -1], axis=1)
        return p, (rng.random((n, 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=2)
    p = expit(2 * signal - 1)
    y = (rng.random(p.shape) < p).astype(float)
    return p, y[:, 0].astype(int) if task == "binary" else y


def spoilt(name, task, blend):
    """The same blend with a fault that the post-processing is there to undo."""
    if name == "clip":
        return 2 * blend - 2
    if task == "regression":
        return 0.4 * blend + 1.3
    raw = TASKS[task].to_raw(blend)
    if name in ("temperature", "isotonic"):
        return TASKS[task].to_prediction(3 * raw)
    bias = np.array([2.0, 0.0, -2.0]) if task == "multiclass" else -2.0
    return TASKS[task].to_prediction(raw + bias)


def process(name, blend, y, new_blend, task, metric):
    return POSTPROCESSING[name].fit(blend, Target.of(y, task, metric)).apply(new_blend)


def gain(metric, task, y, after, before):
    sign = METRICS[metric].sign
    return sign * (score(metric, task, y, after) - score(metric, task, y, before))


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_post_processing_undoes_the_fault_it_is_for(name, task, metric):
    blend, y = example(task, n=2000)
    blend = spoilt(name, task, blend)
    found = process(name, blend[:1000], y[:1000], blend[1000:], task, metric)
    assert gain(metric, task, y[1000:], found, blend[1000:]) > 0.01


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_a_blend_that_is_right_is_left_alone(name, task, metric):
    blend, y = example(task, n=8000)
    if METRICS[metric].decides:
        if task == "regression":
            sure = y
        else:
            held = np.eye(3)[y] if task == "multiclass" else y.reshape(blend.shape)
            sure = 0.1 + (0.7 if task == "multiclass" else 0.8) * held
        np.testing.assert_array_equal(process(name, sure, y, sure, task, metric), sure)
        return
    if name == "clip":
        blend = np.clip(blend, y.min(axis=0), y.max(axis=0))
        np.testing.assert_array_equal(process(name, blend, y, blend, task, metric), blend)
        return
    found = process(name, blend[:4000], y[:4000], blend[4000:], task, metric)
    assert np.abs(found - blend[4000:]).mean() < 0.025
    assert gain(metric, task, y[4000:], found, blend[4000:]) > -0.006


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_post_processing_keeps_the_scale_and_its_input(name, task, metric):
    blend, y = example(task)
    blend = spoilt(name, task, blend)
    copies = blend.copy(), y.copy()
    found = process(name, blend[:300], y[:300], blend[300:], task, metric)
    assert found.shape == blend[300:].shape
    assert found.dtype == np.float64
    assert not out_of_range(task, found).any()
    np.testing.assert_array_equal(blend, copies[0])
    np.testing.assert_array_equal(y, copies[1])


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_a_new_row_does_not_depend_on_the_other_new_rows(name, task, metric):
    blend, y = example(task)
    blend = spoilt(name, task, blend)
    together = process(name, blend[:300], y[:300], blend[300:], task, metric)
    alone = process(name, blend[:300], y[:300], blend[307:308], task, metric)
    np.testing.assert_allclose(alone, together[7:8], rtol=1e-12)


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_post_processing_is_the_same_from_its_file(name, task, metric, tmp_path):
    blend, y = example(task)
    blend = spoilt(name, task, blend)
    for target in (Target.of(y[:300], task, metric), Target.of(y[:1], task, metric)):
        fitted = POSTPROCESSING[name].fit(blend[: len(target)], target)
        save_fitted(tmp_path / name, fitted)
        again = load_fitted(tmp_path / name)
        assert again.apply(blend[300:]).tobytes() == fitted.apply(blend[300:]).tobytes()


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_post_processing_is_told_in_a_line_and_kept_as_json(name, task, metric):
    blend, y = example(task)
    blend = spoilt(name, task, blend)
    columns = [f"c{j}" for j in range(blend.shape[1])]
    for target in (Target.of(y[:300], task, metric), Target.of(y[:1], task, metric)):
        kept = POSTPROCESSING[name].fit(blend[: len(target)], target).as_json(columns)
        assert json.loads(json.dumps(kept)) == kept
        assert kept["name"] == name
        assert 0 < len(kept["meaning"].splitlines()) <= 1


def test_the_threshold_that_is_told_is_where_the_blend_is_cut():
    p = np.array([[0.1], [0.2], [0.25], [0.35], [0.4], [0.9]])
    fitted = POSTPROCESSING["threshold"].fit(
        p, Target.of(np.array([0, 0, 0, 1, 1, 1]), "binary", "f1")
    )
    assert re.search(r"\byes 0\.3[;,].*\b0\.5\b", fitted.as_json(["yes"])["meaning"])
    np.testing.assert_array_equal(fitted.apply(p) >= 0.5, p >= 0.3)


def test_the_cut_points_that_are_told_are_where_the_blend_is_cut():
    p = np.array([[0.1], [0.2], [0.8], [1.0], [1.1], [1.2]])
    target = Target.of(np.array([[0.0], [0.0], [1.0], [1.0], [2.0], [2.0]]), "regression", "qwk")
    fitted = POSTPROCESSING["cut_points"].fit(p, target)
    told = re.search(r"\bgrade ([\d.]+) ([\d.]+);", fitted.as_json(["grade"])["meaning"])
    assert [float(cut) for cut in told.groups()] == pytest.approx([0.5, 1.05])


def test_cut_points_that_gain_nothing_are_not_told():
    """The most probable class is right already, as the expected grade is with other cuts."""
    p = np.repeat([[0.5, 0.1, 0.4], [0.1, 0.8, 0.1], [0.4, 0.1, 0.5]], 5, axis=0)
    y = np.repeat([0, 1, 2], 5)
    fitted = POSTPROCESSING["cut_points"].fit(p, Target.of(y, "multiclass", "qwk"))
    np.testing.assert_array_equal(fitted.apply(p), p)
    assert "grade" not in fitted.as_json(["a", "b", "c"])["meaning"]


def test_the_factors_of_classes_are_told_and_a_long_list_is_cut():
    threshold, task = POSTPROCESSING["threshold"].model, TASKS["multiclass"]
    state = {"shift": np.log([1.0, 2.0, 0.25])}
    told = threshold.meaning(state, ["rail", "sea", "air"], task)
    assert "rail 1, sea 2, air 0.25" in told
    state, names = {"shift": np.zeros(80)}, [f"label{j}" for j in range(80)]
    assert len(threshold.meaning(state, names, task)) < 250


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_nothing_is_learnt_from_targets_that_are_all_equal(name, task, metric):
    blend, y = example(task)
    for n in (1, 2, 300):
        same = np.full_like(y[:n], y[0] if task != "multilabel" else 1)
        found = process(name, blend[:n], same, blend[300:], task, metric)
        np.testing.assert_array_equal(found, blend[300:])


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_few_rows_and_constant_and_sure_blends_are_survived(name, task, metric):
    blend, y = example(task)
    sure = np.round(blend) if task != "multiclass" else np.eye(3)[blend.argmax(axis=1)]
    constant = np.repeat(blend[:1], len(blend), axis=0)
    for values, n in ((blend, 2), (blend, 5), (sure, 300), (constant, 300)):
        found = process(name, values[:n], y[:n], sure, task, metric)
        assert not out_of_range(task, found).any()
        assert np.isfinite(score(metric, task, y, found))


@pytest.mark.parametrize(
    ("name", "task", "metric"), [case for case in FITTING if case[1] != "multiclass"]
)
def test_the_order_of_rows_is_never_turned(name, task, metric):
    blend, y = example(task)
    blend = spoilt(name, task, blend)
    found = process(name, blend[:300], y[:300], blend[300:], task, metric)
    for j in range(blend.shape[1]):
        order = np.argsort(blend[300:, j])
        assert (np.diff(found[order, j]) >= -1e-12).all()


def test_an_unknown_post_processing_is_named_beside_the_known_ones():
    check_names("blend.postprocessing", POSTPROCESSING, POSTPROCESSING)
    with pytest.raises(ValueError, match="'sharpen'.*clip, cut_points"):
        check_names("blend.postprocessing", ["clip", "sharpen"], POSTPROCESSING)


def test_clip_by_hand():
    blend, y = np.zeros((3, 2)), np.array([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]])
    new = np.array([[0.5, 9.0], [3.5, -9.0], [2.5, 5.0]])
    found = process("clip", blend, y, new, "regression", "rmse")
    np.testing.assert_array_equal(found, [[1, 9], [3, -9], [2.5, 5]])  # 5 alone is no range


def test_a_threshold_by_hand():
    p, y = np.array([[0.05], [0.1], [0.2], [0.3], [0.4]]), np.array([0, 0, 1, 0, 1])
    # f1 of deciding 1, 2, .. 5 rows: 2/3, 1/2, 4/5, 2/3, 4/7; so between .1 and .2
    found = process("threshold", p, y, np.array([[0.15], [0.14], [0.16]]), "binary", "f1")
    np.testing.assert_allclose(found[0], 0.5)
    assert found[1] < 0.5 < found[2]
    odds = logit(np.array([0.14, 0.16])) - logit(0.15)
    np.testing.assert_allclose(logit(found[1:, 0]), odds)


def test_a_threshold_lies_in_the_middle_of_its_plateau():
    p, y = np.array([[0.1], [0.2], [0.4]]), np.array([0, 0, 1])
    found = process("threshold", p, y, np.array([[0.3]]), "binary", "mcc")
    np.testing.assert_allclose(found, 0.5)


@pytest.mark.parametrize("turned", [False, True])
def test_a_threshold_may_lie_beyond_rows_that_are_sure(turned):
    p = np.repeat([[1.0], [0.0]], [10, 6], axis=0)
    y = np.repeat([1, 0, 1, 0], [3, 7, 1, 5])
    if turned:
        p, y = 1 - p, 1 - y
    found = process("threshold", p, y, p, "binary", "accuracy")
    # deciding by 0.5 is right in 8 of 16 rows, deciding all alike in 12
    assert score("accuracy", "binary", y, found) == 0.75
    assert ((found >= 0.5) == turned).all()


@pytest.mark.parametrize(
    ("name", "task", "metric"),
    [
        ("threshold", "binary", "f1"),
        ("threshold", "multilabel", "f1_micro"),
        ("threshold", "multiclass", "mcc"),
        ("cut_points", "regression", "qwk"),
        ("cut_points", "binary", "qwk"),
    ],
)
def test_rows_that_differ_by_rounding_alone_are_decided_alike(name, task, metric):
    """The mean of three votes hangs on their order in its last digit."""
    p, y = np.array([[0.1], [0.3], [0.3 + 2e-16], [0.9]] * 10), np.array([0, 0, 1, 1] * 10)
    blend = np.hstack([1 - p, p]) if task == "multiclass" else p
    target = y if task in ("binary", "multiclass") else y[:, None].astype(float)
    _, low, high, _ = process(name, blend, target, blend, task, metric)[:4, -1]
    assert (low >= 0.5) == (high >= 0.5)


def test_a_threshold_never_scores_worse_on_the_rows_that_fitted_it():
    """Here 0.5 itself lies between rows that differ by rounding alone."""
    p, y = np.array([[0.5], [0.5 - 2**-53]] * 6), np.array([1, 0] * 6)
    found = process("threshold", p, y, p, "binary", "f1")
    assert gain("f1", "binary", y, found, p) >= 0


def test_a_cut_next_to_certainty_has_finite_odds():
    turns = np.array([0.5, 1 - 2**-53])  # the middle between the last and 1 rounds to 1
    both, none = np.array([1, 1]), np.array([0, 0])
    cut = _best_cut(turns, both, none, 1, COUNTED["accuracy"], 2, 0.5)
    assert turns[1] <= cut < 1


@given(
    p=st.lists(st.integers(1, 19), min_size=6, max_size=12),
    bits=st.lists(st.booleans(), min_size=12, max_size=12),
    metric=st.sampled_from(["accuracy", "f1", "f1_macro", "mcc"]),
)
@settings(max_examples=30, deadline=None)
def test_no_threshold_scores_better_than_the_one_that_is_found(p, bits, metric):
    p, y = np.array(p)[:, None] / 20, np.array(bits[: len(p)], dtype=int)
    if y.min() == y.max():
        return
    found = score(metric, "binary", y, process("threshold", p, y, p, "binary", metric))
    shifted = [score(metric, "binary", y, np.clip(p + s, 0, 1)) for s in np.arange(-20, 21) / 20.5]
    np.testing.assert_allclose(found, max(shifted))


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([0, 2, 3])), min_size=1, max_size=12
    ),
    name=st.sampled_from(sorted(COUNTED)),
)
@settings(max_examples=60, deadline=None)
def test_rows_that_turn_one_by_one_are_counted_as_if_all_were_decided_anew(rows, name):
    y, otherwise = np.array(rows).T
    sums = _sums_while_turning(y, otherwise, 1, COUNTED[name], 4)
    for n_turned, found in enumerate(COUNTED[name].of_sums(sums)):
        decided = np.where(np.arange(len(y)) < n_turned, 1, otherwise)
        one_hot = (np.eye(4)[codes].sum(axis=0)[None] for codes in (y[y == decided], y, decided))
        np.testing.assert_allclose(found, COUNTED[name](*one_hot)[0], atol=1e-12)


def test_weights_of_classes_that_ties_would_make_a_loss_are_left_alone():
    """Every row ties; argmax takes the first class, the search may not."""
    votes = np.array([[3.0, 3, 3], [3, 3, 3], [2, 3, 3], [3, 3, 1], [3, 3, 2]])
    p, y = votes / votes.sum(axis=1, keepdims=True), np.array([0, 2, 1, 0, 2])
    found = process("threshold", p, y, p, "multiclass", "f1_macro")
    before, after = (score("f1_macro", "multiclass", y, values) for values in (p, found))
    assert after >= before


def test_a_class_that_no_fit_row_holds_keeps_its_weight():
    blend, y = example("multiclass")
    held = y != 1
    found = process("threshold", blend[held], y[held], blend, "multiclass", "f1_macro")
    assert (found[:, 1] > 0).all()


def test_cut_points_arrive_in_the_middle_between_labels():
    values = np.array([[0.0], [0.1], [0.4], [0.5], [2.0], [2.1]])
    y = np.array([[1.0], [1.0], [2.0], [2.0], [5.0], [5.0]])
    # best cuts .25 and 1.25 go to 1.5 and 3.5; outside them values are shifted alone
    new = np.array([[0.25], [1.25], [0.75], [0.05], [2.25]])
    found = process("cut_points", values, y, new, "regression", "qwk")
    np.testing.assert_allclose(found[:, 0], [1.5, 3.5, 2.5, 1.3, 4.5])


@given(
    values=st.lists(st.integers(0, 30), min_size=5, max_size=9),
    targets=st.lists(st.integers(0, 2), min_size=9, max_size=9),
)
@settings(max_examples=30, deadline=None)
def test_cut_points_never_score_worse_on_the_rows_that_fitted_them(values, targets):
    values = np.array(values, dtype=float)[:, None] / 10
    y = np.array(targets[: len(values)], dtype=float)[:, None]
    if y.min() == y.max():
        return
    found = process("cut_points", values, y, values, "regression", "qwk")
    assert gain("qwk", "regression", y, found, values) >= -1e-9


def test_one_cut_point_is_the_best_of_all():
    rng = np.random.default_rng(0)
    values, y = rng.normal(size=(30, 1)), rng.integers(0, 2, (30, 1)).astype(float)
    moved = process("cut_points", values, y, values, "regression", "qwk")
    found = score("qwk", "regression", y, moved)
    every = [score("qwk", "regression", y, (values > cut).astype(float)) for cut in values[:, 0]]
    np.testing.assert_allclose(found, max(every))


def test_a_target_of_many_values_is_not_cut():
    rng = np.random.default_rng(0)
    blend, y = rng.normal(size=(300, 1)), rng.normal(size=(300, 1))
    found = process("cut_points", blend, y, blend, "regression", "qwk")
    np.testing.assert_array_equal(found, blend)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_the_temperature_is_what_it_was_heated_by(task):
    blend, y = example(task, n=20_000)
    hot = TASKS[task].to_prediction(3 * TASKS[task].to_raw(blend))
    found = process("temperature", hot, y, hot, task, "logloss")
    np.testing.assert_allclose(found, blend, atol=0.03)


def test_the_temperature_is_the_most_likely_one_under_a_normal_prior_on_its_log():
    p, y = np.array([[0.75], [0.2]]), np.array([1, 0])
    found = process("temperature", p, y, p, "binary", "logloss")
    (factor,), right = logit(found[0]) / logit(p[0]), np.array([logit(0.75), logit(0.8)])
    assert factor > 1
    assert np.log(factor) == pytest.approx((factor * right * expit(-factor * right)).sum(), 1e-3)


def test_a_temperature_does_not_reach_certainty_on_a_few_rows_that_are_right():
    p, y = np.array([[0.3], [0.4], [0.6], [0.7]]), np.array([0, 0, 1, 1])
    found = process("temperature", p, y, p, "binary", "logloss")
    assert 0.7 < found[3, 0] < 0.99


def test_isotonic_by_hand():
    p = np.array([[0.1], [0.2], [0.3], [0.4]])
    y = np.array([0, 1, 0, 1])
    # with a 1 at .1 and a 0 at .4: means 1/2 | 1, 0 pool to 1/2 | 1/2, so all is 1/2
    found = process("isotonic", p, y, p, "binary", "logloss")
    np.testing.assert_allclose(found, 0.5)
    y = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    p = np.array([[0.1], [0.1], [0.1], [0.1], [0.2], [0.2], [0.2], [0.2]])
    found = process("isotonic", p, y, np.array([[0.0], [0.15], [0.9]]), "binary", "logloss")
    np.testing.assert_allclose(found[:, 0], [0.2, 0.5, 0.8])  # 1 / 5, half-way, 4 / 5


@pytest.mark.parametrize("where", ["nowhere", "training row", "test row"])
def test_post_processing_that_changes_no_prediction_is_no_candidate(where):
    y = np.tile(np.arange(4.0), 3)[:, None]  # each fold has the same range
    oof, new = np.stack([y, y], axis=1), np.array([[[1.0], [2.0]]])
    if where == "training row":
        oof[5] = 20
    if where == "test row":
        new[0] = 20
    found = candidates_of(
        BLENDERS["mean"],
        {"clip": POSTPROCESSING["clip"]},
        oof,
        new,
        Target.of(y, "regression", "rmse"),
        np.repeat(np.arange(3), 4),
        keep_pairs=False,
        seed=0,
    )
    clipped = [] if where == "nowhere" else ["blend_mean.clip"]
    assert [c.entry.name for c in found] == ["blend_mean", *clipped]


def test_the_weight_of_recall_moves_the_cut():
    p, y = example("binary")
    cuts = []
    for beta in (0.3, 1, 3):
        target = Target.of(y, "binary", {"name": "fbeta", "beta": beta})
        shift = POSTPROCESSING["threshold"].fit(p, target).values["shift"][0]
        cuts.append(expit(-shift))
    assert cuts == sorted(cuts, reverse=True)
    assert cuts[0] > cuts[2] + 0.2


def test_labels_that_are_scored_together_get_the_cuts_that_are_best_together():
    rng = np.random.default_rng(3)
    y = (rng.random((40, 2)) < [[0.5, 0.1]]).astype(float)
    p = np.clip(0.3 * y + 0.5 * rng.random(y.shape), 0, 1)
    target = Target.of(y, "multilabel", "f1_micro")
    cuts = [(np.sort(p[:, j])[1:] + np.sort(p[:, j])[:-1]) / 2 for j in range(2)]
    decided = ((p >= pair).astype(float) for pair in product(*cuts))
    best = max(map(target.score, decided))
    tuned = POSTPROCESSING["threshold"].fit(p, target).apply(p)
    assert target.score(p) < target.score(tuned) == pytest.approx(best)
