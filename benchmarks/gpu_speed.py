"""Training speed on a GPU, by the size of the backbone and the units that share the GPU.

    python -m benchmarks.gpu_speed                                 4 minutes, most of them starting
    python -m benchmarks.gpu_speed --shapes minilm --rows 64 --units 2 --notebook_steps 2      smoke

On the training rows of fold 0 of a competition, in one run, in the GPU's best precision:

- gemm: products of large matrices, one process: the machine's peak.
- notebook and bare loop: those of train_speed.py, one process each.
- ours: pipeline.members.bert.finetune.fit; then in several processes that share the GPU, as
  `jobs.n_jobs` makes them.

Shapes beside MiniLM are networks with random weights, which do not change speed, and MiniLM's
tokenizer. Every process trains on a few rows before it is timed. Tokens are real tokens, without
padding; their share of the peak is counted as in train_speed.py. The target is the length of a
text, so any competition will do.

Writes benchmarks/results/<name>.csv, a line for each shape and arrangement, and <name>.json.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from transformers import AutoConfig, AutoModel, AutoTokenizer, DebertaV2Config, PreTrainedConfig

from benchmarks.shared.arrangements import (
    Prepared,
    Rows,
    prepare_bare_loop,
    prepare_gemm,
    prepare_notebook,
    prepare_ours,
)
from benchmarks.shared.command import parser_of
from benchmarks.shared.demo_rows import read_demo
from benchmarks.shared.measurement import Measurement, measure, table_of
from benchmarks.shared.record import record
from benchmarks.train_speed import OPERATIONS, encoder_weights
from pipeline.members.bert.finetune import best_precision
from pipeline.members.defaults import scheduled

WARM_UP_ROWS = 128


def deberta_v3(width: int, layers: int) -> PreTrainedConfig:
    """The shape of DeBERTa-v3, but for its number of words (He et al. 2023, appendix A)."""
    return DebertaV2Config.from_dict(
        {
            "hidden_size": width,
            "num_hidden_layers": layers,
            "num_attention_heads": width // 64,
            "intermediate_size": 4 * width,
            "relative_attention": True,
            "position_buckets": 256,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": "p2c|c2p",
            "position_biased_input": False,
            "type_vocab_size": 0,
        }
    )


SHAPES: dict[str, PreTrainedConfig | None] = {  # None: the competition's own backbone
    "minilm": None,
    "deberta-v3-base": deberta_v3(768, 12),
    "deberta-v3-large": deberta_v3(1024, 24),
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
        scheduled(demo.config.training.model_copy(update={"epochs": 1.0}), len(chosen)),
    )


def save_shape(folder: Path, shape: PreTrainedConfig, like: Path) -> None:
    """A random backbone of a shape, with the words and the tokenizer of another backbone."""
    shape.vocab_size = AutoConfig.from_pretrained(like).vocab_size
    AutoModel.from_config(shape).save_pretrained(folder)
    AutoTokenizer.from_pretrained(like).save_pretrained(folder)


def measure_all(rows: Rows, units: Sequence[int], n_steps: int) -> list[Measurement]:
    """All ways to train, on the same rows, once each."""
    cores = joblib.cpu_count()
    one_process = (
        ("notebook", prepare_notebook, n_steps),
        ("bare loop", prepare_bare_loop),
        ("ours", prepare_ours),
    )
    measurements = [
        measure(name, 0, 1, cores, prepare_warm, prepare, rows, *more)
        for name, prepare, *more in one_process
    ]
    for n in units:
        threads = max(1, cores // n)
        measurements.append(
            measure(f"ours, {n} units", 0, n, threads, prepare_warm, prepare_ours, rows)
        )
    return measurements


def measure_shape(
    name: str, rows: Rows, peak: float, units: Sequence[int], n_steps: int
) -> pd.DataFrame:
    """A line for each arrangement of one shape, with its share of the `peak`."""
    shape = SHAPES[name]
    with tempfile.TemporaryDirectory() as folder:
        if shape is not None:
            save_shape(Path(folder), shape, rows.backbone)
            rows = replace(rows, backbone=Path(folder))
        n_weights = encoder_weights(AutoModel.from_pretrained(rows.backbone))
        print(f"{name}, {n_weights:,} encoder weights; measuring:", flush=True)
        measurements = measure_all(rows, units, n_steps)
    table = table_of(measurements, float(rows.tokens.lengths.mean()))
    table.insert(0, "shape", name)
    return table.assign(share_of_peak=OPERATIONS * n_weights * table["tokens/s"] / peak)


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("config", nargs="?", default="configs/r8.yaml")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--rows", type=int, help="this many of the fold's rows only")
    parser.add_argument("--times", type=int, default=1, help="passes over the rows")
    parser.add_argument("--units", nargs="*", type=int, default=[2, 4], help="side by side")
    parser.add_argument("--notebook_steps", type=int, default=50, help="after 2 of warm-up")
    parser.add_argument("--name", default="gpu_speed", help="of the results' files")
    arguments = parser.parse_args(argv)

    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # Trainer would split batches over several
    rows = read_rows(arguments.config, arguments.rows, arguments.times)
    precision = best_precision()
    gemm = measure(f"gemm, {precision}", 0, 1, joblib.cpu_count(), prepare_gemm, precision)
    how = (gemm.rate, arguments.units, arguments.notebook_steps)
    tables = [measure_shape(name, rows, *how) for name in arguments.shapes]
    table = pd.concat(tables, ignore_index=True)
    facts = {"precision": precision, "GEMM peak": gemm.rate, "rows": len(rows.tokens)}
    record(arguments.name, table, arguments, **facts)


if __name__ == "__main__":
    main()
