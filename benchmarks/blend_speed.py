"""CPU seconds of blenders on a large stack, and of hill climbing beside its peers.

    python -m benchmarks.blend_speed --peer_python PATH     about 10 minutes on a free core
    python -m benchmarks.blend_speed --rows 500 --members 4 --repeats 1        a smoke test

On one synthetic stack (benchmarks/shared/stacks.py) of 200,000 rows and 40 calibrated members, in
one thread, in seconds of CPU time:

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
from collections.abc import Sequence
from typing import Any

import pandas as pd
from threadpoolctl import threadpool_limits

from benchmarks.shared.blend_peers import Peers
from benchmarks.shared.command import parser_of
from benchmarks.shared.record import record
from benchmarks.shared.stacks import Stack, draw_stack
from pipeline.ensemble.blenders import BLENDERS
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


def time_climbs(stacks: dict[str, Stack], arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A line per metric and climber; seconds are None for a stopped peer."""
    lines = []
    with Peers(arguments.peer_python) as peers:
        for metric, task in CLIMBS.items():
            stack = stacks[task]
            target = Target.of(stack.y, task, metric)
            repeats = []
            for _ in range(arguments.repeats):
                start = time.process_time()
                selection_path(objective_of(stack.oof, target), STEPS)
                repeats.append(time.process_time() - start)
            seconds: float | None = min(repeats)
            line = {"what": "climb", "task": task, "metric": metric}
            lines.append({**line, "who": "ours", "seconds": seconds, "remark": ""})
            print(f"  {metric}: {seconds:.2f} s", flush=True)
            for who, _, peer_seconds, remark in peers.blend(
                stack.oof,
                stack.y,
                stack.new,
                task=task,
                metric=metric,
                names=CLIMBERS,
                limit=arguments.peer_seconds,
            ):
                seconds = None if remark else peer_seconds
                lines.append({**line, "who": who, "seconds": seconds, "remark": remark})
        print("peers:", peers.versions, flush=True)
    return lines


def time_fits(stacks: dict[str, Stack]) -> list[dict[str, Any]]:
    """A line per task and blender, fitted once."""
    metrics = {task: metric for metric, task in reversed(CLIMBS.items())}
    lines = []
    for task, stack in stacks.items():
        target = Target.of(stack.y, task, metrics[task])
        for name, blender in BLENDERS.items():
            if task not in blender.tasks:
                continue
            start = time.process_time()
            blender.fit(stack.oof, target, seed=0).apply(stack.new)
            seconds = time.process_time() - start
            print(f"  {name}, {task}: {seconds:.2f} s", flush=True)
            line = {"what": "fit", "task": task, "metric": metrics[task], "who": name}
            lines.append({**line, "seconds": seconds, "remark": ""})
    return lines


def verdicts(table: pd.DataFrame) -> dict[str, bool | None]:
    """Whether each target was met; None where the peer did not run or was stopped."""
    lines = table.to_dict("records")
    seconds = {(r["what"], r["task"], r["metric"], r["who"]): r["seconds"] for r in lines}
    met: dict[str, bool | None] = {}
    for metric, times in FASTER.items():
        climb = ("climb", CLIMBS[metric], metric)
        ours, theirs = seconds[*climb, "ours"], seconds.get((*climb, "autogluon_100"))
        name = f"climb for {metric} at least {times:g} times as fast as AutoGluon"
        met[name] = None if pd.isna(theirs) else bool(theirs >= times * ours)
    most = MOST_SECONDS["auc"]
    met[f"climb for auc within {most:g} s"] = bool(
        seconds["climb", "binary", "auc", "ours"] <= most
    )
    fits = table[table["what"] == "fit"].dropna(subset="seconds")
    is_weights = fits["who"].isin(WEIGHTS)
    for kind, part in (("weights", fits[is_weights]), ("others", fits[~is_weights])):
        most = MOST_SECONDS[kind]
        met[f"a fit of {kind} within {most:g} s"] = bool((part["seconds"] <= most).all())
    return met


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
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
