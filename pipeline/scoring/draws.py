"""Bootstrap samples of rows, or of whole groups. Letters: n rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def clusters_of(n_rows: int, groups: Any = None) -> NDArray[np.int64]:
    """(n,) number of what is drawn as a whole with each row: its group, or the row alone.

    Args:
        groups: (n,) labels; None draws rows.
    """
    return np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1]


def counts_of_draw(cluster: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) how often each row is in a draw, with replacement, of as many clusters as there are."""
    n_clusters = int(cluster.max()) + 1
    return np.bincount(rng.integers(n_clusters, size=n_clusters), minlength=n_clusters)[cluster]


def rows_of_draw(cluster: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """The row numbers of such a draw, a row as often as it is drawn."""
    return np.repeat(np.arange(len(cluster)), counts_of_draw(cluster, rng))
