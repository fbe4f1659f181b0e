"""Warnings about values that recur in train, but that hardly any test row shares with train.

If folds separate rows that share one, a model knows the question of a held-out row, but of no test
row. Letters: n training rows, k test rows.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
import pandas as pd

from pipeline.competition.deal import connect
from pipeline.competition.rows import TestRows, Train, joined_unordered
from pipeline.competition.spelling import is_missing, text_key, words_key
from pipeline.competition.tables import open_table
from pipeline.settings.data import Data

MANY = 0.05  # share of training rows with a recurring value from which we warn
FEW = 3  # test rows expected to share a value: fewer may be missing by chance
SEVERAL = 10  # values of a feature from which it may group the rows
HARDLY = 0.25  # of the expected test rows: with fewer, the test table has values of its own

Keys = tuple[list[str], ...]  # of a column: (n,) in train, (k,) in test; empty for no value


def lines_about_recurring(data: Data, train: Train, test: TestRows) -> list[str]:
    """A line for each column whose recurring values ask for groups."""
    atoms = connect(joined_unordered(train.texts), train.groups)
    columns = _keys_of_columns(data, train, test)

    def line_about(shared: str, names: Sequence[str], remedy: str) -> str | None:
        keys, test_keys = zip(*(columns[name] for name in names), strict=True)
        n_shared, n_test = _count_shared(keys, test_keys, atoms)
        # if test rows were drawn as the training rows were
        expected = n_shared / len(atoms) * len(test.ids)
        if n_shared < MANY * len(atoms) or expected < FEW or n_test >= HARDLY * expected:
            return None
        return (
            f"{data.train}: {n_shared} of {len(atoms)} rows share {shared} with another row, only "
            f"{n_test} of {len(test.ids)} test rows with a training row; folds that separate them "
            f"give scores that are too good: {remedy}"
        )

    number = "number the rows {} in a column of your own and name it as data.group"
    lines = {}
    for name in columns:
        shared, remedy = f"their {name!r}", f"set data.group: {name}"
        if (name,) == data.text:
            shared += " up to punctuation"
            remedy = f"{number.format('of equal words')}, or set folds.similar"
        lines[name] = line_about(shared, [name], remedy)
    if len(data.text) == 2 and bool(lines[data.text[0]]) == bool(lines[data.text[1]]):
        # a text may be on the left here and on the right there, and one group is to hold both
        shared = f"a text, in {' or '.join(map(repr, data.text))},"
        remedy = number.format("that such texts connect")
        lines[data.text[0]] = line_about(shared, data.text, remedy)
        lines[data.text[1]] = None
    return [line for line in lines.values() if line is not None]


def _keys_of_columns(data: Data, train: Train, test: TestRows) -> dict[str, Keys]:
    """Keys of the cells of texts, features and further columns of words.

    Those of a single text column are without punctuation: equal texts share a fold anyway.
    Features of few values are left out: they cannot tell rows apart, nor group them.
    """
    columns: dict[str, Sequence[Sequence[str]]] = {}
    for at, name in enumerate(data.text):
        columns[name] = [[texts[at] for texts in rows.texts] for rows in (train, test)]
    for name, cells in train.features.items():
        if len(set(cells)) >= SEVERAL:
            columns[name] = [cells, test.features[name]]
    if data.train_rows is None:  # otherwise the table holds other rows than `train`
        table = open_table(data.train, "data.train", data.dialect)
        test_table = open_table(data.test, "data.test", data.dialect)
        ids = (data.id_of("train"), data.id_of("test"))
        used = {*ids, data.group, *data.weighted, *data.named, *data.target}
        headers = table.columns.tolist(), test_table.columns.tolist()
        lone = [n for n in headers[0] if all(header.count(n) == 1 for header in headers)]
        for name in [name for name in lone if name not in used]:
            if np.mean([len(cell.split()) > 1 for cell in table[name]]) > 0.5:
                columns[name] = [table[name].tolist(), test_table[name].tolist()]
    keys = {}
    for name, parts in columns.items():
        key = words_key if (name,) == data.text else text_key
        keys[name] = tuple(["" if is_missing(c) else key(c) for c in cells] for cells in parts)
    return keys


def _count_shared(
    columns: Sequence[list[str]], test_columns: Sequence[list[str]], atoms: np.ndarray
) -> tuple[int, int]:
    """Rows of train that share a key with another atom, and of test that share one with train.

    Args:
        atoms: (n,) number of the atom of each row; rows of an atom share a fold anyway.
    """
    key = np.array([*chain(*columns)], dtype=object)
    of_key = pd.Series(np.tile(atoms, len(columns))).groupby(key)
    n_atoms = of_key.nunique().drop("", errors="ignore")
    recurring, known = set(n_atoms[n_atoms > 1].index), set(n_atoms.index)
    shared = sum(not recurring.isdisjoint(keys) for keys in zip(*columns, strict=True))
    shared_in_test = sum(not known.isdisjoint(keys) for keys in zip(*test_columns, strict=True))
    return shared, shared_in_test
