"""The training and the test rows, read and checked against the config.

Ids, texts and classes are spelled as in the files. Letters: n rows, c prediction columns.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.features import Columns, rows_of
from pipeline.competition.ids import read_ids
from pipeline.competition.spelling import text_key
from pipeline.competition.tables import column, open_table
from pipeline.competition.targets import check_transform, read_targets, read_weights
from pipeline.competition.timeline import as_times
from pipeline.files.hashes import sha256_of_texts
from pipeline.scoring.names import Setting
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.data import Data
from pipeline.settings.template import filled

Texts = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, eq=False)
class Train:
    """The training rows.

    Attributes:
        ids: (n,) distinct; row numbers if the config names no id column.
        texts: (n,) tuples of the cells of all text columns.
        y: (n, c) targets, NaN where missing, or (n,) codes, as in `scoring.tasks`.
        classes: spelled as in the file, numbers in numeric order; for binary the negative, then
            the positive; empty for regression and multilabel.
        groups: (n,) cells of the group column.
        columns: (c,) the prediction columns.
        names: of the text columns.
        features: (n,) cells of each column of `data.features`.
        times: (n,) of `folds.time`, if it names a column.
        weights: (n,) weights of the rows in training; None if all weigh alike.
        metric_weights: those in the metric.
        shares: (n, classes) probabilities of the classes, whose largest is the row's class in `y`;
            None if all are certain.
    """

    ids: tuple[str, ...]
    texts: Texts
    y: NDArray[Any]
    classes: tuple[str, ...]
    groups: tuple[str, ...] | None
    columns: tuple[str, ...]
    names: tuple[str, ...] = ()
    features: Columns = field(default_factory=dict)
    times: NDArray[np.float64] | None = None
    weights: Floats | None = None
    metric_weights: Floats | None = None
    shares: Floats | None = None

    def take(self, rows: NDArray[np.int64]) -> "Train":
        """Some of the rows; classes and columns stay."""
        return replace(
            self,
            ids=tuple(self.ids[row] for row in rows),
            texts=tuple(self.texts[row] for row in rows),
            y=self.y[rows],
            groups=tuple(self.groups[row] for row in rows) if self.groups else None,
            features=rows_of(self.features, rows),
            times=None if self.times is None else self.times[rows],
            weights=None if self.weights is None else self.weights[rows],
            metric_weights=None if self.metric_weights is None else self.metric_weights[rows],
            shares=None if self.shares is None else self.shares[rows],
        )

    def target(self, task: str, metric: Setting) -> Target:
        """What is to be predicted, scored by `metric` with its weights of the rows."""
        return Target.of(self.y, task, metric, self.groups, weights=self.metric_weights)

    @property
    def sha256_of_texts(self) -> str:
        """Hash of the texts without ids and column names."""
        return sha256_of_texts(part for text in self.texts for part in text)

    @property
    def sha256_of_features(self) -> str | None:
        """Hash of the names and cells of the features; None if there are none."""
        if not self.features:
            return None
        return sha256_of_texts(c for name, cells in self.features.items() for c in (name, *cells))


@dataclass(frozen=True)
class TestRows:
    """The test rows: ids, texts, names and features as in `Train`."""

    ids: tuple[str, ...]
    texts: Texts
    names: tuple[str, ...] = ()
    features: Columns = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Hash of ids, texts and features, which test predictions have to match."""
        cells = [cell for column in self.features.values() for cell in column]
        return sha256_of_texts([*self.ids, *(part for text in self.texts for part in text), *cells])


def read_train(data: Data, task: str, time: str | None = None) -> Train:
    """Read and check the whole training table, then keep `data.train_rows` of its rows.

    Args:
        time: the column of `folds.time`.
    Raises:
        FileNotFoundError, ValueError: a table, column, id or target is missing or does not fit.
    """
    table = open_table(data.train, "data.train", data.dialect)
    ids = read_ids(table, data, "train")
    cells = {name: column(table, name, data.train, "data.target") for name in data.target}
    as_written = data.classes == "as_written"
    y, classes = read_targets(task, data.train, ids, cells, data.positive, as_written)
    groups = None
    if data.group is not None:
        groups = tuple(column(table, data.group, data.train, "data.group"))
    times = None
    if time is not None:
        times = as_times(column(table, time, data.train, "folds.time"), ids, data.train)
    if data.transform is not None:
        check_transform(data.transform, data.train, ids, y)
    shares = None
    if classes and y.ndim == 2:
        shares, y = (None if np.isin(y, (0, 1)).all() else y), y.argmax(axis=1)
    train = Train(
        ids=tuple(ids),
        texts=_texts(table, data, data.train),
        y=y,
        classes=classes,
        groups=groups,
        columns=tuple(classes if task == "multiclass" else data.target),
        names=data.text,
        features=_features(table, data, data.train),
        times=times,
        weights=_weights(table, data, "weight", ids),
        metric_weights=_weights(table, data, "metric_weight", ids),
        shares=shares,
    )
    if data.train_rows is not None:
        train = train.take(_rows_to_keep(ids, data.train_rows))
    _refuse_nothing_to_learn(train, data)
    return train


def read_test(data: Data) -> TestRows:
    """Read and check the test table; raises as `read_train`."""
    table = open_table(data.test, "data.test", data.dialect)
    ids = read_ids(table, data, "test")
    texts, features = _texts(table, data, data.test), _features(table, data, data.test)
    return TestRows(tuple(ids), texts, data.text, features)


def texts_by(
    template: str | None, rows: Train | TestRows, at: NDArray[np.int64] | None = None
) -> Sequence[tuple[str, ...]]:
    """(n,) the texts of the rows `at`, or of all, as a member with this template reads them."""
    wanted = np.arange(len(rows.ids)) if at is None else at
    texts = [rows.texts[row] for row in wanted]
    if template is None:
        return texts
    columns = rows_of(rows.features, wanted).values()
    cells = [(*text, *others) for text, *others in zip(texts, *columns, strict=True)]
    return filled(template, (*rows.names, *rows.features), cells)


def joined(texts: Texts) -> list[str]:
    """(n,) all texts of each row as one string; empty if all are blank."""
    return [" | ".join(row) if any(text.strip() for text in row) else "" for row in texts]


def joined_unordered(texts: Texts) -> list[str]:
    """`joined`, but (a, b) and (b, a) give the same string: each is a copy of the other."""
    return joined(tuple(row if len(row) == 1 else (*sorted(row, key=text_key),) for row in texts))


def _texts(table: pd.DataFrame, data: Data, where: str) -> Texts:
    return tuple(zip(*(column(table, n, where, "data.text") for n in data.text), strict=True))


def _features(table: pd.DataFrame, data: Data, where: str) -> Columns:
    return {name: column(table, name, where, "data.features") for name in data.features}


def _weights(table: pd.DataFrame, data: Data, key: str, ids: Sequence[str]) -> Floats | None:
    name, setting = getattr(data, key), f"data.{key}"
    if name is None:
        return None
    return read_weights(data.train, setting, name, ids, column(table, name, data.train, setting))


def _refuse_nothing_to_learn(train: Train, data: Data) -> None:
    """Raise a ValueError if all rows are of one class, or a target has no value."""
    is_part = data.train_rows is not None
    rows = f"{data.train}: the {len(train.ids)} rows{' that data.train_rows keeps' * is_part}"
    if train.classes and len(set(train.y)) == 1:
        remedy = "raise data.train_rows" if is_part else "at least two classes are needed"
        raise ValueError(f"{rows} are all {train.classes[train.y[0]]!r}; {remedy}")
    for name, y in () if train.classes else zip(train.columns, train.y.T, strict=True):
        if np.isnan(y).all():
            remedy = "raise data.train_rows" if is_part else "fill some in"
            raise ValueError(f"{rows} have no {name!r}; {remedy}, or take it out of data.target")


def _rows_to_keep(ids: Sequence[str], limit: int) -> NDArray[np.int64]:
    """The rows that `data.train_rows` keeps, in the order of the file."""
    # by a hash of the id: the first rows of a sorted file may all have one class; a higher limit
    # keeps all rows of a lower limit, in any order of the file
    order = sorted(range(len(ids)), key=lambda row: hashlib.sha256(ids[row].encode()).digest())
    return np.sort(order[:limit])
