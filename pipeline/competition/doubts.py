"""Warnings about the training and the test table, a line each.

Letters: n training rows, k test rows.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from os.path import commonprefix
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.competition.recurring import lines_about_recurring
from pipeline.competition.rows import TestRows, Texts, Train, joined_unordered
from pipeline.competition.spelling import in_print, is_missing, spelling_key, text_key
from pipeline.files.messages import listed, short
from pipeline.files.reading import misread
from pipeline.scoring.tasks import TASKS
from pipeline.settings.agreement import MOST_TEXTS
from pipeline.settings.data import Data

NO_CLASS = ("na", "n/a", "nan", "null")  # unlike none, which classes may well be called
LONG_BEGINNING = 20  # characters that all texts have in common, from which we warn
ALMOST_ALL = 0.9  # share of test rows without a value, from which we warn
MISSING_IN_TRAIN = 0.5  # share of training rows without it, from which we do not


def warnings_about(data: Data, task: str, train: Train, test: TestRows) -> list[str]:
    """A line for each property of the tables that is odd but no error."""
    # with a template a column may be empty
    is_filled_in = data.template is not None or len(data.text) > MOST_TEXTS
    is_empty = all if is_filled_in else any
    keys, test_keys = _keys(train.texts), _keys(test.texts)
    known_texts, known_ids = set(keys) - {""}, set(train.ids)
    groups = train.groups or ()
    lines: list[str] = []

    def count(file: str, ids: Iterable[str], what: str) -> None:
        if counted := list(ids):
            lines.append(f"{file}: {len(counted)} {what}, first id {counted[0]!r}")

    count(data.train, _ids_of_empty(train, is_empty), "rows have an empty text")
    count(data.test, _ids_of_empty(test, is_empty), "rows have an empty text")
    missing = " or ".join(sorted({repr(group) for group in groups if is_missing(group)}))
    what = f"rows have no {data.group!r} and count as the group {missing}"
    count(data.train, compress(train.ids, map(is_missing, groups)), what)
    if len(data.target) == 1:
        codes = [k for k, name in enumerate(train.classes) if name.strip().casefold() in NO_CLASS]
        what = "rows have a target that reads as missing and counts as a class"
        count(data.train, compress(train.ids, np.isin(train.y, codes).ravel()), what)
    what = "rows share their text with another row and differ from it in the target"
    count(data.train, _ids_of_contradictions(train, keys), what)
    is_known = [key in known_texts for key in test_keys]
    count(data.test, compress(test.ids, is_known), "rows have a text that is also in train")
    # row numbers, and ids of another name, may well recur
    if data.id_of("train") is not None and data.id_of("train") == data.id_of("test"):
        count(data.test, [i for i in test.ids if i in known_ids], "ids are also in train")
    lines += _lines_about_encoding(data) + _lines_about_beginnings(data, train)
    if len(data.target) > 1 and train.y.ndim == 2:
        lines += [
            f"{data.train}: target {name!r} is {column[0]:g} on every row; metrics that need "
            "different ones, such as auc and pearson, leave it out of their mean"
            for name, y in zip(train.columns, train.y.T, strict=True)
            if (column := np.unique(y[~np.isnan(y)])).size == 1
        ]
    lines += _lines_about_absent(data, train, test, data.text if is_filled_in else ())
    lines += _lines_about_spellings(data, groups)
    if TASKS[task].has_classes and data.train_rows is None:  # a part may well hold one row
        lines += _lines_about_lone_rows(data, train)
    return lines + lines_about_recurring(data, train, test)


def _lines_about_encoding(data: Data) -> list[str]:
    """A line for each text table in UTF-8 that data.encoding reads as something else."""
    lines = []
    for file in (data.train, data.test, data.sample_submission) if data.encoding else ():
        is_text = Path(file).suffix.lower() in (".csv", ".tsv")
        words = misread(Path(file).read_bytes(), data.encoding) if is_text else None
        if words is not None:
            lines.append(
                f"{file}: is valid UTF-8, in which {words[0]!r} is {words[1]!r}; leave "
                f"data.encoding: {data.encoding} out, and save tables that need it as UTF-8"
            )
    return lines


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
    targets = pd.DataFrame(train.y.reshape(len(keys), -1))
    n_values = targets.groupby(np.array(keys, dtype=object)).nunique()  # without missing ones
    contradicted = set(n_values.index[(n_values > 1).any(axis=1)])
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
