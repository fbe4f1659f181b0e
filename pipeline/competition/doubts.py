"""Warnings about the training and the test table, a line each.

Letters: n training rows, k test rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from os.path import commonprefix
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.competition.deal import connect, parts_of
from pipeline.competition.rows import TestRows, Texts, Train, joined_unordered
from pipeline.competition.spelling import in_print, is_missing, spelling_key, text_key, words_key
from pipeline.competition.tables import open_table
from pipeline.files.messages import listed, short
from pipeline.files.reading import misread
from pipeline.scoring.tasks import TASKS
from pipeline.settings.agreement import MOST_TEXTS
from pipeline.settings.data import Data

MANY = 0.05  # share of training rows with a recurring value from which we warn
FEW = 3  # test rows expected to share a value: fewer may be missing by chance
SEVERAL = 10  # values that a column has at least if it may group the rows
LONG_BEGINNING = 20  # characters that all texts have in common, from which we warn
ALMOST_ALL = 0.9  # share of test rows without a value, from which we warn
MISSING_IN_TRAIN = 0.5  # share of training rows without it, from which we do not
HARDLY = 0.25  # of the expected test rows: with fewer, the test table has values of its own

Cells = tuple[list[str], list[str]]  # of a column: (n,) in train, (k,) in test


def warnings_about(data: Data, task: str, train: Train, test: TestRows) -> list[str]:
    """A line for each property of the tables that is odd but no error."""
    # with a template a column may be empty
    is_filled_in = data.template is not None or len(data.text) > MOST_TEXTS
    is_empty = all if is_filled_in else any
    keys, id_name = _keys(train.texts), data.id_of("train")
    known_texts = set(keys) - {""}
    # row numbers, and ids of another name, may well recur
    known_ids = set(train.ids) if id_name and id_name == data.id_of("test") else set()
    texts_of_test = zip(test.ids, _keys(test.texts), strict=True)
    groups = zip(train.ids, train.groups or (), strict=False)
    counts = [
        (data.train, _ids_of_empty(train, is_empty), "rows have an empty text"),
        (data.test, _ids_of_empty(test, is_empty), "rows have an empty text"),
        (
            data.train,
            [row_id for row_id, group in groups if is_missing(group)],
            f"rows have no {data.group!r} and count as one group",
        ),
        (
            data.train,
            _ids_of_contradictions(train, keys),
            "rows share their text with another row and differ from it in the target",
        ),
        (
            data.test,
            [row_id for row_id, key in texts_of_test if key in known_texts],
            "rows have a text that is also in train",
        ),
        (
            data.test,
            [row_id for row_id in test.ids if row_id in known_ids],
            "ids are also in train",
        ),
    ]
    lines = [f"{file}: {len(ids)} {what}, first id {ids[0]!r}" for file, ids, what in counts if ids]
    lines += _lines_about_encoding(data) + _lines_about_beginnings(data, train)
    if len(data.target) > 1 and train.y.ndim == 2:
        lines += [
            f"{data.train}: target {name!r} is {column[0]:g} on every row; metrics that need "
            "different ones, such as auc and pearson, leave it out of their mean"
            for name, y in zip(train.columns, train.y.T, strict=True)
            if (column := np.unique(y[~np.isnan(y)])).size == 1
        ]
    lines += _lines_about_absent(data, train, test, data.text if is_filled_in else ())
    lines += _lines_about_spellings(data, train.groups or ())
    if TASKS[task].has_classes and data.train_rows is None:  # a part may well hold one row
        lines += _lines_about_lone_rows(data, train)
    return lines + _shared_in_train_only(data, train, test)


def _lines_about_encoding(data: Data) -> list[str]:
    """A line for each text table in UTF-8 that data.encoding reads as something else."""
    tables = map(Path, (data.train, data.test, data.sample_submission))
    texts = [path for path in tables if path.suffix.lower() in (".csv", ".tsv")]
    read = {path: misread(path.read_bytes(), data.encoding) for path in texts}
    return [
        f"{path}: is valid UTF-8, in which {words[0]!r} is {words[1]!r}; leave data.encoding: "
        f"{data.encoding} out, and save tables that need it as UTF-8"
        for path, words in read.items()
        if words is not None
    ]


def _lines_about_beginnings(data: Data, train: Train) -> list[str]:
    """A line for each text column whose cells all begin alike, as with a prompt."""
    lines = []
    for name, cells in zip(data.text, zip(*train.texts, strict=True), strict=True):
        alike = commonprefix([min(cells), max(cells)])
        if len(alike) >= LONG_BEGINNING and len(set(cells)) > 1:
            lines.append(
                f"{data.train}: all cells of {name!r} begin with the same {len(alike)} characters, "
                f"{short(alike)}, which use up tokens of training.max_length and tell nothing; "
                "remove them from all tables"
            )
    return lines


def _lines_about_absent(
    data: Data, train: Train, test: TestRows, names: Sequence[str]
) -> list[str]:
    """A line for each feature, and text column of `names`, that test rows lack, unlike train."""
    columns: list[tuple[str, Sequence[str], Sequence[str]]]
    columns = [(name, cells, test.features[name]) for name, cells in train.features.items()]
    texts = (zip(*rows.texts, strict=True) for rows in (train, test))
    columns += list(zip(names, *texts, strict=False))
    lines = []
    for name, cells, test_cells in columns:
        n, n_test = (sum(map(is_missing, part)) for part in (cells, test_cells))
        if n_test > ALMOST_ALL * len(test.ids) and n < MISSING_IN_TRAIN * len(cells):
            lines.append(
                f"{data.test}: {n_test} of {len(test.ids)} rows have no {name!r}, of {data.train} "
                f"{n} of {len(cells)}: what members learn of it helps the scores, not the "
                "submission; take it out of the config"
            )
    return lines


def _ids_of_empty(rows: Train | TestRows, is_empty: Callable[[Iterable[bool]], bool]) -> list[str]:
    texts_by_id = zip(rows.ids, rows.texts, strict=True)
    return [row_id for row_id, texts in texts_by_id if is_empty(not t.strip() for t in texts)]


def _keys(texts: Texts) -> list[str]:
    return [text_key(text) for text in joined_unordered(texts)]


def _ids_of_contradictions(train: Train, keys: Sequence[str]) -> list[str]:
    targets: defaultdict[tuple[str, int], set[Any]] = defaultdict(set)
    for j, column in enumerate(np.atleast_2d(train.y.T)):
        for key, target in zip(keys, column.tolist(), strict=True):
            if target == target:  # a missing one contradicts none
                targets[key, j].add(target)
    contradicted = {key for (key, _), values in targets.items() if len(values) > 1}
    return [i for i, key in zip(train.ids, keys, strict=True) if key and key in contradicted]


def _lines_about_spellings(data: Data, groups: Sequence[str]) -> list[str]:
    """A line if groups differ in spelling only; they count as different groups."""
    spellings: defaultdict[object, list[str]] = defaultdict(list)
    for name in dict.fromkeys(groups):
        spellings[spelling_key(name)].append(name)
    several = [names for names in spellings.values() if len(names) > 1]
    if not several:
        return []
    return [
        f"{data.train}: {len(several)} groups of {data.group!r} have several spellings, such as "
        f"{' and '.join(map(in_print, several[0][:2]))}, and count as different groups; write each "
        "in one way"
    ]


def _lines_about_lone_rows(data: Data, train: Train) -> list[str]:
    n_rows = np.bincount(train.y, minlength=len(train.classes))
    lone = [
        f"{in_print(train.classes[train.y[row]])} of id {train.ids[row]!r}"
        for row in np.flatnonzero(n_rows[train.y] == 1)
    ]
    line = (
        f"{data.train}: {len(lone)} classes have a single row, {listed(lone)}: the model that "
        "predicts it has never seen the class; remove the row if it is a mistake"
    )
    return [line] if lone else []


def _shared_in_train_only(data: Data, train: Train, test: TestRows) -> list[str]:
    """Columns whose values many training rows share, but hardly any test row with a training row.

    If folds separate such rows, a model knows the question of a held-out row, but of no test row.
    """
    atoms = connect(joined_unordered(train.texts), train.groups)

    def line_about(names: str, columns: Sequence[Cells], remedy: str) -> str | None:
        cells, test_cells = zip(*columns, strict=True)
        counted = _count_shared(cells, test_cells, atoms)
        if counted is None:
            return None
        n_train, n_test = counted
        group = _grouping_column(data, cells)
        remedy = f"set data.group: {group}" if group is not None else remedy
        return (
            f"{data.train}: {n_train} of {len(atoms)} rows share {names} with another row, only "
            f"{n_test} of {len(test.ids)} test rows with a training row; folds that separate them "
            f"give scores that are too good: {remedy}"
        )

    lines = {}
    number = "number the rows {} in a column of your own and name it as data.group"
    columns = _text_columns(data, train, test)
    for name, cells in columns.items():
        names, remedy = f"their {name!r}", f"set data.group: {name}"
        if (name,) == data.text:
            names += " up to punctuation"
            remedy = f"{number.format('of equal words')}, or set folds.similar"
        lines[name] = line_about(names, [cells], remedy)
    if len(data.text) == 2 and bool(lines[data.text[0]]) == bool(lines[data.text[1]]):
        # a text may be on the left here and on the right there, and one group is to hold both
        names, remedy = " or ".join(map(repr, data.text)), number.format("that such texts connect")
        both = [columns[name] for name in data.text]
        lines[data.text[0]] = line_about(f"a text, in {names},", both, remedy)
        lines[data.text[1]] = None
    return [line for line in lines.values() if line is not None]


def _grouping_column(data: Data, columns: Sequence[list[str]]) -> str | None:
    """The column of the training table, if any, that has one value for all connected rows.

    Args:
        columns: (n,) keys each; rows that share one are connected; an empty key is no value.
    """
    if data.train_rows is not None:
        return None  # the table holds other rows
    table = open_table(data.train, "data.train", data.dialect)
    n, keys = len(table), np.array([*chain(*columns)], dtype=object)
    rows, key = np.tile(np.arange(n), len(columns)), n + pd.factorize(keys)[0]
    edges = np.column_stack([rows, key])[keys != ""]
    part = parts_of(edges, n + len(keys))[:n]
    header = table.columns.tolist()
    n_values = {}
    for name in sorted(
        set(header) - {data.id_of("train"), *data.weighted, *data.text, *data.target}
    ):
        if header.count(name) == 1 and (table[name].groupby(part).nunique() == 1).all():
            n_values[name] = table[name].nunique()
    best = max(n_values, key=lambda name: n_values[name], default=None)
    return best if best is not None and SEVERAL <= n_values[best] < n else None


def _text_columns(data: Data, train: Train, test: TestRows) -> dict[str, Cells]:
    """Keys of the training and the test cells of texts, features and further columns of words.

    Those of a single text column are without punctuation: equal texts share a fold anyway.
    Features of few values are left out: they cannot tell rows apart, nor group them.
    """
    columns, key = {}, words_key if len(data.text) == 1 else text_key
    for at, name in enumerate(data.text):
        cells, test_cells = ([texts[at] for texts in rows.texts] for rows in (train, test))
        columns[name] = _keys_of_cells(key, cells, test_cells)
    for name, feature in train.features.items():
        if len(set(feature)) >= SEVERAL:
            columns[name] = _keys_of_cells(text_key, feature, test.features[name])
    if data.train_rows is not None:
        return columns  # the table holds other rows than `train`
    table = open_table(data.train, "data.train", data.dialect)
    test_table = open_table(data.test, "data.test", data.dialect)
    ids = (data.id_of("train"), data.id_of("test"))
    used = {*ids, data.group, *data.weighted, *data.named, *data.target}
    headers = [table.columns.tolist(), test_table.columns.tolist()]
    for name in headers[0]:
        if name in used or any(header.count(name) != 1 for header in headers):
            continue
        if np.mean([len(cell.split()) > 1 for cell in table[name]]) > 0.5:
            columns[name] = _keys_of_cells(text_key, table[name], test_table[name])
    return columns


def _keys_of_cells(
    key: Callable[[str], str], cells: Iterable[str], test_cells: Iterable[str]
) -> Cells:
    """The keys of a column; missing cells, which share no value, have an empty key."""
    train, test = (["" if is_missing(c) else key(c) for c in part] for part in (cells, test_cells))
    return train, test


def _count_shared(
    columns: Sequence[list[str]], test_columns: Sequence[list[str]], atoms: np.ndarray
) -> tuple[int, int] | None:
    """Rows of train and of test that share a value with another atom of train, if we should warn.

    Args:
        columns: (n,) keys each; an empty key is no value.
        test_columns: (k,) keys each.
        atoms: (n,) number of the atom of each row; rows of an atom share a fold anyway.
    """
    pairs = pd.DataFrame(
        {"key": [*chain(*columns)], "atom": np.tile(atoms, len(columns))}, dtype=object
    ).query("key != ''")
    n_atoms = pairs.drop_duplicates()["key"].value_counts()
    recurring, known = set(n_atoms[n_atoms > 1].index), set(pairs["key"])
    shared = sum(not recurring.isdisjoint(keys) for keys in zip(*columns, strict=True))
    shared_in_test = sum(not known.isdisjoint(keys) for keys in zip(*test_columns, strict=True))
    share = shared / len(atoms)
    expected = share * len(test_columns[0])  # if test rows were drawn as the training rows were
    should_warn = share >= MANY and expected >= FEW and shared_in_test < HARDLY * expected
    return (shared, shared_in_test) if should_warn else None
