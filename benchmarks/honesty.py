"""Are cross-fitted gains honest? Small simulated stacks, and the very same blenders on fresh rows.

    python -m benchmarks.honesty                                  about 50 minutes on one core
    python -m benchmarks.honesty --draws 5 --fresh 2000                       a smoke test

A draw is 300 rows of 20 correlated members. Each method is cross-fitted over 5 folds, and its gain
over the plain mean held against `fresh`: what the 5 fitted fold-blenders gain on rows that nobody
saw, averaged. Beside it stands what in-sample scoring claims: the same 5 on the rows that fitted
them. `bias` is the mean of claim minus fresh, `se` its standard error, `coverage` the share of
draws whose 95 % interval holds the fresh gain, `as_given` that of the interval without
`variance_of_fits`; gains are in units of the metric, positive is better.

The lines `choice` do the same for choosing: what the rule of the leaderboard chose without fold k
is, fitted without fold k, what counts on fresh rows. `in_sample_bias` is there that of the chosen
line's own gain, chosen and scored on the same rows, and `as_given` its interval's.

Writes benchmarks/results/honesty.csv, a line a task and method, and .json.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special  # expit itself, a name of __main__, is not found again by a process

from benchmarks.record import record
from pipeline.ensemble.blenders import BLENDERS, Blender
from pipeline.ensemble.choice import score_of_choice
from pipeline.ensemble.crossfit import cross_fit_twice, of_own_fold
from pipeline.ensemble.intervals import difference_interval, variance_of_fits
from pipeline.ensemble.leaderboard import PLAIN_MEAN, Entry, choose, leaderboard
from pipeline.metrics import METRICS, score
from pipeline.tasks import Floats

N_ROWS, N_MEMBERS, N_FOLDS = 300, 20, 5
TASKS = {
    "regression": ("rmse", ("convex", "hill_climb", "ridge")),
    "binary": ("logloss", ("convex", "hill_climb", "logistic")),
}
WORLD_SEED = 7  # how good and how alike the members are


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


def claims(
    task: str, draw: int, fresh_preds: Floats, fresh_y: NDArray[Any]
) -> list[dict[str, Any]]:
    """What cross-fitting and in-sample scoring claim on one draw of rows, and what is true."""
    metric, methods = TASKS[task]
    preds, y = rows_of(task, N_ROWS, np.random.default_rng([draw, 1]))
    folds = np.random.default_rng([draw, 2]).permutation(np.arange(N_ROWS) % N_FOLDS)
    setting: dict[str, Any] = {"task": task, "metric": metric, "seed": draw}

    def gain(y: NDArray[Any], blend: Floats, preds: Floats) -> float:
        gap = score(metric, task, y, blend) - score(metric, task, y, preds.mean(axis=1))
        return METRICS[metric].sign * gap

    found: list[dict[str, Any]] = []
    of_fits: dict[str, float] = {}
    twice: dict[str, Floats] = {}
    fresh: dict[str, list[float]] = {}

    def add(method: str, truth: float, claimed: Floats, as_given: Floats, in_sample: float) -> None:
        found.append(
            {
                "task": task,
                "method": method,
                "fresh": truth,
                "error": claimed[0] - truth,
                "in_sample_error": in_sample - truth,
                "covered": claimed[1] <= truth <= claimed[2],
                "covered_as_given": as_given[1] <= truth <= as_given[2],
            }
        )

    for method in ("mean", *methods):
        name, blender, in_sample = f"blend_{method}", BLENDERS[method], []
        fresh[name] = []

        def watched(
            fit_preds: Floats,
            fit_y: NDArray[Any],
            new_preds: Floats,
            blender: Blender = blender,
            in_sample: list[float] = in_sample,
            fresh: list[float] = fresh[name],
            **setting: Any,
        ) -> Floats:
            """The blender, which on its way past one fold is also sent over the fresh rows."""
            if len(new_preds) > N_ROWS // N_FOLDS:  # two folds are left out
                return blender(fit_preds, fit_y, new_preds, **setting)
            n_new, n_fit = len(new_preds), len(fit_preds)
            everywhere = np.concatenate([new_preds, fit_preds, fresh_preds])
            blend = blender(fit_preds, fit_y, everywhere, **setting)
            in_sample.append(gain(fit_y, blend[n_new : n_new + n_fit], fit_preds))
            fresh.append(gain(fresh_y, blend[n_new + n_fit :], fresh_preds))
            return blend[:n_new]

        twice[name] = cross_fit_twice(watched, preds, y, folds, **setting)
        of_fits[name] = variance_of_fits(metric, task, y, twice[name], folds, seed=draw)
        if name != PLAIN_MEAN:
            honest = of_own_fold(twice[name], folds)
            as_given, claimed = (
                np.array(
                    difference_interval(
                        metric, task, y, honest, preds.mean(axis=1), seed=draw, of_fits=variance
                    )
                )
                for variance in (0.0, of_fits[name])
            )
            add(method, float(np.mean(fresh[name])), claimed, as_given, float(np.mean(in_sample)))
    entries = [
        Entry(name, "blend", of_own_fold(blends, folds), of_fits=of_fits[name])
        for name, blends in twice.items()
    ]
    board = leaderboard(entries, y, folds, **setting).set_index("name", drop=False)
    expected = score_of_choice(twice, y, folds, of_fits=of_fits, **setting)
    truth = float(np.mean([fresh[name][k] for k, name in enumerate(expected.chosen)]))
    claimed = np.array([expected.gain, expected.gain_low, expected.gain_high])
    chosen = board.loc[choose(board)]
    naive = chosen[["gain", "gain_low", "gain_high"]].to_numpy(float)
    add("choice", truth, claimed, naive, naive[0])
    return found


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """A line a task and method: biases with standard errors, their ratio, and the coverage."""
    groups = found.groupby(["task", "method"], sort=False)
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--fresh", type=int, default=100_000, help="rows that nobody saw")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--n_jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args(argv)

    found: list[dict[str, Any]] = []
    for task in arguments.tasks:
        fresh = rows_of(task, arguments.fresh, np.random.default_rng(0))
        for claimed in joblib.Parallel(n_jobs=arguments.n_jobs)(
            joblib.delayed(claims)(task, draw, *fresh) for draw in range(arguments.draws)
        ):
            found += claimed
    record("honesty", summary(pd.DataFrame(found)), arguments)


if __name__ == "__main__":
    main()
