"""The sample submission: the names, the order and the ids that a submission must have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline.competition.ids import (
    matching_columns,
    no_id_column,
    open_test,
    refuse_other_order,
)
from pipeline.competition.spelling import alike, same_numbers, told_apart
from pipeline.competition.tables import open_table
from pipeline.files.alignment import in_order_of
from pipeline.files.messages import first_few
from pipeline.scoring.tasks import TASKS
from pipeline.settings.config import Data

REMEDY = "data.sample_submission needs a row for each row of data.test"


@dataclass(frozen=True)
class Sample:
    """What a submission has to look like. Letters: k test rows.

    Attributes:
        header: the names of its columns; a class may bear the id's.
        id_at: which of them is the id; None: none is.
        ids: (k,) test ids in the sample's order, by which predictions are found.
        id_cells: (k,) what to write into the id column: the ids, or, where the test table has
            none, what the sample has there.
        note: how its rows were matched to those of the test table, where nobody said so.
        cells: what stands in its columns to predict, without white space around it.
    """

    header: tuple[str, ...]
    id_at: int | None
    ids: tuple[str, ...]
    id_cells: tuple[str, ...]
    note: str | None = None
    cells: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to predict, in their order."""
        return tuple(name for at, name in enumerate(self.header) if at != self.id_at)


def read_sample(
    data: Data, ids: Sequence[str], task: str, columns: Sequence[str], classes: Sequence[str]
) -> Sample:
    """Read the sample submission and check that it asks for these ids and columns.

    Where the config names no id column, rows go by a column of the sample that holds the values of
    one of the test table, or, if there is none, by their order. Then the sample may still have a
    column for ids or row numbers: its first, if it has several and it is none that we predict.

    Args:
        ids: (k,) of the test rows.
        columns: the prediction columns.
        classes: as in `competition.Train`.
    Raises:
        FileNotFoundError: there is none.
        ValueError: it is unreadable, its ids are not the test ids, or it has a column that we do
            not predict or lacks one that we do.
    """
    where = data.sample_submission
    table = open_table(where, "data.sample_submission", data.dialect)
    header = tuple(table.columns)
    name, note = data.id_of("sample"), None
    if name is not None:
        if name not in header:
            raise ValueError(no_id_column(data, "sample", table))
        id_at: int | None = header.index(name)
    else:
        if len(table) != len(ids):
            raise ValueError(f"{where}: {len(table)} rows, data.test has {len(ids)}; {REMEDY}")
        id_at, order, note = _rows_without_ids(data, table, {*columns, *classes})
        ids = [ids[row] for row in order]
    id_cells = () if id_at is None else tuple(table.iloc[:, id_at])
    if name is not None:
        in_order_of(ids, id_cells, where, REMEDY)
    found = {cell.strip() for at in range(len(header)) if at != id_at for cell in table.iloc[:, at]}
    cells = frozenset(found - {""})
    sample = Sample(header, id_at, tuple(ids) if name is None else id_cells, id_cells, note, cells)
    _check_columns(sample.columns, data, task, columns, classes)
    return sample


def _rows_without_ids(
    data: Data, table: pd.DataFrame, predicted: set[str]
) -> tuple[int | None, Sequence[int], str | None]:
    """Place of the id's column, (k,) the test row of each row, and what to tell about them."""
    header, where, test = table.columns.tolist(), data.sample_submission, open_test(data)
    match = matching_columns(table, test, sorted(predicted)) if test is not None else None
    if match is not None:
        name, of_test, order = match
        note = f"{where}: rows are matched by {name!r}, which holds {of_test!r} of {data.test}"
        return header.index(name), order.tolist(), note
    if test is not None:
        refuse_other_order(table, test, where)
    id_at = 0 if len(header) > 1 and header[0] not in predicted else None
    return id_at, range(len(table)), None


def _check_columns(
    found: Sequence[str], data: Data, task: str, columns: Sequence[str], classes: Sequence[str]
) -> None:
    """A single column may bear any name; several are those that we predict, in any order."""
    where = data.sample_submission
    wanted = classes if TASKS[task].has_classes else columns
    may_be_one = TASKS[task].has_classes or len(wanted) == 1
    if len(found) == 1 and may_be_one:
        return
    if sorted(found) != sorted(wanted) and not same_numbers(found, wanted):
        pairs = [(name, other) for name in found for other in alike(name, wanted)]
        shown = [" is ".join(told_apart(*pair)) for pair in pairs if pair[0] not in wanted]
        hint = f"; {shown[0]} in {data.train}: rename the column in one of them" if shown else ""
        raise ValueError(
            f"{where}: columns to predict are {first_few(found) or 'none'}, should be "
            f"{'one column, or ' if may_be_one else ''}{first_few(wanted)}{hint}"
        )


def table_of(sample: Sample, cells: dict[str, list[Any]]) -> pd.DataFrame:
    """The submission, column for column as the sample has it.

    Args:
        cells: (k,) what to write under each column to predict.
    """
    values = iter(cells[name] for name in sample.columns)
    columns = [
        list(sample.id_cells) if at == sample.id_at else next(values)
        for at in range(len(sample.header))
    ]
    table = pd.concat([pd.Series(column, dtype=object) for column in columns], axis=1)
    table.columns = pd.Index(sample.header)
    return table
