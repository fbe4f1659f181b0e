"""How far a score on some rows may be off by the draw of these rows alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.reporting.evidence import Evidence
from pipeline.scoring.bootstrap import bootstrap_clusters, bootstrap_rows
from pipeline.scoring.tasks import Floats

N_DRAWS = 50
MOST_ROWS = 5000


def standard_error(
    of: Evidence, predictions: Floats, rows: NDArray[Any], rng: np.random.Generator
) -> float:
    """Standard error of the score on `rows`, by bootstrap over rows or whole groups.

    Of more than 5,000 rows so many are drawn from, and the error is scaled to all. Draws on which
    the metric is undefined, such as those without a positive, are left out; NaN if all are.
    """
    kept = rng.permutation(rows)[:MOST_ROWS]
    target = of.target[kept]
    cluster = bootstrap_clusters(len(kept), target.groups)
    scores = []
    for _ in range(N_DRAWS):
        drawn = bootstrap_rows(cluster, rng)
        scores.append(target[drawn].score(predictions[kept[drawn]]))
    defined = [value for value in scores if not np.isnan(value)]
    if len(defined) < 2:
        return np.nan
    return float(np.std(defined, ddof=1) * np.sqrt(len(kept) / len(rows)))
