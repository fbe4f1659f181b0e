"""Fit a network on a unit's training rows; predict with it. Letters: n rows, c outputs."""

import math
import random
import time
from collections.abc import Callable, Sequence
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
    Recipe,
    refuse_overflow,
    training_arguments,
)
from pipeline.members.steps import epochs_for
from pipeline.scoring.tasks import TASKS, Floats, Scaling

# tokens of a prediction batch, padding included; a CPU is twice as fast on what its cache holds
PREDICTION_TOKENS = {"cpu": 1_024, "cuda": 16_384}
SHORT_TEXT = 128  # tokens
PREDICTION_TEXTS = 256  # at most: DeBERTa holds a table of 1.6 MB for each, however short


def seed_everything(seed: int) -> None:
    """Seed before the network is built: its head starts at random."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)  # all GPUs too


def best_device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def best_precision() -> str:
    """bf16 or, on a GPU from before it, fp16 where there are units for it; else fp32."""
    if best_device().type == "cpu":
        return "fp32"
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16"
    return "fp16" if torch.cuda.get_device_capability() >= (7, 0) else "fp32"


def fit(
    network: Network,
    tokens: Tokens,
    rows: NDArray[np.int64],
    labels: torch.Tensor,
    recipe: Recipe,
    log: Path,
) -> dict[str, Any]:
    """Train `network` in place.

    Args:
        rows: (n,) row numbers in `tokens` to train on.
        labels: their labels, (n, c) float32 or (n,) int64 class codes, as the loss wants them.
        log: file that gets what Trainer logs, a JSON a line.
    Returns:
        What it took: seconds, real tokens a second, epochs, steps, the training loss at the end,
        precision.
    Raises:
        ValueError: as `training_arguments` does; numbers do not fit into fp16.
    """
    network.pooling.fit(tokens.of(row) for row in rows)  # type: ignore[operator]
    dataset = TrainingRows(tokens, rows, labels)
    epochs = epochs_for(recipe.epochs, len(rows), recipe.batch_size)
    precision = recipe.precision or best_precision()
    trainer = LengthGroupedTrainer(
        model=network,
        args=training_arguments(recipe, epochs, log.parent, best_device().type, precision),
        train_dataset=dataset,
        data_collator=dataset.collate,
        callbacks=[LogFile(log)],
    )
    trainer.head_learning_rate = recipe.head_learning_rate
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
    return {
        "seconds": round(seconds, 3),
        "tokens_per_second": round(float(dataset.lengths.sum()) * epochs / seconds),
        "epochs_trained": epochs,
        "steps": steps,
        "last_loss": _last_loss(trainer.state.log_history),
        "precision": precision,
    }


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
