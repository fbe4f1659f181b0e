"""Fit a network on a unit's training rows; predict with it. Letters: n rows, c outputs."""

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from transformers import PrinterCallback

from pipeline.members.bert.network import Network
from pipeline.members.bert.tokens import Tokens, TrainingRows, collate
from pipeline.members.bert.trainer import (
    LengthGroupedTrainer,
    LogFile,
    refuse_overflow,
    training_arguments,
)
from pipeline.members.steps import epochs_for
from pipeline.scoring.tasks import TASKS, Floats, Scaling
from pipeline.settings.members import Training

# tokens of a prediction batch, padding included; a CPU is twice as fast on what its cache holds
PREDICTION_TOKENS = {"cpu": 1_024, "cuda": 16_384}
SHORT_TEXT = 128  # tokens
PREDICTION_TEXTS = 256  # at most: DeBERTa holds a table of 1.6 MB for each, however short


@dataclass(frozen=True)
class Effort:
    """What a training took and came to.

    Attributes:
        tokens_per_second: real tokens, without padding.
        last_loss: mean of the training loss over the last tenth of the steps.
    """

    seconds: float
    tokens_per_second: int
    epochs_trained: float
    steps: int
    last_loss: float
    precision: str


def seed_everything(seed: int) -> None:
    """Seed before the network is built: its head starts at random."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # all GPUs too


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cpu_multiplies_bf16() -> bool:
    """Whether this CPU has units for bf16: AVX512-BF16 or AMX."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def best_precision() -> str:
    """bf16 or, on a GPU from before it, fp16 where there are units for it; else fp32.

    A CPU without bf16 units multiplies bf16 several times as slowly as fp32.
    """
    if best_device().type == "cpu":
        return "bf16" if cpu_multiplies_bf16() else "fp32"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16"
    return "fp16" if torch.cuda.get_device_capability() >= (7, 0) else "fp32"


def fit(
    network: Network, dataset: TrainingRows, training: Training, *, seed: int, log: Path
) -> Effort:
    """Train `network` in place.

    Args:
        dataset: the rows to train on; their labels are (n, c) float32 or (n,) int64 class codes,
            as the network's loss wants them.
        seed: of the order of the rows and of dropout.
        log: file that gets what Trainer logs, a JSON a line.
    Raises:
        ValueError: as `training_arguments` does; numbers do not fit into fp16.
    """
    texts = (dataset.tokens.of(row) for row in dataset.rows)
    network.pooling.fit(texts)  # type: ignore[operator]
    epochs = epochs_for(training.epochs, len(dataset), training.batch_size)
    precision, device = training.precision or best_precision(), best_device().type
    trainer = LengthGroupedTrainer(
        model=network,
        args=training_arguments(training, seed, epochs, log.parent, device, precision),
        train_dataset=dataset,
        data_collator=dataset.collate,
        callbacks=[LogFile(log)],
    )
    trainer.head_rate = training.head_rate
    attention = network.attention  # what it predicts with, here and reloaded
    network.attend_by(fastest_attention(precision, int(dataset.lengths.max())) or attention)
    trainer.remove_callback(PrinterCallback)
    first_scale = trainer.accelerator.scaler.get_scale() if precision == "fp16" else 1.0
    start = time.perf_counter()
    trainer.train()
    seconds, steps = time.perf_counter() - start, trainer.state.global_step
    if precision == "fp16":
        refuse_overflow(first_scale, trainer.accelerator.scaler.get_scale(), steps)
    # else the half precision would stay with the network and predict too, the reloaded one without
    trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    network.attend_by(attention)
    network.zero_grad()  # their memory is for the predictions
    return Effort(
        seconds=round(seconds, 3),
        tokens_per_second=round(float(dataset.lengths.sum()) * epochs / seconds),
        epochs_trained=epochs,
        steps=steps,
        last_loss=_last_loss(trainer.state.log_history),
        precision=precision,
    )


def fastest_attention(precision: str, longest: int) -> str | None:
    """How the backbone is to compute attention while it trains; None: as it does by itself.

    On a CPU the fused kernel's backward pass costs more than the products of short texts.
    """
    short = longest <= SHORT_TEXT
    return "eager" if best_device().type == "cpu" and precision == "bf16" and short else None


def _last_loss(log: Sequence[dict[str, float]]) -> float:
    """Mean of what was logged over the last tenth of the steps."""
    losses = [line["loss"] for line in log if "loss" in line]
    return float(np.mean(losses[-max(1, len(losses) // 10) :])) if losses else math.nan


def predict(network: Network, tokens: Tokens, task: str, scaling: Scaling | None) -> Floats:
    """Predictions (n, c) float64 of all texts, in their order, on the prediction scale."""
    width = network.head.out_features
    logits = outputs_of(network, lambda batch: network(**batch)["logits"], width, tokens)
    if scaling is not None:
        return scaling.restore(logits)
    return TASKS[task].to_prediction(logits)


@torch.inference_mode()
def outputs_of(
    network: nn.Module,
    forward: Callable[[dict[str, torch.Tensor]], torch.Tensor],
    width: int,
    tokens: Tokens,
) -> Floats:
    """What `forward` gives for all texts, (n, width) float64 in their order.

    Batches are cut from the texts sorted by length, so that little is computed for padding; always
    in float32, on whatever precision the network was trained.

    Args:
        forward: (B, T) tensors by argument name to (B, width), through `network`.
    """
    network.eval()
    device = best_device()
    network.to(device)
    lengths = tokens.lengths
    order = np.argsort(lengths, kind="stable")[::-1]
    outputs: list[NDArray[Any]] = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        fitting = PREDICTION_TOKENS[device.type] // longest
        stop = start + min(max(1, fitting), PREDICTION_TEXTS)
        batch = collate(tokens, order[start:stop].tolist())
        found = forward({name: tensor.to(device) for name, tensor in batch.items()})
        outputs.append(found.double().cpu().numpy())
        start = stop
    in_order = np.empty((len(order), width))
    if outputs:
        in_order[order] = np.concatenate(outputs)
    return in_order


def labels_for_loss(task: str, y: NDArray[Any], scaling: Scaling | None) -> torch.Tensor:
    """Targets as the task's loss takes them: standardised, 0/1 columns, or class codes."""
    if scaling is not None:
        y = scaling.standardise(y)
    if task == "binary":
        y = y[:, None]
    return torch.from_numpy(y.astype(np.int64 if task == "multiclass" else np.float32))
