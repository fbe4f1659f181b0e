"""Blend the predictors by every method, score each blend on rows it did not see, choose one.

Reads the training table, folds/<c>.csv and oof/<c>/<member>/{oof,test}.csv, and the folders of
blend.external; writes oof/<c>/blend_<method>/{oof,test}.csv (weights.csv too, if it has any) and
oof/<c>/leaderboard.csv.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.artifacts import (
    file_sha256,
    leaderboard_path,
    predictor_dir,
    read_csv_as_text,
    read_json,
    sha256_of_array,
    sha256_of_texts,
    write_csv,
    write_json,
)
from pipeline.command import one_line_errors, parse
from pipeline.competition import Train, read_test, read_train
from pipeline.config import Config
from pipeline.folds import origin_of, read_folds
from pipeline.foreign import part_sha256
from pipeline.metrics import METRICS, column_scores
from pipeline.predictors import check_made_for, is_current, write_predictions
from pipeline.stack import Stack, read_stack, with_doubts


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, _ = parse(__doc__, argv)
        train, test = read_train(config.data, config.task), read_test(config.data)
        folds = read_folds(config.competition, train.ids, origin_of(config.folds, train))
        folders = {m.name: predictor_dir(config.competition, m.name) for m in config.members}
        external = {one.name: Path(one.folder) for one in config.blend.external}
        stack = read_stack(
            folders,
            external,
            train.ids,
            test.ids,
            train.columns,
            config.task,
            folds,
            config.blend.by_position,
        )
        for folder in folders.values():
            check_made_for(
                folder, {"folds": sha256_of_array(folds), "targets": sha256_of_array(train.y)}
            )
        print(
            f"blend: {len(stack.names)} predictors, {len(stack.oof)} training rows, "
            f"{len(stack.test)} test rows"
        )
        stack, doubts = with_doubts(stack, train.y, task=config.task, metric=config.metric)
        for line in doubts:
            print(f"warning: {line}")
        source = _source(config, train, folds, {**folders, **external}, stack.kinds)
        path = leaderboard_path(config.competition)
        if not _stands(config, path, source):
            board = _blend(config, stack, train, test.ids, folds, source)
            write_csv(path, board)
            write_json(path.with_suffix(".json"), {**source, "sha256": file_sha256(path)})
        _tell(config, path)


def _source(
    config: Config,
    train: Train,
    folds: NDArray[np.int64],
    folders: dict[str, Path],
    kinds: Sequence[str],
) -> dict[str, Any]:
    """All that determines blends and leaderboard."""
    files = {
        name: [part_sha256(folder, part) for part in ("oof", "test")]
        for name, folder in folders.items()
    }
    return {
        "models": sha256_of_texts(f"{name} {hashes[0]}" for name, hashes in files.items()),
        "predictors": files,
        "kinds": dict(zip(files, kinds, strict=True)),
        "methods": list(config.blend.methods),
        "task": config.task,
        "metric": config.metric,
        "seed": config.seed,
        "targets": sha256_of_array(train.y),
        "folds": sha256_of_array(folds),
        "groups": None if train.groups is None else sha256_of_texts(train.groups),
    }


def _stands(config: Config, path: Path, source: dict[str, Any]) -> bool:
    """Whether leaderboard and blends were made from just this and are unchanged."""
    if not path.is_file() or not path.with_suffix(".json").is_file():
        return False
    if read_json(path.with_suffix(".json")) != {**source, "sha256": file_sha256(path)}:
        return False
    board = read_csv_as_text(path)
    return all(
        is_current(predictor_dir(config.competition, name), part, _source_of_blend(source, name))
        for name in board["name"][board["kind"] == "blend"]
        for part in ("oof", "test")
    )


def _source_of_blend(source: dict[str, Any], name: str) -> dict[str, Any]:
    return {**source, "method": name.removeprefix("blend_")}


def _blend(
    config: Config,
    stack: Stack,
    train: Train,
    test_ids: Sequence[str],
    folds: NDArray[np.int64],
    source: dict[str, Any],
) -> pd.DataFrame:
    """Write every blend; return the leaderboard of blends and single predictors."""
    # imported here: LightGBM takes a second to load, in vain where all stands
    from pipeline.ensemble.blenders import BLENDERS, check_methods
    from pipeline.ensemble.crossfit import PLAIN_MEAN, Entry, cross_fit, leaderboard
    from pipeline.ensemble.weights import WEIGHTS

    y, n = train.y, len(train.ids)
    setting: dict[str, Any] = {"task": config.task, "metric": config.metric, "seed": config.seed}
    entries = [
        Entry(name, kind, stack.oof[:, i])
        for i, (name, kind) in enumerate(zip(stack.names, stack.kinds, strict=True))
    ]
    methods = dict.fromkeys([PLAIN_MEAN.removeprefix("blend_"), *config.blend.methods])
    check_methods(methods)
    for method in methods:
        if not BLENDERS[method].supports(config.task):
            print(f"blend: {method} does not fit task {config.task}, passed over")
            continue
        blender, name = BLENDERS[method], f"blend_{method}"
        honest = cross_fit(blender, stack.oof, y, folds, **setting)
        # one fit on all rows serves both: a row's blend does not depend on the others
        both = blender(stack.oof, y, np.concatenate([stack.oof, stack.test]), **setting)
        folder, own = predictor_dir(config.competition, name), _source_of_blend(source, name)
        for part, ids, values in (("oof", train.ids, honest), ("test", test_ids, both[n:])):
            write_predictions(folder, part, ids, config.data.id_name, train.columns, values, own)
        if method in WEIGHTS:
            weights = WEIGHTS[method](stack.oof, y, **setting)
            table = pd.DataFrame({"predictor": stack.names, "weight": weights})
            write_csv(folder / "weights.csv", table)
        entries.append(Entry(name, "blend", honest, both[:n]))
    groups = None if train.groups is None else np.array(train.groups)
    board = leaderboard(entries, y, folds, groups=groups, **setting)
    return _with_columns(config, board, entries, train)


def _with_columns(
    config: Config, board: pd.DataFrame, entries: Sequence[Any], train: Train
) -> pd.DataFrame:
    """The leaderboard with a score for each target, where there are several."""
    if train.y.ndim == 1 or train.y.shape[1] == 1:
        return board
    by_name = {
        entry.name: column_scores(config.metric, config.task, train.y, entry.predictions)
        for entry in entries
    }
    scores = np.stack([by_name[name] for name in board["name"]])
    for name, of_target in zip(train.columns, scores.T, strict=True):
        if np.isnan(of_target).all():
            print(f"warning: {config.metric} is undefined on {name!r}, which leaves its mean")
        board[f"{config.metric} of {name}"] = of_target
    return board


def _tell(config: Config, path: Path) -> None:
    board = pd.read_csv(path)
    better = "higher" if METRICS[config.metric].greater_is_better else "lower"
    print(f"\n{config.metric}, {better} is better; gain: over the plain mean, 95 % interval")
    for _, line in board.iterrows():
        mark = "*" if line["chosen"] else " "
        optimism = "" if np.isnan(line["optimism"]) else f"  in-sample {line['optimism']:+.4f}"
        gain = f"{line['gain']:+.4f} [{line['gain_low']:+.4f}, {line['gain_high']:+.4f}]"
        print(f"{mark} {line['name']:24} {line['score']:.4f}  {gain}{optimism}")
    print(f"{path}: * is chosen; blends are scored on rows that they were not fitted on\n")


if __name__ == "__main__":
    main()
