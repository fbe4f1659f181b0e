"""The blends that one blender offers: as it is, and decided in every way that fits.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.blenders import Blender
from pipeline.ensemble.crossfit import (
    cross_decide,
    cross_decide_twice,
    cross_fit,
    cross_fit_twice,
    of_own_fold,
)
from pipeline.scoring.intervals import variance_of_fits
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True)
class Candidate:
    """A blend that may be chosen.

    Attributes:
        method: the blender's name, followed by a dot and the decision's, if there is one.
        honest: (n, c), cross-fitted.
        in_sample: (n, c), fitted on these very rows.
        test: (k, c), fitted on all training rows.
        twice: (K, n, c) for `score_of_choice`; None where that is not asked for.
        of_fits: `variance_of_fits` of the honest score; 0 where `twice` is not there to tell.
    """

    method: str
    honest: Floats
    in_sample: Floats
    test: Floats
    twice: Floats | None = None
    of_fits: float = 0.0


def candidates_of(
    blender: Blender,
    decisions: Mapping[str, Callable[..., Floats]],
    oof: Floats,
    test: Floats,
    y: NDArray[Any],
    folds: NDArray[Any],
    *,
    twice: bool,
    groups: NDArray[Any] | None = None,
    task: str,
    metric: str,
    seed: int,
) -> Iterator[Candidate]:
    """The blender's blend, then one for each decision on top of it that changes any prediction.

    The decision for the test rows is fitted on the cross-fitted blend of all training rows. One
    that makes a column of values or probabilities constant is left out: it could not be submitted.

    Args:
        decisions: by name; any takes three folds and, for five, 15 fits of the blender for 5.
        oof: (n, m, c) out-of-fold predictions.
        test: (k, m, c).
        twice: keep what `score_of_choice` needs.
        groups: (n,) as for `resampled_scores`.
    """
    setting: dict[str, Any] = {"task": task, "metric": metric}
    # one fit on all rows serves both: a row's blend does not depend on the others
    both = blender(oof, y, np.concatenate([oof, test]), **setting, seed=seed)
    in_sample, new = both[: len(oof)], both[len(oof) :]
    if not twice and not decisions:
        honest = cross_fit(blender, oof, y, folds, **setting, seed=seed)
        yield Candidate(blender.name, honest, in_sample, new)
        return

    def kept(blends: Floats) -> dict[str, Any]:
        of_fits = variance_of_fits(metric, task, y, blends, folds, groups=groups, seed=seed)
        return {"twice": blends, "of_fits": of_fits}

    blends = cross_fit_twice(blender, oof, y, folds, **setting, seed=seed)
    honest = of_own_fold(blends, folds)
    yield Candidate(blender.name, honest, in_sample, new, **kept(blends) if twice else {})
    for name, decision in decisions.items():
        decided = cross_decide(decision, blends, y, folds, **setting)
        decided_new = decision(honest, y, new, **setting)
        if np.array_equal(decided, honest) and np.array_equal(decided_new, new):
            continue
        if not METRICS[metric].decides and (_is_constant(decided_new) & ~_is_constant(new)).any():
            continue  # a flat curve may be right of a rare label, but no competition takes it
        layers = cross_decide_twice(decision, blends, y, folds, **setting) if twice else None
        yield Candidate(
            f"{blender.name}.{name}",
            decided,
            decision(in_sample, y, in_sample, **setting),
            decided_new,
            **{} if layers is None else kept(layers),
        )


def _is_constant(values: Floats) -> NDArray[np.bool_]:
    """(c,) whether a column says the same on every row."""
    return np.ptp(values, axis=0) == 0
