"""Bias and coverage of cross-fitted gains, against the same fitted blenders on fresh rows.

    python -m benchmarks.honesty                             half an hour to an hour on one core
    python -m benchmarks.honesty --draws 5 --fresh 2000                       a smoke test

A draw is 300 simulated rows of 20 correlated members. Each method is cross-fitted over 5 folds. Its
claimed gain over the plain mean is compared with `fresh`, the mean gain of the 5 fitted blenders on
new rows, and with the in-sample gain of the same 5 on the rows that fitted them. `bias` is the mean
of claim minus fresh, `se` its standard error, `coverage` the share of draws whose 95 % interval
holds the fresh gain, `as_given` the coverage without `estimate_fit_variance`. Gains are in units of
the metric, positive is better.

The lines `choice` do the same for the leaderboard's choice: the blend chosen without fold k, fitted
without fold k, is scored on fresh rows. There `in_sample_bias` and `as_given` are of the chosen
blend's own gain, chosen and scored on the same rows.

Writes benchmarks/results/honesty.csv, a line per task and method, and .json.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special  # expit itself cannot be pickled from __main__

from benchmarks.shared.command import parser_of
from benchmarks.shared.record import record
from pipeline.ensemble.blenders import BLENDERS, Blender
from pipeline.ensemble.choice import score_of_choice
from pipeline.ensemble.crossfit import cross_fit_pairs, of_own_fold
from pipeline.ensemble.fitted import Fitted
from pipeline.ensemble.leaderboard import Entry, leaderboard
from pipeline.scoring.intervals import difference_interval, estimate_fit_variance
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

N_ROWS, N_MEMBERS, N_FOLDS = 300, 20, 5
TASKS = {
    "regression": ("rmse", ("convex", "hill_climb", "ridge")),
    "binary": ("logloss", ("convex", "hill_climb", "logistic")),
}
WORLD_SEED = 7  # of the members' quality and correlations


def rows_of(task: str, n: int, rng: np.random.Generator) -> tuple[Floats, NDArray[Any]]:
    """(n, m, 1) predictions and their targets, of members whose errors correlate about .9.

    The members stay the same from call to call: each its own share of three common errors, its own
    noise, and, for classes, its own overconfidence.
    """
    world = np.random.default_rng(WORLD_SEED)
    shares = 0.4 + 0.05 * world.normal(size=(3, N_MEMBERS))
    noise = world.uniform(0.15, 0.45, N_MEMBERS)
    steepness = world.uniform(0.8, 1.4, N_MEMBERS)
    signal = rng.normal(size=n)
    raw = signal[:, None] + rng.normal(size=(n, 3)) @ shares
    raw += noise * rng.normal(size=(n, N_MEMBERS))
    if task == "regression":
        return raw[:, :, None], (signal + 0.3 * rng.normal(size=n))[:, None]
    y = (rng.random(n) < special.expit(2 * signal)).astype(np.int64)
    return special.expit(steepness * raw)[:, :, None], y


def gain(target: Target, blend: Floats, preds: Floats) -> float:
    """How much better (n, c) `blend` scores than the plain mean of (n, m, c) `preds`."""
    return target.metric.sign * (target.score(blend) - target.score(preds.mean(axis=1)))


@dataclass(frozen=True)
class Watched(Blender):
    """A blender that keeps the gains of its fits without one fold.

    Attributes:
        in_sample: gain of each such fit on the rows that fitted it.
        fresh: gain of each such fit on fresh rows.
    """

    fresh_preds: Floats
    fresh_target: Target
    in_sample: list[float] = field(default_factory=list)
    fresh: list[float] = field(default_factory=list)

    def fit(self, preds: Floats, target: Target, *, seed: int) -> Fitted:
        fitted = super().fit(preds, target, seed=seed)
        if len(target) == N_ROWS - N_ROWS // N_FOLDS:  # one fold is left out, not two
            self.in_sample.append(gain(target, fitted.apply(preds), preds))
            fresh = fitted.apply(self.fresh_preds)
            self.fresh.append(gain(self.fresh_target, fresh, self.fresh_preds))
        return fitted


def claims(
    task: str, draw: int, fresh_preds: Floats, fresh_y: NDArray[Any]
) -> list[dict[str, Any]]:
    """Cross-fitted, in-sample and fresh gains on one draw of rows, a line per method."""
    metric, methods = TASKS[task]
    preds, y = rows_of(task, N_ROWS, np.random.default_rng([draw, 1]))
    folds = np.random.default_rng([draw, 2]).permutation(np.arange(N_ROWS) % N_FOLDS)
    target, fresh_target = (Target.of(values, task, metric) for values in (y, fresh_y))

    watched = {
        f"blend_{method}": Watched(method, BLENDERS[method].model, fresh_preds, fresh_target)
        for method in ("mean", *methods)
    }
    pairs = {
        name: cross_fit_pairs(blender, preds, target, folds, seed=draw)
        for name, blender in watched.items()
    }
    cross_fitted = {name: of_own_fold(blends, folds) for name, blends in pairs.items()}
    fit_variance = {
        name: estimate_fit_variance(target, blends, folds, seed=draw)
        for name, blends in pairs.items()
    }
    lines = []
    for method in methods:
        name = f"blend_{method}"
        as_given, claimed = (
            difference_interval(
                target, cross_fitted[name], preds.mean(axis=1), seed=draw, fit_variance=variance
            )
            for variance in (0.0, fit_variance[name])
        )
        in_sample = float(np.mean(watched[name].in_sample))
        truth = float(np.mean(watched[name].fresh))
        lines.append(_line(task, method, truth, claimed, as_given, in_sample))

    entries = [
        Entry(name, "blend", cross_fitted[name], fit_variance=fit_variance[name]) for name in pairs
    ]
    board = leaderboard(entries, target, folds, seed=draw)
    expected = score_of_choice(
        pairs, target, folds, single=preds[:, 0], fit_variance=fit_variance, seed=draw
    )
    truth = float(np.mean([watched[name].fresh[k] for k, name in enumerate(expected["chosen"])]))
    own = board.loc[board["chosen"], ["gain", "gain_low", "gain_high"]]
    (naive,) = own.to_numpy(float).tolist()
    claimed = (expected["gain"], expected["gain_low"], expected["gain_high"])
    lines.append(_line(task, "choice", truth, claimed, naive, naive[0]))
    return lines


def _line(
    task: str,
    method: str,
    truth: float,
    claimed: Sequence[float],
    as_given: Sequence[float],
    in_sample: float,
) -> dict[str, Any]:
    return {
        "task": task,
        "method": method,
        "fresh": truth,
        "error": claimed[0] - truth,
        "in_sample_error": in_sample - truth,
        "covered": claimed[1] <= truth <= claimed[2],
        "covered_as_given": as_given[1] <= truth <= as_given[2],
    }


def summary(lines: pd.DataFrame) -> pd.DataFrame:
    """A line a task and method: biases with standard errors, their ratio, and the coverage."""
    groups = lines.groupby(["task", "method"], sort=False)
    n = groups.size()
    table = pd.DataFrame(
        {
            "draws": n,
            "fresh": groups["fresh"].mean(),
            "bias": groups["error"].mean(),
            "se": groups["error"].std() / np.sqrt(n),
            "in_sample_bias": groups["in_sample_error"].mean(),
            "coverage": groups["covered"].mean(),
            "as_given": groups["covered_as_given"].mean(),
        }
    )
    table.insert(5, "ratio", table["bias"].abs() / table["in_sample_bias"])
    return table.reset_index()


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--fresh", type=int, default=100_000, help="fresh rows")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--n_jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args(argv)

    lines: list[dict[str, Any]] = []
    for task in arguments.tasks:
        fresh = rows_of(task, arguments.fresh, np.random.default_rng(0))
        for claimed in joblib.Parallel(n_jobs=arguments.n_jobs)(
            joblib.delayed(claims)(task, draw, *fresh) for draw in range(arguments.draws)
        ):
            lines += claimed
    record("honesty", summary(pd.DataFrame(lines)), arguments)


if __name__ == "__main__":
    main()
