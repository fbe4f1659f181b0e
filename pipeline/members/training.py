"""Train units of any members side by side, each into a folder of its own, written whole."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.rows import Train
from pipeline.files.hashes import file_sha256
from pipeline.files.provenance import command_line, provenance
from pipeline.files.writing import folder_written_whole, table_by_id, write_csv, write_json
from pipeline.members.jobs import Failure, count_gpus, run_all
from pipeline.members.kinds import check_members, kind_of, settings_on_record
from pipeline.members.reload_check import write_reload_check
from pipeline.members.units import (
    OOF,
    RUN,
    Encoding,
    Outcome,
    Unit,
    UnitRows,
    fingerprint,
    is_finished,
    locked,
    read_run,
)
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Jobs
from pipeline.settings.members import AnyMember, Member

LITTLE_LEARNED = 0.98  # of the constant prediction's loss: a training that ends above is told


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """A competition's training rows, dealt into folds: what all its units share.

    Attributes:
        id_name: name of the id's column in the files that we write.
        folds: (n,) the fold of each row.
    """

    competition: str
    task: str
    metric: str
    id_name: str
    train: Train
    folds: NDArray[np.int64]

    @property
    def n_folds(self) -> int:
        return int(self.folds.max()) + 1

    def units_of(self, member: AnyMember) -> list[Unit]:
        """A unit a fold, trained or not."""
        return [Unit(self.competition, member.name, fold) for fold in range(self.n_folds)]

    def rows_of(self, unit: Unit) -> UnitRows:
        """The rows that a unit sees."""
        held_out = np.flatnonzero(self.folds == unit.fold)
        return UnitRows(
            task=self.task,
            y=self.train.y,
            fold=self.folds == unit.fold,
            ids=[self.train.ids[i] for i in held_out],
            texts=[self.train.texts[i] for i in held_out],
            columns=list(self.train.columns),
            id_name=self.id_name,
        )

    def fingerprint(self, member: AnyMember, backbones: Mapping[str, Path]) -> dict[str, object]:
        """All that determines the result of a member's units."""
        return fingerprint(
            settings_on_record(member),
            backbone=backbones[member.backbone].name if member.backbone else None,
            task=self.task,
            ids=self.train.ids,
            texts=self.train.texts,
            y=self.train.y,
            columns=self.train.columns,
            folds=self.folds,
        )


@dataclass(frozen=True, eq=False)
class UnitToTrain:
    """All that a worker needs to know of a unit but its inputs.

    Attributes:
        overwrite: whether a unit with another fingerprint may be replaced.
        command: the stage's command line, which a worker cannot tell from its own.
    """

    unit: Unit
    member: AnyMember
    encoding: Encoding
    rows: UnitRows
    fingerprint: Mapping[str, object]
    n_folds: int
    metric: str
    overwrite: bool
    command: str


def train_units(
    todo: Sequence[tuple[AnyMember, Unit]],
    table: TrainingTable,
    backbones: Mapping[str, Path],
    jobs: Jobs,
    *,
    overwrite: bool,
) -> list[Failure]:
    """Train units side by side, under one progress bar.

    Args:
        todo: units to train, each with its member.
        backbones: folder of the competition's copy, by the backbone's name.
        overwrite: whether units with other fingerprints may be replaced.
    Returns:
        Those that failed, once all others stand.
    Raises:
        ValueError: a setting does not fit; nothing is trained.
    """
    members = list({member.name: member for member, _ in todo}.values())
    _refuse_fp16_without_gpu(members, jobs)
    check_members(members, backbones)
    fingerprints = {member.name: table.fingerprint(member, backbones) for member in members}
    encodings = {
        member.name: kind_of(member).encoding(
            member, backbones[member.backbone] if member.backbone else None
        )
        for member in members
    }
    inputs = _read_inputs(members, encodings, table.train, jobs)
    pieces = []
    # long ones first: the workers end together, and the bar does not promise too early an end
    for member, unit in sorted(todo, key=lambda pair: not isinstance(pair[0], Member)):
        unit_to_train = UnitToTrain(
            unit=unit,
            member=member,
            encoding=encodings[member.name],
            rows=table.rows_of(unit),
            fingerprint=fingerprints[member.name],
            n_folds=table.n_folds,
            metric=table.metric,
            overwrite=overwrite,
            command=command_line(),
        )
        pieces.append((str(unit), (unit_to_train, inputs[member.kind, encodings[member.name]])))
    return _run(pieces, jobs)


def _read_inputs(
    members: Sequence[AnyMember], encodings: Mapping[str, Encoding], train: Train, jobs: Jobs
) -> dict[Hashable, Any]:
    """The training rows in every form that a member takes them, by kind and encoding."""
    inputs: dict[Hashable, Any] = {}
    for member in members:
        encoding = encodings[member.name]
        source = (member.kind, encoding)
        if source not in inputs:
            inputs[source] = kind_of(member).inputs(encoding, train.texts, jobs)
            warning = kind_of(member).warning(member, inputs[source])
            if warning is not None:
                print(f"warning: {warning}")
    return inputs


def _run(pieces: Sequence[tuple[str, tuple[UnitToTrain, Any]]], jobs: Jobs) -> list[Failure]:
    with_torch = [piece for piece in pieces if piece[1][0].encoding.needs_torch]
    groups = [(pieces, bool(with_torch))]
    if 0 < len(with_torch) < len(pieces) and count_gpus():
        # apart, as those without torch would leave all but as many cores as GPUs idle
        without = [piece for piece in pieces if not piece[1][0].encoding.needs_torch]
        groups = [(with_torch, True), (without, False)]
    failures = []
    for group, needs_torch in groups:
        how = {**jobs.model_dump(), "title": "train", "needs_torch": needs_torch}
        results = run_all(train_unit, group, **how)
        failures += [result for result in results if isinstance(result, Failure)]
        for (_, (unit_to_train, _)), result in zip(group, results, strict=True):
            if not isinstance(result, Failure):
                _warn_of_little_learned(unit_to_train.unit)
    return failures


def train_unit(to_train: UnitToTrain, inputs: Any) -> None:
    """Train a unit unless it is finished, and write its folder in one piece. Workers run this.

    Args:
        inputs: all training rows, as the unit's kind takes them.
    Raises:
        ValueError: another run has put a unit with another fingerprint there, or a prediction is
            not finite.
    """
    unit, rows = to_train.unit, to_train.rows
    with locked(unit):
        if is_finished(unit, to_train.fingerprint, overwrite=to_train.overwrite):
            return  # another run finished it while this one waited
        with folder_written_whole(unit.folder) as folder:
            kind = kind_of(to_train.member)
            outcome = kind.fit(to_train.member, to_train.encoding, rows, inputs, folder)
            _refuse_diverged(unit, outcome.predictions)  # kept, it would count as finished for ever
            table = table_by_id(rows.ids, rows.id_name, rows.columns, outcome.predictions)
            write_csv(folder / OOF, table)
            write_reload_check(folder, rows.texts, outcome.predictions)
            write_json(folder / RUN, _run_on_record(to_train, outcome, folder))


def _run_on_record(to_train: UnitToTrain, outcome: Outcome, folder: Path) -> dict[str, Any]:
    """What `run.json` says; whoever loads the unit needs kind, encoding, task, columns, scaling."""
    rows = to_train.rows
    target = Target.of(rows.y, rows.task, to_train.metric)
    return {
        "fingerprint": to_train.fingerprint,
        "n_folds": to_train.n_folds,
        "kind": to_train.member.kind,
        "encoding": to_train.encoding.on_record,
        "task": rows.task,
        "columns": rows.columns,
        "scaling": asdict(outcome.scaling) if outcome.scaling else None,
        "weights_sha256": file_sha256(folder / outcome.model),
        "metric": to_train.metric,
        "score": target[rows.held_out].score(outcome.predictions),
        "rows": {"training": len(rows.training), "held_out": len(rows.held_out)},
        "device": outcome.device,
        **outcome.facts,
        **provenance(to_train.command),
    }


def _refuse_diverged(unit: Unit, predictions: Floats) -> None:
    n_bad = int((~np.isfinite(predictions)).sum())
    if n_bad:
        raise ValueError(
            f"{unit.folder}: {n_bad} of {predictions.size} predictions are not finite: training "
            "diverged; lower training.learning_rate, or change the options of a classic member"
        )


def _warn_of_little_learned(unit: Unit) -> None:
    """Say so where a fine-tuned unit ended its training about where the constant prediction is."""
    run = read_run(unit)
    if "last_loss" in run and not run["last_loss"] < LITTLE_LEARNED * run["constant_loss"]:
        print(
            f"warning: {unit}: the training loss ends at {run['last_loss']:.4g}, a constant has "
            f"{run['constant_loss']:.4g}: it has hardly learned; raise training.epochs or "
            "training.learning_rate"
        )


def _refuse_fp16_without_gpu(members: Sequence[AnyMember], jobs: Jobs) -> None:
    """On a cluster only the workers know what they have, and refuse it themselves."""
    asking = [m.name for m in members if isinstance(m, Member) and m.precision == "fp16"]
    if asking and jobs.backend == "loky" and not count_gpus():
        raise ValueError(
            f"member {asking[0]}: training.precision is fp16, which needs a GPU, and none is seen; "
            "leave it out"
        )
