"""How long blenders take on a large stack, and hill climbing at equal steps beside its peers.

    python -m benchmarks.blend_speed --peer_python PATH     about 10 minutes on a free core
    python -m benchmarks.blend_speed --rows 500 --members 4 --repeats 1        a smoke test

On one synthetic stack (`benchmarks.stacks`) of 200,000 rows and 40 calibrated members, one thread,
in seconds of the processor:

- climb: one greedy walk of 100 steps on all rows for RMSE, log loss and AUC: ours
  (`ensemble.selection.selection_path`), AutoGluon's EnsembleSelection with its own metrics, and
  hillclimbers, which has no number of steps and gets metrics in plain NumPy (scikit-learn's AUC).
  The smallest time of the repeats counts for ours; peers run once and are stopped after
  --peer_seconds.
- fit: every blender's default fit, applied to 100 rows, for regression and binary.

Writes benchmarks/results/blend_speed.csv, a line a measurement, and blend_speed.json.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.blend_peers import Peers
from benchmarks.record import record
from benchmarks.stacks import Stack, draw_stack
from pipeline.ensemble.blenders import BLENDERS, Blender
from pipeline.ensemble.objectives import objective_of
from pipeline.ensemble.selection import selection_path
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.target import Target

STEPS = 100
CLIMBS = {"rmse": "regression", "logloss": "binary", "auc": "binary"}
CLIMBERS = ("autogluon_100", "hillclimbers")
FASTER = {"rmse": 10.0, "logloss": 3.0}  # than AutoGluon, at least
MOST_SECONDS = {"auc": 20.0, "weights": 30.0, "others": 180.0}
N_NEW = 100


def seconds_of(work: Callable[[], Any], repeats: int) -> float:
    """The least of some repeats."""
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def time_climbs(stacks: dict[str, Stack], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A line a metric and climber; seconds are None for one that was stopped."""
    lines = []
    with Peers(arguments.peer_python) as peers:
        for metric, task in CLIMBS.items():
            stack = stacks[task]
            how = {"task": task, "metric": metric}

            def ours(stack: Stack = stack, task: str = task, metric: str = metric) -> None:
                target = Target.of(stack.y, task, metric)
                selection_path(objective_of(stack.oof, target), STEPS)

            seconds: float | None = seconds_of(ours, arguments.repeats)
            line = {"what": "climb", "task": task, "metric": metric}
            lines.append({**line, "who": "ours", "seconds": seconds, "remark": ""})
            print(f"  {metric}: {seconds:.2f} s", flush=True)
            for who, _, took, remark in peers.blend(
                stack.oof,
                stack.y,
                stack.new,
                names=CLIMBERS,
                limit=arguments.peer_seconds,
                **how,
            ):
                seconds = None if remark else took
                lines.append({**line, "who": who, "seconds": seconds, "remark": remark})
        print("peers:", peers.versions, flush=True)
    return lines


def time_fits(stacks: dict[str, Stack]) -> list[dict[str, Any]]:
    """A line a task and blender, fitted once."""
    metrics = {task: metric for metric, task in reversed(CLIMBS.items())}
    lines = []
    for task, stack in stacks.items():
        for name, blender in BLENDERS.items():
            how: dict[str, Any] = {"task": task, "metric": metrics[task]}

            target = Target.of(stack.y, task, metrics[task])

            def fit(
                blender: Blender = blender, stack: Stack = stack, target: Target = target
            ) -> None:
                blender.fit(stack.oof, target, seed=0).apply(stack.new)

            if not blender.supports(task):
                continue
            seconds = seconds_of(fit, 1)
            print(f"  {name}, {task}: {seconds:.2f} s", flush=True)
            lines.append({"what": "fit", **how, "who": name, "seconds": seconds, "remark": ""})
    return lines


def verdicts(table: pd.DataFrame) -> dict[str, bool | None]:
    """Each target and whether it was met; None where the peer did not run or was stopped."""
    seconds = {(r.what, r.task, r.metric, r.who): r.seconds for r in table.itertuples()}
    found: dict[str, bool | None] = {}
    for metric, times in FASTER.items():
        of = ("climb", CLIMBS[metric], metric)
        ours, theirs = seconds[*of, "ours"], seconds.get((*of, "autogluon_100"))
        name = f"climb for {metric} at least {times:g} times as fast as AutoGluon"
        found[name] = None if pd.isna(theirs) else bool(theirs >= times * ours)
    most = MOST_SECONDS["auc"]
    found[f"climb for auc within {most:g} s"] = bool(
        seconds["climb", "binary", "auc", "ours"] <= most
    )
    fits = table[table["what"] == "fit"].dropna(subset="seconds")
    is_weights = fits["who"].isin(WEIGHTS)
    for kind, part in (("weights", fits[is_weights]), ("others", fits[~is_weights])):
        most = MOST_SECONDS[kind]
        found[f"a fit of {kind} within {most:g} s"] = bool((part["seconds"] <= most).all())
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--members", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3, help="of our climbs")
    parser.add_argument("--peer_python", default=sys.executable, help="that has the peers")
    parser.add_argument("--peer_seconds", type=float, default=75, help="a peer's limit")
    arguments = parser.parse_args(argv)

    stacks = {
        task: draw_stack(task, arguments.rows, N_NEW, arguments.members, calibrated=True, seed=0)
        for task in ("regression", "binary")
    }
    with threadpool_limits(1):
        table = pd.DataFrame(time_climbs(stacks, arguments) + time_fits(stacks))
    met = verdicts(table)
    record("blend_speed", table, arguments, steps=STEPS, met=met)
    for target, verdict in met.items():
        print(
            f"{target}: {'no peer to say' if verdict is None else 'met' if verdict else 'MISSED'}"
        )


if __name__ == "__main__":
    main()
