"""Targets from the cells of a table: numbers, 0 and 1, or classes.

Letters: n rows, c target columns. Each reader of `TARGETS` takes (where, ids, cells, positive): the
file for messages, its (n,) ids, {target: (n,) cells} and data.positive. It returns `y` as in
`scoring.tasks` and the classes as the file spells them.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.spelling import NUMBER, in_print, is_missing, spelling_key
from pipeline.files.messages import first_few, listed
from pipeline.files.suggestions import choices
from pipeline.scoring.metrics import metric_of
from pipeline.scoring.names import Setting
from pipeline.scoring.tasks import TASKS, Floats

LARGEST = 1e30  # beyond, sums of squares and LightGBM's float32 overflow
NUMBERS = f"no finite numbers up to {LARGEST:g}; task regression needs them, written like 1234.5"
LABELS = (
    "neither 0 nor 1, nor True nor False; task multilabel needs these: write a column of 0 and 1 "
    "for each label, as pandas' str.get_dummies makes them of 'sea|rail', and list the columns as "
    "data.target"
)
SHARES = (
    "no numbers from 0 to 1, nor True nor False; several columns of task multiclass are the "
    "probabilities of their classes, 0 or 1 if these are certain"
)
OFF_1 = 1e-6  # of the sum of a row's probabilities

YES_OR_NO: dict[str | Decimal, bool] = dict.fromkeys(["true", "yes", Decimal(1)], True)
YES_OR_NO |= dict.fromkeys(["false", "no", Decimal(0)], False)

Cells = dict[str, list[str]]
Targets = tuple[NDArray[Any], tuple[str, ...]]


def read_targets(
    task: str,
    where: str,
    ids: Sequence[str],
    cells: Cells,
    positive: str | None,
    as_written: bool = False,
) -> Targets:
    """The targets of all rows and their classes; of several columns of classes, their shares.

    Of several targets or labels a row may lack some, which are NaN.

    Args:
        as_written: different spellings, such as 1 and 1.0, are different classes.
    Raises:
        ValueError: a row has no target or a cell does not fit the task, a class is spelled in
            several ways, or `positive` is not a class.
    """
    if len(cells) > 1 and not TASKS[task].has_classes:
        cells = {n: ["" if is_missing(cell) else cell for cell in c] for n, c in cells.items()}
        joined = ["".join(row) for row in zip(*cells.values(), strict=True)]
        _refuse_empty(where, ids, joined, "any of data.target")
    else:
        for name, column in cells.items():
            _refuse_empty(where, ids, column, repr(name))
    if TASKS[task].has_classes and len(cells) == 1 and not as_written:
        _refuse_spellings(where, ids, cells)
    return TARGETS[task](where, ids, cells, positive)


def _refuse_empty(where: str, ids: Sequence[str], cells: Sequence[str], what: str) -> None:
    empty = [ids[row] for row, cell in enumerate(cells) if not cell.strip()]
    if empty:
        raise ValueError(
            f"{where}: {len(empty)} rows without {what}, ids {first_few(empty)}; "
            "fill them in or remove the rows"
        )


def lines_about_missing(y: NDArray[Any], names: Sequence[str]) -> list[str]:
    """A line for each target with missing cells."""
    n_missing = np.isnan(y).sum(axis=0) if y.ndim == 2 else []
    return [
        f"target {name!r}: {n} of {len(y)} missing; losses and the metric leave them out"
        for name, n in zip(names, n_missing, strict=False)
        if n
    ]


def check_transform(transform: str, where: str, ids: Sequence[str], y: Floats) -> None:
    """Raise a ValueError if a target lies below 0, where log1p is steep and then undefined."""
    bad = np.argwhere(y < 0)
    if len(bad):
        row, j = bad[0]
        raise ValueError(
            f"{where}: {len(bad)} targets are below 0, the first {y[row, j]:g} at id {ids[row]!r}; "
            f"data.transform: {transform} takes targets from 0, leave it out"
        )


def read_weights(
    where: str, setting: str, name: str, ids: Sequence[str], cells: Sequence[str]
) -> Floats:
    """(n,) weights of the rows; a ValueError unless they are numbers from 0, some above."""
    numbers = [as_number(cell) for cell in cells]
    bad = [row for row, x in enumerate(numbers) if x is None or not 0 <= x <= LARGEST]
    if bad:
        raise ValueError(
            f"{where}: {len(bad)} cells of {name!r} ({setting}), the first {cells[bad[0]]!r} at "
            f"id {ids[bad[0]]!r}, are no numbers from 0 to {LARGEST:g}; correct them"
        )
    weights = np.array(numbers, dtype=np.float64)
    if not weights.any():
        raise ValueError(f"{where}: all {name!r} ({setting}) are 0; give some rows a weight")
    return weights


def _refuse_spellings(where: str, ids: Sequence[str], cells: Cells) -> None:
    """Raise a ValueError if a class has several spellings, which would become several classes."""
    ((name, column),) = cells.items()
    first, counts = dict(zip(column[::-1], ids[::-1], strict=True)), Counter(column)
    spellings: defaultdict[str | Decimal, list[str]] = defaultdict(list)
    for spelled in counts:
        spellings[spelling_key(spelled)].append(spelled)
    several = [group for group in spellings.values() if len(group) > 1]
    if several:
        shown = [f"{in_print(s)} ({counts[s]} rows, first id {first[s]!r})" for s in several[0]]
        more = f", and {len(several) - 1} more classes" if len(several) > 1 else ""
        raise ValueError(
            f"{where}: {name!r} spells one class as {listed(shown)}{more}; write each in one way, "
            "or set data.classes: as_written if they are different classes"
        )


def as_number(cell: str) -> float | None:
    """The finite number in a cell; None if there is none."""
    if NUMBER.fullmatch(cell.strip()) is None:
        return None
    number = float(cell)
    return number if math.isfinite(number) else None


def _as_label(cell: str) -> float | None:
    """1 for true and 0 for false in any case, otherwise the number."""
    return {"true": 1.0, "false": 0.0}.get(cell.strip().lower(), as_number(cell))


def check_metric_takes(
    metric: Setting, where: str, y: NDArray[Any], classes: Sequence[str]
) -> None:
    """Raise a ValueError if the metric cannot score the targets.

    Kappa needs grades whose order is known if they are more than two, a logarithmic error no
    negative number, a relative error no zero, top-k accuracy more than k classes.
    """
    name, k = metric_of(metric).name, metric_of(metric).k
    words = [grade for grade in classes if as_number(grade) is None]
    if name == "qwk" and words and len(classes) > 2:
        raise ValueError(
            f"{where}: metric qwk needs grades that are numbers, got {words[0]!r}; "
            "write them as numbers in their order"
        )
    if name == "top_k_accuracy" and k is not None and k >= len(classes):
        raise ValueError(
            f"{where}: metric top_k_accuracy is 1 for whatever is predicted if k is {k} and there "
            f"are {len(classes)} classes; lower metric.k"
        )
    if name == "rmsle" and (y < 0).any():
        raise ValueError(
            f"{where}: metric rmsle takes logarithms, got the target {np.nanmin(y):g}; write "
            "targets from 0 up, or choose rmse"
        )
    if name == "mape" and (y == 0).any():
        raise ValueError(
            f"{where}: metric mape divides by the target, which is 0 on {(y == 0).sum()} rows; "
            "remove them, or choose mae"
        )


def _numbers(
    where: str,
    ids: Sequence[str],
    cells: Cells,
    _: str | None,
    *,
    parse: Callable[[str], float | None] = as_number,
    is_valid: Callable[[float], bool] = lambda number: abs(number) <= LARGEST,
    complaint: str = NUMBERS,
) -> Targets:
    columns = []
    for name, column in cells.items():
        numbers = [parse(cell) for cell in column]
        bad = [
            row
            for row, x in enumerate(numbers)
            if column[row].strip() and (x is None or not is_valid(x))
        ]
        if bad:
            raise ValueError(
                f"{where}: {len(bad)} cells of {name!r}, the first {column[bad[0]]!r} at id "
                f"{ids[bad[0]]!r}, are {complaint}"
            )
        columns.append(numbers)
    return np.array(columns, dtype=np.float64).T.copy(), ()


def _codes_or_shares(where: str, ids: Sequence[str], cells: Cells, _: str | None) -> Targets:
    """Codes of one column of classes, or (n, classes) shares of a column for each class."""
    if len(cells) == 1:
        return _codes(cells)
    classes = _in_order(set(cells))
    in_order = {name: cells[name] for name in classes}
    limits: dict[str, Any] = {"is_valid": lambda x: 0 <= x <= 1, "complaint": SHARES}
    shares = _numbers(where, ids, in_order, None, parse=_as_label, **limits)[0]
    sums = shares.sum(axis=1)
    bad = np.flatnonzero(np.abs(sums - 1) > OFF_1)
    if len(bad):
        raise ValueError(
            f"{where}: {len(bad)} rows of data.target do not sum to 1, the first, id "
            f"{ids[bad[0]]!r}, to {sums[bad[0]]:g}; divide each row by its sum, or set task: "
            "multilabel if several may be true"
        )
    return shares, classes


def _codes(cells: Cells) -> Targets:
    (column,) = cells.values()
    classes = _in_order(set(column))
    code = {spelled: k for k, spelled in enumerate(classes)}
    return np.array([code[cell] for cell in column], dtype=np.int64), classes


def _two_codes(where: str, ids: Sequence[str], cells: Cells, positive: str | None) -> Targets:
    y, classes = _codes(cells)
    (name,) = cells
    if len(classes) > 2:
        is_scale = all(as_number(cell) is not None for cell in classes)
        raise ValueError(
            f"{where}: {name!r} has {len(classes)} classes: {first_few(classes)}; task binary has "
            "two: spell each in one way, or set task: multiclass"
            f"{', or regression for a scale' if is_scale else ''}"
        )
    if positive not in (None, *classes):
        raise ValueError(
            f"{where}: {name!r} is never data.positive {positive!r}; {choices(positive, classes)}"
        )
    if positive is None and [says_yes_or_no(name) for name in classes] == [True, False]:
        positive = classes[0]  # YES comes before no in the alphabet, Yes before NO
    # a single class, which read_train refuses, has no other to change places with
    return (1 - y, classes[::-1]) if positive == classes[0] != classes[-1] else (y, classes)


def says_yes_or_no(name: str) -> bool | None:
    """Whether a class means yes (True) or no (False); None if neither."""
    return YES_OR_NO.get(spelling_key(name))


def _in_order(classes: set[str]) -> tuple[str, ...]:
    """In numeric order if all classes are numbers, otherwise as text."""
    numbers = {name: as_number(name) for name in classes}
    if None in numbers.values():
        return tuple(sorted(classes))
    return tuple(sorted(classes, key=lambda name: (numbers[name], name)))


TARGETS: dict[str, Callable[[str, Sequence[str], Cells, str | None], Targets]] = {
    "regression": _numbers,
    "binary": _two_codes,
    "multiclass": _codes_or_shares,
    "multilabel": partial(
        _numbers, parse=_as_label, is_valid=lambda x: x in (0, 1), complaint=LABELS
    ),
}
