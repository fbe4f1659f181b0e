"""The sample submission: the columns, the order and the ids that a submission must have."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline.competition.ids import (
    as_row_numbers,
    matching_columns,
    no_id_column,
    refuse_other_order,
)
from pipeline.competition.spelling import respelled, same_numbers, spelling_key
from pipeline.competition.tables import open_table
from pipeline.files.alignment import in_order_of
from pipeline.files.messages import first_few
from pipeline.scoring.tasks import TASKS
from pipeline.settings.data import Data


@dataclass(frozen=True)
class Sample:
    """The content of the sample submission. Letters: k test rows.

    Attributes:
        header: column names; a class may have the name of the id column.
        id_at: position of the id column; None without an id column.
        ids: (k,) test ids in the sample's order.
        id_cells: (k,) cells of the id column: the ids, or the sample's own cells if the test
            table has no ids or spells the same numbers in another way.
        note: how rows were matched to those of the test table, if the config does not say.
        cells: distinct cells of the columns to predict, without white space around them.
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

    If the config names no id column, rows are matched by a column of the sample that holds the
    values of a column of the test table, or by row numbers in its first column, or otherwise by
    their order. In the latter cases the first of several columns holds ids or row numbers, unless
    we predict a column of that name.

    Args:
        ids: (k,) of the test rows.
        columns: the prediction columns, as `classes` those of `Train`.
    Raises:
        ValueError: its ids are not the test ids, or its columns are not those that we predict.
    """
    where = data.sample_submission
    table = open_table(where, "data.sample_submission", data.dialect)
    header = tuple(table.columns)
    name, note = data.id_of("sample"), None
    if name is None:
        predicted = {*columns, *classes, *data.target}
        id_at, order, note = rows_without_ids(data, table, where, predicted)
        id_cells = () if id_at is None else tuple(table.iloc[:, id_at])
        ids = [ids[row] for row in order]
    elif name not in header:
        raise ValueError(no_id_column(data, "sample", table))
    else:
        id_at = header.index(name)
        id_cells = tuple(table.iloc[:, id_at])
        if set(id_cells) != set(ids) and same_numbers(id_cells, ids):  # such as 1000.0 and 1000
            spelled = {spelling_key(name): name for name in ids}
            ids = [spelled[spelling_key(cell)] for cell in id_cells]
            note = f"{where}: id {id_cells[0]!r} is {ids[0]!r} of {data.test}, and so on"
        else:
            remedy = "data.sample_submission needs a row for each row of data.test"
            in_order_of(ids, id_cells, where, remedy)
            ids = id_cells
    cells = {c.strip() for at in range(len(header)) if at != id_at for c in table.iloc[:, at]}
    sample = Sample(header, id_at, tuple(ids), id_cells, note, frozenset(cells - {""}))
    _check_columns(sample.columns, data, task, columns, classes)
    return sample


def rows_without_ids(
    data: Data, table: pd.DataFrame, where: str, predicted: set[str]
) -> tuple[int | None, Sequence[int], str | None]:
    """Position of the id column, (k,) the test row of each row, and a note on the matching.

    Args:
        table: (k, ...) the sample or the solution, in the file `where`.
    """
    header, test = table.columns.tolist(), open_table(data.test, "data.test", data.dialect)
    if len(table) != len(test):
        raise ValueError(
            f"{where}: {len(table)} rows, {data.test} has {len(test)}; remove or add rows"
        )
    match = matching_columns(table, test, predicted)
    if match is not None:
        name, of_test, order = match
        note = f"{where}: rows are matched by {name!r}, which holds {of_test!r} of {data.test}"
        return header.index(name), order.tolist(), note
    refuse_other_order(table, test, where, predicted)
    in_order = range(len(table))
    if len(header) == 1 or header[0] in predicted:
        return None, in_order, None
    cells = table.iloc[:, 0].tolist()
    numbers = as_row_numbers(cells)
    if numbers is not None and numbers != [*in_order]:
        note = f"{where}: rows are matched by {header[0]!r}, the row numbers of {data.test}"
        return 0, numbers, note
    if numbers is not None or cells in test.to_numpy().T.tolist():
        return 0, in_order, None
    note = (
        f"{where}: rows are taken in the order of {data.test}, which has no column with the values "
        f"of {header[0]!r}"
    )
    return 0, in_order, note


def _check_columns(
    header: Sequence[str], data: Data, task: str, columns: Sequence[str], classes: Sequence[str]
) -> None:
    """A single column may have any name; several need the names that we predict, in any order."""
    where = data.sample_submission
    wanted = classes if TASKS[task].has_classes else columns
    may_be_one = TASKS[task].has_classes or len(wanted) == 1
    texts = [name for name in header if name in data.text and name not in wanted]
    if texts:
        raise ValueError(
            f"{where}: column {texts[0]!r} holds texts (data.text): name the sample submission as "
            "data.sample_submission, not the test table"
        )
    if len(header) == 1 and may_be_one:
        return
    if sorted(header) != sorted(wanted) and not same_numbers(header, wanted):
        hint = "remove columns that are not predicted, or correct data.target"
        if shown := respelled(header, wanted):
            hint = f"{shown} in {data.train}: rename the column in one of them"
        if any(name == "" or name.startswith("Unnamed:") for name in header):
            hint = "remove the column without a name: an index, or a separator too many"
        raise ValueError(
            f"{where}: columns to predict are {first_few(header) or 'none'}, should be "
            f"{'one column, or ' if may_be_one else ''}{first_few(wanted)}; {hint}"
        )
