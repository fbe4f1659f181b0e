"""Training arguments, and the batching that differs from Trainer's own."""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import Trainer, TrainerCallback, TrainingArguments

from pipeline.members.bert.tokens import LengthBatches, TrainingRows
from pipeline.settings.fine_tuning import Training


def training_arguments(
    training: Training, seed: int, folder: Path, device: str, precision: str
) -> TrainingArguments:
    """Trainer's arguments: the settings and the device's, else Trainer's defaults.

    Args:
        training: as from `for_backbone` and `scheduled`.
        device: "cpu" or "cuda".
        precision: "fp32", "bf16" or "fp16".
    Raises:
        ValueError: Trainer refuses a key or value of `training.trainer`; fp16 without a GPU.
    """
    if precision == "fp16" and device == "cpu":
        raise ValueError("training.precision: fp16 needs a GPU, but there is none; leave it null")
    try:
        arguments = TrainingArguments(
            output_dir=str(folder),
            num_train_epochs=training.epochs,  # type: ignore[arg-type]
            per_device_train_batch_size=training.batch_size,  # type: ignore[arg-type]
            learning_rate=training.learning_rate,  # type: ignore[arg-type]
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
            report_to="none",
            disable_tqdm=True,
            **{"logging_steps": 0.05, **training.trainer},
        )
    except Exception as error:  # of any type: a key or value of the user is wrong
        reason = " ".join(str(error).split())
        raise ValueError(
            f"training.trainer: {reason}; see transformers.TrainingArguments"
        ) from None
    if precision == "fp32":
        arguments.mixed_precision = "no"  # overrides ACCELERATE_MIXED_PRECISION
    return arguments


def refuse_overflow(first_scale: float, last_scale: float, n_steps: int) -> None:
    """Raise a ValueError if fp16 skipped most steps: each skipped step halves the loss scale."""
    n_skipped = math.inf if last_scale == 0 else math.log2(first_scale / last_scale)
    if n_skipped > n_steps / 2:
        raise ValueError(
            "training.precision: the gradients did not fit into fp16 in most steps, which were "
            "skipped; set it to fp32, or to bf16 on a GPU that has it"
        )


class LengthGroupedTrainer(Trainer):
    """Batches of similar length, and learning rates of parameters.

    Attributes:
        rates: peak learning rates of the backbone's parameters by their id.
        head_rate: that of the others, which are of head and pooling.
    """

    rates: dict[int, float]
    head_rate: float

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows: TrainingRows = self.train_dataset  # type: ignore[assignment]
        return LengthBatches(rows.lengths, self.args.train_batch_size, self.args.seed)

    def get_decay_parameter_names(self, model: torch.nn.Module) -> list[str]:
        """Weight matrices; Trainer's own are all but norms and biases, layer weights too."""
        vectors = {name for name, parameter in model.named_parameters() if parameter.ndim < 2}
        return [n for n in super().get_decay_parameter_names(model) if n not in vectors]

    def create_optimizer(self, *arguments: Any) -> torch.optim.Optimizer:
        """Trainer's optimizer, each of its groups divided by learning rate."""
        optimizer = super().create_optimizer(*arguments)
        groups = []
        for group in optimizer.param_groups:
            by_rate: dict[float, list[torch.nn.Parameter]] = {}
            for parameter in group["params"]:
                rate = self.rates.get(id(parameter), self.head_rate)
                by_rate.setdefault(rate, []).append(parameter)
            # the log tells the rate of the first group: the backbone's highest, if it trains
            for rate in sorted(by_rate, key=lambda rate: (rate > self.args.learning_rate, -rate)):
                groups.append({**group, "params": by_rate[rate], "lr": rate})
        optimizer.param_groups = groups
        return optimizer


class LogFile(TrainerCallback):
    """Appends Trainer's log to a file, one JSON per line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            steps = {"step": state.global_step, "steps": state.max_steps}
            file.write(json.dumps({**steps, **(logs or {})}) + "\n")
