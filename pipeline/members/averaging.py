"""Predict texts with trained members: a member's prediction is the mean of its units'.

Letters: n rows, c prediction columns.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.members.jobs import Failure, run_all
from pipeline.members.kinds import kind_of_unit
from pipeline.members.reload_check import check_reloaded, texts_to_predict_again
from pipeline.members.units import Texts, Unit, encoding_of, read_run
from pipeline.scoring.tasks import TASKS, Floats
from pipeline.settings.config import Jobs


def predict_members(
    members: Mapping[str, Sequence[Unit]],
    texts: Texts,
    jobs: Jobs,
    on_member: Callable[[str, Floats], None],
) -> None:
    """Predict the texts with all units of all members, side by side, from `models/` alone.

    Args:
        members: the units of each, by the member's name.
        texts: (n,) rows.
        on_member: called with a member's name and its (n, c) predictions as soon as its last unit
            has predicted: whatever ends the run afterwards, these are not lost.
    Raises:
        ValueError: units failed, which are named; the other members were predicted.
    """
    inputs: dict[Hashable, Any] = {}
    pieces: list[tuple[str, tuple[Unit, Any]]] = []
    needs_torch = False
    for units in members.values():
        kind, encoding = kind_of_unit(units[0]), encoding_of(units[0])
        source = (type(kind), encoding)
        if source not in inputs:
            inputs[source] = kind.inputs(encoding, texts, jobs)
        pieces += [(str(unit), (unit, inputs[source])) for unit in units]
        needs_torch = needs_torch or encoding.needs_torch
    by_fold: dict[str, dict[int, Floats]] = {name: {} for name in members}

    def keep(i: int, result: Floats | Failure) -> None:
        if isinstance(result, Failure):
            return
        _, (unit, _) = pieces[i]
        done = by_fold[unit.member]
        done[unit.fold] = result
        if len(done) == len(members[unit.member]):
            on_member(unit.member, mean_of_folds(read_run(unit)["task"], by_fold.pop(unit.member)))

    how = {**jobs.model_dump(), "title": "predict", "needs_torch": needs_torch}
    results = run_all(predict_unit, pieces, **how, on_result=keep)
    failures = [result for result in results if isinstance(result, Failure)]
    if failures:
        raise ValueError("; ".join(f"{failure.label}: {failure.reason}" for failure in failures))


def predict_unit(unit: Unit, inputs: Any) -> Floats:
    """Predictions (n, c) of a unit as it lies on disk. Workers run this.

    Args:
        inputs: the rows to predict, as the unit's kind takes them.
    Raises:
        ValueError: its files cannot be loaded, or it fails the reload check.
    """
    kind = kind_of_unit(unit)
    predictor = kind.load(unit)
    known = kind.inputs(encoding_of(unit), texts_to_predict_again(unit), None)
    check_reloaded(unit, predictor.predict(known), predictor.device)
    return predictor.predict(inputs)


def mean_of_folds(task: str, by_fold: Mapping[int, Floats]) -> Floats:
    """The mean (n, c) of the folds' predictions on raw scale, log-odds or log-softmax."""
    folds = [by_fold[fold] for fold in sorted(by_fold)]
    scale = TASKS[task]
    return scale.to_prediction(np.mean([scale.to_raw(fold) for fold in folds], axis=0))
