"""Bootstrap samples of rows or groups, and the score on many samples at once.

Letters: n rows, B bootstrap samples. `counts` (B, n) says how often each sample holds each row.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.formulas import mean_of_defined
from pipeline.scoring.samples import SampleScore, sample_score
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats


def bootstrap_clusters(n_rows: int, groups: Any = None) -> NDArray[np.int64]:
    """(n,) cluster number of each row; a cluster is drawn whole: a group, or a single row.

    Args:
        groups: (n,) labels; None makes each row a cluster.
    """
    return np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1]


def bootstrap_counts(clusters: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) how often one bootstrap sample holds each row; it draws as many clusters as exist."""
    n_clusters = int(clusters.max()) + 1
    return np.bincount(rng.integers(n_clusters, size=n_clusters), minlength=n_clusters)[clusters]


def bootstrap_score(target: Target, predictions: Floats) -> SampleScore:
    """A function from (B, n) `counts` to the (B,) scores of the samples; NaN where undefined."""
    metric, weights = target.metric, target.weights
    parts = [
        (rows, sample_score(metric, y, p))
        for rows, (y, p) in zip(target.rows, target.scored_columns(predictions), strict=False)
    ]

    def score(counts: Floats) -> Floats:
        counts = counts if weights is None else counts * weights
        return mean_of_defined(
            [part(counts[:, rows]) for rows, part in parts], metric.column_weights
        )

    return score
