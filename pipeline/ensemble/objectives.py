"""What a greedy selection climbs: the metric of a running sum with one more member in it.

Letters: n rows, m predictors, c columns. An objective keeps its `members` (m, ...) in a shape in
which blends of equal shares are sums: a selection is a `total` of members and its `size`, and a
step adds a member to the total and never blends anew. `ensemble.shortcuts` says for which
metrics less than the rows will do.
"""

import numpy as np

from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, as_probabilities

TIE = 1e-12  # scores that differ by a smaller share of themselves differ by rounding


class Objective:
    """The metric itself on the rows of each blend, whatever the metric.

    Args:
        preds: (n, m, c) of one target: c is 1, or the number of classes.
        target: (n, 1) for regression, (n,) codes otherwise.
    """

    members: Floats

    def __init__(self, preds: Floats, target: Target):
        self.target, self.y, self.task = target, target.y, target.task.name
        self.members = self.boil_down(preds)

    def boil_down(self, preds: Floats) -> Floats:
        """(m, ...) what blends of (n, m, c) predictions can be scored from."""
        return np.ascontiguousarray(preds.transpose(1, 0, 2))

    def value(self, total: Floats, size: float) -> float:
        """What `total / size` is worth, more being better; -inf where the metric is undefined."""
        return worth(total / size, self.target)

    def values(self, total: Floats, size: float) -> Floats:
        """What the selection is worth after each member was added.

        One that cannot be the best may be -inf instead.
        """
        return np.array([self.value(total + member, size + 1) for member in self.members])


def first_best(values: Floats) -> int:
    """Index of the first value that only rounding keeps from being the largest."""
    best = values.max()
    return int(np.argmax(values >= best - TIE * np.abs(best)))


def worth(blend: Floats, target: Target) -> float:
    """The metric of (n, c) blends, more being better; -inf where it is undefined."""
    value = target.score(as_probabilities(target.task.name, blend))
    return -np.inf if np.isnan(value) else target.metric.sign * value
