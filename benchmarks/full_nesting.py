"""The part of a cross-fitted score that comes from members trained on the held-out fold.

    python -m benchmarks.full_nesting                    K * K units for each member; it resumes
    python -m benchmarks.full_nesting --rows 200 --epochs 1 --members mean tfidf_linear

A cross-fitted blend scores fold k with weights from the out-of-fold predictions of the other folds.
Those come from members trained on, among others, fold k. Full nesting removes this: for each fold k
every member is trained anew on the other folds only, and the weights come from those predictions.
All ways blend the same predictions of fold k, so the plain mean, which has no weights, scores the
same.

- cross_fitted: the leaderboard's score.
- seen: weights from members trained without two folds, neither of them fold k.
- fully_nested: weights from members trained without two folds, one of them fold k. So `seen` less
  `fully_nested`, the residue, is the effect of having seen fold k, and `cross_fitted` less `seen`
  is the effect of one more fold of training rows.

`residue` is how much better `seen` scores, with a 95 % paired bootstrap interval over rows; `gain`
is the cross-fitted gain over the plain mean, for comparison. Competition `<c>-nested` is trained
for `cross_fitted`, `<c>-nested-without-<k>` for the others.

Writes benchmarks/results/full_nesting.csv, a line per blender, and .json.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks.shared.command import parser_of
from benchmarks.shared.grid import Limits, limited, run_stages
from benchmarks.shared.record import record
from pipeline.competition.folds import IntArray, origin_of, read_folds
from pipeline.competition.rows import Train, read_train
from pipeline.ensemble.blenders import BLENDERS, Blender
from pipeline.ensemble.crossfit import cross_fit
from pipeline.files.paths import predictor_dir
from pipeline.files.reading import read_csv_as_text
from pipeline.files.writing import write_csv
from pipeline.predictors.board import read_named
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.blend import Blend
from pipeline.settings.config import Config


def train_whole(path: str, members: Sequence[str] | None, limits: Limits) -> Config:
    """Train `<c>-nested`: the competition whose YAML is `path`, within limits."""
    settings = limited(path, "nested", limits)
    if members:
        settings["members"] = [
            m for m in settings["members"] if (m.get("pooling") or m["model"]) in members
        ]
    return run_stages(settings)


def train_without(fold: int, config: Config, train: Train, folds: IntArray) -> Config:
    """Train `<c>-nested-without-<fold>`: all members on the rows of the other folds alone."""
    name = f"{config.competition}-without-{fold}"
    rows = read_csv_as_text(Path(config.data.train))
    others = folds != fold
    ids = np.array(train.ids)[others]
    new_folds = pd.DataFrame({"id": ids, "fold": folds[others] - (folds[others] > fold)})
    files = {part: predictor_dir(name, f"{part}.csv") for part in ("train", "folds")}
    write_csv(files["train"], rows[rows[config.data.id_name].isin(ids)])
    write_csv(files["folds"], new_folds)
    whole = predictor_dir(config.competition, "config.yaml")
    settings = yaml.safe_load(whole.read_text(encoding="utf-8"))
    settings["competition"] = name
    settings["data"] |= {"train": str(files["train"]), "train_rows": None}
    settings["folds"] = {"scheme": "file", "path": str(files["folds"])}
    return run_stages(settings)


def read_oof(config: Config, train: Train) -> Floats:
    """(n, m, c) out-of-fold predictions of all members."""
    names = [member.name for member in config.members]
    oof = [read_named(config, name, "oof", train.ids, train.columns) for name in names]
    return np.stack(oof, axis=1)


def inner_predictions(config: Config, train: Train, folds: IntArray) -> Floats:
    """(K, n, m, c): [k, i] by members that saw neither fold k nor row i's; NaN where i is in k."""
    inner = []
    for fold in range(int(folds.max()) + 1):
        without = train_without(fold, config, train, folds)
        rows = read_train(without.data, without.task)
        oof = read_oof(without, rows)
        inner.append(np.full((len(folds), *oof.shape[1:]), np.nan))
        inner[-1][folds != fold] = oof
    return np.array(inner)


def weighing_rows(inner: Floats, folds: IntArray, fold: int, *, seen: bool) -> Floats:
    """(rows, m, c) predictions of the other folds' rows, from which the weights for `fold` come.

    Args:
        seen: predictions by members trained on `fold`, instead of on a third fold.
    """
    rows = np.flatnonzero(folds != fold)
    if not seen:
        return inner[fold, rows]
    n_folds = len(inner)
    left_out = (folds[rows] + 1) % n_folds
    return inner[np.where(left_out == fold, (left_out + 1) % n_folds, left_out), rows]


def nested_blend(
    blender: Blender, preds: Floats, target: Target, folds: IntArray, inner: Floats, *, seen: bool
) -> Floats:
    """(n, c): each fold's `preds` blended by weights from `weighing_rows`."""
    blend = np.empty((len(preds), preds.shape[2]))
    for fold in range(len(inner)):
        held_out = folds == fold
        weighing = weighing_rows(inner, folds, fold, seen=seen)
        blend[held_out] = blender.fit(weighing, target.only(~held_out), seed=0).apply(
            preds[held_out]
        )
    return blend


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("config", nargs="?", default="configs/tweets.yaml")
    parser.add_argument(
        "--members", nargs="+", help="poolings or models of the config; default all"
    )
    parser.add_argument("--methods", nargs="+", default=Blend().methods, choices=sorted(BLENDERS))
    parser.add_argument("--rows", type=int, default=1000, help="training rows; 0: all")
    parser.add_argument("--folds", type=int, default=3, help="at least 3")
    parser.add_argument("--epochs", type=float, default=3)
    arguments = parser.parse_args(argv)

    limits = Limits(arguments.rows or None, arguments.folds, arguments.epochs)
    config = train_whole(arguments.config, arguments.members, limits)
    train = read_train(config.data, config.task)
    folds = read_folds(config.competition, train.ids, origin_of(config.folds, train))
    preds = read_oof(config, train)
    inner = inner_predictions(config, train, folds)
    target = train.target(config.task, config.metric)
    lines = []
    for name in arguments.methods:
        blender = BLENDERS[name]
        if config.task not in blender.tasks:
            continue
        blends = {"cross_fitted": cross_fit(blender, preds, target, folds, seed=0)} | {
            way: nested_blend(blender, preds, target, folds, inner, seen=way == "seen")
            for way in ("seen", "fully_nested")
        }
        gain = difference_interval(target, blends["cross_fitted"], preds.mean(axis=1), seed=0)[0]
        residue, low, high = difference_interval(
            target, blends["seen"], blends["fully_nested"], seed=0
        )
        scores = {way: target.score(blend) for way, blend in blends.items()}
        line = {"method": name, **scores, "residue": residue}
        lines.append({**line, "residue_low": low, "residue_high": high, "gain": gain})
    members = [member.name for member in config.members]
    record("full_nesting", pd.DataFrame(lines), arguments, metric=config.metric, members=members)


if __name__ == "__main__":
    main()
