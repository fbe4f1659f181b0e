"""Seconds of ten units on worker processes of this machine: on Dask, on Ray and without either.

    python -m benchmarks.cluster                             5 minutes on two free cores
    python -m benchmarks.cluster --rows 60 --arms dask-1                      a smoke test

Trains `mean` and `max`, five folds each and one epoch, on rows of tweets. An arm is an engine and a
number of workers, which run in a folder of their own. They are up before the time starts and load
torch within it. `same_bytes`: the OOF predictions are those of the first arm.

Writes benchmarks/results/cluster.csv, a line an arm, and cluster.json.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pandas as pd

from benchmarks.shared.command import parser_of
from benchmarks.shared.record import record
from pipeline import prepare
from pipeline.demos.fetch import demo_backbone_dir

ROOT = Path(__file__).parents[1]
CONFIG = "configs/tweets.yaml"
ARMS = ["loky-1", "loky-2", "dask-1", "dask-2", "dask-4", "ray-1", "ray-2", "ray-4"]
PROGRAMS = {  # of a cluster of n workers
    "loky": [],
    "dask": [
        "distributed.cli.dask_scheduler --host 127.0.0.1 --port 8790 --no-dashboard",
        "distributed.cli.dask_worker 127.0.0.1:8790 --nthreads 1 --nworkers {n} --no-dashboard",
    ],
    "ray": [
        "ray.scripts.scripts start --head --block --node-ip-address 127.0.0.2 --port 8791 "
        "--include-dashboard false --num-cpus {n}"
    ],
}
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "DASK_SCHEDULER_ADDRESS": "tcp://127.0.0.1:8790",
    "RAY_ADDRESS": "127.0.0.2:8791",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": uuid4().hex,
}
SECONDS_TO_START = 15


def measure(arm: str, n_rows: int) -> dict[str, Any]:
    """Seconds of the train stage, its start included, and its OOF predictions."""
    engine, n = arm.split("-")
    tables = ("train", "test", "sample_submission")
    words = [f"--data.{name}={ROOT / 'data/tweets' / name}.csv" for name in tables]
    words += [f"--data.train_rows={n_rows}", f"--backbone={ROOT / demo_backbone_dir('minilm')}"]
    words += ["--members", "mean", "max", "--training.epochs=1"]
    words += [f"--jobs.backend={engine}", f"--jobs.n_jobs={n}"]
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        programs = [program.format(n=n).split() for program in PROGRAMS[engine]]
        with (Path(there) / "log.txt").open("w") as log:
            how: dict[str, Any] = {"cwd": there, "env": ENVIRONMENT, "stdout": log, "stderr": log}
            cluster = [subprocess.Popen([sys.executable, "-m", *p], **how) for p in programs]
        try:
            time.sleep(SECONDS_TO_START if cluster else 0)
            for stage in ("make_folds", "train"):
                start = time.perf_counter()
                command = [sys.executable, "-m", f"pipeline.{stage}", str(ROOT / CONFIG), *words]
                subprocess.run(command, check=True, cwd=here, env=ENVIRONMENT)
                seconds = time.perf_counter() - start
        finally:
            for process in reversed(cluster):
                process.terminate()
                process.wait()
        oof = b"".join(path.read_bytes() for path in sorted(Path(here).glob("oof/*/*/oof.csv")))
    return {"engine": engine, "workers": int(n), "s": seconds, "oof": oof}


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--arms", nargs="+", default=ARMS)
    arguments = parser.parse_args(argv)

    prepare.main([CONFIG])
    table = pd.DataFrame(measure(arm, arguments.rows) for arm in arguments.arms)
    table["same_bytes"] = [oof == table["oof"][0] for oof in table["oof"]]
    record("cluster", table.drop(columns="oof"), arguments)


if __name__ == "__main__":
    main()
