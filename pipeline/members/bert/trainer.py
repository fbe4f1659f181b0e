"""Training arguments, and the batching that differs from Trainer's own."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from pipeline.members.bert.tokens import LengthBatches, TrainingRows
from pipeline.settings.members import Training


def training_arguments(
    training: Training, seed: int, epochs: float, folder: Path, device: str, precision: str
) -> TrainingArguments:
    """Trainer's own defaults, but for what the settings and the machine say.

    Args:
        epochs: passes over the training rows, instead of the setting, which may be null.
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
    Raises:
        ValueError: `training.trainer` has a key that Trainer does not know, or a value that it does
            not take; fp16 without a GPU.
    """
    if precision == "fp16" and device == "cpu":
        raise ValueError("training.precision: fp16 needs a GPU, and none is seen; leave it null")
    try:
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=epochs,
            per_device_train_batch_size=training.batch_size,
            learning_rate=training.learning_rate,
            warmup_steps=training.warmup,  # below 1 it is a share
            weight_decay=training.weight_decay,
            seed=seed,
            use_cpu=device == "cpu",
            bf16=precision == "bf16",
            fp16=precision == "fp16",
            dataloader_pin_memory=device == "cuda",
            remove_unused_columns=False,
            save_strategy="no",
            eval_strategy="no",
            logging_steps=training.trainer.get("logging_steps", 0.05),
            report_to="none",
            disable_tqdm=True,
            **{k: v for k, v in training.trainer.items() if k != "logging_steps"},
        )
    except Exception as error:  # whatever they raise: it is about a key or a value of the user
        reason = " ".join(str(error).split())
        raise ValueError(
            f"training.trainer: {reason}; see transformers.TrainingArguments"
        ) from None
    if precision == "fp32":
        arguments.mixed_precision = "no"  # else ACCELERATE_MIXED_PRECISION would have a say
    return arguments


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


class LengthGroupedTrainer(Trainer):
    """Batches of like length; for the head and the pooling another rate, where it is set."""

    head_rate: float

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: TrainingRows = self.train_dataset  # type: ignore[assignment]
        return LengthBatches(rows.lengths, self.args.train_batch_size, self.args.seed)

    def create_optimizer(self, *arguments: Any) -> torch.optim.Optimizer:
        """Trainer's own, with groups and a rate of their own for the head and the pooling."""
        optimizer = super().create_optimizer(*arguments)
        named = self.model.named_parameters()  # type: ignore[union-attr]
        of_head = {id(p) for name, p in named if not name.startswith("backbone.")}
        for group in list(optimizer.param_groups):
            params = group["params"]
            group["params"] = [p for p in params if id(p) not in of_head]
            taken_out = [p for p in params if id(p) in of_head]
            if taken_out:
                own = {"params": taken_out, "lr": self.head_rate}
                optimizer.add_param_group({**group, **own})
        return optimizer


class LogFile(TrainerCallback):
    """Writes what Trainer logs as a JSON a line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")
