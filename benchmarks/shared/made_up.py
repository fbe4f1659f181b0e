"""A made-up competition of any size, with external predictors, for the time of whole stages."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import yaml
from scipy.special import expit

ROOT = Path(__file__).parents[2]
TASKS = {"rmse": "regression", "auc": "binary", "logloss": "binary"}
WORDS = ["it", "was", "a", "good", "or", "bad", "long", "film", "that", "we", "did", "not", "like"]
MOST_WORDS = 24
SECONDS_A_LOOK = 0.1


def write_competition(
    folder: Path,
    metric: str,
    n_rows: int,
    n_predictors: int,
    *,
    members: Sequence[Any] = (),
    **blend: Any,
) -> None:
    """The tables, a quarter as many test rows, the predictors' files and `made_up.yaml`.

    The predictors' errors are partly common.

    Args:
        members, blend: for the YAML.
    """
    rng = np.random.default_rng(0)
    n = n_rows + n_rows // 4
    signal = rng.normal(size=n)
    is_binary = TASKS[metric] == "binary"
    y = (rng.random(n) < expit(2 * signal)).astype(int) if is_binary else signal
    told = np.where(signal + rng.normal(size=n) > 0, "splendid", "dull")
    lines = rng.choice(WORDS, (n, MOST_WORDS)).tolist()
    lengths = rng.integers(1, MOST_WORDS + 1, n)
    texts = [f"{k} {told[k]} {' '.join(line[: lengths[k]])}" for k, line in enumerate(lines)]
    table = pd.DataFrame({"id": np.arange(n), "text": texts, "target": y})
    train, test = table[:n_rows], table[n_rows:]
    train.to_csv(folder / "train.csv", index=False)
    test.drop(columns="target").to_csv(folder / "test.csv", index=False)
    test.drop(columns="text").assign(target=0.5).to_csv(folder / "sample.csv", index=False)
    common = 0.5 * rng.normal(size=n)
    names = [f"external-{k}" for k in range(n_predictors)]
    for name in names:
        (folder / name).mkdir()
        raw = signal + common + rng.uniform(0.2, 0.8) * rng.normal(size=n)
        values = expit(2 * raw) if is_binary else raw
        predictions = pd.DataFrame({"id": table["id"], "target": values})
        predictions[:n_rows].to_csv(folder / name / "oof.csv", index=False)
        predictions[n_rows:].to_csv(folder / name / "test.csv", index=False)
    settings = {
        "competition": "made_up",
        "task": TASKS[metric],
        "metric": metric,
        "data": {"train": "train.csv", "test": "test.csv", "sample_submission": "sample.csv"},
        "members": list(members),
        "blend": {"external": names, **blend},
    }
    (folder / "made_up.yaml").write_text(yaml.safe_dump(settings))


def run_stage(stage: str, folder: Path) -> dict[str, float]:
    """Seconds, also of the processor, and peak GB of a stage, its start included.

    Memory is the most that the command and its worker processes hold at a look.
    """
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
