"""How long members trained and with what loss, from the units' run.json and train.log."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, TypedDict

import numpy as np

from pipeline.files.paths import predictor_dir
from pipeline.files.provenance import provenance
from pipeline.members.units import Run
from pipeline.predictors.predictions import trained_settings
from pipeline.reporting.evidence import Evidence, Logs
from pipeline.scoring.metrics import metric_of
from pipeline.settings.config import Config

N_POINTS = 60  # of a learning curve: as many as a small figure can show


def minutes_of(runs: dict[int, Run], n_folds: int) -> float | None:
    """Minutes that all units of a member took together; None unless all are known."""
    seconds = [s for run in runs.values() if (s := run.get("seconds")) is not None]
    return sum(seconds) / 60 if len(seconds) == n_folds else None


class Curve(TypedDict):
    """The training loss of a unit by epoch."""

    fold: int
    epoch: list[float]
    loss: list[float]


def learning_curves(logs: dict[str, Logs]) -> dict[str, list[Curve]]:
    """Training loss of each member's units, averaged over at most 60 intervals of steps."""
    curves = {
        name: [_curve(fold, lines) for fold, lines in units.items() if lines]
        for name, units in logs.items()
    }
    return {name: units for name, units in curves.items() if units}


def _curve(fold: int, lines: list[dict[str, float]]) -> Curve:
    intervals = np.array_split(np.arange(len(lines)), min(N_POINTS, len(lines)))
    epochs, losses = np.array([(line["epoch"], line["loss"]) for line in lines], dtype=np.float64).T
    return {
        "fold": fold,
        "epoch": [round(float(epochs[steps].mean()), 4) for steps in intervals],
        "loss": [round(float(losses[steps].mean()), 5) for steps in intervals],
    }


def training_terms(config: Config) -> list[str]:
    """What the training did to targets, rows and classes, other than use them as they are."""
    transform, weight, members = config.data.transform, config.data.weight, defaultdict(list)
    for member in config.members:
        trained = trained_settings(predictor_dir(config.competition, member.name)) or {}
        weights = trained.get("class_weights", member.class_weights)
        if isinstance(weights, Mapping):
            members[", ".join(f"{c} {w:g}" for c, w in weights.items())].append(member.name)
        elif weights is not None:
            members[weights].append(member.name)
    return [
        *([f"trained on {transform} of the target, which is shown as it is"] if transform else []),
        *([f"training rows weighed by {weight}"] if weight else []),
        *(f"classes weighed ({how}) in {', '.join(names)}" for how, names in members.items()),
    ]


def run_facts(evidence: Evidence) -> dict[str, Any]:
    """What was run: settings, versions, times and hashes."""
    config, made_from = evidence.config, evidence.board_stamp.made_from
    members = []
    for member in config.members:
        runs = evidence.runs.get(member.name, {})
        run: Mapping[str, object] = next(iter(runs.values()), {})
        oof_sha256, test_sha256 = made_from["predictors"][member.name]
        members.append(
            {
                "name": member.name,
                "units": len(runs),
                "minutes": minutes_of(runs, evidence.n_folds),
                **{key: run.get(key) for key in ("device", "precision", "steps", "git_commit")},
                "oof_sha256": oof_sha256,
                "test_sha256": test_sha256,
            }
        )
    return {
        "members": members,
        "training": training_terms(config),
        "external": [external.name for external in config.blend.external],
        "config": config.model_dump(mode="json", by_alias=True),
        "better": "higher" if metric_of(config.metric).greater_is_better else "lower",
        "folds_sha256": made_from["folds"],
        "targets_sha256": made_from["targets"],
        "leaderboard_sha256": evidence.board_stamp.sha256,
        **provenance(),
    }
