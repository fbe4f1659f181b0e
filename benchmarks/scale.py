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

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import yaml
from scipy.special import expit

from benchmarks.shared.command import parser_of
from benchmarks.shared.record import record

ROOT = Path(__file__).parents[1]
STAGES = ("prepare", "make_folds", "train", "predict", "blend", "submit", "report")
WORDS = ["it", "was", "a", "good", "or", "bad", "long", "film", "that", "we", "did", "not", "like"]
SECONDS_A_LOOK = 0.1


def write_competition(folder: Path, n_rows: int, n_predictors: int, members: list[Any]) -> None:
    """The tables, `made_up.yaml` and the external predictors."""
    rng = np.random.default_rng(0)
    n = n_rows + n_rows // 4
    signal = rng.normal(size=n)
    y = (rng.random(n) < expit(2 * signal)).astype(int)
    told = np.where(signal + rng.normal(size=n) > 0, "splendid", "dull")
    lines = rng.choice(WORDS, (n, 12)).tolist()
    texts = [f"{k} {told[k]} {' '.join(line)}" for k, line in enumerate(lines)]
    table = pd.DataFrame({"id": np.arange(n), "text": texts, "target": y})
    train, test = table[:n_rows], table[n_rows:]
    train.to_csv(folder / "train.csv", index=False)
    test.drop(columns="target").to_csv(folder / "test.csv", index=False)
    test.drop(columns="text").assign(target=0.5).to_csv(folder / "sample.csv", index=False)
    common = 0.5 * rng.normal(size=n)
    names = [f"external-{k}" for k in range(n_predictors)]
    for name in names:
        (folder / name).mkdir()
        raw = 2 * (signal + common + rng.uniform(0.2, 0.8) * rng.normal(size=n))
        predictions = pd.DataFrame({"id": table["id"], "target": expit(raw)})
        predictions[:n_rows].to_csv(folder / name / "oof.csv", index=False)
        predictions[n_rows:].to_csv(folder / name / "test.csv", index=False)
    settings = {
        "competition": "made_up",
        "task": "binary",
        "metric": "logloss",
        "data": {"train": "train.csv", "test": "test.csv", "sample_submission": "sample.csv"},
        "members": members,
        "blend": {"external": names},
    }
    (folder / "made_up.yaml").write_text(yaml.safe_dump(settings))


def run_stage(stage: str, folder: Path) -> dict[str, float]:
    """Seconds, also of the processor, and peak GB of a stage, its start included."""
    command = [sys.executable, "-m", f"pipeline.{stage}", "made_up.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    start, before, peak = time.perf_counter(), os.times(), 0
    with subprocess.Popen(command, cwd=folder, env=environment) as process:
        parent = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, sum(map(resident, [parent, *parent.children(recursive=True)])))
            time.sleep(SECONDS_A_LOOK)
    if process.returncode:
        raise SystemExit(f"{stage} failed")
    seconds, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return {"s": seconds, "cpu_s": cpu, "peak_GB": peak / 1e9}


def resident(process: psutil.Process) -> int:
    """Bytes that a process holds; 0 once it has ended."""
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def measure(n_rows: int, n_predictors: int, most_trained: int) -> list[dict[str, Any]]:
    members = [{"model": "tfidf_linear"}] if n_rows <= most_trained else []
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        write_competition(Path(folder), n_rows, n_predictors, members)
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
