"""Bootstrap standard errors of scores."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.reporting.evidence import Evidence
from pipeline.scoring.bootstrap import bootstrap_clusters, bootstrap_rows
from pipeline.scoring.tasks import Floats

N_DRAWS = 50
MOST_ROWS = 5000


def standard_error(
    evidence: Evidence, predictions: Floats, rows: NDArray[Any], rng: np.random.Generator
) -> float:
    """Standard error of the score on `rows`, by bootstrap over rows or whole groups.

    It comes from at most 5,000 of the rows, scaled to all. Draws on which the metric is undefined,
    such as those without a positive, are left out; NaN if fewer than two are left.
    """
    sampled = rng.permutation(rows)[:MOST_ROWS]
    target = evidence.target[sampled]
    cluster = bootstrap_clusters(len(sampled), target.groups)
    scores = []
    for _ in range(N_DRAWS):
        drawn = bootstrap_rows(cluster, rng)
        scores.append(target[drawn].score(predictions[sampled[drawn]]))
    defined = [value for value in scores if not np.isnan(value)]
    if len(defined) < 2:
        return np.nan
    return float(np.std(defined, ddof=1) * np.sqrt(len(sampled) / len(rows)))
