"""The blends that one blender offers: as it is, and with every post-processing that fits.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.blenders import Blender
from pipeline.ensemble.crossfit import (
    FitsPostprocessing,
    cross_fit,
    cross_fit_pairs,
    cross_postprocess,
    cross_postprocess_pairs,
    of_own_fold,
)
from pipeline.ensemble.leaderboard import Entry
from pipeline.scoring.intervals import estimate_fit_variance
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats


@dataclass(frozen=True, eq=False)
class Candidate:
    """A blend that may be chosen.

    Attributes:
        method: the blender's name, followed by a dot and the post-processing's, if there is one.
        cross_fitted: (n, c).
        in_sample: (n, c), fitted on these very rows.
        test: (k, c), fitted on all training rows.
        held_out_pairs: (K, n, c) for `score_of_choice`; None where that is not asked for.
        fit_variance: `estimate_fit_variance` of the cross-fitted score; 0 where it is not known,
            for want of `held_out_pairs`.
    """

    method: str
    cross_fitted: Floats
    in_sample: Floats
    test: Floats
    held_out_pairs: Floats | None = None
    fit_variance: float = 0.0

    @property
    def entry(self) -> Entry:
        """Its line of the leaderboard, before it is scored."""
        name = f"blend_{self.method}"
        return Entry(name, "blend", self.cross_fitted, self.in_sample, self.fit_variance)


def candidates_of(
    blender: Blender,
    postprocessing: Mapping[str, FitsPostprocessing],
    oof: Floats,
    test: Floats,
    target: Target,
    folds: NDArray[Any],
    *,
    keep_pairs: bool,
    seed: int,
) -> Iterator[Candidate]:
    """The blender's blend, then one for each post-processing of it that changes any prediction.

    The post-processing of the test rows is fitted on the cross-fitted blend of all training rows.
    One that makes a column of values or probabilities constant is left out: it could not be
    submitted.

    Args:
        postprocessing: by name; any takes three folds and, for five, 15 fits of the blender for 5.
        oof: (n, m, c) out-of-fold predictions.
        test: (k, m, c).
        keep_pairs: keep what `score_of_choice` needs.
    """
    fitted = blender.fit(oof, target, seed=seed)
    in_sample, new = fitted.apply(oof), fitted.apply(test)
    if not keep_pairs and not postprocessing:
        cross_fitted = cross_fit(blender, oof, target, folds, seed=seed)
        yield Candidate(blender.name, cross_fitted, in_sample, new)
        return

    def kept(pairs: Floats) -> tuple[Floats, float]:
        return pairs, estimate_fit_variance(target, pairs, folds, seed=seed)

    pairs = cross_fit_pairs(blender, oof, target, folds, seed=seed)
    cross_fitted = of_own_fold(pairs, folds)
    more = kept(pairs) if keep_pairs else ()
    yield Candidate(blender.name, cross_fitted, in_sample, new, *more)
    for name, one in postprocessing.items():
        processed = cross_postprocess(one, pairs, target, folds)
        processed_new = one.fit(cross_fitted, target).apply(new)
        if np.array_equal(processed, cross_fitted) and np.array_equal(processed_new, new):
            continue
        if not target.metric.decides and (_is_constant(processed_new) & ~_is_constant(new)).any():
            continue  # a flat curve may be right of a rare label, but no competition takes it
        more = kept(cross_postprocess_pairs(one, pairs, target, folds)) if keep_pairs else ()
        yield Candidate(
            f"{blender.name}.{name}",
            processed,
            one.fit(in_sample, target).apply(in_sample),
            processed_new,
            *more,
        )


def _is_constant(values: Floats) -> NDArray[np.bool_]:
    """(c,) whether a column says the same on every row."""
    return np.ptp(values, axis=0) == 0
