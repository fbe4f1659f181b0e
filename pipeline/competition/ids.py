"""Ids of the rows: the columns of data.id, or without it columns of the same values."""

from collections import Counter
from collections.abc import Container, Sequence
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.spelling import spelled_in, spelling_key
from pipeline.competition.tables import column, no_column, open_table
from pipeline.files.messages import first_few
from pipeline.settings.data import Data
from pipeline.settings.listing import spelled

SETTINGS = {"train": "train", "test": "test", "sample": "sample_submission"}  # by key of data.id


def read_ids(table: pd.DataFrame, data: Data, part: str) -> list[str]:
    """(n,) ids of the training or the test table; row numbers if data.id is null.

    Raises:
        ValueError: there is no such column, or an id is empty or repeated.
    """
    name, where = data.id_of(part), data.train if part == "train" else data.test
    if name is None:
        return [str(row) for row in range(len(table))]
    if name not in table.columns:
        raise ValueError(no_id_column(data, part, table))
    ids = column(table, name, where, "data.id")
    empty = [row for row, cell in enumerate(ids, 1) if not cell.strip()]
    if empty:
        raise ValueError(
            f"{where}: {len(empty)} rows without {name!r}, first row {empty[0]}; fill it in, or "
            "set data.id to null"
        )
    repeated = [cell for cell, n in Counter(ids).items() if n > 1]
    if repeated:
        raise ValueError(
            f"{where}: {len(repeated)} ids in more than one row: {first_few(repeated)}; ids must "
            "differ, or set data.id to null"
        )
    return ids


def no_id_column(data: Data, part: str, table: pd.DataFrame) -> str:
    """The message about a table without data.id, with the names that the tables have for it."""
    name = data.id_of(part) or ""
    where = getattr(data, SETTINGS[part])
    tables = {p: table if p == part else open_other(data, s) for p, s in SETTINGS.items()}
    names = {
        other: spelled_in(data.id_of(other) or name, other_table.columns.tolist())
        for other, other_table in tables.items()
        if other_table is not None
    }
    test, sample = tables["test"], tables["sample"]
    if None in (names.get("test"), names.get("sample")) and test is not None and sample is not None:
        known = names["test"]
        match = matching_columns(sample, test[[known]] if known else test, data.target)
        names["sample"], names["test"] = match[:2] if match else (None, None)
    remedy = None
    if len(names) == len(SETTINGS) and all(names.values()):
        same = len(set(names.values())) == 1
        remedy = f"set data.id: {spelled(names[part] if same else names)}"
    elif names[part] is None:
        remedy = "correct data.id, or set it to null, which numbers the rows"
    return no_column(name, table.columns.tolist(), where, "data.id", remedy)


def open_other(data: Data, setting: str) -> pd.DataFrame | None:
    """A table beside the one in question; None if it cannot be read."""
    try:
        return open_table(getattr(data, setting), f"data.{setting}", data.dialect)
    except (OSError, ValueError):
        return None


def matching_columns(
    table: pd.DataFrame, test: pd.DataFrame, predicted: Container[str]
) -> tuple[str, str, NDArray[np.int64]] | None:
    """Names of a column of `table` and of one of `test` with the same values, each once.

    Args:
        table: (k, ...) the sample or the solution.
        predicted: names of the predicted columns, which hold no ids.
    Returns:
        Also (k,) the test row of each row; None if no columns match. Equal names come first.
    """
    of_table, of_test = _keys(table, predicted), _keys(test, ())
    pairs = list(product(of_table, of_test))
    pairs.sort(key=lambda pair: spelling_key(pair[0]) != spelling_key(pair[1]))
    for name, other in pairs:
        order = of_test[other].get_indexer(of_table[name])
        if len(table) == len(test) and (order >= 0).all():
            return name, other, order
    return None


def _keys(table: pd.DataFrame, predicted: Container[str]) -> dict[str, pd.Index]:
    """The cells of each column that could hold ids: two or more, all different."""
    keys_of = {}
    for name in table.columns:
        if name in predicted or not _is_lone(table, name) or len(table) < 2:
            continue
        keys = pd.Index([spelling_key(cell) for cell in table[name]], dtype=object)
        if not keys.has_duplicates:
            keys_of[name] = keys
    return keys_of


def refuse_other_order(
    table: pd.DataFrame, test: pd.DataFrame, where: str, predicted: Container[str]
) -> None:
    """Raise a ValueError if k rows by position differ in a column of both that is not predicted.

    Columns of names that only one of the tables has are the same if they share a value for most
    rows.
    """
    shared = {*map(spelling_key, table.columns)} & {*map(spelling_key, test.columns)}
    for name, other in product(table.columns, test.columns):
        names = {spelling_key(name), spelling_key(other)}
        is_same = len(names) == 1
        if name in predicted or not (_is_lone(table, name) and _is_lone(test, other)):
            continue
        n_common = len(set(table[name]).intersection(test[other]))
        if n_common <= (0 if is_same else len(table) / 2) or (not is_same and names & shared):
            continue
        pairs = enumerate(zip(table[name], test[other], strict=True), 1)
        differs = [(row, here, there) for row, (here, there) in pairs if here != there]
        if differs and (is_same or as_row_numbers(table[name].tolist()) is None):
            row, here, there = differs[0]
            raise ValueError(
                f"{where}: row {row} is not that of the test table: {name!r} is {here!r} here and "
                f"{other!r} {there!r} there; set data.id, or remove the column if rows go by their "
                "order"
            )


def as_row_numbers(cells: Sequence[str]) -> list[int] | None:
    """The row that each cell names, if all together are the numbers from 0, or from 1, on."""
    numbers = [spelling_key(cell) for cell in cells]
    for first in (0, 1):
        if set(numbers) == set(range(first, first + len(numbers))):
            return [int(number) - first for number in numbers]
    return None


def _is_lone(table: pd.DataFrame, name: str) -> bool:
    return table.columns.tolist().count(name) == 1
