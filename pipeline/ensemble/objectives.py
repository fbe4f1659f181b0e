"""Objectives of greedy selection: the score of a blend after adding one more member.

Letters: n rows, m predictors, c columns. A selection is a running sum of `members` (m, ...), its
`total`, and its `size`; a step adds one member to the sum. The registry `OBJECTIVES` has faster
exact objectives for some metrics; the others use `Objective`, on all rows.
"""

from typing import Any

import numpy as np
from scipy.linalg import eigh

from pipeline.scoring.formulas import LEAST, ROW_MEANS, area, correlation, probability_of_truth
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, as_probabilities

TIE = 1e-12  # relative difference below which scores count as equal
BLOCK = 4096  # rows whose members fit a core's cache
FEW = 1000  # rows below which sorting every candidate is faster than bounding it


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


class SquaredError(Objective):
    """Root mean squared error from the (m, m) moments of the errors; `r2` orders alike."""

    def reduce(self, preds: Floats) -> Floats:
        return _rows_with_moments(_moments(preds[:, :, 0], self.y, np.zeros(preds.shape[1])))

    def value(self, total: Floats, size: float) -> Any:
        return -ROW_MEANS["rmse"].of_mean((total**2).sum(axis=-1)) / size

    def values(self, total: Floats, size: float) -> Floats:
        return np.asarray(self.value(total + self.members, size + 1))


class Correlation(SquaredError):
    """Pearson's r from second moments, the covariance with y and the deviation."""

    def reduce(self, preds: Floats) -> Floats:
        members, y, center = preds[:, :, 0], self.y - self.y.mean(), preds[:, :, 0].mean(axis=0)
        moments = _moments(members, np.zeros_like(y), center)
        y = y / np.abs(y).max()  # squares of tiny targets would underflow
        # y.sum() is rounding error, but a large member would multiply it
        with_y = ((y.T @ members)[0] - y.sum() * center) / (len(y) * y.std())
        deviation = np.sqrt(np.diag(moments))
        return np.column_stack([_rows_with_moments(moments), with_y, deviation])

    def value(self, total: Floats, size: float) -> Any:
        variance = (total[..., :-2] ** 2).sum(axis=-1)
        # members that cancel to a constant leave rounding error only
        varies = np.sqrt(variance) > 1e-7 * np.abs(total[..., -1])
        return np.where(varies, correlation(total[..., -2], 1.0, variance), -np.inf)


class LogLoss(Objective):
    """Log loss from the (m, n) probabilities of the true class."""

    def reduce(self, preds: Floats) -> Floats:
        of_truth = probability_of_truth(self.y, preds).T
        # if no member needs clipping, no sum of members does
        self.clips = of_truth.min() < LEAST or of_truth.max() > 1
        return np.ascontiguousarray(of_truth)

    def value(self, total: Floats, size: float) -> float:
        return float(self._mean_log(total[None], np.zeros_like(total), size)[0])

    def values(self, total: Floats, size: float) -> Floats:
        return self._mean_log(self.members, total, size + 1)

    def _mean_log(self, members: Floats, total: Floats, size: float) -> Floats:
        """(m,) mean log of `(total + members) / size`, clipped as the metric clips."""
        sums = np.zeros(len(members))
        for start in range(0, len(total), BLOCK):
            rows = slice(start, start + BLOCK)
            mixture = total[rows] + members[:, rows]
            if self.clips:
                np.clip(mixture, LEAST * size, size, out=mixture)
            sums += _sum_of_logs(mixture)
        return sums / len(total) - np.log(size)


class Auc(Objective):
    """Area under the ROC curve; a candidate is sorted only while its upper bound is the best.

    Members are (m, c, n), positives first.
    """

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
        if len(self.y) < FEW:
            return super().values(total, size)
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


def objective_of(preds: Floats, target: Target) -> Objective:
    """The fastest exact objective for one target's predictions."""
    return OBJECTIVES.get(target.metric.name, Objective)(preds, target)


def _moments(members: Floats, y: Floats, center: Floats) -> Floats:
    """(m, m) mean products of (n, m) members less (n, 1) targets less (m,) centers."""
    moments = np.zeros((members.shape[1], members.shape[1]))
    for start in range(0, len(y), BLOCK):  # in blocks, to avoid a copy of the members
        rows = slice(start, start + BLOCK)
        errors = members[rows] - y[rows] - center
        moments += errors.T @ errors
    return moments / len(y)


def _rows_with_moments(moments: Floats) -> Floats:
    """(m, m) rows whose scalar products are the (m, m) moments."""
    scale = np.sqrt(np.diag(moments))
    scale = np.where(scale > 0, scale, 1)  # keeps the digits of small members beside large ones
    values, vectors = eigh(moments / scale / scale[:, None])
    return scale[:, None] * vectors * np.sqrt(np.clip(values, 0, None))


def _sum_of_logs(values: Floats) -> Floats:
    """(m,) sums of logs of (m, n) values >= 1e-16, by logs of products of 16 values."""
    sums = np.zeros(len(values))
    for _ in range(4):  # 1e-16 to the power of 16 does not underflow
        half = values.shape[1] // 2
        if values.shape[1] % 2:
            sums += np.log(values[:, -1])
        values = values[:, :half] * values[:, half : 2 * half]
    return sums + np.log(values).sum(axis=1)


OBJECTIVES: dict[str, type[Objective]] = {
    "rmse": SquaredError,
    "mcrmse": SquaredError,
    "r2": SquaredError,
    "pearson": Correlation,
    "logloss": LogLoss,
    "auc": Auc,
}
