"""Train and keep one classic unit; load it again and predict. These are what workers run.

The fitted model is a joblib file, which may run code when it is opened: it is opened only where its
hash is the one in `run.json`.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from pipeline.files.hashes import file_sha256
from pipeline.members.classic.classics import Classic
from pipeline.members.unit_folder import (
    Assignment,
    Outcome,
    check_parity,
    fill_unit,
    parity_texts,
    scaling_of,
)
from pipeline.members.units import Unit, read_run
from pipeline.scoring.tasks import Floats

MODEL = "model.joblib"


def train_unit(
    assignment: Assignment,
    model: Classic,
    inputs: Any,
    device: str,
    facts: dict[str, Any],
) -> None:
    """Train a unit, predict its fold, and write its folder in one piece.

    Args:
        model: not fitted yet.
        inputs: all training rows, as the model takes them.
        device: what computed the inputs.
        facts: what `run.json` is to say of the model.
    Raises:
        ValueError: a unit with another fingerprint stands there.
    """
    rows = assignment.rows

    def train(folder: Path) -> Outcome:
        start = time.perf_counter()
        scaling = assignment.scaling()
        y = rows.y[rows.training]
        model.fit(_take(inputs, rows.training), scaling.standardise(y) if scaling else y)
        seconds = round(time.perf_counter() - start, 3)
        joblib.dump(model, folder / MODEL, compress=3)
        predictions = model.predict(_take(inputs, rows.held_out))
        if scaling is not None:
            predictions = scaling.restore(predictions)
        return Outcome(predictions, MODEL, scaling, device, {**facts, "seconds": seconds})

    fill_unit(assignment, train)


def predict_unit(
    unit: Unit,
    inputs: Any,
    read: Callable[[Sequence[tuple[str, ...]]], Any],
    device: str,
) -> Floats:
    """Predictions (n, c) of a unit as it lies on disk, once it has shown that it is the same.

    Args:
        inputs: n rows, as the model takes them.
        read: makes them of texts.
        device: what computes them.
    Raises:
        ValueError: the model's file is not the one that was written, or the model does not
            reproduce the predictions that were written when it was trained.
    """
    run = read_run(unit)
    path = unit.folder / MODEL
    if file_sha256(path) != run["weights_sha256"]:
        raise ValueError(f"{path}: not the file that was trained; train the unit again")
    model, scaling = joblib.load(path), scaling_of(run)

    def predict(rows: Any) -> Floats:
        if not len(rows):
            return np.empty((0, len(run["columns"])))
        predictions: Floats = model.predict(rows)
        return scaling.restore(predictions) if scaling else predictions

    check_parity(unit, predict(read(parity_texts(unit))), device)
    return predict(inputs)


def _take(inputs: Any, rows: NDArray[np.int64]) -> Any:
    return inputs[rows] if isinstance(inputs, np.ndarray) else [inputs[row] for row in rows]
