"""One synthetic stack of blend.py: the chosen blend, and the held-out loss of every blend."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.shared.blend_peers import Peers
from benchmarks.shared.stacks import Stack, draw_stack
from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.candidates import candidates_of
from pipeline.ensemble.contest import MOST_NESTED, methods_that_fit
from pipeline.ensemble.leaderboard import leaderboard
from pipeline.files.provenance import provenance
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.blend import Blend

METRIC = {"regression": "rmse", "binary": "logloss", "multiclass": "logloss"}
MEMBERS = (40, 8)  # by seed, in turn
PEERS = ("hillclimbers", "autogluon", "sklearn_stacking", "scipy_slsqp")


@dataclass(frozen=True)
class Setting:
    """A kind of stack."""

    task: str
    n_rows: int
    calibrated: bool

    def __str__(self) -> str:
        kind = "calibrated" if self.calibrated else "miscalibrated"
        return f"{self.task}-{self.n_rows}-{kind}"


def chosen_blends(stack: Stack, setting: Setting, seed: int) -> dict[str, tuple[str, Floats]]:
    """Name and held-out predictions of the stage's choice, and of the best cross-fitted score."""
    target = Target.of(stack.y, setting.task, METRIC[setting.task])
    postprocessing = ["all"] if setting.n_rows <= MOST_NESTED else []
    methods = methods_that_fit(Blend().methods, postprocessing, target, stack.folds)
    arrays = (stack.oof, stack.new, target, stack.folds)
    how: dict[str, Any] = {"keep_pairs": methods.is_nested, "seed": seed}
    candidates = [
        candidate
        for blender in methods.blenders
        for candidate in candidates_of(blender, methods.postprocessing, *arrays, **how)
    ]
    board = leaderboard([c.entry for c in candidates], target, stack.folds, seed=seed)
    predictions = {c.entry.name: c.test for c in candidates}
    chosen = {
        "chosen": str(board.loc[board["chosen"], "name"].iloc[0]),
        "chosen_by_score": str(board["name"].iloc[0]),
    }
    return {rule: (name, predictions[name]) for rule, name in chosen.items()}


def measure(
    setting: Setting, seed: int, n_held_out: int, peers: Peers, **to_peers: Any
) -> dict[str, Any]:
    """The chosen blends of one stack, and each blend's held-out loss and CPU seconds."""
    n_members, metric = MEMBERS[seed % len(MEMBERS)], METRIC[setting.task]
    stack = draw_stack(
        setting.task,
        setting.n_rows,
        n_held_out,
        n_members,
        calibrated=setting.calibrated,
        seed=seed,
    )
    target = Target.of(stack.y, setting.task, metric)
    blends: dict[str, Floats] = {"single": stack.new[:, best_member(stack, target)]}
    seconds, remarks = {}, {}
    for name, blender in BLENDERS.items():
        if setting.task in blender.tasks:
            start = time.process_time()
            blend = blender.fit(stack.oof, target, seed=seed).apply(stack.new)
            seconds[f"blend_{name}"] = time.process_time() - start
            blends[f"blend_{name}"] = blend
    start = time.process_time()
    choices = chosen_blends(stack, setting, seed)
    seconds["chosen"] = time.process_time() - start
    blends |= {rule: blend for rule, (_, blend) in choices.items()}
    arrays = (stack.oof, stack.y, stack.new)
    for name, peer_blend, cpu_seconds, remark in peers.blend(
        *arrays, task=setting.task, metric=metric, **to_peers
    ):
        seconds[f"peer_{name}"] = cpu_seconds
        if peer_blend is None:
            remarks[f"peer_{name}"] = remark
        else:
            blends[f"peer_{name}"] = peer_blend

    def scores(metric: str) -> dict[str, float]:
        on_new = Target.of(stack.new_y, setting.task, metric, labels=stack.y)
        return {name: on_new.score(p) for name, p in blends.items()}

    return {
        "setting": str(setting),
        "seed": seed,
        "members": n_members,
        **{rule: name for rule, (name, _) in choices.items()},
        "loss": scores(metric),
        "auc": scores("auc") if setting.task == "binary" else {},
        "seconds": seconds,
        "remarks": remarks,
        "peers": peers.versions,
        "commit": provenance()["git_commit"],
    }


def best_member(stack: Stack, target: Target) -> int:
    """The member with the best score on the fit rows."""
    alone = [target.score(p) for p in stack.oof.swapaxes(0, 1)]
    return int(np.argmax(target.metric.sign * np.array(alone)))
