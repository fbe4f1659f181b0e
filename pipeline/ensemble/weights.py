"""Ways to choose one weight a predictor, and the registry `WEIGHTS`.

Letters: n rows, m predictors, c columns. Each is called as
`WEIGHTS[name](preds, target, *, seed) -> (m,)`, or (m, c) where each of several targets
has weights of its own, with `preds` (n, m, c) finite;
`ensemble.blenders` checks the input and applies the weights. The functions themselves see
one target: `_for_each_target` makes a multilabel column a binary task and a regression column a
regression.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

import numpy as np
from scipy.linalg import eigh, helmert
from scipy.optimize import minimize
from scipy.optimize import nnls as least_squares_above_0

from pipeline.ensemble.objectives import first_best
from pipeline.ensemble.selection import hill_climb
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TINY, Floats

BLOCK = 2048  # rows whose errors are formed at once: no copy of the stack
N_PARTS = 10  # of the rows, to choose how strongly linear weights are pulled
PULLS = np.logspace(3, -9, 25)  # strongest first, in shares of the errors' mean square


def mean(preds: Floats, target: Target, *, seed: int) -> Floats:
    """The same weight for all: hard to beat where members are alike or rows are few."""
    return _equal(preds)


def convex(preds: Floats, target: Target, *, seed: int) -> Floats:
    """Non-negative weights of sum 1 with the least squared error or log loss (Breiman 1996).

    The loss is the task's, whatever the metric: it is smooth and convex, so there is one optimum.

    Returns:
        (m,) weights; equal ones where the solver fails.
    """
    solve = _most_likely if target.task.is_probability else _least_error
    return _of_sum_1(solve(preds, target), preds)


def linear(preds: Floats, target: Target, *, seed: int) -> Floats:
    """Weights of sum 1 and any sign with the least squared error, pulled to equal ones.

    Without the pull they are the classic combination of forecasts (Bates & Granger 1969; Granger &
    Ramanathan 1984), which loses to the mean where errors are alike. How strong the pull is, up to
    the plain mean itself, is chosen by cross-validation: left-out rows need no more than their
    second moments, (m, m). Of probabilities the error is the Brier score.
    """
    part_of = np.random.default_rng(seed).permutation(len(target)) % N_PARTS
    parts = np.stack(
        [
            sum(
                (errors.T @ errors for errors in _errors(preds[held], target[held])),
                start=np.zeros((preds.shape[1],) * 2),
            )
            for held in (part_of == part for part in range(N_PARTS))
        ]
    )
    moments = parts.sum(axis=0)
    losses = np.zeros(1 + len(PULLS))
    for held in parts:
        candidates = _pulled(moments - held)
        losses += np.einsum("pi,ij,pj->p", candidates, held, candidates)
    return _pulled(moments)[first_best(-losses)]


def _pulled(moments: Floats) -> Floats:
    """(1 + pulls, m) weights: equal ones, then those of least error under each weaker pull."""
    n_members = len(moments)
    equal = np.full(n_members, 1 / n_members)
    if n_members == 1:
        return np.ones((1 + len(PULLS), 1))
    directions = helmert(n_members).T  # (m, m - 1) all ways to differ from equal at the same sum
    squares, vectors = eigh(directions.T @ moments @ directions)
    directions = directions @ vectors
    squares = np.clip(squares, 0, None)
    pulls = np.maximum(PULLS * squares.mean(), np.finfo(np.float64).tiny)
    steps = -(directions.T @ moments @ equal) / (squares + pulls[:, None])
    return np.vstack([equal, equal + steps @ directions.T])


def _least_error(preds: Floats, target: Target) -> Floats:
    """(m,) weights, up to their sum, of the blend with the least squared error.

    With weights of sum 1 the blend's error is the blend of the errors E. Minimising
    |Eu|^2 + (sum(u) - 1)^2 over u >= 0 finds the direction with the least |Ew| at sum 1, at any
    scale of E: along u = t w its minimum over t, |Ew|^2 / (1 + |Ew|^2), grows with |Ew|.
    """
    triangle = _triangle(_errors(preds, target))
    lengths = np.linalg.norm(triangle, axis=0)
    # a member a million times worse than the best would weigh less than a millionth
    useful = lengths <= 1e6 * lengths.min()
    weights = useful.astype(np.float64)
    if lengths.min() == 0:  # only those that are the truth are left
        return weights
    system = np.vstack([triangle[:, useful] / lengths.min(), np.ones(useful.sum())])
    weights[useful] = _solve_above_0(system, np.append(np.zeros(len(triangle)), 1.0))
    return weights


def _errors(preds: Floats, target: Target) -> Iterator[Floats]:
    """Errors (cases, m), block by block; each column of a row is a case."""
    n_members, n_columns = preds.shape[1:]
    for start in range(0, len(preds), BLOCK):
        rows = slice(start, start + BLOCK)
        errors = preds[rows] - target[rows].as_columns(n_columns)[:, None, :]
        yield errors.transpose(0, 2, 1).reshape(-1, n_members)


def _triangle(blocks: Iterator[Floats]) -> Floats:
    """(at most k, k) triangle with the second moments of all (rows, k) blocks: squared error needs
    no more, and unlike the moments themselves it keeps nearly all digits."""
    triangle = np.empty((0, 0))
    for block in blocks:
        above = triangle.reshape(-1, block.shape[1])
        triangle = np.asarray(np.linalg.qr(np.vstack([above, block]), mode="r"))
    return triangle


def _solve_above_0(system: Floats, target: Floats) -> Floats:
    """(m,) non-negative solution of least squares (Lawson & Hanson 1974), NaN if none is found."""
    try:
        return np.asarray(least_squares_above_0(system, target)[0])
    except (RuntimeError, np.linalg.LinAlgError):
        return np.full(system.shape[1], np.nan)


def _most_likely(preds: Floats, target: Target) -> Floats:
    """(m,) weights of the mixture under which the truth is most probable."""
    y = target.y
    if target.task.name == "binary":
        of_truth = preds[:, :, 0].copy()
        np.subtract(1, of_truth, out=of_truth, where=y[:, None] == 0)
    else:
        of_truth = preds[np.arange(len(y)), :, y]  # (n, m)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixture = np.clip(of_truth @ weights, TINY, None)
        return -float(np.log(mixture).mean()), -(of_truth.T @ (1 / mixture)) / len(mixture)

    equal = np.full(preds.shape[1], 1 / preds.shape[1])
    # L-BFGS-B on the same problem stopped short of the optimum where members correlate .99
    found = minimize(
        loss,
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * len(equal),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    ).x
    return found if loss(found)[0] <= loss(equal)[0] else equal


def _of_sum_1(weights: Floats, preds: Floats) -> Floats:
    weights = np.clip(weights, 0, None)
    total = weights.sum()
    return weights / total if np.isfinite(total) and total > 0 else _equal(preds)


def _equal(preds: Floats) -> Floats:
    return np.full(preds.shape[1], 1 / preds.shape[1])


def _for_each_target(choose: Callable[..., Floats]) -> Callable[..., Floats]:
    """`choose`, which sees one target, for any number of them: (m,) weights, or (m, c)."""

    def weigh(preds: Floats, target: Target, *, seed: int) -> Floats:
        if target.task.has_classes:
            return _choose_distinct(choose, preds, target, seed)
        weights = [
            _choose_distinct(
                choose, np.ascontiguousarray(preds[:, :, j : j + 1]), target.column(j), seed
            )
            for j in range(preds.shape[2])
        ]
        return np.stack(weights, axis=1) if len(weights) > 1 else weights[0]

    return weigh


def _choose_distinct(
    choose: Callable[..., Floats], preds: Floats, target: Target, seed: int
) -> Floats:
    """(m,) weights of one target; members that are equal share what a single copy would get.

    A target of one value teaches nothing: equal weights.
    """
    if np.ptp(target.y) == 0:
        return _equal(preds)
    seen: dict[bytes, int] = {}
    hashes = (sha256(p.tobytes()).digest() for p in preds.swapaxes(0, 1))
    which = np.array([seen.setdefault(h, len(seen)) for h in hashes])
    if len(seen) == len(which):
        return choose(preds, target, seed=seed)
    first = np.unique(which, return_index=True)[1]
    return (choose(preds[:, first], target, seed=seed) / np.bincount(which))[which]


WEIGHTS: dict[str, Callable[..., Floats]] = {
    "mean": mean,
    "convex": _for_each_target(convex),
    "linear": _for_each_target(linear),
    "hill_climb": _for_each_target(hill_climb),
}
