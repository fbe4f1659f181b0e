"""How fast units train on a GPU: ours, a bare PyTorch loop, the notebook way, and side by side.

    python -m benchmarks.gpu_speed                          needs a GPU; about 4 minutes

Two cases, each on the training rows of fold 0, in one run:

- tweets: short texts, MiniLM.
- r8: stories of up to 128 tokens, and a network of the shape of BERT base. Its weights are random,
  as speed does not depend on them.

The notebook way and the bare loop are those of train_speed.py, in bf16; ours is timed in bf16, fp16
and fp32, and in bf16 by several processes that share the GPU, which is what `jobs.n_jobs` does.
Every process trains on a few rows before it is timed. Tokens are real ones: padding is not counted.
The network learns how long a text is, so that any competition will do.

Writes benchmarks/results/gpu_speed.csv, a line a measurement, and gpu_speed.json.
"""

import argparse
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer
from transformers.utils import logging

from benchmarks.arrangements import (
    Prepared,
    Rows,
    prepare_bare_loop,
    prepare_notebook,
    prepare_ours,
)
from benchmarks.first_fold import read_first_fold
from benchmarks.record import record
from benchmarks.train_speed import Measurement, measure, table_of
from pipeline.bert.finetune import Recipe

WARM_UP_ROWS = 128
BERT_BASE = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
PRECISIONS = ("bf16", "fp16", "fp32")


def prepare_warm(prepare: Callable[..., Prepared], rows: Rows, *arguments: Any) -> Prepared:
    """What `prepare(rows)` returns, in a process whose GPU has been at work."""
    few = slice(0, WARM_UP_ROWS)
    tokens = rows.tokens.take(np.arange(len(rows.tokens))[few])
    prepare(replace(rows, texts=rows.texts[few], tokens=tokens, y=rows.y[few]), *arguments)()
    return prepare(rows, *arguments)


def save_base_shape(folder: Path, like: Path) -> None:
    """A random backbone of the shape of BERT base, with the tokenizer of another."""
    config = AutoConfig.from_pretrained(like)
    for key, value in BERT_BASE.items():
        setattr(config, key, value)
    AutoModel.from_config(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(like).save_pretrained(folder)


def read_rows(path: str, times: int) -> Rows:
    """The training rows of fold 0, each `times` times."""
    fold = read_first_fold(path)
    chosen, settings = np.tile(fold.training, times), fold.config.training
    tokens = fold.tokens.take(chosen)
    keys = ("batch_size", "learning_rate", "warmup", "weight_decay", "precision")
    return Rows(
        fold.backbone,
        [fold.train.texts[i][0] for i in chosen],
        tokens,
        tokens.lengths[:, None].astype(np.float64),
        Recipe(epochs=1, seed=0, trainer={}, **{key: getattr(settings, key) for key in keys}),
    )


def measure_case(
    rows: Rows, repeats: int, side_by_side: Sequence[int], n_steps: int
) -> list[Measurement]:
    """All arrangements on the same rows."""
    cores, found = joblib.cpu_count(), []
    for repeat in range(repeats):
        for name, *what in (
            ("notebook", prepare_notebook, rows, n_steps),
            ("bare loop", prepare_bare_loop, rows),
        ):
            found.append(measure(name, repeat, 1, cores, prepare_warm, *what))
        for precision in PRECISIONS:
            of_precision = replace(rows, recipe=replace(rows.recipe, precision=precision))
            name = f"ours, {precision}"
            found.append(measure(name, repeat, 1, cores, prepare_warm, prepare_ours, of_precision))
        for n in side_by_side:
            threads = max(1, cores // n)
            name = f"ours, bf16, {n} units"
            found.append(measure(name, repeat, n, threads, prepare_warm, prepare_ours, rows))
    return found


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=3, help="how often the rows are gone through")
    parser.add_argument("--units", type=int, nargs="*", default=[2, 4, 8], help="side by side")
    parser.add_argument("--notebook_steps", type=int, default=100, help="after 2 of warm-up")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args(argv)
    if not torch.cuda.is_available():
        raise SystemExit("this needs a GPU that torch sees; benchmarks.train_speed is for the CPU")

    logging.disable_progress_bar()
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        for path in ("configs/tweets.yaml", "configs/r8.yaml"):
            rows, shape = read_rows(path, arguments.times), "MiniLM"
            if path == "configs/r8.yaml":
                save_base_shape(Path(folder), rows.backbone)
                rows, shape = replace(rows, backbone=Path(folder)), "BERT base, random"
            print(f"{path}, {shape}: {len(rows.tokens)} rows; measuring:", flush=True)
            found = measure_case(rows, arguments.repeats, arguments.units, arguments.notebook_steps)
            table = table_of(found, float(rows.tokens.lengths.mean()))
            table.insert(0, "backbone", shape)
            table.insert(0, "competition", Path(path).stem)
            tables.append(table)
    record("gpu_speed", pd.concat(tables, ignore_index=True), arguments)


if __name__ == "__main__":
    main()
