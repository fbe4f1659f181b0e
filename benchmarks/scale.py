"""Peak memory and time of every stage as a competition grows.

    python -m benchmarks.scale                                     half an hour on two free cores
    python -m benchmarks.scale --rows 1000 --predictors 3                            a smoke test

Makes up a binary competition of so many training rows and a quarter as many test rows, and the OOF
and test predictions of external predictors; up to `--most_trained` rows it also trains a
`tfidf_linear` member. Runs every stage as a command. Memory is the most that the command and its
worker processes hold at a look every 100 ms; pages that they share count for each. `cpu_s` leaves
out other work on the machine, and adds up over cores.

Writes benchmarks/results/scale.csv, a line per number of rows and stage, and scale.json.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.shared.command import parser_of
from benchmarks.shared.made_up import run_stage, write_competition
from benchmarks.shared.record import record

STAGES = ("prepare", "make_folds", "train", "predict", "blend", "submit", "report")


def measure(n_rows: int, n_predictors: int, most_trained: int) -> list[dict[str, Any]]:
    members = [{"model": "tfidf_linear"}] if n_rows <= most_trained else []
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        write_competition(Path(folder), "logloss", n_rows, n_predictors, members=members)
        for stage in STAGES:
            lines.append({"rows": n_rows, "stage": stage, **run_stage(stage, Path(folder))})
            print(lines[-1], flush=True)  # stands if a later stage is cut off
    return lines


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--predictors", type=int, default=10)
    parser.add_argument("--most_trained", type=int, default=100_000)
    arguments = parser.parse_args(argv)

    sizes = [(n, arguments.predictors, arguments.most_trained) for n in arguments.rows]
    record("scale", pd.DataFrame([line for size in sizes for line in measure(*size)]), arguments)


if __name__ == "__main__":
    main()
