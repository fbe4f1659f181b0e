"""The leak check finds predictors that saw their OOF rows, and passes merely good predictors.

The data are synthetic: the target is a + b; our members see a with independent noise, and an honest
external predictor may see b too.
"""

import numpy as np
import pytest

from pipeline.predictors.leak_check import LEAST_TEST_ROWS, LeakCheck, leak_check
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS

METRIC = {"regression": "rmse", "binary": "auc", "multiclass": "logloss", "multilabel": "logloss"}
K = 5


def world(task, seed=0, n=1500, k=800):
    """y, our members' two parts, and what an honest rival predicts."""
    rng = np.random.default_rng(seed)
    to_prediction = TASKS[task].to_prediction
    c = {"regression": 1, "binary": 1, "multiclass": 3, "multilabel": 2}[task]
    a, b = rng.normal(0, 1.0, (2, n + k, c))

    def parts(raw, noise):
        """One model a training row, the average of K a test row."""
        sd = np.repeat([noise, noise / np.sqrt(K)], [n, k])[:, None]
        both = to_prediction(raw + sd * rng.normal(size=raw.shape))
        return both[:n], both[n:]

    members = [parts(0.9 * a, 0.3) for _ in range(3)]
    ours = tuple(np.stack(part, axis=1) for part in zip(*members, strict=True))
    raw = (a + b)[:n]
    if task == "regression":
        y = raw + rng.normal(size=raw.shape)
    elif task == "multiclass":
        y = (raw + rng.gumbel(size=raw.shape)).argmax(axis=1)
    else:
        y = (raw + rng.logistic(size=raw.shape) > 0).astype(np.int64)
    y = y[:, 0] if task == "binary" else y.astype(np.float64) if task == "multilabel" else y
    return y, ours, lambda strength, noise: parts(a + strength * b, noise)


def known(y, task, share, oof, rng):
    """The OOF of a model that knows this share of the rows' targets."""
    c = oof.shape[1]
    truth = np.eye(c)[y] if task == "multiclass" else y.reshape(len(oof), c)
    seen = rng.random((len(oof), 1)) < share
    return np.where(seen, 0.1 * oof + 0.9 * truth, oof)


def verdict(y, ours, theirs, task):
    return leak_check(ours, theirs, Target.of(y, task, METRIC[task]))


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize(("strength", "noise"), [(1, 0.1), (1, 0.5), (0.3, 0.2), (0, 0.3)])
def test_an_honest_predictor_is_not_suspected_however_good(task, strength, noise):
    for seed in range(3):
        y, ours, rival = world(task, seed)
        found = verdict(y, ours, rival(strength, noise), task)
        assert not found.is_too_good
        assert found.z < 3
    assert strength < 1 or found.gain > 0


@pytest.mark.parametrize("k", [3, 10, LEAST_TEST_ROWS - 1])
def test_few_test_rows_say_nothing(k):
    for seed in range(50):
        y, ours, rival = world("regression", seed, k=k)
        assert verdict(y, ours, rival(1, 0.1), "regression") is None


def test_a_leak_is_found_on_just_enough_test_rows():
    for seed in range(20):
        y, ours, rival = world("regression", seed, k=LEAST_TEST_ROWS)
        oof, test = rival(0.3, 0.2)
        leaked = known(y, "regression", 1.0, oof, np.random.default_rng(1))
        assert verdict(y, ours, (leaked, test), "regression").is_too_good


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_predictor_that_knows_the_targets_of_its_rows_is_suspected(task, share):
    y, ours, rival = world(task)
    oof, test = rival(0.3, 0.2)
    leaked = known(y, task, share, oof, np.random.default_rng(1))
    found = verdict(y, ours, (leaked, test), task)
    assert found.is_too_good
    assert min(found.far, found.explained) > found.expected + 0.05


def test_missing_labels_do_not_change_the_verdict():
    y, ours, rival = world("multilabel")
    oof, test = rival(0.3, 0.2)
    rng = np.random.default_rng(1)
    lacking = np.where(rng.random(y.shape) < [0.1, 0.5], np.nan, y)
    leaked = known(y, "multilabel", 0.5, oof, rng)
    of_one = np.column_stack([leaked[:, 0], oof[:, 1]])
    for theirs, is_too_good in [(oof, False), (leaked, True), (of_one, True)]:
        whole, part = (verdict(of, ours, (theirs, test), "multilabel") for of in (y, lacking))
        assert whole.is_too_good == part.is_too_good == is_too_good
        assert part.explained == pytest.approx(whole.explained, abs=0.03)


def test_a_leak_in_a_predictor_that_is_honestly_better_is_found_too():
    y, ours, rival = world("regression")
    oof, test = rival(1, 0.2)
    assert not verdict(y, ours, (oof, test), "regression").is_too_good
    leaked = known(y, "regression", 1.0, oof, np.random.default_rng(1))
    assert verdict(y, ours, (leaked, test), "regression").is_too_good


def test_who_averages_many_models_on_the_test_rows_only_is_not_suspected():
    y, ours, rival = world("regression")
    found = verdict(y, ours, (rival(1, 0.8)[0], rival(1, 0.0)[1]), "regression")
    assert found.far > found.expected + 0.1
    assert not found.is_too_good


def test_test_rows_that_vary_less_are_no_reason_to_suspect_a_leak():
    y, ours, rival = world("regression")
    oof, test = rival(1, 0.2)
    narrow = (ours[0], ours[1] * 0.6)
    assert not verdict(y, narrow, (oof, test * 0.6), "regression").is_too_good
    leaked = known(y, "regression", 1.0, rival(0.3, 0.2)[0], np.random.default_rng(1))
    assert verdict(y, narrow, (leaked, rival(0.3, 0.2)[1] * 0.6), "regression").is_too_good


def test_a_leak_without_a_better_score_is_let_pass():
    """A warning about a predictor that adds nothing would only cost attention."""
    y, ours, rival = world("regression")
    oof, test = rival(0, 3.0)
    leaked = known(y, "regression", 0.2, oof, np.random.default_rng(1))
    found = verdict(y, ours, (leaked, test), "regression")
    assert found.gain < 0
    assert not found.is_too_good


@pytest.mark.parametrize(
    ("figures", "is_too_good"),
    [
        ({}, True),
        ({"gain": 0.0}, False),
        ({"z": 3.0}, False),
        ({"far": 0.13}, False),
        ({"explained": 0.13}, False),
        ({"expected": 0.17}, False),
    ],
)
def test_a_suspicion_takes_a_gain_a_clear_excess_and_a_large_one(figures, is_too_good):
    just_enough = {"gain": 1e-9, "far": 0.14, "explained": 0.14, "expected": 0.1, "z": 3.01}
    assert LeakCheck(**{**just_enough, **figures}).is_too_good == is_too_good


def test_neither_scale_nor_place_of_a_regression_matter():
    y, ours, rival = world("regression")
    oof, test = rival(0.3, 0.2)
    plain = verdict(y, ours, (oof, test), "regression")
    other = verdict(y, ours, (oof * 1e-3 + 7, test * 1e-3 + 7), "regression")
    assert [other.far, other.explained, other.expected, other.z] == pytest.approx(
        [plain.far, plain.explained, plain.expected, plain.z]
    )
    far_away = tuple(part * 1e6 - 1e9 for part in ours)
    moved = verdict(y * 1e6 - 1e9, far_away, (oof * 1e6 - 1e9, test * 1e6 - 1e9), "regression")
    assert [moved.far, moved.z] == pytest.approx([plain.far, plain.z], rel=1e-4)


def test_the_numbers_are_those_of_the_definition():
    at = np.repeat([[-1.0], [1.0], [-1.0], [1.0]], 10, axis=0)
    y = 2 * at
    target = Target.of(y, "regression", "rmse")
    # two members around 1 and -1; the best line through their mean is y itself: no error is left
    ours = (np.stack([at, at], axis=1), np.stack([at, at], axis=1))
    assert leak_check(ours, (y, y), target) is None
    # of a mean that says nothing, all is error: 4 of 4 is explained, at a distance of 4
    nothing = np.repeat([[-1.0, 1.0], [1.0, -1.0]], 20, axis=0)[:, :, None]
    found = leak_check((nothing, nothing), (y, y / 2), target)
    assert [found.far, found.explained, found.expected] == pytest.approx([1, 1, 0.25])
    assert found.gain == pytest.approx(np.sqrt(5))


@pytest.mark.parametrize("m", [2, 5])
def test_the_expectation_adds_the_spread_that_members_lose_on_the_test_rows(m):
    """Written anew from the definition, on standardised targets."""
    rng = np.random.default_rng(m)
    y, signal = rng.normal(size=(400, 1)), rng.normal(size=(400, 1))
    members = [
        (0.5 * y + 0.9 * rng.normal(size=(400, m))),
        0.5 * signal + 0.3 * rng.normal(size=(400, m)),
    ]
    theirs = (y + 0.5 * rng.normal(size=(400, 1)), signal + 0.4 * rng.normal(size=(400, 1)))
    standard = (y - y.mean()) / y.std()

    def fitted(train, test):
        line = np.polyfit(train[:, 0], standard[:, 0], 1)[0]
        return line * (train - train.mean()), line * (test - train.mean()), line

    o_train, o_test, slope = fitted(*(part.mean(axis=1, keepdims=True) for part in members))
    _, e_test, _ = fitted(*theirs)
    expected = np.mean((e_test - o_test) ** 2)
    expected *= max(1, o_train.var() / o_test.var())
    noise = [slope**2 * part.var(axis=1, ddof=1).mean() * (1 + 1 / m) for part in members]
    assert noise[0] > noise[1]
    expected += noise[0] - noise[1]
    ours = tuple(part[:, :, None] for part in members)
    found = leak_check(ours, theirs, Target.of(y, "regression", "rmse"))
    assert found.expected == pytest.approx(expected / np.mean((standard - o_train) ** 2))


def test_nothing_is_said_with_one_member_for_there_is_no_spread_to_compare_with():
    y, ours, rival = world("regression")
    one = tuple(part[:, :1] for part in ours)
    assert verdict(y, one, rival(1, 0.1), "regression") is None


@pytest.mark.parametrize("task", sorted(TASKS))
def test_constant_predictors_and_targets_are_survived(task):
    y, ours, rival = world(task)
    oof, test = rival(1, 0.1)
    flat = (np.full_like(oof, 0.5), np.full_like(test, 0.5))
    if task == "multiclass":
        flat = (np.full_like(oof, 1 / 3), np.full_like(test, 1 / 3))
    assert not verdict(y, ours, flat, task).is_too_good
    same = verdict(np.ones_like(y), ours, (oof, test), task)
    assert same is None or not same.is_too_good
    still = tuple(np.repeat(part[:, None], 2, axis=1) for part in flat)
    found = verdict(y, still, (oof, test), task)
    assert found is None or np.isfinite(found.z)


def test_the_gain_is_over_the_best_member():
    y, ours, rival = world("regression")
    theirs = rival(0.3, 0.2)
    ours[0][:, 1] = 0.5 * ours[0][:, 1]  # members of different scores
    scores = [np.sqrt(np.mean((p - y) ** 2)) for p in (theirs[0], *ours[0].transpose(1, 0, 2))]
    found = verdict(y, ours, theirs, "regression")
    assert found.gain == pytest.approx(min(scores[1:]) - scores[0])
