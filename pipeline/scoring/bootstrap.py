"""Bootstrap samples of rows, or of whole groups.

Letters: n rows, B bootstrap samples. `counts` (B, n) says how often each sample holds each row.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats


def bootstrap_clusters(target: Target) -> NDArray[np.int64]:
    """(n,) cluster number of each row; a cluster is drawn whole: a group, or a single row."""
    if target.groups is None:
        return np.arange(len(target))
    return np.unique(target.groups, return_inverse=True)[1]


def bootstrap_counts(
    clusters: NDArray[np.int64], n_samples: int, rng: np.random.Generator
) -> Floats:
    """(B, n) how often each bootstrap sample holds each row; it draws as many clusters as exist."""
    n = int(clusters.max()) + 1
    samples = (np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_samples))
    return np.array([sample[clusters] for sample in samples], np.float64)
