"""Rows aligned by id, never by position."""

from collections.abc import Sequence
from unicodedata import is_normalized

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def in_order_of(
    ids: Sequence[str], file_ids: Sequence[str], where: str, remedy: str
) -> NDArray[np.intp]:
    """(n,) positions in `file_ids` of each of `ids`.

    Args:
        ids: (n,) ids wanted, each once.
        where: the file, and `remedy`: what to do about a mismatch, for the message.
    Raises:
        ValueError: an id of the file is repeated, missing or unexpected.
    """
    index = pd.Index(file_ids)
    if index.has_duplicates:
        first = index[index.duplicated()][0]
        raise ValueError(f"{where}: id {first!r} appears more than once; {remedy}")
    positions = index.get_indexer(pd.Index(ids))
    missing = np.flatnonzero(positions < 0)
    extra = index.difference(pd.Index(ids), sort=False)
    if len(missing):
        first, other = ids[missing[0]], extra[0] if len(extra) else ""
        show = repr if is_normalized("NFC", first + other) else ascii  # two forms look the same
        instead = f", it has {show(other)} instead" if len(extra) else ""
        raise ValueError(
            f"{where}: {len(missing)} of {len(ids)} ids missing, first {show(first)}{instead}; "
            f"{remedy}"
        )
    if len(extra):
        raise ValueError(f"{where}: {len(extra)} unexpected ids, first {extra[0]!r}; {remedy}")
    return positions
