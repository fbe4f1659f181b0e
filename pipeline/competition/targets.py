"""What the target columns of the training table say: numbers, 0 and 1, or classes.

Letters: n rows, c target columns. Each reader of `TARGETS` takes (where, ids, cells, positive): the
file for the message, its (n,) ids, {target: (n,) cells} and the positive class that the config
names. It returns `y` as in `scoring.tasks` and the classes as the file spells them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.spelling import NUMBER
from pipeline.files.messages import first_few

Cells = dict[str, list[str]]
Targets = tuple[NDArray[Any], tuple[str, ...]]


def read_targets(
    task: str, where: str, ids: Sequence[str], cells: Cells, positive: str | None
) -> Targets:
    """The targets of all rows and their classes.

    Raises:
        ValueError: a cell is empty or does not fit the task, all rows have one class, or
            `positive` is none.
    """
    for name, column in cells.items():
        empty = [ids[row] for row, cell in enumerate(column) if not cell.strip()]
        if empty:
            raise ValueError(
                f"{where}: {len(empty)} rows without {name!r}, ids {first_few(empty)}; "
                "fill them in or remove the rows"
            )
    return TARGETS[task](where, ids, cells, positive)


def as_number(cell: str) -> float | None:
    """The finite number that a cell spells, if it does."""
    if NUMBER.fullmatch(cell.strip()) is None:
        return None
    number = float(cell)
    return number if math.isfinite(number) else None


def _numbers(where: str, ids: Sequence[str], cells: Cells, _: str | None) -> Targets:
    return _parsed(where, ids, cells, as_number, "no finite numbers; task regression needs them")


def _labels(where: str, ids: Sequence[str], cells: Cells, _: str | None) -> Targets:
    return _parsed(where, ids, cells, _zero_or_one, "neither 0 nor 1; task multilabel needs these")


def _zero_or_one(cell: str) -> float | None:
    number = as_number(cell)
    return number if number in (0, 1) else None


def _parsed(
    where: str,
    ids: Sequence[str],
    cells: Cells,
    parse: Callable[[str], float | None],
    complaint: str,
) -> Targets:
    columns = []
    for name, column in cells.items():
        numbers = [parse(cell) for cell in column]
        bad = [row for row, number in enumerate(numbers) if number is None]
        if bad:
            raise ValueError(
                f"{where}: {len(bad)} cells of {name!r}, the first {column[bad[0]]!r} at id "
                f"{ids[bad[0]]!r}, are {complaint}"
            )
        columns.append(numbers)
    return np.array(columns, dtype=np.float64).T.copy(), ()


def _codes(where: str, ids: Sequence[str], cells: Cells, _: str | None) -> Targets:
    ((name, column),) = cells.items()
    classes = _in_order(set(column))
    if len(classes) == 1:
        raise ValueError(
            f"{where}: all {len(ids)} rows have {name!r} {classes[0]!r}; "
            "at least two classes are needed"
        )
    code = {spelled: k for k, spelled in enumerate(classes)}
    return np.array([code[cell] for cell in column], dtype=np.int64), classes


def _two_codes(where: str, ids: Sequence[str], cells: Cells, positive: str | None) -> Targets:
    y, classes = _codes(where, ids, cells, positive)
    (name,) = cells
    if len(classes) > 2:
        raise ValueError(
            f"{where}: {name!r} has {len(classes)} classes: {first_few(classes)}; task binary has "
            "two, set task: multiclass"
        )
    if positive not in (None, *classes):
        raise ValueError(
            f"{where}: {name!r} is never data.positive {positive!r}; "
            f"choose one of: {first_few(classes)}"
        )
    return (1 - y, classes[::-1]) if positive == classes[0] else (y, classes)


def _in_order(classes: set[str]) -> tuple[str, ...]:
    """Numbers in numeric order, if all are numbers; else as text."""
    numbers = {name: as_number(name) for name in classes}
    if None in numbers.values():
        return tuple(sorted(classes))
    return tuple(sorted(classes, key=lambda name: (numbers[name], name)))


TARGETS: dict[str, Callable[[str, Sequence[str], Cells, str | None], Targets]] = {
    "regression": _numbers,
    "binary": _two_codes,
    "multiclass": _codes,
    "multilabel": _labels,
}
