"""Ways to choose one weight a predictor, and the registry `WEIGHTS`.

Letters: n rows, m predictors, c columns. Each is called as
`WEIGHTS[name](preds, y, *, task, metric, seed) -> (m,)` with `preds` (n, m, c) finite and `y` as in
`pipeline.tasks`; `pipeline.ensemble.blenders` checks the input and applies the weights.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr
from scipy.optimize import minimize, nnls

from pipeline.metrics import METRICS, score
from pipeline.tasks import TASKS, TINY, Floats

N_BAGS = 20
N_STEPS = 20  # a weight is a multiple of about 1/20 in one bag
ROWS_PER_BAG = 10_000  # half of the rows, but no more than this, so that a step stays cheap


def mean(preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int) -> Floats:
    """The same weight for all: hard to beat where members are alike or rows are few."""
    n_members = preds.shape[1]
    return np.full(n_members, 1 / n_members)


def convex(preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int) -> Floats:
    """Non-negative weights of sum 1 with the least squared error or log loss (Breiman 1996).

    The loss is the task's, whatever the metric: it is smooth and convex, so there is one optimum.
    Targets of a regression are standardised first, so that each column counts the same.

    Returns:
        (m,) weights; equal ones where the solver fails.
    """
    n_members = preds.shape[1]
    solve = _most_likely if TASKS[task].is_probability else _least_squares
    weights = np.clip(solve(preds, y, task), 0, None)
    total = weights.sum()
    if not (np.isfinite(total) and total > 0):
        return np.full(n_members, 1 / n_members)
    return weights / total


def hill_climb(preds: Floats, y: NDArray[Any], *, task: str, metric: str, seed: int) -> Floats:
    """Greedy selection with replacement for the metric itself (Caruana et al. 2004, ICML).

    Starts from the best few members, adds the member that helps most, again and again, and keeps
    the best selection on the way; ties go to the earlier member and to the smaller selection.
    Averaged over bags, each of half of the rows: with 8 alike members and 300 rows, one climb on
    all rows lost .00075 AUC to the plain mean, the bags .0001. Leaving members out of bags as well
    helped no further.

    Returns:
        (m,) weights; equal ones where the metric is undefined.
    """
    n, n_members, _ = preds.shape
    rng = np.random.default_rng(seed)
    weights = np.zeros(n_members)
    for _ in range(N_BAGS):
        rows = rng.permutation(n)[: min((n + 1) // 2, ROWS_PER_BAG)]
        members = np.ascontiguousarray(preds[rows].transpose(1, 0, 2))  # (m, rows, c)
        y_bag = y[rows]

        def value(blend: Floats, y_bag: NDArray[Any] = y_bag) -> float:
            found = METRICS[metric].sign * score(metric, task, y_bag, blend, y_train=y)
            return -np.inf if np.isnan(found) else found

        weights += _climb(members, value)
    return weights / N_BAGS


def _climb(members: Floats, value: Callable[[Floats], float]) -> Floats:
    """(m,) shares of the best selection that one greedy walk over (m, rows, c) `members` meets."""
    n_members = len(members)
    counts = np.zeros(n_members)
    total = np.zeros_like(members[0])  # running sum of the selection: a step costs one addition
    best_value, best_counts, best_total = -np.inf, np.ones(n_members), members.sum(axis=0)

    def add(chosen: int, found: float) -> None:
        nonlocal total, best_value, best_counts, best_total
        counts[chosen] += 1
        total = total + members[chosen]
        if found > best_value:
            best_value, best_counts, best_total = found, counts.copy(), total

    alone = np.array([value(member) for member in members])
    for size, chosen in enumerate(np.argsort(-alone, kind="stable"), start=1):
        add(int(chosen), value((total + members[chosen]) / size))
    counts, total = best_counts.copy(), best_total
    for size in range(int(counts.sum()) + 1, int(counts.sum()) + 1 + N_STEPS):
        found = [value((total + member) / size) for member in members]
        chosen = int(np.argmax(found))
        add(chosen, found[chosen])
    return best_counts / best_counts.sum()


def _least_squares(preds: Floats, y: Floats, task: str) -> Floats:
    """(m,) weights, up to their sum, of the blend with the least squared error.

    With weights of sum 1 the blend's error is the blend of the errors E. Minimising
    |Eu|^2 + (sum(u) - 1)^2 over u >= 0 finds the direction with the least |Ew| at sum 1, at any
    scale of E: along u = t w its minimum over t, |Ew|^2 / (1 + |Ew|^2), grows with |Ew|.
    """
    # not std > 0: rounding lets the deviation of a constant differ from 0
    spread = np.where(np.ptp(y, axis=0) > 0, y.std(axis=0), 1)
    errors = (preds - y[:, None, :]) / spread
    errors = errors.transpose(0, 2, 1).reshape(-1, preds.shape[1])  # (n * c, m)
    lengths = np.linalg.norm(errors, axis=0)
    # a member a million times worse than the best would weigh less than a millionth
    useful = lengths <= 1e6 * lengths.min()
    weights = useful.astype(np.float64)
    if lengths.min() == 0:  # only those that are the truth are left
        return weights
    # nothing but the triangle of the errors matters, and that is (m, m); the best member's is 1
    triangle: Floats = qr(errors[:, useful] / lengths.min(), mode="r")[0][: useful.sum()]
    system = np.vstack([triangle, np.ones(triangle.shape[1])])
    try:
        weights[useful] = nnls(system, np.append(np.zeros(len(triangle)), 1.0))[0]
    except (RuntimeError, np.linalg.LinAlgError):
        return np.full_like(weights, np.nan)
    return weights


def _most_likely(preds: Floats, y: NDArray[Any], task: str) -> Floats:
    """(m,) weights of the mixture under which the truth is most probable."""
    if y.ndim == 2:  # multilabel: every label of every row is one case
        of_truth = np.where(y[:, None, :] == 1, preds, 1 - preds)
        of_truth = of_truth.transpose(0, 2, 1).reshape(-1, preds.shape[1])
    elif task == "binary":
        of_truth = np.where(y[:, None] == 1, preds[:, :, 0], 1 - preds[:, :, 0])
    else:
        of_truth = preds[np.arange(len(y)), :, y]  # (cases, m)

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


WEIGHTS: dict[str, Callable[..., Floats]] = {
    "mean": mean,
    "convex": convex,
    "hill_climb": hill_climb,
}
