"""The objective of greedy selection: the score of a blend after adding one more member.

Letters: n rows, m predictors, c columns. A selection is a running sum of `members` (m, ...), its
`total`, and its `size`; a step adds one member to the sum. `ensemble.shortcuts` has faster exact
objectives for some metrics.
"""

import numpy as np

from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, as_probabilities

TIE = 1e-12  # relative difference below which scores count as equal


class Objective:
    """Any metric, computed on the rows of each blend.

    Args:
        preds: (n, m, c) of one target: c is 1, or the number of classes.
        target: (n, 1) for regression, (n,) codes otherwise.
    """

    members: Floats

    def __init__(self, preds: Floats, target: Target):
        self.target, self.y, self.task = target, target.y, target.task.name
        self.members = self.reduce(preds)

    def reduce(self, preds: Floats) -> Floats:
        """(m, ...) members in the form that `value` needs, from (n, m, c) predictions."""
        return np.ascontiguousarray(preds.transpose(1, 0, 2))

    def value(self, total: Floats, size: float) -> float:
        """Score of the blend `total / size`; greater is better, -inf where undefined."""
        return score_of_blend(total / size, self.target)

    def values(self, total: Floats, size: float) -> Floats:
        """(m,) `value` after adding each member; -inf is allowed for a member that is not best."""
        return np.array([self.value(total + member, size + 1) for member in self.members])


def first_best(values: Floats) -> int:
    """Index of the first value that equals the largest up to rounding."""
    best = values.max()
    return int(np.argmax(values >= best - TIE * np.abs(best)))


def score_of_blend(blend: Floats, target: Target) -> float:
    """Score of a (n, c) blend; greater is better, -inf where undefined."""
    value = target.score(as_probabilities(target.task.name, blend))
    return -np.inf if np.isnan(value) else target.metric.sign * value
