"""How long the report of a large competition takes, and how large its page is.

    python -m benchmarks.report_speed                          2 minutes on two free cores
    python -m benchmarks.report_speed --rows 2000 --members 4                 a smoke test

Makes up a competition (benchmarks/shared/made_up.py), runs make_folds and blend, then times the
report stage as a command of its own, once for each metric. The target is under 30 s and 5 MB with
100,000 rows and 20 members, which are files as of external predictors.

Writes benchmarks/results/report_speed.csv, a line a metric, and .json.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.shared.command import parser_of
from benchmarks.shared.made_up import run_stage, write_competition
from benchmarks.shared.record import record
from pipeline.files.paths import report_path

METRICS = ("rmse", "auc")
MOST_SECONDS, MOST_BYTES = 30, 5_000_000


def measure(metric: str, n_rows: int, n_members: int) -> dict[str, Any]:
    """Seconds of the report stage, its start included, and the bytes of its page."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_competition(folder, metric, n_rows, n_members, methods=["mean", "convex"])
        seconds = [run_stage(stage, folder)["s"] for stage in ("make_folds", "blend", "report")]
        size = (folder / report_path("made_up")).stat().st_size
    counts = {"metric": metric, "rows": n_rows, "members": n_members}
    return {**counts, "s": seconds[-1], "bytes": size}


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--members", type=int, default=20)
    arguments = parser.parse_args(argv)

    table = pd.DataFrame(measure(name, arguments.rows, arguments.members) for name in METRICS)
    table["met"] = (table["s"] < MOST_SECONDS) & (table["bytes"] < MOST_BYTES)
    record("report_speed", table, arguments)


if __name__ == "__main__":
    main()
