"""How far a score on some rows may be off by the draw of these rows alone."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.reporting.evidence import Evidence
from pipeline.scoring.draws import clusters_of, rows_of_draw
from pipeline.scoring.metrics import score
from pipeline.scoring.tasks import Floats

N_DRAWS = 50
MOST_ROWS = 5000


def labels_of(of: Evidence) -> Floats | None:
    """The training targets where a metric may round to them."""
    return of.train.y if of.train.y.ndim == 2 else None


def standard_error(
    of: Evidence, predictions: Floats, rows: NDArray[Any], rng: np.random.Generator
) -> float:
    """Standard error of the score on `rows`, by bootstrap over rows or whole groups.

    Of more than 5,000 rows so many are drawn from, and the error is scaled to all. Draws on which
    the metric is undefined, such as those without a positive, are left out; NaN if all are.
    """
    kept = rng.permutation(rows)[:MOST_ROWS]
    groups = of.train.groups
    cluster = clusters_of(len(kept), None if groups is None else [groups[i] for i in kept])
    setting, labels = (of.config.metric, of.config.task), labels_of(of)
    scores = []
    for _ in range(N_DRAWS):
        drawn = kept[rows_of_draw(cluster, rng)]
        scores.append(score(*setting, of.train.y[drawn], predictions[drawn], labels))
    defined = [value for value in scores if not np.isnan(value)]
    if len(defined) < 2:
        return np.nan
    return float(np.std(defined, ddof=1) * np.sqrt(len(kept) / len(rows)))
