"""Fit a network on a unit's training rows; predict with it. Letters: n rows, c outputs."""

import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

from pipeline.bert.network import Network
from pipeline.bert.tokens import LengthBatches, Tokens, TrainingRows, collate
from pipeline.tasks import TASKS, Floats, Scaling

# tokens of a prediction batch, padding included; a CPU is twice as fast on what its cache holds
PREDICTION_TOKENS = {"cpu": 1_024, "cuda": 16_384}
PREDICTION_TEXTS = 256  # at most: DeBERTa holds a table of 1.6 MB for each, however short


@dataclass(frozen=True)
class Recipe:
    """How a unit is trained; `pipeline.settings.members.Training` says what each field means."""

    epochs: float
    batch_size: int
    learning_rate: float
    warmup: float
    weight_decay: float
    precision: str | None
    seed: int
    trainer: dict[str, Any]


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
        What it took: seconds, real tokens a second, steps, precision.
    Raises:
        ValueError: as `training_arguments` does; numbers do not fit into fp16.
    """
    network.pooling.fit(tokens.of(row) for row in rows)  # type: ignore[operator]
    dataset = TrainingRows(tokens, rows, labels)
    precision = recipe.precision or best_precision()
    trainer = _LengthGroupedTrainer(
        model=network,
        args=training_arguments(recipe, log.parent, best_device().type, precision),
        train_dataset=dataset,
        data_collator=dataset.collate,
        callbacks=[_LogFile(log)],
    )
    trainer.remove_callback(PrinterCallback)
    first_scale = trainer.accelerator.scaler.get_scale() if precision == "fp16" else 1.0
    start = time.perf_counter()
    trainer.train()
    seconds, steps = time.perf_counter() - start, trainer.state.global_step
    if precision == "fp16":
        refuse_overflow(first_scale, trainer.accelerator.scaler.get_scale(), steps)
    # else the half precision would stay with the network and predict too, the reloaded one without
    trainer.accelerator.unwrap_model(network, keep_fp32_wrapper=False)
    network.zero_grad()  # their memory is for the predictions
    return {
        "seconds": round(seconds, 3),
        "tokens_per_second": round(float(dataset.lengths.sum()) * recipe.epochs / seconds),
        "steps": steps,
        "precision": precision,
    }


def refuse_overflow(first_scale: float, last_scale: float, n_steps: int) -> None:
    """Refuse a training of which fp16 left out most steps.

    A step whose gradients overflow is left out and halves the scale of the next ones.

    Raises:
        ValueError: it was so.
    """
    n_left_out = math.inf if last_scale == 0 else math.log2(first_scale / last_scale)
    if n_left_out > n_steps / 2:
        raise ValueError(
            "training.precision: the gradients did not fit into fp16 in most steps, which were "
            "left out; set it to fp32, or to bf16 on a GPU that has it"
        )


def training_arguments(
    recipe: Recipe, folder: Path, device: str, precision: str
) -> TrainingArguments:
    """Trainer's own defaults, but for what the recipe and the machine say.

    Raises:
        ValueError: `recipe.trainer` has a key that is none of theirs, or a value they do not take;
            fp16 without a GPU.
    """
    if precision == "fp16" and device == "cpu":
        raise ValueError("training.precision: fp16 needs a GPU, and none is seen; leave it null")
    try:
        return TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=recipe.epochs,
            per_device_train_batch_size=recipe.batch_size,
            learning_rate=recipe.learning_rate,
            warmup_steps=recipe.warmup,  # below 1 it is a share
            weight_decay=recipe.weight_decay,
            seed=recipe.seed,
            use_cpu=device == "cpu",
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            dataloader_pin_memory=device == "cuda",
            remove_unused_columns=False,
            save_strategy="no",
            eval_strategy="no",
            logging_steps=recipe.trainer.get("logging_steps", 0.05),
            report_to="none",
            disable_tqdm=True,
            **{k: v for k, v in recipe.trainer.items() if k != "logging_steps"},
        )
    except Exception as error:  # whatever they raise: it is about a key or a value of the user
        reason = " ".join(str(error).split())
        raise ValueError(
            f"training.trainer: {reason}; see transformers.TrainingArguments"
        ) from None


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


class _LengthGroupedTrainer(Trainer):
    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: TrainingRows = self.train_dataset  # type: ignore[assignment]
        return LengthBatches(rows.lengths, self.args.train_batch_size, self.args.seed)


class _LogFile(TrainerCallback):
    """Writes what Trainer logs as a JSON a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")
