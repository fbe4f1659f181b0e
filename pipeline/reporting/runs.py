"""What training the members cost and how it went, from the units' run.json and train.log."""

from typing import Any

import numpy as np

from pipeline.files.paths import predictor_dir
from pipeline.files.provenance import provenance
from pipeline.predictors.external import part_sha256
from pipeline.reporting.evidence import Evidence
from pipeline.scoring.metrics import METRICS

N_POINTS = 60  # of a learning curve: as many as a small figure can show


def minutes_of(runs: dict[int, dict[str, Any]], n_folds: int) -> float | None:
    """Minutes that all units of a member took together; None unless all are known."""
    seconds = [run.get("seconds") for run in runs.values()]
    known = [float(s) for s in seconds if s is not None]
    return sum(known) / 60 if len(known) == n_folds else None


def learning_curves(
    logs: dict[str, dict[int, list[dict[str, Any]]]],
) -> dict[str, list[dict[str, Any]]]:
    """Training loss of each member's units by epoch, each a mean over at most 60 stretches."""
    curves = {}
    for name, of_member in logs.items():
        units = []
        for fold, lines in of_member.items():
            stretches = np.array_split(np.arange(len(lines)), min(N_POINTS, max(1, len(lines))))
            if not lines:
                continue
            epochs = np.array([float(line["epoch"]) for line in lines])
            losses = np.array([float(line["loss"]) for line in lines])
            units.append(
                {
                    "fold": fold,
                    "epoch": [round(float(epochs[s].mean()), 4) for s in stretches],
                    "loss": [round(float(losses[s].mean()), 5) for s in stretches],
                }
            )
        if units:
            curves[name] = units
    return curves


def run_facts(of: Evidence) -> dict[str, Any]:
    """What was run: settings, versions, times and hashes."""
    config = of.config
    members = []
    for member in config.members:
        runs = of.runs.get(member.name, {})
        one: dict[str, Any] = next(iter(runs.values()), {})
        folder = predictor_dir(config.competition, member.name)
        members.append(
            {
                "name": member.name,
                "units": len(runs),
                "minutes": minutes_of(runs, int(of.folds.max()) + 1),
                "device": one.get("device"),
                "precision": one.get("precision"),
                "steps": one.get("steps"),
                "git_commit": one.get("git_commit"),
                "oof_sha256": part_sha256(folder, "oof"),
                "test_sha256": part_sha256(folder, "test"),
            }
        )
    return {
        "members": members,
        "external": [one.name for one in config.blend.external],
        "config": config.model_dump(mode="json", by_alias=True),
        "better": "higher" if METRICS[config.metric].greater_is_better else "lower",
        "folds_sha256": of.board_stamp.made_from["folds"],
        "targets_sha256": of.board_stamp.made_from["targets"],
        "leaderboard_sha256": of.board_stamp.sha256,
        **provenance(),
    }
