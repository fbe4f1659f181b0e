"""The expected score of the choice."""

import numpy as np
import pytest
from scored import errors, score, target_of

from pipeline.ensemble.choice import score_of_choice
from pipeline.ensemble.leaderboard import PLAIN_MEAN, Entry, choose, leaderboard
from pipeline.scoring.intervals import bootstrap_scores, difference_interval, estimate_fit_variance

SETTING = {"seed": 0}


@pytest.fixture(autouse=True)
def few_samples(monkeypatch):
    for function in (bootstrap_scores, leaderboard):
        monkeypatch.setitem(function.__kwdefaults__, "n_bootstrap", 60)  # for speed


def choice_of(candidates, y, folds, groups=None, single=None):
    own = {
        "single": y if single is None else single,
        "fit_variance": dict.fromkeys(candidates, 0.0),
    }
    return score_of_choice(candidates, target_of(y, groups), folds, **own, **SETTING)


def same_for_all_folds(predictions, n_folds=3):
    return np.repeat(predictions[None], n_folds, axis=0)


def test_a_choice_that_is_the_same_everywhere_scores_as_what_it_chooses():
    y, (bad, good) = errors(150, (1.0, 0.3))
    folds = np.arange(150) % 3
    candidates = {PLAIN_MEAN: same_for_all_folds(bad), "blend_good": same_for_all_folds(good)}
    single = y + 0.5
    found = choice_of(candidates, y, folds, single=single)
    assert found["chosen"] == ["blend_good"] * 3
    over_single = [found[f"gain_over_single{end}"] for end in ("", "_low", "_high")]
    assert tuple(over_single) == difference_interval(target_of(y), good, single, **SETTING)
    assert found["score"] == score("rmse", "regression", y, good)
    expected = difference_interval(target_of(y), good, bad, **SETTING)
    assert (found["gain"], found["gain_low"], found["gain_high"]) == expected


def test_the_best_of_many_alike_looks_better_than_choosing_scores():
    """60 blends that differ by luck alone: the chosen line flatters, the estimate does not."""
    gaps = []
    for seed in range(6):
        y, (plain, *lucky) = errors(120, [1.0] * 61, seed)
        folds = np.arange(120) % 3
        candidates = {PLAIN_MEAN: plain} | {f"blend_{i}": p for i, p in enumerate(lucky)}
        entries = [Entry(name, "blend", p) for name, p in candidates.items()]
        board = leaderboard(entries, target_of(y), folds, **SETTING)
        chosen = board.set_index("name").loc[choose(board), "score"]
        pairs = {name: same_for_all_folds(p) for name, p in candidates.items()}
        found = choice_of(pairs, y, folds)
        gaps.append((1 - chosen, 1 - found["score"]))
    flattered, honest = np.mean(gaps, axis=0)
    assert flattered > 0.08
    assert abs(honest) < 0.05


def test_a_fold_is_chosen_for_without_its_targets():
    y, (plain, *others) = errors(90, (1.0, 0.9, 0.8, 0.9))
    folds = np.arange(90) % 3
    candidates = {PLAIN_MEAN: plain} | {f"blend_{i}": p for i, p in enumerate(others)}
    pairs = {name: same_for_all_folds(p) for name, p in candidates.items()}
    before = choice_of(pairs, y, folds)
    garbage = np.where((folds == 1)[:, None], -50 * y, y)
    after = choice_of(pairs, garbage, folds)
    assert after["chosen"][1] == before["chosen"][1]
    assert after["score"] > 5 * before["score"]


def test_groups_are_drawn_whole():
    """Five copies of each row hold no more evidence than one: sqrt(5) times the width."""
    y, (plain, better) = errors(90, (1.0, 0.3))
    y, plain, better = (np.repeat(of, 5, axis=0) for of in (y, plain, better))
    pairs = {PLAIN_MEAN: same_for_all_folds(plain), "blend_b": same_for_all_folds(better)}
    folds, groups = np.arange(450) // 150, np.arange(450) // 5
    alone = choice_of(pairs, y, folds)
    together = choice_of(pairs, y, folds, groups=groups)
    widths = [found["gain_high"] - found["gain_low"] for found in (alone, together)]
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(5), rel=0.25)


def test_the_plain_mean_alone_gains_nothing():
    y, (plain,) = errors(60, (1.0,))
    found = choice_of({PLAIN_MEAN: same_for_all_folds(plain)}, y, np.arange(60) % 3)
    assert found["chosen"] == [PLAIN_MEAN] * 3
    assert (found["gain"], found["gain_low"], found["gain_high"]) == pytest.approx((0, 0, 0))


def test_noisier_fits_are_chosen_less_readily_the_more_so_on_fewer_rows():
    """Of 150 rows 100 are seen: the variance of fits, 1/n² in the rows, is 2.25 times as large."""
    y, (plain, better) = errors(150, (1.0, 0.95))
    folds = np.arange(150) // 50
    candidates = {PLAIN_MEAN: plain, "blend_b": better}
    pairs = {name: same_for_all_folds(p) for name, p in candidates.items()}
    noises, found, expected = np.geomspace(1e-4, 1, 30), [], []
    for v in noises:
        fit_variance = {PLAIN_MEAN: 0.0, "blend_b": v}
        settings = {"single": y, "fit_variance": fit_variance, **SETTING}
        found.append(score_of_choice(pairs, target_of(y), folds, **settings)["chosen"])
        boards = []
        for k in range(3):
            seen = folds != k
            entries = [
                Entry(name, "blend", p[seen], fit_variance=2.25 * fit_variance[name])
                for name, p in candidates.items()
            ]
            boards.append(leaderboard(entries, target_of(y[seen]), folds[seen], **SETTING))
        expected.append([choose(board) for board in boards])
    assert {name for chosen in expected for name in chosen} == {PLAIN_MEAN, "blend_b"}
    assert found == expected


def test_fits_that_differ_widen_the_interval_of_the_choice():
    """Each fold pulls the predictions of the others its own way; a fit is the mean of its folds."""
    n, n_folds = 200, 4
    y, (good,) = errors(n, (0.3,))
    bad = y + 5 * (good - y)
    folds = np.arange(n) % n_folds
    pulls = np.random.default_rng(1).normal(size=(n_folds, n, 1))
    pulled = np.empty((n_folds, n, 1))
    for k in range(n_folds):
        for own in range(n_folds):
            fitted = [j for j in range(n_folds) if j not in (k, own)]
            rows = folds == own
            pulled[k, rows] = (good + pulls[fitted].mean(axis=0))[rows]
    candidates = {PLAIN_MEAN: same_for_all_folds(bad, n_folds), "blend_b": pulled}
    found = choice_of(candidates, y, folds)
    assert found["chosen"] == ["blend_b"] * n_folds
    honest = pulled[folds, np.arange(n)]
    gain, low, high = difference_interval(target_of(y), honest, bad, **SETTING)
    drawn = bootstrap_scores(target_of(y), [honest, bad], **SETTING)
    v = estimate_fit_variance(target_of(y), pulled, folds, **SETTING)
    wider = np.sqrt(1 + v / (drawn[:, 1] - drawn[:, 0]).var())
    assert wider > 1.05
    assert found["gain"] == gain
    ends = np.array([found["gain_low"], found["gain_high"]]) - gain
    assert ends == pytest.approx(wider * (np.array([low, high]) - gain))
