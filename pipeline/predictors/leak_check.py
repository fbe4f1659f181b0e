"""Leak check: is an external predictor better on the training rows than on the test rows?

Letters: n training rows, k test rows, m members of ours, c columns; o the mean of our members, e
the external predictor, y the targets. A model that saw the targets of the rows it predicts leans
towards them there, but not on the test rows. Derivation and limits: docs/method.md, "Leak check".
"""

from dataclasses import dataclass

import numpy as np

from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, spread

LEAST_Z = 3.0
LEAST_TEST_ROWS = 30  # false alarms: 10 % with 3 test rows, .9 % with 20, .1 % with 30
LEAST_SHARE = 0.03  # with many rows even small violations of the assumptions are significant


@dataclass(frozen=True)
class LeakCheck:
    """Result of the check; `far`, `explained` and `expected` are shares of o's squared error.

    Attributes:
        gain: score over our best member's; positive is better.
        far: mean squared distance from o on the training rows.
        explained: mean product of e - o and y - o on the training rows.
        expected: upper limit of both for an honest predictor, from the test rows.
        z: the smaller excess over `expected`, in standard errors.
    """

    gain: float
    far: float
    explained: float
    expected: float
    z: float

    @property
    def is_too_good(self) -> bool:
        excess = min(self.far, self.explained) - self.expected
        return self.gain > 0 and self.z > LEAST_Z and excess > LEAST_SHARE


def leak_check(
    ours: tuple[Floats, Floats], theirs: tuple[Floats, Floats], target: Target
) -> LeakCheck | None:
    """Compare a predictor's OOF with its test predictions.

    Args:
        ours: (n, m, c) OOF and (k, m, c) test predictions of our members.
        theirs: (n, c) and (k, c) of the external predictor.
    Returns:
        None if there is no basis: fewer than two members, no error of o, or fewer than
        `LEAST_TEST_ROWS` test rows.
    """
    m = ours[0].shape[1]
    if m < 2 or len(theirs[1]) < LEAST_TEST_ROWS:
        return None
    y = target.as_columns(theirs[0].shape[1])
    unit = np.ones(1) if target.task.is_probability else spread(y)
    y = (y - np.nanmean(y, axis=0)) / unit
    there = ~np.isnan(y)
    # the other cells of a column stand for its missing cells
    y, weight = np.where(there, y, 0.0), there / there.mean(axis=0)
    o, slope = _fitted((ours[0].mean(axis=1) / unit, ours[1].mean(axis=1) / unit), y, weight)
    e, _ = _fitted((theirs[0] / unit, theirs[1] / unit), y, weight)
    error, distance = y - o[0], e[0] - o[0]
    squared_error = float((weight * error**2).sum(axis=1).mean())
    if squared_error == 0:
        return None
    expected, of_rows, of_test_rows = _expected(
        _squared(e[1] - o[1]),
        [_squared(part - part.mean(axis=0)) for part in o],
        [slope**2 * _variance_between(part, unit) * (1 + 1 / m) for part in ours],
    )
    far, explained = _squared(distance), (weight * distance * error).sum(axis=1)
    z = []
    for value in (far, explained):  # standard errors by the delta method
        variance = np.var(value - of_rows) / len(value) + of_test_rows.var() / len(of_test_rows)
        z.append((value.mean() - expected) / np.sqrt(variance) if variance > 0 else 0.0)
    sign = target.metric.sign
    best = max(sign * target.score(ours[0][:, i]) for i in range(m))
    return LeakCheck(
        gain=sign * target.score(theirs[0]) - best,
        far=float(far.mean() / squared_error),
        explained=float(explained.mean() / squared_error),
        expected=float(expected / squared_error),
        z=float(min(z)),
    )


def _expected(
    far: Floats, variance: list[Floats], between: list[Floats]
) -> tuple[float, Floats, Floats]:
    """The greatest honest mean of `far` on training rows, with (n,) and (k,) influences of rows.

    Args:
        far: (k,) squared distances of the test rows.
        variance: (n,) and (k,) squared distances of o from its own mean.
        between: (n,) and (k,) variances between members, scaled to the noise in e - o.
    """
    expected = float(far.mean())
    of_rows, of_test_rows = np.zeros(len(variance[0])), far
    train, test = (float(part.mean()) for part in variance)
    if train > test > 0:
        of_rows = expected / test * variance[0]
        of_test_rows = train / test * (far - expected / test * variance[1])
        expected *= train / test
    drawn_together = float(between[0].mean() - between[1].mean())
    if drawn_together > 0:
        expected += drawn_together
        of_rows, of_test_rows = of_rows + between[0], of_test_rows - between[1]
    return expected, of_rows, of_test_rows


def _fitted(
    parts: tuple[Floats, Floats], target: Floats, weight: Floats
) -> tuple[list[Floats], float]:
    """OOF and test predictions mapped linearly to fit the centred target, and the slope.

    AUC and correlations allow a predictor any scale, which would otherwise count as distance.
    """
    centred = [part - parts[0].mean(axis=0) for part in parts]
    total = float((weight * centred[0] ** 2).sum())
    slope = float((weight * centred[0] * target).sum()) / total if total > 0 else 0.0
    return [slope * part for part in centred], slope


def _variance_between(members: Floats, unit: Floats) -> Floats:
    """(n,) unbiased variance over members, summed over columns; by member, to save memory."""
    mean = members.mean(axis=1)
    total = sum(_squared((members[:, i] - mean) / unit) for i in range(members.shape[1]))
    return np.asarray(total) / (members.shape[1] - 1)


def _squared(values: Floats) -> Floats:
    return np.asarray((values**2).sum(axis=1))
