"""Objectives of greedy selection: the score of a blend after adding one more member.

Letters: n rows, m predictors, c columns. A selection is a running sum of `members` (m, ...), its
`total`, and its `size`; a step adds one member to the sum. The registry `OBJECTIVES` has faster
exact objectives for some metrics; the others use `Objective`, on all rows.
"""

from typing import Any

import numpy as np

from pipeline.scoring.formulas import LEAST, correlation, probability_of_truth
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, as_probabilities

TIE = 1e-12  # relative difference below which scores count as equal
BLOCK = 4096  # rows whose members fit a core's cache


class Objective:
    """Any metric, computed on the rows of each blend.

    Args:
        preds: (n, m, c) of one target: c is 1, or the number of classes.
        target: (n, 1) for regression, (n,) codes otherwise.
    Attributes:
        shares: (n,) weights of the rows, of sum 1.
    """

    takes_weights = True
    members: Floats

    def __init__(self, preds: Floats, target: Target):
        self.target, self.y, self.task = target, target.y, target.task.name
        weights = np.ones(len(target)) if target.weights is None else target.weights
        self.shares = weights / weights.sum()
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


class SquaredError(Objective):
    """Root mean squared error from a triangle of the errors; `r2` orders alike."""

    def reduce(self, preds: Floats) -> Floats:
        """(m, at most m) rows whose scalar products are the mean products of the errors."""
        return _triangle(preds[:, :, 0] - self.y, self.shares)

    def value(self, total: Floats, size: float) -> Any:
        return -np.sqrt((total**2).sum(axis=-1)) / size

    def values(self, total: Floats, size: float) -> Floats:
        return np.asarray(self.value(total + self.members, size + 1))


class Correlation(SquaredError):
    """Pearson's r from a triangle of the centred target and members, and their lengths."""

    def reduce(self, preds: Floats) -> Floats:
        """Rows of the covariance with y, the other coordinates, and the length."""
        y, p = (v - np.average(v, axis=0, weights=self.shares) for v in (self.y, preds[:, :, 0]))
        # squares of tiny targets would underflow
        rows = _triangle(np.column_stack([y / np.abs(y).max(), p]), self.shares)
        rows *= np.sign(rows[0, 0])
        return np.column_stack([rows, np.linalg.norm(rows, axis=1)])[1:]

    def value(self, total: Floats, size: float) -> Any:
        square = (total[..., :-1] ** 2).sum(axis=-1)
        # members that cancel to a constant leave rounding error only
        varies = np.sqrt(square) > 1e-7 * total[..., -1]
        return np.where(varies, correlation(total[..., 0], 1.0, square), -np.inf)


class LogLoss(Objective):
    """Log loss from the (m, n) probabilities of the true class, clipped as the metric clips."""

    def reduce(self, preds: Floats) -> Floats:
        return np.ascontiguousarray(probability_of_truth(self.y, preds).T)

    def value(self, total: Floats, size: float) -> float:
        return float(np.log(np.clip(total / size, LEAST, 1)) @ self.shares)

    def values(self, total: Floats, size: float) -> Floats:
        sums = np.zeros(len(self.members))
        for start in range(0, len(total), BLOCK):  # on all rows at once it takes 5 times as long
            rows = slice(start, start + BLOCK)
            mixture = (total[rows] + self.members[:, rows]) / (size + 1)
            logs = np.log(np.clip(mixture, LEAST, 1, out=mixture), out=mixture)
            sums += logs @ self.shares[rows]
        return sums


class Auc(Objective):
    """Area under the ROC curve; a candidate is sorted only while its upper bound is the best.

    Members are (m, c, n), positives first.
    """

    takes_weights = False

    def reduce(self, preds: Floats) -> Floats:
        codes = [1] if self.task == "binary" else np.unique(self.y)
        truths = [self.y == code for code in codes]
        orders = [np.argsort(~truth, kind="stable") for truth in truths]
        self.n_positives = [int(truth.sum()) for truth in truths]
        columns = [0] if self.task == "binary" else codes
        members = np.empty((preds.shape[1], len(columns), len(preds)))
        for at, (order, j) in enumerate(zip(orders, columns, strict=True)):
            members[:, at] = preds[order, :, j].T
        return members

    def value(self, total: Floats, size: float) -> float:
        return self._area(total.copy(), size)

    def values(self, total: Floats, size: float) -> Floats:
        # one array for all candidates: allocation would cost as much as the sums
        blend = np.empty_like(total)
        bounds = np.array(
            [self._upper_bound(np.add(total, member, blend), size + 1) for member in self.members]
        )
        areas = np.full(len(bounds), -np.inf)
        for i in np.argsort(-bounds, kind="stable"):
            if bounds[i] < areas.max() * (1 - TIE):
                break
            areas[i] = self._area(np.add(total, self.members[i], blend), size + 1)
        return areas

    def _area(self, total: Floats, size: float) -> float:
        """Mean area over the columns; overwrites `total`."""
        total /= size
        np.clip(total, 0, 1, out=total)
        areas = [area(s[:k], s[k:]) for s, k in zip(total, self.n_positives, strict=True)]
        return float(np.mean(areas))

    def _upper_bound(self, total: Floats, size: float) -> float:
        """Upper bound of `_area`: pairs that tie in float32 count as won. Overwrites `total`."""
        total /= size
        np.clip(total, 0, 1, out=total)
        # the bits of non-negative floats sort like the floats; the sign bit is free
        keys = total.astype(np.float32).view(np.uint32) << 1
        bounds = []
        for key, k in zip(keys, self.n_positives, strict=True):
            key[:k] |= 1  # sorts positives last among ties
            key.sort()
            not_above = np.flatnonzero((key & 1).astype(bool)).sum() - k * (k - 1) // 2
            bounds.append(not_above / (k * (len(key) - k)))
        return float(np.mean(bounds))


def area(positives: Floats, negatives: Floats) -> float:
    """Area under the ROC curve; a tie counts half. Sorts both arrays in place."""
    if not len(positives) or not len(negatives):
        return np.nan
    positives.sort()
    negatives.sort()
    few, many = sorted([positives, negatives], key=len)
    left = many.searchsorted(few, "left")
    tied = many.take(left, mode="clip") == few
    below = left.sum() + (many.searchsorted(few[tied], "right") - left[tied]).sum() / 2
    share = float(below / (len(few) * len(many)))
    return share if few is positives else 1 - share


def objective_of(preds: Floats, target: Target) -> Objective:
    """The fastest exact objective for one target's predictions."""
    fastest = OBJECTIVES.get(target.metric.name, Objective)
    fits = target.weights is None or fastest.takes_weights
    return (fastest if fits else Objective)(preds, target)


def _triangle(columns: Floats, shares: Floats) -> Floats:
    """(m, at most m) rows with the lengths and scalar products of the weighted (n, m) columns."""
    return np.asarray(np.linalg.qr(columns * np.sqrt(shares)[:, None], mode="r")).T


OBJECTIVES: dict[str, type[Objective]] = {
    "rmse": SquaredError,
    "mcrmse": SquaredError,
    "r2": SquaredError,
    "pearson": Correlation,
    "logloss": LogLoss,
    "auc": Auc,
}
