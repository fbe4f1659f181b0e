"""Cost of each pooling: added parameters, seconds to train and to predict.

    python -m benchmarks.pooling_cost                          about 4 minutes on a free core

Every pooling fine-tunes the same backbone on the same rows of fold 0 of a competition, in one
thread, for one epoch, and predicts rows of the held-out fold. Repeats alternate between poolings;
medians are compared with mean pooling's.

Writes benchmarks/results/pooling_cost.csv, a line per pooling, and .json.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from transformers import set_seed
from transformers.utils import logging

from benchmarks.shared.command import parser_of
from benchmarks.shared.demo_rows import DemoRows, read_demo
from benchmarks.shared.record import record
from pipeline.members.bert.encoder import all_options
from pipeline.members.bert.finetune import Scaling, fit, labels_for_loss, predict
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.network import build_network
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.bert.tokens import TrainingRows
from pipeline.members.defaults import for_backbone
from pipeline.settings.fine_tuning import losses_for

REFERENCE = "mean"


def measure(demo: DemoRows, pooling: str, n_rows: int) -> dict[str, Any]:
    """Parameters of the pooling, and seconds for `n_rows` rows of training and of prediction."""
    task, settings = demo.config.task, demo.config.training
    rows, held_out = (
        np.flatnonzero(demo.folds != 0)[:n_rows],
        np.flatnonzero(demo.folds == 0)[:n_rows],
    )
    y = demo.train.y[rows]
    set_seed(0)
    network = build_network(
        demo.backbone,
        pooling,
        all_options(pooling, {}, demo.backbone),
        len(demo.train.columns),
        LOSSES[losses_for(task)[0]],
        dropout=0.0,
        freeze_embeddings=settings.freeze_embeddings,
    )
    scaling = Scaling.of(y)
    labels = labels_for_loss(task, y, scaling)
    training = for_backbone(settings, demo.backbone, task).model_copy(update={"epochs": 1.0})
    dataset = TrainingRows(demo.tokens, rows, labels)
    with tempfile.TemporaryDirectory() as folder:
        effort = fit(network, dataset, training, seed=0, log=Path(folder, "train.log"))
    start = time.perf_counter()
    predict(network, demo.tokens.take(held_out), task, scaling)
    return {
        "pooling": pooling,
        "parameters": sum(p.numel() for p in network.pooling.parameters()),
        "training_s": effort["seconds"],
        "prediction_s": time.perf_counter() - start,
    }


def table_of(lines: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Medians over the repeats, a line per pooling; training time also relative to `REFERENCE`."""
    table = pd.DataFrame(lines).groupby("pooling", sort=False).median()
    table["parameters"] = table["parameters"].astype(int)
    table["training_ratio"] = table["training_s"] / table["training_s"].to_dict()[REFERENCE]
    return table.reset_index()


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--config", default="configs/tweets.yaml", help="a regression")
    parser.add_argument("--rows", type=int, default=320)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args(argv)

    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the comparison is about the CPU
    torch.set_num_threads(1)
    logging.disable_progress_bar()
    demo = read_demo(arguments.config)
    poolings = [REFERENCE, *sorted(set(POOLINGS) - {REFERENCE})]
    measure(demo, REFERENCE, arguments.rows)  # the first run is slower
    lines = []
    for repeat in range(arguments.repeats):
        order = np.random.default_rng(repeat).permutation(poolings)
        lines += [measure(demo, str(pooling), arguments.rows) for pooling in order]
    table = table_of(sorted(lines, key=lambda line: poolings.index(line["pooling"])))
    record("pooling_cost", table, arguments)


if __name__ == "__main__":
    main()
