"""Weights of predictors, and the registry `WEIGHTS` of ways to fit them.

Letters: n rows, m predictors, c columns. `WEIGHTS[name](preds, target, *, seed)` takes finite
(n, m, c) predictions and returns (m,) weights, or (m, c) for several targets or labels, which
`_for_each_target` fits one by one. `ensemble.blenders` checks the input and applies the weights.
"""

from collections.abc import Callable, Iterator
from hashlib import sha256

import numpy as np
from scipy.linalg import eigh, helmert
from scipy.optimize import minimize, nnls

from pipeline.ensemble.objectives import first_best
from pipeline.ensemble.selection import hill_climb
from pipeline.scoring.formulas import probability_of_truth
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TINY, Floats

BLOCK = 2048  # rows per block of errors, to avoid a copy of the stack
NO_WEIGHT = 1e-6  # a smaller weight is the solver's error
N_PARTS = 10  # of the cross-validation that chooses the penalty of `linear`
PENALTIES = np.logspace(3, -9, 25)  # strongest first, relative to the differences' mean square
LEAST_PENALTY = 1e-6  # relative to the errors' mean square; bounds the weights of near copies


def mean(preds: Floats, target: Target, *, seed: int) -> Floats:
    """Equal weights: hard to beat when members are similar or rows are few."""
    return _equal(preds)


def convex(preds: Floats, target: Target, *, seed: int) -> Floats:
    """Non-negative weights of sum 1 with the least squared error or log loss (Breiman 1996).

    The loss follows from the task, not from the metric, so that the optimum is unique. Weights are
    equal if the solver fails.
    """
    solve = _least_log_loss if target.task.is_probability else _least_squared_error
    weights = np.clip(solve(preds, target), 0, None)
    weights[weights < NO_WEIGHT * weights.max()] = 0  # or new rows would need the member
    total = weights.sum()
    return weights / total if np.isfinite(total) and total > 0 else _equal(preds)


def linear(preds: Floats, target: Target, *, seed: int) -> Floats:
    """Weights of sum 1 and any sign with the least squared error, shrunk to equal weights.

    Without shrinkage this is the combination of forecasts of Granger & Ramanathan (1984), which
    loses to the mean if errors are similar. Cross-validation chooses the penalty. Derivation:
    docs/method.md, "Blenders". For probabilities the error is the Brier score.
    """
    part_of = np.random.default_rng(seed).permutation(len(target)) % N_PARTS
    parts = np.zeros((N_PARTS, preds.shape[1], preds.shape[1]))
    for part, moments in enumerate(parts):
        rows = part_of == part
        for errors in _errors(preds[rows], target[rows]):
            moments += errors.T @ errors
    moments = parts.sum(axis=0)
    losses = np.zeros(1 + len(PENALTIES))
    for held_out in parts:
        candidates = _shrunk(moments - held_out)
        losses += np.einsum("pi,ij,pj->p", candidates, held_out, candidates)
    return _shrunk(moments)[first_best(-losses)]


def _shrunk(moments: Floats) -> Floats:
    """(1 + penalties, m) weights: equal ones, then the best ones under each weaker penalty."""
    n_members = len(moments)
    equal = np.full(n_members, 1 / n_members)
    if n_members == 1:
        return np.ones((1 + len(PENALTIES), 1))
    directions = helmert(n_members).T  # (m, m - 1) basis of the vectors of sum 0
    squares, vectors = eigh(directions.T @ moments @ directions)
    directions = directions @ vectors
    squares = np.clip(squares, 0, None)
    least = max(LEAST_PENALTY * np.trace(moments) / n_members, np.finfo(np.float64).tiny)
    penalties = np.maximum(PENALTIES * squares.mean(), least)
    steps = -(directions.T @ moments @ equal) / (squares + penalties[:, None])
    return np.vstack([equal, equal + steps @ directions.T])


def _least_squared_error(preds: Floats, target: Target) -> Floats:
    """(m,) non-negative weights of least squared error, up to their sum; NaN if the solver fails.

    Non-negative least squares (Lawson & Hanson 1974); derivation: docs/method.md, "Blenders".
    """
    triangle = _triangle(_errors(preds, target))
    lengths = np.linalg.norm(triangle, axis=0)
    # a member a million times worse than the best would get a weight below a millionth
    useful = lengths <= 1e6 * lengths.min()
    weights = useful.astype(np.float64)
    if lengths.min() == 0:  # perfect members only
        return weights
    system = np.vstack([triangle[:, useful] / lengths.min(), np.ones(useful.sum())])
    try:
        weights[useful] = nnls(system, np.append(np.zeros(len(triangle)), 1.0))[0]
    except (RuntimeError, np.linalg.LinAlgError):
        weights[:] = np.nan
    return weights


def _errors(preds: Floats, target: Target) -> Iterator[Floats]:
    """Blocks of (rows * c, m) errors."""
    n_members, n_columns = preds.shape[1:]
    for start in range(0, len(preds), BLOCK):
        rows = slice(start, start + BLOCK)
        errors = preds[rows] - target[rows].as_columns(n_columns)[:, None, :]
        yield errors.transpose(0, 2, 1).reshape(-1, n_members)


def _triangle(blocks: Iterator[Floats]) -> Floats:
    """(at most m, m) R factor of the stacked (rows, m) blocks; more precise than their moments."""
    triangle = np.empty((0, 0))
    for block in blocks:
        above = triangle.reshape(-1, block.shape[1])
        triangle = np.asarray(np.linalg.qr(np.vstack([above, block]), mode="r"))
    return triangle


def _least_log_loss(preds: Floats, target: Target) -> Floats:
    """(m,) weights of the mixture with the least log loss."""
    of_truth = probability_of_truth(target.y, preds)  # (n, m)

    def loss(weights: Floats) -> tuple[float, Floats]:
        mixture = np.clip(of_truth @ weights, TINY, None)
        return -float(np.log(mixture).mean()), -(of_truth.T @ (1 / mixture)) / len(mixture)

    equal = _equal(preds)
    # L-BFGS-B stopped before the optimum when members correlated .99
    weights = minimize(
        loss,
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0, 1)] * len(equal),
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": np.ones_like},
        options={"ftol": 1e-12, "maxiter": 500},
    ).x
    return weights if loss(weights)[0] <= loss(equal)[0] else equal


def _equal(preds: Floats) -> Floats:
    return np.full(preds.shape[1], 1 / preds.shape[1])


def _for_each_target(choose: Callable[..., Floats]) -> Callable[..., Floats]:
    """Extends `choose` from one target to several: (m,) weights, or (m, c)."""

    def weigh(preds: Floats, target: Target, *, seed: int) -> Floats:
        is_joint = choose is hill_climb and target.metric.joint
        if target.task.has_classes or is_joint:
            return _choose_distinct(choose, preds, target, seed)
        weights = [
            _choose_distinct(
                choose, np.ascontiguousarray(preds[rows, :, j : j + 1]), target.column(j), seed
            )
            for j, rows in enumerate(target.rows)
        ]
        return np.stack(weights, axis=1) if len(weights) > 1 else weights[0]

    return weigh


def _choose_distinct(
    choose: Callable[..., Floats], preds: Floats, target: Target, seed: int
) -> Floats:
    """(m,) weights of one target; identical members share the weight that one copy would get.

    Weights are equal if the target is constant, or has no row in a small part of the rows.
    """
    if not len(target) or np.ptp(target.y) == 0:
        return _equal(preds)
    distinct: dict[bytes, int] = {}
    hashes = (sha256(p.tobytes()).digest() for p in preds.swapaxes(0, 1))
    copy_of = np.array([distinct.setdefault(h, len(distinct)) for h in hashes])
    if len(distinct) == len(copy_of):
        return choose(preds, target, seed=seed)
    first = np.unique(copy_of, return_index=True)[1]
    return (choose(preds[:, first], target, seed=seed) / np.bincount(copy_of))[copy_of]


WEIGHTS: dict[str, Callable[..., Floats]] = {
    "mean": mean,
    "convex": _for_each_target(convex),
    "linear": _for_each_target(linear),
    "hill_climb": _for_each_target(hill_climb),
}
