"""Training rows a second on a GPU: ours, a bare PyTorch loop, the notebook way, several units.

    python -m benchmarks.gpu_speed                      tweets, which are short, with MiniLM
    python -m benchmarks.gpu_speed configs/r8.yaml --base_shape --name gpu_speed_base

The second trains on stories of up to 128 tokens a network of the shape of BERT base, with random
weights, which do not change speed. Each takes about 3 minutes, mostly to start processes.

On the training rows of fold 0, in one run: the notebook way and the bare loop of train_speed.py and
ours, in the GPU's best precision; ours in each precision; and ours in several processes that share
the GPU, as `jobs.n_jobs` makes them. Every process trains on a few rows before it is timed. Tokens
are real tokens, without padding. The target is the length of a text, so any competition will do.

Writes benchmarks/results/<name>.csv, a line per measurement, and <name>.json.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from transformers import AutoConfig, AutoModel, AutoTokenizer

from benchmarks.shared.arrangements import (
    Prepared,
    Rows,
    prepare_bare_loop,
    prepare_notebook,
    prepare_ours,
)
from benchmarks.shared.command import parser_of
from benchmarks.shared.demo_rows import read_demo
from benchmarks.shared.measurement import Measurement, measure, table_of
from benchmarks.shared.record import record

WARM_UP_ROWS = 128
BERT_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}


def prepare_warm(prepare: Callable[..., Prepared], rows: Rows, *arguments: Any) -> Prepared:
    """`prepare(rows, ...)` after a short training that warms up the GPU."""
    n = min(WARM_UP_ROWS, len(rows.texts))
    few = replace(rows, texts=rows.texts[:n], tokens=rows.tokens.take(np.arange(n)), y=rows.y[:n])
    prepare(few, *arguments)()
    return prepare(rows, *arguments)


def read_rows(path: str, n_rows: int | None, times: int) -> Rows:
    """The first training rows of fold 0, each `times` times."""
    demo = read_demo(path)
    chosen = np.tile(np.flatnonzero(demo.folds != 0)[:n_rows], times)
    tokens = demo.tokens.take(chosen)
    return Rows(
        demo.backbone,
        [demo.train.texts[i][0] for i in chosen],
        tokens,
        tokens.lengths[:, None].astype(np.float64),
        demo.config.training.model_copy(update={"epochs": 1.0}),
    )


def save_base_shape(folder: Path, like: Path) -> None:
    """A random backbone of the shape of BERT base, with the tokenizer of another."""
    config = AutoConfig.from_pretrained(like)
    for key, value in BERT_BASE.items():
        setattr(config, key, value)
    AutoModel.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(like).save_pretrained(folder)


def measure_all(
    rows: Rows, *, precisions: Sequence[str], side_by_side: Sequence[int], n_steps: int
) -> list[Measurement]:
    """All arrangements on the same rows, once each."""
    cores = joblib.cpu_count()
    measurements = [
        measure("notebook", 0, 1, cores, prepare_warm, prepare_notebook, rows, n_steps),
        measure("bare loop", 0, 1, cores, prepare_warm, prepare_bare_loop, rows),
        measure("ours", 0, 1, cores, prepare_warm, prepare_ours, rows),
    ]
    for precision in precisions:
        in_precision = replace(
            rows, training=rows.training.model_copy(update={"precision": precision})
        )
        measurements.append(
            measure(f"ours, {precision}", 0, 1, cores, prepare_warm, prepare_ours, in_precision)
        )
    for n in side_by_side:
        threads = max(1, cores // n)
        measurements.append(
            measure(f"ours, {n} units", 0, n, threads, prepare_warm, prepare_ours, rows)
        )
    return measurements


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("config", nargs="?", default="configs/tweets.yaml")
    parser.add_argument("--base_shape", action="store_true", help="a random BERT base, no MiniLM")
    parser.add_argument("--rows", type=int, help="this many of the fold's rows only")
    parser.add_argument("--times", type=int, default=3, help="passes over the rows")
    parser.add_argument(
        "--precisions", nargs="*", default=["fp16", "fp32"], help="further precisions"
    )
    parser.add_argument("--units", nargs="*", type=int, default=[2, 4, 8], help="side by side")
    parser.add_argument("--notebook_steps", type=int, default=100, help="after 2 of warm-up")
    parser.add_argument("--name", default="gpu_speed", help="of the results' files")
    arguments = parser.parse_args(argv)

    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # Trainer would split batches over several
    rows = read_rows(arguments.config, arguments.rows, arguments.times)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.base_shape:
            save_base_shape(Path(folder), rows.backbone)
            rows = replace(rows, backbone=Path(folder))
        print(f"{len(rows.tokens)} rows; measuring:", flush=True)
        measurements = measure_all(
            rows,
            precisions=arguments.precisions,
            side_by_side=arguments.units,
            n_steps=arguments.notebook_steps,
        )
    record(arguments.name, table_of(measurements, float(rows.tokens.lengths.mean())), arguments)


if __name__ == "__main__":
    main()
