"""The work that train_speed.py and gpu_speed.py time: a GEMM, and three ways to train.

Each `prepare_*` sets everything up and returns the work to be timed. They train on the GPU if there
is one, in the settings' precision, else in its best precision. The bare loop does not scale the
loss in fp16: only its speed is meaningful.
"""

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PrinterCallback,
    Trainer,
    TrainingArguments,
    get_linear_schedule_with_warmup,
    set_seed,
)
from transformers.utils import logging

from pipeline.members.bert.finetune import (
    best_device,
    best_precision,
    fastest_attention,
    fit,
    labels_for_loss,
)
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.network import Network, build_network
from pipeline.members.bert.tokens import LengthBatches, Tokens, TrainingRows
from pipeline.scoring.tasks import Floats, Scaling
from pipeline.settings.fine_tuning import Training

GEMM_SIZE = {"cpu": 2048, "cuda": 8192}
GEMM_SECONDS = 3.0
NOTEBOOK_LENGTH = 128
SEED = 0

Prepared = Callable[[], int]  # the work to be timed; returns its rows or operations


@dataclass(frozen=True)
class Rows:
    """n training texts, their tokens, their (n, 1) targets.

    Attributes:
        training: as from `scheduled`.
    """

    backbone: Path
    texts: list[str]
    tokens: Tokens
    y: Floats
    training: Training

    @property
    def batch_size(self) -> int:
        assert self.training.batch_size is not None
        return self.training.batch_size


HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def prepare_gemm(precision: str) -> Prepared:
    device = best_device().type
    size = GEMM_SIZE[device]
    a, b = torch.rand(2, size, size, device=device).to(HALF.get(precision, torch.float32))
    product = a @ b

    def run() -> int:
        n_products, end = 0, time.perf_counter() + GEMM_SECONDS
        while time.perf_counter() < end:
            torch.mm(a, b, out=product)
            product[0, 0].item()  # a GPU is behind: wait for it
            n_products += 1
        return n_products * 2 * size**3

    return run


def prepare_notebook(rows: Rows, n_steps: int) -> Prepared:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    set_seed(SEED)
    model = AutoModelForSequenceClassification.from_pretrained(
        rows.backbone, num_labels=1, dtype=torch.float32
    )
    encoded = AutoTokenizer.from_pretrained(rows.backbone)(
        rows.texts, padding="max_length", truncation=True, max_length=NOTEBOOK_LENGTH
    )
    dataset = [
        {**{name: values[i] for name, values in encoded.items()}, "labels": float(rows.y[i, 0])}
        for i in range(len(rows.texts))
    ]
    folder = tempfile.TemporaryDirectory()
    device, precision = best_device().type, rows.training.precision or best_precision()

    def build(steps: int) -> Trainer:
        arguments = TrainingArguments(
            output_dir=folder.name,
            max_steps=steps,
            per_device_train_batch_size=rows.batch_size,
            use_cpu=device == "cpu",
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            dataloader_pin_memory=device == "cuda",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
        )
        trainer = Trainer(model=model, args=arguments, train_dataset=dataset)
        trainer.remove_callback(PrinterCallback)
        return trainer

    build(2).train()  # the first steps are slower
    measured = build(n_steps)

    def run() -> int:
        measured.train()
        return n_steps * rows.batch_size

    return run


def prepare_bare_loop(rows: Rows) -> Prepared:
    device, precision = best_device(), rows.training.precision or best_precision()
    dtype = HALF.get(precision)
    network, labels = _network_and_labels(rows)
    longest = int(rows.tokens.lengths.max())
    network.attend_by(fastest_attention(precision, longest) or network.attention)
    network.to(device)
    training, n, batch_size = rows.training, len(rows.tokens), rows.batch_size
    dataset = TrainingRows(rows.tokens, np.arange(n), labels)
    n_steps = math.ceil(n / batch_size)

    def run() -> int:
        trained = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(
            trained, training.learning_rate or 1e-4, weight_decay=training.weight_decay, fused=True
        )
        n_warmup = math.ceil(training.warmup * n_steps)
        schedule = get_linear_schedule_with_warmup(optimizer, n_warmup, n_steps)
        order = list(LengthBatches(rows.tokens.lengths, batch_size, SEED))
        network.train()
        for start in range(0, n, batch_size):
            batch = dataset.collate(order[start : start + batch_size])
            with torch.autocast(device.type, dtype, enabled=dtype is not None):
                loss = network(**{name: t.to(device) for name, t in batch.items()})["loss"]
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        loss.item()  # a GPU is behind: wait for it
        return n

    return run


def prepare_ours(rows: Rows) -> Prepared:
    network, labels = _network_and_labels(rows)
    folder = tempfile.TemporaryDirectory()
    n = len(rows.tokens)
    dataset = TrainingRows(rows.tokens, np.arange(n), labels)

    def run() -> int:
        fit(network, dataset, rows.training, seed=SEED, log=Path(folder.name, "train.log"))
        return n

    return run


def _network_and_labels(rows: Rows) -> tuple[Network, torch.Tensor]:
    set_seed(SEED)
    network = build_network(
        rows.backbone, "mean", {}, 1, LOSSES["mse"], dropout=0.0, freeze_embeddings=True
    )
    return network, labels_for_loss("regression", rows.y, Scaling.of(rows.y))
