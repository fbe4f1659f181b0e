"""Whether an external predictor is better on the training rows than its test predictions allow.

Letters: n training rows, k test rows, m members of ours, c columns. A model that saw the rows it
predicts leans towards their targets there, and nowhere else. The test rows' targets are unknown,
but our members saw neither kind of rows that they predict, so the distance to them tells.

With o the mean of our members, e the predictor in question, both mapped linearly to fit y on the
training rows, d = e - o and r = y - o: the mean of d d, far, is the same on training and on test
rows; the mean of d r, explained, is no more than that, for the error y - e that an honest e leaves
has nothing to do with e and leans to o, if anywhere. So two excesses over the test rows' d d are
about 0 or below for an honest predictor, and above it for a leaking one: its far, and its
explained. The smaller counts, for either alone is fooled: far by who averages many models on the
test rows only, explained by who is bold with one column and timid with another.

Our own predictions allow for two honest reasons for a smaller d d on test rows. There the folds'
models are averaged, so that members draw together: the variance between ours says by how much, once
for e and an m-th for o. And test rows may vary less: the variance of o says by how much.

What it does not see: a small leak (under `LEAST_SHARE` of our members' squared error, or lost in
the noise of few rows); a leak in a model so overfitted that its test predictions scatter as far
from ours as the targets do, such as the nearest neighbour; a leak that ours share; one of many
models, picked by its OOF. What may fool it: test rows where they lose what makes them better and
ours lose nothing; rows that come in groups, for the standard error takes them as independent.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats, spread

LEAST_Z = 3.0
LEAST_TEST_ROWS = 30  # honest ones suspected: with 3 one in ten, 20 .9 %, 30 .1 %
LEAST_SHARE = 0.03  # with 200,000 rows, what our assumptions miss is significant too


@dataclass(frozen=True)
class LeakCheck:
    """How the two parts of a predictor go together.

    Attributes:
        gain: how much better it scores than the best of our members; positive is better.
        far: mean squared distance from our mean on the training rows, as a share of our mean's own
            squared error; `explained` and `expected` likewise.
        explained: how much of our error it explains there.
        expected: what either may be, after the test rows.
        z: the smaller excess, in standard errors.
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
    """Hold a predictor's OOF against what its test predictions let expect.

    Standard errors are the delta method's.

    Args:
        ours: (n, m, c) OOF and (k, m, c) test predictions of our members.
        theirs: (n, c) and (k, c) of the predictor in question.
        target: of the training rows.
    Returns:
        None where nothing can be said: fewer than two members of ours, or none of them errs, or
        fewer than `LEAST_TEST_ROWS` test rows.
    """
    m = ours[0].shape[1]
    if m < 2 or len(theirs[1]) < LEAST_TEST_ROWS:
        return None
    y = target.as_columns(theirs[0].shape[1])
    unit = np.ones(1) if target.task.is_probability else spread(y)
    y = (y - y.mean(axis=0)) / unit
    o, slope = _fitted((ours[0].mean(axis=1) / unit, ours[1].mean(axis=1) / unit), y)
    e, _ = _fitted((theirs[0] / unit, theirs[1] / unit), y)
    rest, apart = y - o[0], e[0] - o[0]
    squared_error = float(_squared(rest).mean())
    if squared_error == 0:
        return None
    expected, of_rows, of_test_rows = _expected(
        _squared(e[1] - o[1]),
        [_squared(part - part.mean(axis=0)) for part in o],
        [slope**2 * _spread(part, unit) * (1 + 1 / m) for part in ours],
    )
    found = [_squared(apart), (apart * rest).sum(axis=1)]
    variances = [
        np.var(f - of_rows) / len(f) + of_test_rows.var() / len(of_test_rows) for f in found
    ]
    z = [
        (f.mean() - expected) / np.sqrt(v) if v > 0 else 0.0
        for f, v in zip(found, variances, strict=True)
    ]
    sign = target.metric.sign
    best = max(sign * target.score(ours[0][:, i]) for i in range(m))
    return LeakCheck(
        gain=sign * target.score(theirs[0]) - best,
        far=float(found[0].mean() / squared_error),
        explained=float(found[1].mean() / squared_error),
        expected=float(expected / squared_error),
        z=float(min(z)),
    )


def _expected(
    far: Floats, variance: list[Floats], spread: list[Floats]
) -> tuple[float, Floats, Floats]:
    """The mean of d d that the training rows may have, and each row's part in its error.

    Args:
        far: (k,) d d of the test rows.
        variance: (n,) and (k,) squared distances of o from its own mean.
        spread: (n,) and (k,) variances of the noise in d, but for what all members share.
    Returns:
        The mean, (n,) and (k,) influences.
    """
    expected = float(far.mean())
    of_rows, of_test_rows = np.zeros(len(variance[0])), far
    train, test = (float(part.mean()) for part in variance)
    if train > test > 0:
        of_rows = expected / test * variance[0]
        of_test_rows = train / test * (far - expected / test * variance[1])
        expected *= train / test
    drawn_together = float(spread[0].mean() - spread[1].mean())
    if drawn_together > 0:
        expected += drawn_together
        of_rows, of_test_rows = of_rows + spread[0], of_test_rows - spread[1]
    return expected, of_rows, of_test_rows


def _fitted(parts: tuple[Floats, Floats], target: Floats) -> tuple[list[Floats], float]:
    """OOF and test predictions on the line that fits the centred target best, and its slope.

    Without it, a predictor on a scale of its own, as AUC and correlations allow, is far from ours.
    """
    centred = [part - parts[0].mean(axis=0) for part in parts]
    total = float((centred[0] ** 2).sum())
    slope = float((centred[0] * target).sum()) / total if total > 0 else 0.0
    return [slope * part for part in centred], slope


def _spread(members: Floats, unit: Floats) -> Floats:
    """(n,) variance over members, unbiased, summed over columns; member by member: it is large."""
    mean = members.mean(axis=1)
    total = sum(_squared((members[:, i] - mean) / unit) for i in range(members.shape[1]))
    return np.asarray(total) / (members.shape[1] - 1)


def _squared(values: Floats) -> Floats:
    return np.asarray((values**2).sum(axis=1))
