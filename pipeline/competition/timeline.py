"""Folds by time: each is predicted by models of earlier rows only. Letters: n rows, K folds.

The rows are cut into K + 1 blocks of about equal size, in the order of time; rows of one time share
a block. The first block is for training only and has no fold; fold k is block k + 1, and its unit
trains on all blocks before it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.targets import as_number

NO_FOLD = -1  # of the first block


def as_times(cells: Sequence[str], ids: Sequence[str], where: str) -> NDArray[np.float64]:
    """(n,) numbers, or seconds since 1970 of ISO dates; a date without a time zone is UTC.

    Raises:
        ValueError: a cell is neither, or numbers and dates are mixed.
    """
    numbers = [as_number(cell) for cell in cells]
    if all(number is None for number in numbers):
        numbers = [_seconds(cell) for cell in cells]
    for cell, row_id, number in zip(cells, ids, numbers, strict=True):
        if number is None:
            raise ValueError(
                f"{where}: time {cell!r} (folds.time) of id {row_id!r}; all times are numbers, or "
                "all are ISO dates such as 2024-05-31 or 2024-05-31 18:00: write it so, or remove "
                "the row"
            )
    return np.array(numbers, dtype=np.float64)


def _seconds(cell: str) -> float | None:
    try:
        time = datetime.fromisoformat(cell.strip())
    except ValueError:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def time_folds(times: NDArray[np.float64], n: int) -> NDArray[np.int64]:
    """(n,) folds 0 to `n` - 1 in the order of time, and `NO_FOLD` in the first block.

    Raises:
        ValueError: so many rows share a time that a block would be empty.
    """
    _, at, sizes = np.unique(times, return_inverse=True, return_counts=True)
    middle = np.cumsum(sizes) - sizes / 2  # a time belongs to the block that holds its middle row
    blocks = np.floor(middle / len(times) * (n + 1)).astype(np.int64)
    if len(np.unique(blocks)) <= n:
        raise ValueError(
            f"folds.n: {n} folds by time need {n + 1} blocks of about equal size, but the "
            f"{len(times)} rows have {len(sizes)} different times, one of them in {sizes.max()} "
            "rows; lower folds.n"
        )
    return blocks[at] + NO_FOLD


def seen_by(folds: NDArray[np.int64], fold: int) -> NDArray[np.bool_]:
    """(n,) whether the unit of a fold trains on a row: of folds by time, on earlier rows only."""
    return folds < fold if (folds == NO_FOLD).any() else folds != fold
