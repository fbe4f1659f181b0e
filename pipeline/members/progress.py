"""How training goes, from the units' folders: time to expect, steps done, doubts about a unit."""

import json
from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.members.pieces import Piece
from pipeline.members.units import LOG, UnitToTrain, read_oof, read_run
from pipeline.scoring.metrics import metric_of
from pipeline.scoring.tasks import TASKS, decide

LITTLE_LEARNED = 0.98  # of the constant prediction's loss: a final loss above it is a warning


def doubts_about(trained: UnitToTrain) -> Iterator[str]:
    """Lines about a unit that predicts a constant, or whose final loss is hardly below its own."""
    unit, run = trained.unit, read_run(trained.unit)
    _, predictions = read_oof([unit], trained.columns)
    task, rows = TASKS[trained.task], f"all {len(predictions)} held-out rows"
    if len(predictions) > 1 and (np.ptp(predictions, axis=0) == 0).all():
        yield f"{unit}: predicts one value for {rows}"
    elif task.has_classes and metric_of(trained.metric).decides:
        codes = np.unique(decide(trained.task, predictions))
        if len(codes) == 1 < len(predictions):
            yield f"{unit}: decides for one class on {rows}"
    last = run.get("last_loss")
    if last is not None and not last < LITTLE_LEARNED * run["constant_loss"]:
        yield (
            f"{unit}: the training loss ends at {last:.4g}, a constant prediction's is "
            f"{run['constant_loss']:.4g}: the unit has hardly learned; raise training.epochs or "
            "training.learning_rate"
        )


def expected_seconds(unit: UnitToTrain, units: Sequence[UnitToTrain]) -> float:
    """Most seconds of a finished unit of the same member, else of its kind; 0 if there is none."""
    finished = [u for u in units if u.unit.folder.exists()]
    alike = [u for u in finished if u.unit.member == unit.unit.member]
    alike = alike or [u for u in finished if u.member.kind == unit.member.kind]
    return max((float(read_run(u.unit)["unit_seconds"]) for u in alike), default=0.0)


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
