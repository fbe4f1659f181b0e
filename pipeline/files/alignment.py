"""Rows matched by id, never by position."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def in_order_of(ids: Sequence[str], found: Sequence[str], where: str, remedy: str) -> NDArray[Any]:
    """Positions in `found` of each of `ids`: rows are matched by id, never by position.

    Args:
        ids: (n,) ids wanted, each once.
        found: the ids that a file has, in its order.
        where: the file, for the message.
        remedy: what to do about a mismatch.
    Raises:
        ValueError: an id of the file stands there twice, is missing or is not wanted.
    """
    index = pd.Index(found)
    if index.has_duplicates:
        first = index[index.duplicated()][0]
        raise ValueError(f"{where}: id {first!r} appears more than once; {remedy}")
    positions = index.get_indexer(pd.Index(ids))
    missing = np.flatnonzero(positions < 0)
    if len(missing):
        raise ValueError(
            f"{where}: {len(missing)} of {len(ids)} ids missing, first {ids[missing[0]]!r}; "
            f"{remedy}"
        )
    if len(index) > len(ids):
        extra = index.difference(pd.Index(ids), sort=False)
        raise ValueError(f"{where}: {len(extra)} unexpected ids, first {extra[0]!r}; {remedy}")
    return positions
