"""The cells of a submission, made from predictions.

Letters: k test rows, c prediction columns.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.labels import Form, lines_about
from pipeline.competition.rows import TestRows
from pipeline.competition.sample import Sample
from pipeline.competition.spelling import same_numbers, spelling_key
from pipeline.files.alignment import in_order_of
from pipeline.scoring.formulas import ranked
from pipeline.scoring.metrics import distinct_values, nearest_labels
from pipeline.scoring.tasks import Floats, decide
from pipeline.settings.data import Data

FEW = 10  # rows; fewer may well share a step of an isotonic curve, or a bound of clip

Cells = dict[str, list[Any]]


def submission(
    form: Form,
    predictions: Floats,
    test: TestRows,
    data: Data,
    columns: Sequence[str],
    y: NDArray[Any],
) -> tuple[pd.DataFrame, list[str]]:
    """The submission with the sample's columns and rows, and notes about it, a line each.

    Arguments and errors are those of `submission_cells`, but predictions are in the test's order.
    """
    order = in_order_of(form.sample.ids, test.ids, data.test, "correct the sample submission")
    differ = len(set(zip(test.texts, *test.features.values(), strict=True))) > 1
    cells = submission_cells(form, predictions[order], columns=columns, y=y, texts_differ=differ)
    notes, label = lines_about(form, data.sample_submission), constant_label(cells)
    if label is not None:
        notes.append(f"warning: every row of the submission holds {label!r}")
    cells_of = {
        at: [*form.sample.id_cells] if at == form.sample.id_at else cells[name]
        for at, name in enumerate(form.sample.header)  # a class may have the name of the id column
    }
    table = pd.DataFrame(cells_of, dtype=object).set_axis(list(form.sample.header), axis=1)
    return table, notes


def submission_cells(
    form: Form,
    predictions: Floats,
    *,
    columns: Sequence[str],
    y: NDArray[Any],
    texts_differ: bool = True,
) -> Cells:
    """The cells of each predicted column of the sample.

    Cells are values, probabilities or, where the form has some, labels: for a metric with `k` the k
    most probable ones, separated by spaces. The one probability of a binary task is that of the
    positive class.

    Args:
        predictions: (k, c), rows in the sample's order.
        columns: the c prediction columns.
        y: training targets, whose values are the labels of a regression scored by hard predictions.
        texts_differ: among the test rows; a code competition may show one text many times.
    Raises:
        ValueError: a column of `FEW` rows or more would be constant, but its training targets and
            the test texts are not.
    """
    task, sample, labels = form.task, form.sample, form.spelled_labels
    if task == "regression":
        values: NDArray[Any] = predictions
        if form.wants_labels:
            values = nearest_labels(predictions, distinct_values(y))
            if np.array_equal(y, y.round(), equal_nan=True):
                values = values.astype(np.int64)  # a scale of whole numbers has no decimal point
        if form.scored_by.name == "rmsle":  # it takes no logarithm of less
            values = np.maximum(values, 0)
        cells = _by_column(sample, columns, values)
    elif task == "multilabel":
        values = decide(task, predictions) if form.wants_labels else predictions
        cells = _by_column(sample, columns, values)
        if labels:
            cells = {name: [labels[code] for code in column] for name, column in cells.items()}
    elif form.n_listed:
        first = ranked(predictions)[:, : form.n_listed]
        cells = {sample.columns[0]: [" ".join(labels[code] for code in row) for row in first]}
    elif labels:
        cells = {sample.columns[0]: [labels[code] for code in decide(task, predictions)]}
    elif task == "binary" and not form.has_one_column:
        cells = _by_column(sample, form.classes, np.hstack([1 - predictions, predictions]))
    else:
        cells = _by_column(sample, form.classes, predictions)
    if texts_differ and not (task == "regression" and form.wants_labels):  # labels may be constant
        _refuse_constant(cells, sample.columns if form.has_one_column else columns, y)
    return cells


def constant_label(cells: Cells) -> str | None:
    """The label that the only column repeats on every row, if it does."""
    first, *others = cells.values()
    return str(first[0]) if not others and len(first) > 1 and len(set(first)) == 1 else None


def _by_column(sample: Sample, names: Sequence[str], values: NDArray[Any]) -> Cells:
    if len(sample.columns) == 1:
        return {sample.columns[0]: values[:, 0].tolist()}
    key = spelling_key if same_numbers(names, sample.columns) else str  # 1 is the class 1.0
    position = {key(name): j for j, name in enumerate(names)}
    return {name: values[:, position[key(name)]].tolist() for name in sample.columns}


def _refuse_constant(cells: Cells, names: Sequence[str], y: NDArray[Any]) -> None:
    """Raise a ValueError if a column of `names` is constant and could be learned from `y`."""
    targets = dict(zip(names, y.T, strict=False)) if y.ndim == 2 else {}
    for name, values in cells.items():
        is_constant = len(values) >= FEW and len(set(values)) == 1
        learnable = name not in targets or np.nanmin(targets[name]) < np.nanmax(targets[name])
        if is_constant and isinstance(values[0], float) and learnable:
            raise ValueError(
                f"column {name!r} of the submission is {values[0]:g} on every row; a model that "
                "predicts a constant has not learned, look at its log; to submit another predictor "
                "of the leaderboard, run submit with --predictor NAME"
            )
