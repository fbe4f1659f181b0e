"""Bootstrap samples of rows or groups, and the score on many samples at once.

Letters: n rows, B bootstrap samples. `counts` (B, n) says how often each sample holds each row.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.scoring.formulas import mean_of_defined
from pipeline.scoring.samples import SampleScore, sample_score
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
