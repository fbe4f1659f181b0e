"""How long the report of a large competition takes, and how large its page is.

    python -m benchmarks.report_speed                          2 minutes on two free cores
    python -m benchmarks.report_speed --rows 2000 --members 4                 a smoke test

Simulates a competition in a temporary folder: texts, and predictions of members whose errors are
partly common. Runs make_folds and blend, then times the report stage as a command of its own, once
for each metric. The target is under 30 s and 5 MB with 100,000 rows and 20 members.

Writes benchmarks/results/report_speed.csv, a line a metric, and .json.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from scipy.special import expit

from benchmarks.shared.command import parser_of
from benchmarks.shared.record import record
from pipeline import blend, make_folds
from pipeline.competition.folds import read_folds
from pipeline.competition.rows import read_test, read_train
from pipeline.files.paths import predictor_dir, report_path
from pipeline.predictors.predictions import origin_of_oof, write_predictions
from pipeline.scoring.tasks import TASKS
from pipeline.settings.command import load_config

ROOT = Path(__file__).parents[1]
METRICS = {"rmse": "regression", "auc": "binary"}
MOST_SECONDS, MOST_BYTES = 30, 5_000_000
WORDS = ["it", "was", "a", "good", "or", "bad", "long", "film", "that", "we", "did", "not", "like"]


def write_competition(metric: str, n_rows: int, n_members: int) -> Path:
    """The tables, the YAML and the members' predictions in the current folder; the YAML's path."""
    rng = np.random.default_rng(0)
    n_test = n_rows // 4
    signal = rng.normal(size=n_rows + n_test)
    is_binary = METRICS[metric] == "binary"
    target = (rng.random(len(signal)) < expit(2 * signal)).astype(int) if is_binary else signal
    lengths = rng.integers(3, 40, len(signal))
    texts = [f"{i} {' '.join(rng.choice(WORDS, k))}" for i, k in enumerate(lengths)]
    table = pd.DataFrame({"id": range(len(signal)), "text": texts, "target": target})
    table[:n_rows].to_csv("train.csv", index=False)
    table[n_rows:].drop(columns="target").to_csv("test.csv", index=False)
    table[n_rows:].drop(columns="text").to_csv("solution.csv", index=False)
    table[n_rows:].drop(columns="text").assign(target=0.5).to_csv("sample.csv", index=False)
    config = Path("made_up.yaml")
    names = [f"member-{k:02}" for k in range(n_members)]
    settings: dict[str, Any] = {
        "competition": "made_up",
        "task": METRICS[metric],
        "metric": metric,
        "data": {"train": "train.csv", "test": "test.csv", "sample_submission": "sample.csv"},
        "members": [{"model": "tfidf_linear", "name": name} for name in names],
        "blend": {"methods": ["mean", "convex"]},
    }
    config.write_text(yaml.safe_dump(settings))
    make_folds.main([str(config)])

    loaded = load_config(config)
    train, test = read_train(loaded.data, loaded.task), read_test(loaded.data)
    folds = read_folds(loaded.competition, train.ids)
    of_oof = origin_of_oof(train, folds, loaded.task, None)
    source = {"models": "made up", "test rows": test.sha256, **of_oof}
    common = 0.5 * rng.normal(size=len(signal))
    for name in names:
        raw = (signal + common + rng.uniform(0.2, 0.8) * rng.normal(size=len(signal)))[:, None]
        predictions = TASKS[loaded.task].to_prediction(2 * raw if is_binary else raw)
        folder = predictor_dir(loaded.competition, name)
        for part, ids, values in (
            ("oof", train.ids, predictions[:n_rows]),
            ("test", test.ids, predictions[n_rows:]),
        ):
            write_predictions(folder, part, ids, "id", train.columns, values, source)
    return config


def measure(metric: str, n_rows: int, n_members: int) -> dict[str, Any]:
    """Seconds of the report stage, its start included, and the bytes of its page."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        config = write_competition(metric, n_rows, n_members)
        blend.main([str(config)])
        command = [sys.executable, "-m", "pipeline.report", str(config)]
        start = time.perf_counter()
        subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
        seconds = time.perf_counter() - start
        size = report_path("made_up").stat().st_size
    return {"metric": metric, "rows": n_rows, "members": n_members, "s": seconds, "bytes": size}


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
