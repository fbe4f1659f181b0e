"""A grid of poolings x seeds on the same folds, trained by the stages.

The grid of a competition is a competition of its own, `<c>-grid`, whose member `mean-s2` is mean
pooling with seed 2. All members of one seed see the same batches in the same order from the same
start. Trained units are not trained again, so a stopped run resumes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline import make_folds, predict, prepare, train
from pipeline.files.paths import predictor_dir
from pipeline.settings.command import load_config
from pipeline.settings.config import Config


@dataclass(frozen=True)
class Limits:
    """Limits of a training.

    Attributes:
        rows: training rows, all folds together; None: all.
    """

    rows: int | None
    folds: int
    epochs: float


def member_name(pooling: str, seed: int) -> str:
    return f"{pooling}-s{seed}"


def train_grid(
    path: str, poolings: Sequence[str], seeds: Sequence[int], limits: Limits, n_jobs: int | None
) -> Config:
    """Train and predict the missing units of the grid of the competition whose YAML is `path`.

    Args:
        n_jobs: units side by side; None: as the YAML says.
    Returns:
        The grid's config; `oof/<c>-grid/<member>/` holds the predictions of every cell.
    """
    settings = limited(path, "grid", limits)
    # seed after seed: a grid that was stopped early has every pooling
    settings["members"] = [
        {"name": member_name(pooling, seed), "pooling": pooling, "seed": seed}
        for seed in seeds
        for pooling in poolings
    ]
    if n_jobs is not None:
        settings["jobs"] = {**settings.get("jobs", {}), "n_jobs": n_jobs}
    return run_stages(settings)


def limited(path: str, suffix: str, limits: Limits) -> dict[str, Any]:
    """The settings of the competition whose YAML is `path`, within limits, as `<c>-<suffix>`."""
    settings: dict[str, Any] = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    settings["competition"] = f"{settings['competition']}-{suffix}"
    settings["data"]["train_rows"] = limits.rows
    settings["folds"] = {**settings.get("folds", {}), "n": limits.folds}
    settings["training"] = {**settings.get("training", {}), "epochs": limits.epochs}
    return settings


def run_stages(settings: dict[str, Any]) -> Config:
    """Train and predict a competition's missing units; the config, whose YAML lies in oof/<c>/."""
    path = predictor_dir(settings["competition"], "config.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    for stage in (prepare, make_folds, train, predict):
        stage.main([str(path)])
    return load_config(path)
