"""Predictions in the form that a competition accepts, or an error that says why they are not.

Letters: k test rows, c prediction columns.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.labels import labels_as_sampled, wants_labels
from pipeline.competition.sample import Sample
from pipeline.competition.spelling import same_numbers, spelling_key
from pipeline.scoring.metrics import nearest_labels
from pipeline.scoring.tasks import TASKS, Floats, decide

ZERO_ONE = ("0", "1")

Cells = dict[str, list[Any]]


def submission_cells(
    task: str,
    metric: str,
    form: str,
    predictions: Floats,
    *,
    sample: Sample,
    columns: Sequence[str],
    classes: Sequence[str],
    y: NDArray[Any],
    texts_differ: bool = True,
) -> Cells:
    """What to write under each predicted column of the sample.

    Where a metric scores decisions, the one column of a task with classes holds labels, and each
    column of a multilabel task 0 or 1, spelled as in the sample where that is certain. All else is
    values or probabilities, in one column of a binary task that of the positive class.

    Args:
        form: "labels" or "probabilities", or "auto" for the rule above.
        predictions: (k, c), rows in the sample's order.
        columns: the c prediction columns.
        classes: as the training file spells them; for binary the negative, then the positive.
        y: training targets, whose values are the labels of a regression scored by decisions.
        texts_differ: among the test rows; a code competition may show one text many times.
    Raises:
        ValueError: the form does not fit, or a column would be constant whose training targets and
            test texts are not.
    """
    check_form(task, metric, form, sample, classes)
    as_labels = wants_labels(metric, form)
    single = len(sample.columns) == 1
    if task == "regression":
        values = _rounded(predictions, y) if as_labels else predictions
        cells = _by_column(sample, columns, values)
    elif task == "multilabel":
        values = decide(task, predictions) if as_labels else predictions
        cells = _by_column(sample, columns, values)
        spelled = labels_as_sampled(sample, ZERO_ONE) or ZERO_ONE
        if as_labels and spelled != ZERO_ONE:
            cells = {name: [spelled[label] for label in column] for name, column in cells.items()}
    elif single and as_labels:
        spelled = labels_as_sampled(sample, classes) or tuple(classes)
        cells = {sample.columns[0]: [spelled[code] for code in decide(task, predictions)]}
    elif task == "binary":
        both = np.hstack([1 - predictions, predictions])
        values = predictions if single else both
        cells = _by_column(sample, sample.columns if single else classes, values)
    else:
        cells = _by_column(sample, classes, predictions)
    if texts_differ and not (task == "regression" and as_labels):  # labels may be constant
        _refuse_constant(cells, _constant_targets(sample, columns, y))
    return cells


def check_form(task: str, metric: str, form: str, sample: Sample, classes: Sequence[str]) -> None:
    """Raise a ValueError if the sample's columns cannot hold what is to be submitted."""
    single = len(sample.columns) == 1
    if TASKS[task].has_classes and form == "labels" and not single:
        raise ValueError(
            f"submit.as: labels fill one column, but the sample submission has "
            f"{len(sample.columns)}: {', '.join(sample.columns[:5])}; leave it at auto"
        )
    name = sample.columns[0]
    if task == "binary" and single and not wants_labels(metric, form) and name == classes[0]:
        raise ValueError(
            f"the sample submission's column {name!r} is a class, but the probability of "
            f"{classes[1]!r} is predicted; set data.positive: {name}"
        )
    if task == "multiclass" and single and not wants_labels(metric, form):
        raise ValueError(
            f"the sample submission has one column, {name!r}, which cannot hold the "
            f"probabilities of {len(classes)} classes that {metric} scores; set submit.as: labels"
        )


def constant_label(cells: Cells) -> str | None:
    """The label that a lone column repeats on every row, if it does."""
    (first, *others) = cells.values()
    values = set(first)
    if others or len(values) > 1 or len(first) < 2:
        return None
    return str(values.pop())


def _by_column(sample: Sample, names: Sequence[str], values: NDArray[Any]) -> Cells:
    if len(sample.columns) == 1:
        return {sample.columns[0]: values[:, 0].tolist()}
    key = spelling_key if same_numbers(names, sample.columns) else str  # 1 is the class 1.0
    position = {key(name): j for j, name in enumerate(names)}
    return {name: values[:, position[key(name)]].tolist() for name in sample.columns}


def _rounded(predictions: Floats, y: Floats) -> NDArray[Any]:
    """(k, c) predictions at the nearest training label of their column."""
    nearest = nearest_labels(predictions, y)
    # most scales are whole numbers, and are expected without a decimal point
    return nearest.astype(np.int64) if (y == y.round()).all() else nearest


def _constant_targets(sample: Sample, columns: Sequence[str], y: NDArray[Any]) -> set[str]:
    """The sample's columns whose training targets are all equal: there was nothing to learn."""
    names = sample.columns if len(sample.columns) == 1 else columns
    if y.ndim == 1:
        return set()
    return {name for name, of in zip(names, y.T, strict=False) if (of == of[0]).all()}


def _refuse_constant(cells: Cells, allowed: set[str]) -> None:
    for name, values in cells.items():
        continuous = isinstance(values[0], float) if values else False
        if continuous and name not in allowed and len(values) > 1 and len(set(values)) == 1:
            raise ValueError(
                f"column {name!r} of the submission is {values[0]:g} on every row; "
                "a model that predicts a constant has not learned, look at its log; for another "
                "predictor of the leaderboard run submit with --predictor NAME"
            )
