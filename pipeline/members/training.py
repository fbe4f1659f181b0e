"""Train units side by side, each into a folder that is written whole, and say how it goes."""

import json
import time
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from pipeline.competition.rows import texts_by
from pipeline.files.lock import folder_lock
from pipeline.files.messages import duration, score_as_text
from pipeline.files.provenance import provenance
from pipeline.files.writing import folder_written_whole, table_by_id, write_csv, write_json
from pipeline.members.backbones import is_of_hub
from pipeline.members.defaults import rates_of_members
from pipeline.members.jobs import run_all
from pipeline.members.kinds import check_members, device_of, kind_of
from pipeline.members.pieces import Failure, Piece, count_gpus
from pipeline.members.reload_check import write_reload_check
from pipeline.members.training_table import TrainingTable, UnitToTrain
from pipeline.members.units import LOG, OOF, RUN, Unit, is_finished, read_run
from pipeline.scoring.metrics import metric_of
from pipeline.scoring.tasks import TASKS, Floats, decide
from pipeline.settings.config import Jobs
from pipeline.settings.members import AnyMember, Member

LITTLE_LEARNED = 0.98  # of the constant prediction's loss: a final loss above it is a warning


def train_units(
    todo: Sequence[tuple[AnyMember, Sequence[Unit]]],
    table: TrainingTable,
    backbones: Mapping[str, Path],
    fingerprints: Mapping[str, Mapping[str, object]],
    jobs: Jobs,
    *,
    overwrite: bool,
) -> list[Failure]:
    """Train units side by side; the failures, after all other units are written.

    Args:
        backbones: folder of the competition's copy, by the backbone's name.
        fingerprints: by the member's name.
        overwrite: whether units with other fingerprints may be replaced.
    Raises:
        ValueError: a setting does not fit; no unit is trained.
    """
    start, members = time.monotonic(), [member for member, _ in todo]
    _refuse_fp16_without_gpu(members, jobs)
    check_members(members, backbones)
    fetched = {name: folder for name, folder in backbones.items() if is_of_hub(name)}
    for line in rates_of_members(members, fetched, table.task):  # of the others prepare told
        print(line)
    inputs: dict[Hashable, Any] = {}
    pieces: list[Piece] = []
    told: set[str | None] = {None}
    shared_facts: dict[str, Any] = {"provenance": provenance(), "overwrite": overwrite}
    metric_file = None if isinstance(table.metric, str) else table.metric.get("file")
    # fine-tuned units first: they take longest, so the workers end together
    for member, units in sorted(todo, key=lambda pair: not isinstance(pair[0], Member)):
        kind, copy = kind_of(member), backbones[member.backbone] if member.backbone else None
        encoding = kind.encoding(member, copy)
        features = table.features_of(member)
        shared_by = (member.kind, encoding, member.template, bool(features))
        if shared_by not in inputs:
            texts = texts_by(member.template, table.train)
            inputs[shared_by] = kind.inputs(encoding, texts, jobs, features)
        warning = kind.warning(member, inputs[shared_by])
        if warning not in told:
            told.add(warning)
            print(f"warning: {warning}")
        needs_torch = isinstance(member, Member)  # embeddings are made already
        reads = tuple(Path(f) for f in (copy if needs_torch else None, metric_file) if f)
        # asked here: a worker that looks for GPUs before it claims one sees all of them for good
        device = None if needs_torch else device_of(encoding)
        facts = {"encoding": encoding, "fingerprint": fingerprints[member.name], "device": device}
        for unit in units:
            arguments = (table.to_train(unit, member, **facts, **shared_facts), inputs[shared_by])
            pieces.append(Piece(str(unit), arguments, needs_torch, reads, unit.folder))
    return _run(pieces, jobs, start)


def _run(pieces: Sequence[Piece], jobs: Jobs, budget_from: float) -> list[Failure]:
    """Train the units; `budget_from` is the time from which jobs.minutes counts."""
    start, n_done = time.monotonic(), 0

    def tell(i: int, result: list[str] | Failure) -> None:
        nonlocal n_done
        n_done += 1
        if isinstance(result, Failure):
            return
        unit, (outcome, *doubts) = pieces[i].label, result
        done = n_done + under_way(pieces)  # or the first round would count one worker's units
        left = (time.monotonic() - start) / done * (len(pieces) - done)
        more = f", about {duration(left)} left" if n_done < len(pieces) else ""
        tqdm.write(f"{unit}: {outcome} ({n_done} of {len(pieces)}{more})")
        for doubt in doubts:
            tqdm.write(f"warning: {unit}: {doubt}")

    def ends_in_time(i: int) -> bool:
        units = [piece.arguments[0] for piece in pieces]
        expected = expected_seconds(units[i], units)
        return time.monotonic() - budget_from + expected < 60 * (jobs.minutes or 0)

    results = run_all(
        train_unit,
        pieces,
        jobs,
        title="train",
        on_result=tell,
        under_way=partial(under_way, pieces),
        starts=None if jobs.minutes is None else ends_in_time,
    )
    return [result for result in results if isinstance(result, Failure)]


def train_unit(to_train: UnitToTrain, inputs: Any) -> list[str]:
    """Train a unit unless it is finished, and write its folder whole.

    Args:
        inputs: all training rows, as the unit's kind takes them.
    Returns:
        Its score and time, then doubts about it, in words.
    Raises:
        ValueError: another run wrote a unit with another fingerprint, or a prediction is not
            finite.
    """
    unit, member, encoding = to_train.unit, to_train.member, to_train.encoding
    start = time.monotonic()
    with folder_lock(unit.folder):
        if is_finished(unit, to_train.fingerprint, overwrite=to_train.overwrite):
            return [_outcome(read_run(unit))]  # another run finished it while this one waited
        with folder_written_whole(unit.folder) as folder:
            predictions, facts = kind_of(member).fit(to_train, inputs, folder)
            n_bad = int((~np.isfinite(predictions)).sum())
            if n_bad:  # such a unit must not count as finished
                raise ValueError(
                    f"{unit.folder}: {n_bad} of {predictions.size} predictions are not finite: "
                    "training diverged; lower training.learning_rate, or change the options of a "
                    "classic member"
                )
            table, columns = to_train.table, to_train.table.train.columns
            oof = table_by_id(to_train.ids, table.id_name, columns, predictions)
            oof_sha256 = write_csv(folder / OOF, oof)
            write_reload_check(folder, to_train.texts, to_train.features, predictions)
            target = table.train.target(table.task, table.metric)[to_train.held_out]
            # loading needs all from kind to scaling, and entries of `facts`
            run: dict[str, Any] = {
                "fingerprint": to_train.fingerprint,
                "n_folds": table.n_folds,
                "kind": member.kind,
                "template": member.template,
                "features": list(to_train.features),
                "encoding": {**encoding._asdict(), "backbone": encoding.backbone.name}
                if encoding
                else {"backbone": None},
                "task": table.task,
                "columns": columns,
                "scaling": asdict(to_train.scaling) if to_train.scaling else None,
                "metric": target.metric.label,
                "score": target.score(predictions),
                "oof_sha256": oof_sha256,
                "unit_seconds": round(time.monotonic() - start, 3),
                "rows": {"training": len(to_train.training), "held_out": len(to_train.ids)},
                "device": to_train.device or device_of(encoding),
                **facts,
                **to_train.provenance,
            }
            write_json(folder / RUN, run)
    return [_outcome(run), *doubts_about(table, predictions, run)]


def _outcome(run: Mapping[str, Any]) -> str:
    return f"{run['metric']} {score_as_text(run['score'])}, {duration(run['unit_seconds'])}"


def _refuse_fp16_without_gpu(members: Sequence[AnyMember], jobs: Jobs) -> None:
    """On a cluster only the workers know their GPUs; they refuse fp16 themselves."""
    with_fp16 = [m.name for m in members if isinstance(m, Member) and m.precision == "fp16"]
    if with_fp16 and jobs.backend == "loky" and not count_gpus():
        raise ValueError(
            f"member {with_fp16[0]}: training.precision is fp16, which needs a GPU, but "
            "there is none; leave it out"
        )


def doubts_about(
    table: TrainingTable, predictions: Floats, run: Mapping[str, Any]
) -> Iterator[str]:
    """Lines about a unit that predicts a constant, or whose final loss is hardly below its own."""
    task, rows = TASKS[table.task], f"all {len(predictions)} held-out rows"
    if len(predictions) > 1 and (np.ptp(predictions, axis=0) == 0).all():
        yield f"predicts one value for {rows}"
    elif task.has_classes and metric_of(table.metric).decides:
        codes = np.unique(decide(table.task, predictions))
        if len(codes) == 1 < len(predictions):
            yield f"decides for one class on {rows}"
    last = run.get("last_loss")
    if last is not None and not last < LITTLE_LEARNED * run["constant_loss"]:
        yield (
            f"the training loss ends at {last:.4g}, a constant prediction's is "
            f"{run['constant_loss']:.4g}: the unit has hardly learned; raise training.epochs or "
            "training.learning_rate"
        )


def expected_seconds(unit: UnitToTrain, units: Sequence[UnitToTrain]) -> float:
    """Most seconds of a finished unit of the same member, else of its kind; 0 if there is none.

    Finished are also those of an earlier run, but none that `units` will replace.
    """
    members = {u.member.name: u for u in units}.values()
    finished = [
        (u.member, read_run(own)["unit_seconds"])
        for u in members
        for own in u.table.units_of(u.member)
        if is_finished(own, u.fingerprint, overwrite=True)
    ]
    alike = [seconds for member, seconds in finished if member.name == unit.member.name]
    alike = alike or [seconds for member, seconds in finished if member.kind == unit.member.kind]
    return max(alike, default=0.0)


def under_way(pieces: Sequence[Piece]) -> float:
    """Steps done in unfinished fine-tuned units, as a number of units, from their logs."""
    share = 0.0
    for folder in (piece.writes for piece in pieces if piece.writes):
        for log in folder.parent.glob(f".{folder.name}.*.tmp/{LOG}"):
            try:
                *lines, _ = log.read_text("utf-8").split("\n")  # the last line may be unfinished
            except FileNotFoundError:  # the unit ended at this moment
                continue
            if lines:
                logged = json.loads(lines[-1])
                share += logged["step"] / logged["steps"]
    return share
