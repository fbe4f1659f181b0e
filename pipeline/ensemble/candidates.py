"""The candidates of one blender: its blend, and its blend after each post-processing.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.blenders import Blender
from pipeline.ensemble.crossfit import (
    cross_fit,
    cross_fit_pairs,
    cross_postprocess,
    cross_postprocess_pairs,
    of_own_fold,
)
from pipeline.ensemble.fitted import Fitted
from pipeline.ensemble.leaderboard import Entry
from pipeline.ensemble.postprocessing import Postprocessing
from pipeline.scoring.intervals import estimate_fit_variance
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True, eq=False)
class Candidate:
    """A blend that may be chosen.

    Attributes:
        method: name of the blender, or "blender.post-processing".
        cross_fitted: (n, c).
        in_sample: (n, c), fitted on the same rows.
        test: (k, c), fitted on all training rows.
        fitted: on all training rows: the blend, then its post-processing, if it has one.
        held_out_pairs: (K, n, c) for `score_of_choice`, or None.
        fit_variance: `estimate_fit_variance` of the cross-fitted score; 0 without `held_out_pairs`.
    """

    method: str
    cross_fitted: Floats
    in_sample: Floats
    test: Floats
    fitted: tuple[Fitted, ...]
    held_out_pairs: Floats | None = None
    fit_variance: float = 0.0

    @property
    def entry(self) -> Entry:
        """The candidate's leaderboard entry."""
        name = f"blend_{self.method}"
        return Entry(name, "blend", self.cross_fitted, self.in_sample, self.fit_variance)


def candidates_of(
    blender: Blender,
    postprocessing: Mapping[str, Postprocessing],
    oof: Floats,
    test: Floats,
    target: Target,
    folds: NDArray[Any],
    *,
    keep_pairs: bool,
    seed: int,
) -> Iterator[Candidate]:
    """The blend, then one candidate for each post-processing that changes a prediction.

    The post-processing of the test rows is fitted on the cross-fitted blend of all training rows. A
    post-processing that makes a column constant is left out, because competitions refuse that.

    Args:
        postprocessing: by name; needs at least three folds, and pairs of folds are fitted for it.
        oof: (n, m, c) out-of-fold predictions.
        test: (k, m, c).
        keep_pairs: fill `held_out_pairs` and `fit_variance`.
    """
    blend = blender.fit(oof, target, seed=seed)
    in_sample, new = blend.apply(oof), blend.apply(test)
    if not keep_pairs and not postprocessing:
        cross_fitted = cross_fit(blender, oof, target, folds, seed=seed)
        yield Candidate(blender.name, cross_fitted, in_sample, new, (blend,))
        return

    def for_choice(pairs: Floats) -> tuple[Floats, float]:
        return pairs, estimate_fit_variance(target, pairs, folds, seed=seed)

    pairs = cross_fit_pairs(blender, oof, target, folds, seed=seed)
    cross_fitted = of_own_fold(pairs, folds)
    extra = for_choice(pairs) if keep_pairs else ()
    yield Candidate(blender.name, cross_fitted, in_sample, new, (blend,), *extra)
    for name, step in postprocessing.items():
        processed = cross_postprocess(step, pairs, target, folds)
        fitted = step.fit(cross_fitted, target)
        processed_new = fitted.apply(new)
        if np.array_equal(processed, cross_fitted) and np.array_equal(processed_new, new):
            continue
        if not target.metric.decides and (_is_constant(processed_new) & ~_is_constant(new)).any():
            continue  # a constant may be calibrated for a rare label, but cannot be submitted
        if keep_pairs:
            extra = for_choice(cross_postprocess_pairs(step, pairs, target, folds))
        yield Candidate(
            f"{blender.name}.{name}",
            processed,
            step.fit(in_sample, target).apply(in_sample),
            processed_new,
            (blend, fitted),
            *extra,
        )


def _is_constant(values: Floats) -> NDArray[np.bool_]:
    """(c,) whether all rows of a column are equal."""
    return np.ptp(values, axis=0) == 0
