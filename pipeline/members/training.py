"""Train units side by side, each into a folder that is written whole."""

from collections.abc import Mapping, Sequence
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
from pipeline.settings.config import Jobs
from pipeline.settings.members import AnyMember, Member

LITTLE_LEARNED = 0.98  # of the constant prediction's loss: a final loss above it is a warning


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """A competition's training rows and their (n,) folds, which all its units share."""

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
        """One unit per fold, trained or not."""
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
    """All that a worker needs to train a unit, except its inputs.

    Attributes:
        overwrite: whether a unit with another fingerprint may be replaced.
        command: the stage's command line; the worker's own is another.
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
        The failures, after all other units are written.
    Raises:
        ValueError: a setting does not fit; nothing is trained.
    """
    members = list({member.name: member for member, _ in todo}.values())
    _refuse_fp16_without_gpu(members, jobs)
    check_members(members, backbones)
    fingerprints = {member.name: table.fingerprint(member, backbones) for member in members}
    encodings: dict[str, Encoding] = {}
    inputs: dict[tuple[str, Encoding], Any] = {}  # shared by members of one kind and encoding
    for member in members:
        kind, copy = kind_of(member), backbones[member.backbone] if member.backbone else None
        encoding = encodings[member.name] = kind.encoding(member, copy)
        if (member.kind, encoding) not in inputs:
            encoded = kind.inputs(encoding, table.train.texts, jobs)
            warning = kind.warning(member, encoded)
            if warning is not None:
                print(f"warning: {warning}")
            inputs[member.kind, encoding] = encoded
    pieces = []
    # fine-tuned units first: they take longest, so the workers end together
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


def _run(pieces: Sequence[tuple[str, tuple[UnitToTrain, Any]]], jobs: Jobs) -> list[Failure]:
    with_torch = [piece for piece in pieces if piece[1][0].encoding.needs_torch]
    groups = [(pieces, bool(with_torch))]
    if 0 < len(with_torch) < len(pieces) and count_gpus():
        # separately: classic units use all cores, not one process for each GPU
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
    """Train a unit unless it is finished, and write its folder whole. Workers run this.

    Args:
        inputs: all training rows, as the unit's kind takes them.
    Raises:
        ValueError: another run wrote a unit with another fingerprint, or a prediction is not
            finite.
    """
    unit, rows = to_train.unit, to_train.rows
    with locked(unit):
        if is_finished(unit, to_train.fingerprint, overwrite=to_train.overwrite):
            return  # another run finished it while this one waited
        with folder_written_whole(unit.folder) as folder:
            kind = kind_of(to_train.member)
            outcome = kind.fit(to_train.member, to_train.encoding, rows, inputs, folder)
            predictions = outcome.predictions
            n_bad = int((~np.isfinite(predictions)).sum())
            if n_bad:  # such a unit must not count as finished
                raise ValueError(
                    f"{unit.folder}: {n_bad} of {predictions.size} predictions are not finite: "
                    "training diverged; lower training.learning_rate, or change the options of a "
                    "classic member"
                )
            table = table_by_id(rows.ids, rows.id_name, rows.columns, predictions)
            write_csv(folder / OOF, table)
            write_reload_check(folder, rows.texts, predictions)
            write_json(folder / RUN, _run_on_record(to_train, outcome, folder))


def _run_on_record(to_train: UnitToTrain, outcome: Outcome, folder: Path) -> dict[str, Any]:
    """Content of `run.json`; loading needs its kind, encoding, task, columns and scaling."""
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


def _warn_of_little_learned(unit: Unit) -> None:
    """Warn if a fine-tuned unit's final loss is close to the constant prediction's."""
    run = read_run(unit)
    last = run.get("last_loss")
    if last is not None and not last < LITTLE_LEARNED * run["constant_loss"]:
        print(
            f"warning: {unit}: the training loss ends at {last:.4g}, a constant "
            f"prediction's is {run['constant_loss']:.4g}: the unit has hardly learned; raise "
            "training.epochs or training.learning_rate"
        )


def _refuse_fp16_without_gpu(members: Sequence[AnyMember], jobs: Jobs) -> None:
    """On a cluster only the workers know their GPUs; they refuse fp16 themselves."""
    with_fp16 = [m.name for m in members if isinstance(m, Member) and m.precision == "fp16"]
    if with_fp16 and jobs.backend == "loky" and not count_gpus():
        raise ValueError(
            f"member {with_fp16[0]}: training.precision is fp16, which needs a GPU, but "
            "there is none; leave it out"
        )
