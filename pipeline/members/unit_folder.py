"""Fill a unit's folder, and hold the reloaded unit against it: alike for every kind of member.

Letters: n rows, c prediction columns.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.files.hashes import file_sha256
from pipeline.files.provenance import provenance
from pipeline.files.reading import read_json
from pipeline.files.writing import folder_written_whole, write_csv, write_json
from pipeline.members.units import OOF, PARITY, RUN, Unit, is_finished, locked, read_run
from pipeline.predictors.predictions import predictions_table
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, Scaling

N_PARITY = 32
SAME_DEVICE, OTHER_DEVICE = 1e-3, 2e-2  # parity, in sds of the target or in probability


@dataclass(frozen=True)
class UnitRows:
    """The rows that a unit sees.

    Attributes:
        y: targets of all training rows, as in `scoring.tasks`.
        fold: (n,) bool, the rows of the unit's fold.
        ids: ids of the fold's rows, in their order.
        texts: their texts.
        columns: the c prediction columns.
        id_name: name of the id's column.
    """

    y: NDArray[Any]
    fold: NDArray[np.bool_]
    ids: list[str]
    texts: list[tuple[str, ...]]
    columns: list[str]
    id_name: str

    @property
    def training(self) -> NDArray[np.int64]:
        """Row numbers that the unit learns from."""
        return np.flatnonzero(~self.fold)

    @property
    def held_out(self) -> NDArray[np.int64]:
        """Row numbers of its fold."""
        return np.flatnonzero(self.fold)


@dataclass(frozen=True)
class Assignment:
    """What a worker is told about a unit, whatever the member is.

    Attributes:
        wanted: the unit's fingerprint.
        overwrite: whether a unit with another fingerprint may be replaced.
        command: the stage's command line, which a worker cannot tell from its own.
    """

    unit: Unit
    wanted: dict[str, Any]
    n_folds: int
    rows: UnitRows
    task: str
    metric: str
    overwrite: bool
    command: str

    def scaling(self) -> Scaling | None:
        """That of the rows that the unit learns from."""
        rows = self.rows
        return Scaling.of(rows.y[rows.training]) if self.task == "regression" else None


@dataclass(frozen=True)
class Outcome:
    """What training a unit gave.

    Attributes:
        predictions: (n, c) of the held-out rows.
        model: name of the file in the unit's folder that holds what was trained.
        scaling: of the targets.
        device: what made the predictions, "cpu" or "cuda".
        facts: what else `run.json` is to say.
    """

    predictions: Floats
    model: str
    scaling: Scaling | None
    device: str
    facts: dict[str, Any]


def fill_unit(assignment: Assignment, train: Callable[[Path], Outcome]) -> None:
    """Train a unit unless it is finished, and write its folder in one piece.

    Args:
        train: trains the unit and writes its model to the folder that it is called with.
    Raises:
        ValueError: another run has put one with another fingerprint there, or a prediction is
            not finite.
    """
    unit, rows = assignment.unit, assignment.rows
    with locked(unit):
        if is_finished(unit, assignment.wanted, overwrite=assignment.overwrite):
            return  # another run finished it while this one waited
        with folder_written_whole(unit.folder) as folder:
            outcome = train(folder)
            predictions = outcome.predictions
            _refuse_diverged(unit, predictions)  # kept, it would count as finished for ever
            table = predictions_table(rows.ids, rows.id_name, rows.columns, predictions)
            write_csv(folder / OOF, table)
            shown = np.unique(np.linspace(0, len(rows.ids) - 1, N_PARITY).astype(int))
            parity = {
                "texts": [rows.texts[i] for i in shown],
                "predictions": predictions[shown].tolist(),
            }
            write_json(folder / PARITY, parity)
            target = Target.of(rows.y, assignment.task, assignment.metric)
            run = {
                "fingerprint": assignment.wanted,
                "n_folds": assignment.n_folds,
                "task": assignment.task,
                "columns": rows.columns,
                "scaling": asdict(outcome.scaling) if outcome.scaling else None,
                "weights_sha256": file_sha256(folder / outcome.model),
                "metric": assignment.metric,
                "score": target[rows.held_out].score(predictions),
                "rows": {"training": len(rows.training), "held_out": len(rows.held_out)},
                "device": outcome.device,
                **outcome.facts,
                **provenance(assignment.command),
            }
            write_json(folder / RUN, run)


def _refuse_diverged(unit: Unit, predictions: Floats) -> None:
    n_bad = int((~np.isfinite(predictions)).sum())
    if n_bad:
        raise ValueError(
            f"{unit.folder}: {n_bad} of {predictions.size} predictions are not finite: training "
            "diverged; lower training.learning_rate, or change the options of a classic member"
        )


def scaling_of(run: dict[str, Any]) -> Scaling | None:
    """That of a trained unit, from its `run.json`."""
    return Scaling(**run["scaling"]) if run["scaling"] else None


def parity_texts(unit: Unit) -> list[tuple[str, ...]]:
    """Held-out texts that a reloaded unit has to predict as it did when it was trained."""
    return [tuple(text) for text in read_json(unit.folder / PARITY)["texts"]]


def check_parity(unit: Unit, again: Floats, device: str) -> None:
    """Hold predictions of the reloaded unit against those that it made when it was trained.

    Args:
        again: predictions for the texts of `parity.json`.
        device: what made them, "cpu" or "cuda".
    Raises:
        ValueError: they differ by more than rounding.
    """
    parity, run = read_json(unit.folder / PARITY), read_run(unit)
    written = np.array(parity["predictions"])
    unit_of_difference = np.array(run["scaling"]["sd"]) if run["scaling"] else 1.0
    difference = float((np.abs(again - written) / unit_of_difference).max())
    allowed = SAME_DEVICE if run["device"] == device else OTHER_DEVICE
    if not difference <= allowed:
        raise ValueError(
            f"{unit.folder}: reloaded, it predicts its own held-out rows {difference:.2g} away "
            f"from what it wrote, {allowed:g} is allowed; remove the folder and train it again"
        )
