"""Train every member on every fold that is not trained yet, and put its OOF predictions together.

Reads the training table, folds/<c>.csv and the backbone; writes models/<c>/<member>/fold<k>/ and
oof/<c>/<member>/oof.csv.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import in_order_of, predictor_dir, sha256_of_array
from pipeline.backbones import keep_backbone
from pipeline.command import one_line_errors, parse
from pipeline.competition import Train, read_train
from pipeline.config import Config, Member
from pipeline.folds import origin_of, read_folds
from pipeline.jobs import Failure, run_all
from pipeline.metrics import score
from pipeline.predictors import is_current, write_predictions
from pipeline.units import Unit, fingerprint, is_finished, models_hash, read_oof

RECIPE = ("epochs", "batch_size", "learning_rate", "warmup", "weight_decay", "seed", "trainer")
ARCHITECTURE = ("pooling", "options", "max_length", "dropout", "freeze_embeddings")


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, flags = parse(__doc__, argv, "overwrite")
        train = read_train(config.data, config.task)
        folds = read_folds(config.competition, train.ids, origin_of(config.folds, train))
        backbones = {
            name: keep_backbone(name, config.competition)
            for name in sorted({member.backbone for member in config.members})
        }
        wanted = {
            member.name: _fingerprint(member, backbones[member.backbone], config.task, train, folds)
            for member in config.members
        }
        todo = [
            (member, unit)
            for member in config.members
            for unit in _units(config.competition, member, folds)
            if not is_finished(unit, wanted[member.name], overwrite=flags.overwrite)
        ]
        n_units = len(config.members) * (int(folds.max()) + 1)
        print(f"train: {len(train.ids)} rows, {len(todo)} of {n_units} units to train")
        failures = (
            _train(config, todo, wanted, backbones, train, folds, flags.overwrite) if todo else []
        )
        failed = {failure.label for failure in failures}
        for member in config.members:
            if failed.isdisjoint(map(str, _units(config.competition, member, folds))):
                _write_oof(config, member, train, folds)
    if failures:
        first = failures[0]
        raise SystemExit(
            f"{len(failures)} of {len(todo)} units failed, the others stand; "
            f"first {first.label}:\n{first.details}"
        )


def _units(competition: str, member: Member, folds: NDArray[np.int64]) -> list[Unit]:
    return [Unit(competition, member.name, fold) for fold in range(folds.max() + 1)]


def _fingerprint(
    member: Member, backbone: str, task: str, train: Train, folds: NDArray[np.int64]
) -> dict[str, Any]:
    return fingerprint(
        member.model_dump(exclude={"name", "backbone"}),
        backbone=backbone,
        task=task,
        ids=train.ids,
        texts=train.texts,
        y=train.y,
        columns=train.columns,
        folds=folds,
    )


def _train(
    config: Config,
    todo: Sequence[tuple[Member, Unit]],
    wanted: dict[str, dict[str, Any]],
    backbones: dict[str, str],
    train: Train,
    folds: NDArray[np.int64],
    overwrite: bool,
) -> list[Failure]:
    """Train the units that are left; returns those that failed, once all others stand."""
    # imported here: torch takes seconds to load, and a finished competition needs none of it
    from pipeline.bert.finetune import Recipe
    from pipeline.bert.unit import (
        Architecture,
        UnitRows,
        check_architecture,
        tokenize_texts,
        train_unit,
    )

    tokens = {}
    pieces = []
    for member, unit in todo:
        settings = member.model_dump()
        backbone = backbones[member.backbone]
        architecture = Architecture(backbone, **{key: settings[key] for key in ARCHITECTURE})
        source = (backbone, member.max_length)
        check_architecture(config.competition, architecture)
        if source not in tokens:
            tokens[source] = tokenize_texts(config.competition, *source, train.texts)
            _tell_cut(member, tokens[source].n_cut, len(train.ids))
        rows = np.flatnonzero(folds == unit.fold)
        arguments = (
            unit,
            wanted[member.name],
            int(folds.max() + 1),
            architecture,
            Recipe(**{key: settings[key] for key in RECIPE}),
            UnitRows(
                train.y,
                folds == unit.fold,
                [train.ids[i] for i in rows],
                [train.texts[i] for i in rows],
                list(train.columns),
                config.data.id_name,
            ),
            tokens[source],
            config.task,
            config.metric,
            overwrite,
        )
        pieces.append((str(unit), arguments))
    results = run_all(train_unit, pieces, **config.jobs.model_dump(), title="train")
    return [result for result in results if isinstance(result, Failure)]


def _tell_cut(member: Member, n_cut: int, n: int) -> None:
    if n_cut:
        print(
            f"warning: {n_cut} of {n} texts ({n_cut / n:.1%}) are longer than "
            f"training.max_length {member.max_length} and lose their end"
        )


def _write_oof(config: Config, member: Member, train: Train, folds: NDArray[np.int64]) -> None:
    units = _units(config.competition, member, folds)
    folder = predictor_dir(config.competition, member.name)
    source = {
        "models": models_hash(units),
        "folds": sha256_of_array(folds),
        "targets": sha256_of_array(train.y),
    }
    found, predictions = read_oof(units, train.columns)
    order = in_order_of(train.ids, found, f"models of {member.name}", "train the member again")
    predictions = predictions[order]
    if not is_current(folder, "oof", source):
        write_predictions(
            folder, "oof", train.ids, config.data.id_name, train.columns, predictions, source
        )
    value = score(config.metric, config.task, train.y, predictions)
    print(f"{folder}/oof.csv: {config.metric} {value:.4f}")


if __name__ == "__main__":
    main()
