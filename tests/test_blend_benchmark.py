"""The arithmetic of the blending benchmarks, and a small stack through all of it."""

import math
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import expit, logit
from scored import score

from benchmarks.blend import by_members, compare, paired_interval
from benchmarks.shared import blend_peers, blend_stack
from benchmarks.shared.blend_peers import Peers
from benchmarks.shared.blend_stack import Setting, chosen_blends, measure
from benchmarks.shared.stacks import COLUMNS, Stack, draw_stack
from pipeline.scoring.tasks import out_of_range


@pytest.mark.parametrize("task", COLUMNS)
def test_a_stack_repeats_for_its_seed_and_holds_predictions(task):
    stack = draw_stack(task, 100, 50, 5, calibrated=False, seed=3)
    again = draw_stack(task, 100, 50, 5, calibrated=False, seed=3)
    other = draw_stack(task, 100, 50, 5, calibrated=False, seed=4)
    assert np.array_equal(stack.oof, again.oof)
    assert np.array_equal(stack.new_y, again.new_y)
    assert not np.array_equal(stack.oof, other.oof)
    assert stack.oof.shape == (100, 5, COLUMNS[task])
    assert stack.new.shape == (50, 5, COLUMNS[task])
    assert not out_of_range(task, stack.oof[:, 0]).any()
    assert np.bincount(stack.folds).tolist() == [20] * 5


def test_only_calibrated_members_mean_what_they_say():
    def largest_gap(calibrated: bool) -> float:
        stack = draw_stack("binary", 40_000, 1, 8, calibrated=calibrated, seed=0)
        said = [p[p > 0.8].mean() for p in stack.oof[:, :, 0].T]
        came_true = [stack.y[p > 0.8].mean() for p in stack.oof[:, :, 0].T]
        return float(np.abs(np.subtract(said, came_true)).max())

    assert largest_gap(True) < 0.015
    assert largest_gap(False) > 0.05


def test_a_calibrated_regression_cannot_be_rescaled_for_the_better():
    stack = draw_stack("regression", 40_000, 1, 4, calibrated=True, seed=0)
    for member in stack.oof[:, :, 0].T:
        slope = np.cov(member, stack.y[:, 0])[0, 1] / member.var()
        assert slope == pytest.approx(1, abs=0.02)


def test_members_are_alike_and_their_mean_beats_the_usual_one():
    stack = draw_stack("regression", 5000, 1, 40, calibrated=True, seed=0)
    pairs = np.corrcoef(stack.oof[:, :, 0].T)[np.triu_indices(40, 1)]
    assert 0.8 < np.median(pairs) < 0.97
    losses = [score("rmse", "regression", stack.y, p) for p in stack.oof.swapaxes(0, 1)]
    assert score("rmse", "regression", stack.y, stack.oof.mean(axis=1)) < np.median(losses)


def test_paired_interval_is_students():
    difference, low, high = paired_interval(np.array([3.0, 2.0, 4.0]), np.array([1.0, 1.0, 1.0]))
    half = 4.302653 / math.sqrt(3)  # sd 1, two degrees of freedom
    assert (difference, low, high) == pytest.approx((2, 2 - half, 2 + half))
    assert np.isnan(paired_interval(np.array([3.0]), np.array([1.0]))[1:]).all()


def outcome(members: int, *, chosen: float, mean: float, peers: dict[str, float]) -> dict:
    loss = {"chosen": chosen, "chosen_by_score": chosen, "blend_mean": mean, "single": 9.0}
    return {
        "members": members,
        "chosen": "blend_mean",
        "loss": loss | {f"peer_{name}": value for name, value in peers.items()},
        "auc": {},
    }


@pytest.mark.parametrize(
    ("chosen", "met"),
    [
        ((1.0, 2.0, 3.0), True),  # the peer's own losses
        ((1.1, 1.9, 3.0), True),  # now better, now worse
        ((1.1, 2.1, 3.1), False),  # always worse by as much
        ((1 + 1e-9, 2 + 1e-9, 3 + 1e-9), True),  # worse by rounding
    ],
)
def test_a_setting_is_met_unless_the_chosen_blend_is_surely_worse(chosen, met):
    outcomes = [
        # "fast" would be the best, had it blended all stacks
        outcome(8, chosen=c, mean=9.0, peers={"slow": p} | ({"fast": 0.0} if p == 1 else {}))
        for c, p in zip(chosen, (1.0, 2.0, 3.0), strict=True)
    ]
    line = compare(Setting("regression", 10, True), "all", outcomes)
    assert line["best_peer"] == "slow"
    assert line["met"] is met
    assert line["chose"] == "mean:3"


def test_a_setting_is_missed_where_the_plain_mean_is_surely_better():
    outcomes = [outcome(8, chosen=2.0, mean=1.0, peers={"any": 3.0})] * 2
    assert compare(Setting("regression", 10, True), "all", outcomes)["met"] is False


def test_one_seed_gives_no_verdict_and_parts_are_by_members():
    outcomes = [outcome(m, chosen=2.0, mean=1.0, peers={"any": 3.0}) for m in (40, 8, 40)]
    parts = by_members(outcomes)
    assert [len(parts[name]) for name in ("all", "8", "40")] == [3, 1, 2]
    assert compare(Setting("regression", 10, True), "8", parts["8"])["met"] is None


@pytest.fixture(scope="module")
def peers() -> Iterator[Peers]:
    with Peers(sys.executable) as started:
        yield started


def test_a_small_stack_goes_through_ours_and_the_installed_peers(peers):
    assert {"scipy_slsqp", "sklearn_stacking"} <= set(peers.versions)
    asked = {"names": ["sklearn_stacking", "scipy_slsqp", "hillclimbers"], "limit": 30}
    found = measure(Setting("regression", 100, True), 1, 500, peers, **asked)
    losses = found["loss"]
    assert losses["chosen"] == losses[found["chosen"]]
    assert losses["peer_scipy_slsqp"] == pytest.approx(losses["blend_convex"], abs=1e-3)
    assert losses["blend_mean"] < losses["single"]
    assert all(np.isfinite(list(losses.values())))


def test_what_is_chosen_may_be_a_post_processed_blend_as_in_the_stage(monkeypatch):
    """Of overconfident members' mean alone, what temperature makes of it is better."""
    stack = draw_stack("binary", 600, 500, 5, calibrated=True, seed=0)
    sure = Stack(
        expit(3 * logit(stack.oof)), stack.y, stack.folds, expit(3 * logit(stack.new)), stack.new_y
    )
    monkeypatch.setattr(blend_stack, "Blend", lambda: SimpleNamespace(methods=["mean"]))
    name, blend = chosen_blends(sure, Setting("binary", 600, False), 0)["chosen"]
    assert name in ("blend_mean.temperature", "blend_mean.isotonic")
    losses = [score("logloss", "binary", sure.new_y, p) for p in (blend, sure.new.mean(axis=1))]
    assert losses[0] < losses[1]


def test_a_peer_that_breaks_or_takes_too_long_says_so(tmp_path, monkeypatch):
    def broken(*_: object, **__: object) -> np.ndarray:
        raise ValueError("no")

    def endless(*_: object, **__: object) -> np.ndarray:
        while True:
            pass

    for name, function in (("broken", broken), ("endless", endless)):
        entry = (function, "numpy", ("regression",))
        monkeypatch.setitem(blend_peers.PEERS, name, entry)
    arrays = {"preds": np.ones((2, 1, 1)), "y": np.ones((2, 1)), "new_preds": np.ones((1, 1, 1))}
    np.savez(tmp_path / "stack.npz", **arrays)
    asked = {"task": "regression", "metric": "rmse"}
    found = blend_peers.blend_all(tmp_path / "stack.npz", ["broken", "endless"], 0.1, asked)
    assert found["broken"][1] == "ValueError: no"
    assert found["endless"][1] == "TimeoutError: stopped after 0.1 s"


def test_peers_find_that_two_members_complement_each_other(peers):
    y = np.linspace(0, 1, 50)[:, None]
    preds = np.stack([y + 1, y - 1], axis=1)
    asked = {"task": "regression", "metric": "rmse", "limit": 30}
    for name in ("scipy_slsqp", "sklearn_stacking"):
        [(found, blend, _, remark)] = peers.blend(preds, y, preds, names=[name], **asked)
        assert (found, remark) == (name, "")
        assert blend == pytest.approx(y, abs=0.02)
