"""The targets of the test rows, from solution.csv beside the test table.

Demos and some finished competitions have this file. Of all stages only the report reads it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from pipeline.competition.rows import Train
from pipeline.competition.sample import rows_without_ids
from pipeline.competition.spelling import spelled_in
from pipeline.competition.tables import column, open_table
from pipeline.competition.targets import check_metric_takes, read_targets
from pipeline.files.alignment import in_order_of
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS
from pipeline.settings.config import Config
from pipeline.settings.data import Data


def solution_path(data: Data) -> Path:
    return Path(data.test).with_name("solution.csv")


def solution_target(
    config: Config, train: Train, ids: Sequence[str], groups: Sequence[str] | None = None
) -> Target | None:
    """The target of the test rows, in the order of `ids`; None if there is no file.

    Args:
        ids, groups: (k,) of the test rows.
    Raises:
        ValueError: as for `read_solution`, or the metric cannot score the targets.
    """
    where = str(solution_path(config.data))
    try:
        y = read_solution(config.data, config.task, ids, train.classes)
        if y is None:
            return None
        check_metric_takes(config.metric, where, y, train.classes)
        return Target.of(y, config.task, config.metric, groups, labels=train.y)
    except ValueError as error:
        reason = str(error).removeprefix(f"{where}: ")
        raise ValueError(
            f"{where}: {reason}; correct the file or remove it: only the report reads it"
        ) from None


def read_solution(
    data: Data, task: str, ids: Sequence[str], classes: Sequence[str]
) -> NDArray[Any] | None:
    """Test targets as in `scoring.tasks`, in the order of `ids`; None if there is no file.

    Args:
        ids: (k,) of the test rows; `classes` are those of the training table.
    Raises:
        ValueError: ids or columns do not fit, or a cell is no number, or not one of the classes.
    """
    where = str(solution_path(data))
    if not Path(where).is_file():
        return None
    table = open_table(where, "solution.csv", data.dialect)
    order = in_order_of(ids, _ids(data, table, where), where, "it needs those of data.test")
    cells = {}
    for name in data.target:
        targets = column(table, name, where, "data.target")
        cells[name] = [targets[row] for row in order]
    if not TASKS[task].has_classes or len(cells) > 1:
        y, _ = read_targets(task, where, ids, cells, None)
        return y.argmax(axis=1) if TASKS[task].has_classes else y
    (spellings,) = cells.values()
    class_of = {cell: spelled_in(cell, classes) or cell for cell in set(spellings)}
    y = pd.Index([*classes]).get_indexer(pd.Index([class_of[cell] for cell in spellings]))
    if (y < 0).any():
        raise ValueError(f"{where}: class {spellings[y.argmin()]!r} is not in data.train")
    return y


def _ids(data: Data, table: pd.DataFrame, where: str) -> list[str]:
    """Ids of the rows; their column may have its name in the test, train or sample table."""
    names = [name for part in ("test", "train", "sample") if (name := data.id_of(part)) is not None]
    if names:
        name = next((name for name in names if name in table.columns), names[0])
        return column(table, name, where, "data.id")
    return [str(row) for row in rows_without_ids(data, table, where, {*data.target})[1]]
