"""Train every member on its untrained folds, and write its OOF predictions.

Reads the training table, folds/<c>.csv and the backbone; writes models/<c>/<member>/fold<k>/ and
oof/<c>/<member>/oof.csv.
"""

from collections.abc import Sequence

from pipeline.competition.folds import read_rows, with_oof
from pipeline.competition.learnable import check_learnable
from pipeline.files.alignment import in_order_of
from pipeline.files.messages import score_as_text
from pipeline.files.paths import predictor_dir
from pipeline.files.stamp import is_current
from pipeline.members.backbones import keep_backbones
from pipeline.members.training import train_units
from pipeline.members.training_table import TrainingTable
from pipeline.members.units import Unit, is_finished, models_hash, read_oof
from pipeline.predictors.predictions import origin_of_oof, write_predictions
from pipeline.scoring.trial import try_metric
from pipeline.settings.command import stage
from pipeline.settings.members import AnyMember


def main(argv: Sequence[str] | None = None) -> None:
    with stage(__doc__, argv, "overwrite") as (config, flags):
        if not config.members:
            print("train: no members, so there is nothing to train")
            return
        train, folds = read_rows(config)
        check_learnable(config, train)
        names = (config.competition, config.task, config.metric, config.data.id_name)
        table = TrainingTable(*names, train, folds, config.data.transform)
        target = train.target(config.task, config.metric)
        in_folds = [folds == fold for fold in range(table.n_folds)]
        try_metric(target, len(train.columns), in_folds)  # each unit will be scored on its fold
        backbones = keep_backbones((m.backbone for m in config.members), config.competition)
        fingerprints = {m.name: table.fingerprint(m, backbones) for m in config.members}

        def untrained(member: AnyMember) -> list[Unit]:
            wanted, overwrite = fingerprints[member.name], flags.overwrite
            units = table.units_of(member)
            return [unit for unit in units if not is_finished(unit, wanted, overwrite=overwrite)]

        todo = [(member, units) for member in config.members if (units := untrained(member))]
        n_todo, n_units = sum(len(units) for _, units in todo), len(config.members) * table.n_folds
        print(f"train: {len(train.ids)} rows, {n_todo} of {n_units} units to train")
        failures = []
        if todo:
            failures = train_units(
                todo, table, backbones, fingerprints, config.jobs, overwrite=flags.overwrite
            )
        left = {member.name: untrained(member) for member in config.members}
        _write_oofs([member for member in config.members if not left[member.name]], table)
        failed = {failure.label for failure in failures}
        incomplete = [
            f"{name} ({table.n_folds - len(units)} of {table.n_folds} folds)"
            for name, units in left.items()
            if units and failed.isdisjoint(map(str, units))
        ]
        if incomplete:
            print(
                f"train: no further unit ends within jobs.minutes ({config.jobs.minutes:g}); not "
                f"complete: {', '.join(incomplete)}; run train again to go on"
            )
    if failures:
        first = failures[0]
        raise SystemExit(
            f"{len(failures)} of {n_todo} units failed, the others are written; "
            f"first {first.label}:\n{first.details}"
        )


def _write_oofs(members: Sequence[AnyMember], table: TrainingTable) -> None:
    """Write each member's oof.csv from its units' predictions, in the order of the rows."""
    train, folds = with_oof(table.train, table.folds)
    target = train.target(table.task, table.metric)
    origin = origin_of_oof(train, folds, table.task, table.transform)
    rows = (train.ids, table.id_name, train.columns)
    for member in members:
        units, folder = table.units_of(member), predictor_dir(table.competition, member.name)
        ids, predictions = read_oof(units, train.columns)
        order = in_order_of(train.ids, ids, f"models of {member.name}", "train the member again")
        predictions = predictions[order]
        made_from = {"models": models_hash(units), **origin, "settings": member.settings}
        if not is_current(folder / "oof.csv", made_from):
            write_predictions(folder, "oof", *rows, predictions, made_from)
        score = score_as_text(target.score(predictions))
        print(f"{folder}/oof.csv: {target.metric.label} {score}")


if __name__ == "__main__":
    main()
