"""Predict texts with trained members; a member's prediction is the mean over its units.

Letters: n rows, c prediction columns.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.competition.features import Columns
from pipeline.competition.rows import TestRows, texts_by
from pipeline.members.backbones import check_copies
from pipeline.members.jobs import run_all
from pipeline.members.kinds import device_of, kind_of_unit
from pipeline.members.pieces import Failure, Piece
from pipeline.members.reload_check import check_reloaded
from pipeline.members.units import Texts, Unit, encoding_of, read_run
from pipeline.scoring.tasks import TASKS, Floats
from pipeline.settings.config import Jobs


def predict_members(
    members: Mapping[str, Sequence[Unit]],
    test: TestRows,
    jobs: Jobs,
    on_member: Callable[[str, Floats], None],
) -> None:
    """Predict the rows with all units of all members, side by side, from `models/` alone.

    Args:
        on_member: called with a member's name and its (n, c) predictions as soon as its last unit
            has predicted, so that a later crash does not lose them.
    Raises:
        ValueError: a backbone was changed; or units failed, all other members are predicted.
    """
    inputs: dict[Hashable, Any] = {}
    pieces: list[Piece] = []
    encodings = {name: encoding_of(units[0]) for name, units in members.items()}
    check_copies(encoding.backbone for encoding in encodings.values() if encoding)
    for name, units in members.items():
        run, encoding = read_run(units[0]), encodings[name]
        shared_by = (run["kind"], encoding, run["template"], tuple(run["features"]))
        if shared_by not in inputs:
            texts, features = _cells(units[0], test)
            inputs[shared_by] = kind_of_unit(units[0]).inputs(encoding, texts, jobs, features)
        backbone = [encoding.backbone] if encoding else []
        for unit in units:
            arguments, reads = (unit, inputs[shared_by]), (*backbone, unit.folder)
            pieces.append(Piece(str(unit), arguments, bool(encoding), reads))
    by_fold: dict[str, dict[int, Floats]] = {name: {} for name in members}

    def collect(i: int, result: Floats | Failure) -> None:
        if isinstance(result, Failure):
            return
        unit, _ = pieces[i].arguments
        done = by_fold[unit.member]
        done[unit.fold] = result
        if len(done) == len(members[unit.member]):
            on_member(unit.member, mean_of_folds(read_run(unit)["task"], by_fold.pop(unit.member)))

    results = run_all(predict_unit, pieces, jobs, title="predict", on_result=collect)
    failures = [result for result in results if isinstance(result, Failure)]
    if failures:
        raise ValueError("; ".join(f"{failure.label}: {failure.reason}" for failure in failures))


def _cells(unit: Unit, test: TestRows) -> tuple[Texts, Columns]:
    """Texts and features of the test rows as a unit reads them."""
    template, names = read_run(unit)["template"], read_run(unit)["features"]
    for name in names:
        if name not in test.features:
            raise ValueError(
                f"{unit.folder}: was trained with the feature {name!r}; add it to data.features"
            )
    try:
        return texts_by(template, test), {name: test.features[name] for name in names}
    except ValueError as error:
        raise ValueError(f"{unit.folder}: its template: {error}") from None


def predict_unit(unit: Unit, inputs: Any) -> Floats:
    """Predictions (n, c) of a unit on disk, if it passes the reload check. Workers run this."""
    kind, encoding = kind_of_unit(unit), encoding_of(unit)
    predict = kind.load(unit)

    def of_cells(texts: Texts, features: Columns) -> Floats:
        return predict(kind.inputs(encoding, texts, None, features))

    check_reloaded(unit, of_cells, device_of(encoding))
    return predict(inputs)


def mean_of_folds(task: str, by_fold: Mapping[int, Floats]) -> Floats:
    """The mean (n, c) of the folds' predictions on raw scale, log-odds or log-softmax."""
    folds = [by_fold[fold] for fold in sorted(by_fold)]
    scale = TASKS[task]
    return scale.to_prediction(np.mean([scale.to_raw(fold) for fold in folds], axis=0))
