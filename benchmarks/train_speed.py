"""Training rows a second: ours, a bare PyTorch loop and the notebook way, against the GEMM peak.

    python -m benchmarks.train_speed                  about 8 minutes on two free cores
    python -m benchmarks.train_speed --rows 64 --notebook_steps 1 --repeats 1        a smoke test

On the CPU, on the training rows of fold 0 of a competition, in one run, in float32 and, where the
CPU has units for it, in bfloat16:

- gemm: matrix products, as many one-thread processes as cores; gemm all threads: one process. The
  faster of the two is the machine's peak.
- notebook: transformers.Trainer on AutoModelForSequenceClassification in float32, every text padded
  to 128 tokens, dropout as pretrained, one process with all threads, after two steps of warm-up.
- bare loop: the same network (mean pooling), attention, batches, AdamW, schedule and clipping as
  ours, and nothing around them; as many one-thread processes as cores.
- ours: pipeline.members.bert.finetune.fit, likewise.

Processes of one arrangement start together once each is set up; the slowest gives the time. Tokens
are real tokens, without padding. Repeats alternate, medians are compared.
The share of the peak counts 6 operations for each token and each entry of the encoder's weight
matrices (2 forward, 4 backward; no embeddings, pooler, biases or norms). Products of attention are
left out and the first layer's unneeded input gradient is left in, about 1 % each for a tweet.

Writes benchmarks/results/train_speed.csv, a line per measurement, and train_speed.json.
"""

import math
import os
from collections.abc import Sequence

import joblib
import numpy as np
from torch import nn
from transformers import AutoModel
from transformers.utils import logging

from benchmarks.shared.arrangements import (
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
from pipeline.members.bert.finetune import cpu_multiplies_bf16
from pipeline.members.defaults import scheduled

TARGETS = {  # (at least, at most) of each precision
    "fp32": {
        "ours over notebook, rows a second": (5.0, math.inf),
        "time of ours over bare loop": (0.0, 1.15),
        "share of the GEMM peak": (0.6, math.inf),
    },
    "bf16": {
        "ours over notebook, rows a second": (20.0, math.inf),
        "time of ours over bare loop": (0.0, 1.15),
        "share of the GEMM peak": (0.55, math.inf),
        "ours over ours in fp32": (3.0, math.inf),
    },
}


OPERATIONS = 6  # a token and entry of a weight matrix: 2 forward, 4 backward


def encoder_weights(backbone: nn.Module) -> int:
    """Entries of the encoder's weight matrices, without embeddings and pooler."""
    return sum(
        p.numel()
        for name, p in backbone.named_parameters()
        if p.ndim == 2 and not name.startswith("pooler.") and "embeddings." not in name
    )


def compare(
    measurements: Sequence[Measurement], precision: str, n_weights: int, tokens_a_row: float
) -> dict[str, float]:
    """The GEMM peak in operations a second and the figures of `TARGETS`, from medians."""

    def median(arrangement: str, name: str) -> float:
        return float(
            np.median([getattr(m, name) for m in measurements if m.arrangement == arrangement])
        )

    ours, loop = f"ours, {precision}", f"bare loop, {precision}"
    gemms = f"gemm, {precision}", f"gemm all threads, {precision}"
    peak, rate = max(median(gemm, "rate") for gemm in gemms), median(ours, "rate")
    return {
        "GEMM peak": peak,
        "ours over notebook, rows a second": rate / median("notebook", "rate"),
        "time of ours over bare loop": median(ours, "seconds") / median(loop, "seconds"),
        "share of the GEMM peak": OPERATIONS * n_weights * rate * tokens_a_row / peak,
        "ours over ours in fp32": rate / median("ours, fp32", "rate"),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--config", default="configs/tweets.yaml", help="a regression")
    parser.add_argument("--rows", type=int, help="train on this many of the fold's rows only")
    parser.add_argument("--notebook_steps", type=int, default=20, help="after 2 of warm-up")
    parser.add_argument("--repeats", type=int, default=2, help="of all but the notebook")
    arguments = parser.parse_args(argv)

    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the comparison is about the CPU
    demo = read_demo(arguments.config)
    chosen = np.flatnonzero(demo.folds != 0)[: arguments.rows]
    tokens = demo.tokens.take(chosen)
    texts = [demo.train.texts[i][0] for i in chosen]
    precisions = ("fp32", "bf16") if cpu_multiplies_bf16() else ("fp32",)

    def rows_in(precision: str) -> Rows:
        training = demo.config.training.model_copy(update={"epochs": 1.0, "precision": precision})
        training = scheduled(training, len(chosen))
        return Rows(demo.backbone, texts, tokens, demo.train.y[chosen], training)

    tokens_a_row = float(tokens.lengths.mean())
    cores = joblib.cpu_count()
    print(f"{len(chosen)} rows of {tokens_a_row:.1f} tokens, {cores} cores; measuring:")
    measurements = []
    for repeat in range(arguments.repeats):
        if repeat == 0:
            steps = arguments.notebook_steps
            measurements.append(
                measure("notebook", repeat, 1, cores, prepare_notebook, rows_in("fp32"), steps)
            )
        for precision in precisions:
            rows = rows_in(precision)
            for name, processes, threads, prepare, *work in (
                ("gemm", cores, 1, prepare_gemm, precision),
                ("gemm all threads", 1, cores, prepare_gemm, precision),
                ("bare loop", cores, 1, prepare_bare_loop, rows),
                ("ours", cores, 1, prepare_ours, rows),
            ):
                measurements.append(
                    measure(f"{name}, {precision}", repeat, processes, threads, prepare, *work)
                )
    logging.disable_progress_bar()
    n_weights = encoder_weights(AutoModel.from_pretrained(demo.backbone))
    summaries = {p: compare(measurements, p, n_weights, tokens_a_row) for p in precisions}
    size = {"rows": len(chosen), "tokens a row": tokens_a_row, "encoder weights": n_weights}
    record("train_speed", table_of(measurements, tokens_a_row), arguments, **summaries, **size)
    for precision, summary in summaries.items():
        peak = summary["GEMM peak"] / 1e9
        print(f"{precision}: GEMM peak {peak:.0f} GFLOP/s; {n_weights:,} encoder weights")
        for name, (low, high) in TARGETS[precision].items():
            wanted = f"at least {low:g}" if math.isinf(high) else f"at most {high:g}"
            verdict = "met" if low <= summary[name] <= high else "MISSED"
            print(f"{precision}: {name}: {summary[name]:.3f}, wanted {wanted}: {verdict}")


if __name__ == "__main__":
    main()
