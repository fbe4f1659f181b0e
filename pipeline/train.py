"""Train every member on every fold that is not trained yet, and put its OOF predictions together.

Reads the training table, folds/<c>.csv and the backbone; writes models/<c>/<member>/fold<k>/ and
oof/<c>/<member>/oof.csv.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.folds import origin_of, read_folds
from pipeline.competition.rows import Train, read_train
from pipeline.files.alignment import in_order_of
from pipeline.files.hashes import sha256_of_array
from pipeline.files.paths import predictor_dir
from pipeline.files.provenance import command_line
from pipeline.files.stamp import is_current
from pipeline.members.backbones import keep_backbone
from pipeline.members.jobs import Failure, count_gpus, run_all
from pipeline.members.kinds import plan_of, train_unit
from pipeline.members.unit_folder import Assignment, UnitRows
from pipeline.members.units import Unit, fingerprint, is_finished, models_hash, read_oof, read_run
from pipeline.predictors.predictions import write_predictions
from pipeline.scoring.target import Target
from pipeline.settings.command import one_line_errors, parse
from pipeline.settings.config import Config
from pipeline.settings.members import ClassicMember, Member

LITTLE_LEARNED = 0.98  # of the constant prediction's loss: a training that ends above is told


def main(argv: Sequence[str] | None = None) -> None:
    with one_line_errors():
        config, flags = parse(__doc__, argv, "overwrite")
        train = read_train(config.data, config.task)
        folds = read_folds(config.competition, train.ids, origin_of(config.folds, train))
        backbones = {
            name: keep_backbone(name, config.competition)
            for name in sorted({m.backbone for m in config.members if m.backbone is not None})
        }
        wanted = {
            member.name: _fingerprint(member, backbones, config.task, train, folds)
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
        failures = _train(config, todo, wanted, train, folds, flags.overwrite) if todo else []
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


def _units(
    competition: str, member: Member | ClassicMember, folds: NDArray[np.int64]
) -> list[Unit]:
    return [Unit(competition, member.name, fold) for fold in range(folds.max() + 1)]


def _fingerprint(
    member: Member | ClassicMember,
    backbones: dict[str, str],
    task: str,
    train: Train,
    folds: NDArray[np.int64],
) -> dict[str, Any]:
    return fingerprint(
        member.settings,
        backbone=None if member.backbone is None else backbones[member.backbone],
        task=task,
        ids=train.ids,
        texts=train.texts,
        y=train.y,
        columns=train.columns,
        folds=folds,
    )


def _train(
    config: Config,
    todo: Sequence[tuple[Member | ClassicMember, Unit]],
    wanted: dict[str, dict[str, Any]],
    train: Train,
    folds: NDArray[np.int64],
    overwrite: bool,
) -> list[Failure]:
    """Train the units that are left; returns those that failed, once all others stand."""
    jobs = config.jobs.model_dump()
    _refuse_fp16_without_gpu(config, [member for member, _ in todo])
    plans = {member.name: plan_of(wanted[member.name]) for member, _ in todo}
    for plan in plans.values():
        plan.check(config.competition)
    inputs: dict[Hashable, Any] = {}
    for plan in plans.values():
        if plan.source not in inputs:
            inputs[plan.source] = plan.read_inputs(config.competition, train.texts, jobs)
            warning = plan.warning(inputs[plan.source])
            if warning is not None:
                print(f"warning: {warning}")
    pieces = []
    # long ones first: the workers end together, and the bar does not promise too early an end
    for member, unit in sorted(todo, key=lambda piece: isinstance(piece[0], ClassicMember)):
        plan = plans[member.name]
        rows = np.flatnonzero(folds == unit.fold)
        assignment = Assignment(
            unit=unit,
            wanted=wanted[member.name],
            n_folds=int(folds.max() + 1),
            rows=UnitRows(
                y=train.y,
                fold=folds == unit.fold,
                ids=[train.ids[i] for i in rows],
                texts=[train.texts[i] for i in rows],
                columns=list(train.columns),
                id_name=config.data.id_name,
            ),
            task=config.task,
            metric=config.metric,
            overwrite=overwrite,
            command=command_line(),
        )
        pieces.append((str(unit), (plan, assignment, inputs[plan.source])))

    with_torch = [piece for piece in pieces if piece[1][0].needs_torch]
    groups = [(pieces, bool(with_torch))]
    if 0 < len(with_torch) < len(pieces) and count_gpus():
        # apart, as those without torch would leave all but as many cores as GPUs idle
        without = [piece for piece in pieces if not piece[1][0].needs_torch]
        groups = [(with_torch, True), (without, False)]
    failures = []
    for group, needs_torch in groups:
        results = run_all(train_unit, group, **jobs, title="train", needs_torch=needs_torch)
        failures += [result for result in results if isinstance(result, Failure)]
        for (_, (_, assignment, _)), result in zip(group, results, strict=True):
            if not isinstance(result, Failure):
                _warn_of_little_learned(assignment.unit)
    return failures


def _warn_of_little_learned(unit: Unit) -> None:
    """Say so where a fine-tuned unit ended its training about where the constant prediction is."""
    run = read_run(unit)
    if "last_loss" in run and not run["last_loss"] < LITTLE_LEARNED * run["constant_loss"]:
        print(
            f"warning: {unit}: the training loss ends at {run['last_loss']:.4g}, a constant has "
            f"{run['constant_loss']:.4g}: it has hardly learned; raise training.epochs or "
            "training.learning_rate"
        )


def _refuse_fp16_without_gpu(config: Config, members: Sequence[Member | ClassicMember]) -> None:
    """On a cluster only the workers know what they have, and refuse it themselves."""
    asking = [m.name for m in members if isinstance(m, Member) and m.precision == "fp16"]
    if asking and config.jobs.backend == "loky" and not count_gpus():
        raise ValueError(
            f"member {asking[0]}: training.precision is fp16, which needs a GPU, and none is seen; "
            "leave it out"
        )


def _write_oof(
    config: Config, member: Member | ClassicMember, train: Train, folds: NDArray[np.int64]
) -> None:
    units = _units(config.competition, member, folds)
    folder = predictor_dir(config.competition, member.name)
    made_from = {
        "models": models_hash(units),
        "folds": sha256_of_array(folds),
        "targets": sha256_of_array(train.y),
        "texts": train.sha256_of_texts,
        "settings": member.settings,
    }
    found, predictions = read_oof(units, train.columns)
    order = in_order_of(train.ids, found, f"models of {member.name}", "train the member again")
    predictions = predictions[order]
    if not is_current(folder / "oof.csv", made_from):
        write_predictions(
            folder, "oof", train.ids, config.data.id_name, train.columns, predictions, made_from
        )
    value = Target.of(train.y, config.task, config.metric).score(predictions)
    print(f"{folder}/oof.csv: {config.metric} {value:.4f}")


if __name__ == "__main__":
    main()
