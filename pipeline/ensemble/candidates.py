"""The candidates of one blender: its blend, and its blend after each post-processing.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.blenders import Blender
from pipeline.ensemble.crossfit import cross_fit, cross_fit_pairs, cross_postprocess, of_own_fold
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
        entry: its line of the leaderboard, with the cross-fitted predictions.
        test: (k, c), fitted on all training rows.
        fitted: on all training rows: the blend, then its post-processing, if it has one.
        held_out_pairs: (K, n, c) for `score_of_choice`, or None.
    """

    entry: Entry
    test: Floats
    fitted: tuple[Fitted, ...]
    held_out_pairs: Floats | None = None


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
        keep_pairs: fill `held_out_pairs` and the entry's `fit_variance`.
    """
    blend = blender.fit(oof, target, seed=seed)
    in_sample, new = blend.apply(oof), blend.apply(test)

    def candidate(
        method: str,
        cross_fitted: Floats,
        in_sample: Floats,
        new: Floats,
        fitted: tuple[Fitted, ...],
        pairs: Floats | None = None,
    ) -> Candidate:
        pairs = pairs if keep_pairs else None
        variance = 0.0 if pairs is None else estimate_fit_variance(target, pairs, folds, seed=seed)
        entry = Entry(f"blend_{method}", "blend", cross_fitted, in_sample, variance)
        return Candidate(entry, new, fitted, pairs)

    if not keep_pairs and not postprocessing:
        cross_fitted = cross_fit(blender, oof, target, folds, seed=seed)
        yield candidate(blender.name, cross_fitted, in_sample, new, (blend,))
        return
    pairs = cross_fit_pairs(blender, oof, target, folds, seed=seed)
    cross_fitted = of_own_fold(pairs, folds)
    yield candidate(blender.name, cross_fitted, in_sample, new, (blend,), pairs)
    for name, step in postprocessing.items():
        processed_pairs = cross_postprocess(step, pairs, target, folds, whole=keep_pairs)
        processed, fitted = of_own_fold(processed_pairs, folds), step.fit(cross_fitted, target)
        processed_new = fitted.apply(new)
        if np.array_equal(processed, cross_fitted) and np.array_equal(processed_new, new):
            continue
        if not target.metric.decides and (_is_constant(processed_new) & ~_is_constant(new)).any():
            continue  # a constant may be calibrated for a rare label, but cannot be submitted
        too_good = step.fit(in_sample, target).apply(in_sample)
        method = f"{blender.name}.{name}"
        yield candidate(
            method, processed, too_good, processed_new, (blend, fitted), processed_pairs
        )


def _is_constant(values: Floats) -> NDArray[np.bool_]:
    """(c,) whether all rows of a column are equal."""
    return np.ptp(values, axis=0) == 0
