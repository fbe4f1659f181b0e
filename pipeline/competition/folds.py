"""The folds of a competition on disk: folds/<c>.csv, the id and then the fold, with a stamp.

Letters: n rows; folds are numbered from 0 and none is empty.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.deal import connect, make_folds
from pipeline.competition.rows import Train, joined_unordered, read_train
from pipeline.competition.tables import open_table
from pipeline.competition.timeline import NO_FOLD, seen_by, time_folds
from pipeline.files.alignment import in_order_of
from pipeline.files.hashes import sha256_of_array, sha256_of_texts
from pipeline.files.messages import first_few
from pipeline.files.paths import folds_path
from pipeline.files.reading import read_csv_as_text
from pipeline.files.stamp import require_current, written_with_stamp
from pipeline.files.writing import save_csv, table_by_id
from pipeline.scoring.tasks import TASKS
from pipeline.settings.config import Config, Folds

IntArray = NDArray[np.int64]

N_WITH_VALUES = 3  # folds that have a value of each target: cross-fitting leaves two out
MOST_UNEVEN = 1.5  # rows of the largest fold over the mean, before we warn
FOLD = re.compile(r"[0-9]{1,9}")

REMEDY = (
    "restore it, or run make_folds with --overwrite, then train with --overwrite, since models "
    "trained on the old folds do not fit new ones; for folds of your own set folds.scheme: file "
    "and folds.path"
)


def origin_of(settings: Folds, train: Train) -> dict[str, Any]:
    """Everything that determines the folds: settings, and hashes of ids, texts, targets, groups."""
    ids = {"folds.scheme": settings.scheme, "ids": sha256_of_texts(train.ids)}
    if settings.scheme == "file":
        return {**ids, "folds.path": settings.path}
    if train.times is not None:
        times = sha256_of_array(train.times)
        return {**ids, "folds.n": settings.n, "folds.time": settings.time, "times": times}
    return {
        **ids,
        "folds.n": settings.n,
        "folds.seed": settings.seed,
        "folds.similar": settings.similar,
        "texts": sha256_of_texts(joined_unordered(train.texts)),
        "targets": sha256_of_array(train.y),
        "groups": None if train.groups is None else sha256_of_texts(train.groups),
    }


def dealt(config: Config, train: Train) -> IntArray:
    """(n,) the folds that the settings ask for, dealt anew or read from `folds.path`."""
    settings = config.folds
    if settings.path is not None:
        return read_own_folds(settings.path, train.ids, config.data.train_rows is not None)
    if train.times is not None:
        return time_folds(train.times, settings.n)
    return make_folds(
        settings.scheme,
        train.y,
        task=config.task,
        n=settings.n,
        seed=settings.seed,
        texts=joined_unordered(train.texts),
        groups=train.groups,
        similar=settings.similar,
    )


def write_folds(
    competition: str, ids: Sequence[str], id_name: str, folds: IntArray, origin: dict[str, Any]
) -> None:
    """Write a competition's folds with a stamp; an older file is replaced."""
    with written_with_stamp(folds_path(competition), origin) as temporary:
        save_csv(temporary, table_by_id(ids, id_name, ["fold"], folds[:, None]))


def read_folds(competition: str, ids: Sequence[str], origin: dict[str, Any]) -> IntArray:
    """(n,) a competition's folds by the (n,) ids of the training rows; some may have `NO_FOLD`.

    Args:
        origin: what to compare with the stamp, as `origin_of` gives it.
    Raises:
        FileNotFoundError, ValueError: there are none, or they were made from something else.
    """
    path = folds_path(competition)
    require_current(path, origin, REMEDY if path.is_file() else "run make_folds first")
    table = read_csv_as_text(path)
    order = in_order_of(ids, table.iloc[:, 0].tolist(), str(path), REMEDY)
    return table.iloc[order, 1].to_numpy(np.int64)


def with_oof(train: Train, folds: IntArray) -> tuple[Train, IntArray]:
    """The rows that a unit predicts out of fold, and their folds: all but those of `NO_FOLD`."""
    rows = np.flatnonzero(folds != NO_FOLD)
    return (train, folds) if len(rows) == len(folds) else (train.take(rows), folds[rows])


def read_rows(config: Config) -> tuple[Train, IntArray]:
    """The training rows with their folds from disk; raises as `read_train` and `read_folds`."""
    train = read_train(config.data, config.task, config.folds.time)
    folds = read_folds(config.competition, train.ids, origin_of(config.folds, train))
    check_values(folds, train)
    return train, folds


def check_values(folds: IntArray, train: Train) -> None:
    """Raise a ValueError if too few rows have a weight, or some target for its units and blends.

    A unit sees two values or more, and cross-fitting leaves two folds out.
    """
    n_folds = int(folds.max()) + 1
    weighs = np.full(len(folds), True) if train.weights is None else train.weights > 0
    seen = [np.flatnonzero(seen_by(folds, fold) & weighs) for fold in range(n_folds)]
    fewest = min(map(len, seen))
    if train.weights is not None and fewest < 2:
        raise ValueError(
            f"data.weight: of the rows that some model would see {fewest} weigh more than 0; 2 are "
            "the least: give more rows a weight, or leave data.weight out"
        )
    if not np.isnan(train.y).any():
        return
    least = min(N_WITH_VALUES, n_folds)
    for name, column in zip(train.columns, train.y.T, strict=True):
        has = ~np.isnan(column)
        n_with = len(set(folds[has & weighs]) - {NO_FOLD})
        fewest = min(int(has[rows].sum()) for rows in seen)
        if n_with < least or fewest < 2:
            raise ValueError(
                f"data.target: {name!r} has values in {n_with} of {n_folds} folds, and some model "
                f"would see {fewest} values; {least} folds and 2 values are the least: fill in "
                "more, or take it out of data.target"
            )


def read_own_folds(path: str, ids: Sequence[str], has_more_ids: bool) -> IntArray:
    """(n,) the user's own folds, from two columns of any names, the id and then the fold.

    Args:
        has_more_ids: whether the file may hold further ids.
    Raises:
        ValueError: an id is absent, repeated or unexpected, or the folds are not numbers from 0.
    """
    table = open_table(path, "folds.path")
    if table.shape[1] != 2:
        raise ValueError(
            f"{path}: {table.shape[1]} columns, {first_few(table.columns.tolist())}; folds.path "
            "has two, the id and then the fold"
        )
    if has_more_ids:
        table = table[table.iloc[:, 0].isin(ids)]
    remedy = "folds.path has each training id once, with a fold from 0"
    cells = table.iloc[in_order_of(ids, table.iloc[:, 0].tolist(), path, remedy), 1].tolist()
    for name, cell in zip(ids, cells, strict=True):
        if FOLD.fullmatch(cell) is None:
            raise ValueError(
                f"{path}: fold {cell!r} of id {name!r} is no whole number from 0; {remedy}"
            )
    folds = np.array(cells, dtype=np.int64)
    numbers = np.unique(folds)
    if len(numbers) < 2 or numbers[-1] != len(numbers) - 1:
        raise ValueError(
            f"{path}: folds are {first_few([str(fold) for fold in numbers])}, should be 0, 1 and "
            f"on without a gap; {remedy}"
        )
    return folds


def warnings_about(folds: IntArray, train: Train, task: str, scheme: str) -> list[str]:
    """A line for each property of the folds that is odd but no error."""
    sizes, lines = np.bincount(folds[folds != NO_FOLD]), []
    if TASKS[task].has_classes:
        n_rows = np.bincount(train.y, minlength=len(train.classes))
        lines += _rare("classes", train.classes, n_rows, len(sizes))
        lines += _unseen(train.classes, train.y, folds)
    elif task == "multilabel":
        lines += _rare("labels", train.columns, np.nansum(train.y, axis=0), len(sizes))
    if scheme in ("file", "time"):  # the others keep texts and groups whole
        atoms = connect(joined_unordered(train.texts), train.groups)
        n_torn = int((pd.Series(folds).groupby(atoms).nunique() > 1).sum())
        what = "texts" if train.groups is None else "texts or groups"
        if n_torn:
            lines.append(
                f"{n_torn} {what} are in several folds: scores will look better than they are"
            )
    if sizes.max() > MOST_UNEVEN * sizes.mean():
        reason = {"file": "", "time": ": many share a time"}
        lines.append(
            f"fold {sizes.argmax()} holds {sizes.max()} of {len(folds)} rows"
            + reason.get(scheme, ": many share a text or a group")
        )
    return lines


def _rare(what: str, names: Sequence[str], n_rows: NDArray[Any], n: int) -> list[str]:
    rare = [f"{name} ({int(size)})" for name, size in zip(names, n_rows, strict=True) if size < n]
    line = (
        f"{len(rare)} of {len(names)} {what} have fewer rows than the {n} folds: "
        f"{first_few(rare)}; some folds hold none of them"
    )
    return [line] if rare else []


def _unseen(classes: Sequence[str], y: NDArray[Any], folds: IntArray) -> list[str]:
    """A line if a model predicts rows of a class that it has never seen, one of several rows.

    All rows of a class may be in one group, or, in folds by time, later than the model's.
    """
    unseen = []
    for code, name in enumerate(classes):
        rows = y == code
        first = min(folds[rows], default=NO_FOLD)
        if first != NO_FOLD and rows.sum() > 1 and not rows[seen_by(folds, first)].any():
            unseen.append(name)
    line = (
        f"{len(unseen)} of {len(classes)} classes are predicted, in their only or first fold, by a "
        f"model that has never seen them: {first_few(unseen)}; scores say nothing about these rows"
    )
    return [line] if unseen else []
