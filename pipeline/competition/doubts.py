"""What is odd about the training and the test table and does not stop us: a line for each doubt.

Letters: n training rows, k test rows.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.competition.deal import connect, text_key
from pipeline.competition.rows import TestRows, Texts, Train, whichever_first
from pipeline.competition.spelling import in_print
from pipeline.competition.tables import open_table
from pipeline.scoring.tasks import TASKS
from pipeline.settings.config import Data

MOST_LINES = 5  # about classes of one row
MANY = 0.05  # share of training rows with a value that recurs, before it is told
FEW = 3  # test rows expected to share one: to see none of fewer may be chance
HARDLY = 0.25  # of the test rows expected to share one, what tells that test has others


def warnings_about(data: Data, task: str, train: Train, test: TestRows) -> list[str]:
    """A line for each doubt about the tables that does not stop us."""
    no_group = [
        i for i, group in zip(train.ids, train.groups or train.ids, strict=True) if not group
    ]
    lines = [
        _counted(data.train, _ids_of_empty(train), "rows have an empty text"),
        _counted(data.test, _ids_of_empty(test), "rows have an empty text"),
        _counted(data.train, no_group, f"rows have no {data.group!r} and count as one group"),
        _counted(
            data.train,
            _ids_of_contradictions(train),
            "rows share their text with another row and differ from it in the target",
        ),
        _counted(
            data.test, _ids_of_known_texts(train, test), "rows have a text that is also in train"
        ),
    ]
    if data.id is not None:
        known = set(train.ids)
        both = [name for name in test.ids if name in known]
        lines.append(_counted(data.test, both, "ids are also in train"))
    if task == "multilabel":
        lines += [
            f"{data.train}: label {name!r} has no positives and leaves the metric's mean"
            for name in np.array(train.columns)[~train.y.any(axis=0)].tolist()
        ]
    if TASKS[task].has_classes and data.train_rows is None:  # a part may well hold one row
        rows = np.bincount(train.y, minlength=len(train.classes))
        of_lone_row = [(row, code) for row, code in enumerate(train.y) if rows[code] == 1]
        lines += [
            f"{data.train}: class {in_print(train.classes[code])} has a single row, id "
            f"{train.ids[row]!r}: the model that is to predict it has never seen the class; "
            "remove it if it is a slip"
            for row, code in of_lone_row[:MOST_LINES]
        ]
        if len(of_lone_row) > MOST_LINES:
            lines.append(f"{data.train}: {len(of_lone_row)} classes in all have a single row")
    lines += _shared_in_train_only(data, train, test)
    return [line for line in lines if line is not None]


def _counted(where: str, ids: Sequence[str], what: str) -> str | None:
    return f"{where}: {len(ids)} {what}, first id {ids[0]!r}" if ids else None


def _ids_of_empty(rows: Train | TestRows) -> list[str]:
    return [
        name
        for name, texts in zip(rows.ids, rows.texts, strict=True)
        if not all(text.strip() for text in texts)
    ]


def _keys(texts: Texts) -> list[str]:
    return [text_key(text) for text in whichever_first(texts)]


def _ids_of_contradictions(train: Train) -> list[str]:
    keys = _keys(train.texts)
    targets: defaultdict[str, set[Any]] = defaultdict(set)
    for key, target in zip(keys, train.y.tolist(), strict=True):
        targets[key].add(tuple(target) if isinstance(target, list) else target)
    return [i for i, key in zip(train.ids, keys, strict=True) if key and len(targets[key]) > 1]


def _ids_of_known_texts(train: Train, test: TestRows) -> list[str]:
    known = set(_keys(train.texts))
    return [i for i, key in zip(test.ids, _keys(test.texts), strict=True) if key and key in known]


def _shared_in_train_only(data: Data, train: Train, test: TestRows) -> list[str]:
    """Columns whose values tie training rows together, but hardly any test row to a training row.

    Folds would deal such rows apart: a model knows a held-out row's question, no test row's.
    """
    atoms = connect(whichever_first(train.texts), train.groups)
    lines, of_train, of_test = [], [], []
    for name, cells, test_cells in _text_columns(data, train, test):
        keys, test_keys = [text_key(c) for c in cells], [text_key(c) for c in test_cells]
        if name in data.text:
            of_train.append(keys)
            of_test.append(test_keys)
        counted = _count_shared([keys], [test_keys], atoms)
        if counted is not None:
            n_train, n_test = counted
            lines.append(
                f"{data.train}: {n_train} of {len(keys)} rows share their {name!r} with another "
                f"row, only {n_test} of {len(test_keys)} test rows with a training row; folds "
                f"that part them give scores that are too good: set data.group: {name}"
            )
    if lines or len(of_train) < 2:
        return lines
    counted = _count_shared(of_train, of_test, atoms)  # one text, on the left here, there right
    if counted is not None:
        n_train, n_test = counted
        both = " or ".join(map(repr, data.text))
        lines.append(
            f"{data.train}: {n_train} of {len(atoms)} rows share a text, in {both}, with another "
            f"row, only {n_test} of {len(test.ids)} test rows with a training row; folds that "
            "part them give scores that are too good: number the rows that such texts connect in "
            "a column of your own and name it as data.group"
        )
    return lines


def _text_columns(
    data: Data, train: Train, test: TestRows
) -> list[tuple[str, Sequence[str], Sequence[str]]]:
    """(name, training cells, test cells) of data.text and of what else both tables have in words.

    A lone text column is left out: equal texts share a fold anyway.
    """
    columns: list[tuple[str, Sequence[str], Sequence[str]]] = []
    if len(data.text) > 1:
        for at, name in enumerate(data.text):
            cells = [texts[at] for texts in train.texts]
            columns.append((name, cells, [texts[at] for texts in test.texts]))
    if data.train_rows is not None:
        return columns  # the table holds other rows than `train`
    tables = [
        open_table(data.train, "data.train", data.dialect),
        open_table(data.test, "data.test", data.dialect),
    ]
    used = {data.id_of("train"), data.id_of("test"), data.group, *data.text, *data.target}
    names = [table.columns.tolist() for table in tables]
    for name in names[0]:
        if name in used or any(of.count(name) != 1 for of in names):
            continue
        cells, test_cells = (table[name].tolist() for table in tables)
        if np.mean([len(cell.split()) > 1 for cell in cells]) > 0.5:
            columns.append((name, cells, test_cells))
    return columns


def _count_shared(
    columns: list[list[str]], test_columns: list[list[str]], atoms: np.ndarray
) -> tuple[int, int] | None:
    """Rows of train and of test that share a value with another atom of train, if it is a doubt.

    Args:
        columns: (n,) keys each; an empty one is no value.
        test_columns: (k,) keys each.
        atoms: (n,) rows that lie in one fold anyway have one number.
    """
    pairs = pd.DataFrame(
        {"key": np.concatenate(columns), "atom": np.tile(atoms, len(columns))}, dtype=object
    ).query("key != ''")
    n_atoms = pairs.drop_duplicates()["key"].value_counts()
    recurring = set(n_atoms[n_atoms > 1].index)
    known = set(pairs["key"])
    shared = sum(any(k in recurring for k in row) for row in zip(*columns, strict=True))
    test_rows = list(zip(*test_columns, strict=True))
    shared_in_test = sum(any(k in known for k in row) for row in test_rows)
    share = shared / len(atoms)
    expected = share * len(test_rows)  # if test rows were drawn as the training rows were
    is_doubt = share >= MANY and expected >= FEW and shared_in_test < HARDLY * expected
    return (shared, shared_in_test) if is_doubt else None
