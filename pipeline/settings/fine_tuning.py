"""The section `training` of a competition's YAML: how fine-tuned members are trained."""

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator

from pipeline.files.messages import short
from pipeline.settings.section import Columns, Real, Section, Spelled, Whole, as_spelled

# the tasks that a loss fits; a task's first loss is its default
TASKS_OF_LOSS: dict[str, tuple[str, ...]] = {
    "mse": ("regression",),
    "mae": ("regression",),
    "smooth_l1": ("regression",),
    "bce": ("binary", "multilabel"),
    "cross_entropy": ("multiclass",),
    "focal": ("binary", "multiclass", "multilabel"),
    "ordinal": ("multiclass",),
}
# fields of transformers.TrainingArguments that `trainer` must not set, and our settings for them
TRAINER_KEYS = {
    "num_train_epochs": "training.epochs",
    "max_steps": "training.epochs",
    "per_device_train_batch_size": "training.batch_size",
    "per_device_eval_batch_size": "training.batch_size",
    "learning_rate": "training.learning_rate",
    "warmup_steps": "training.warmup",
    "warmup_ratio": "training.warmup",
    "weight_decay": "training.weight_decay",
    "seed": "a member's seed",
    "data_seed": "a member's seed",
    "output_dir": "competition",
    "use_cpu": "the machine: a GPU is used if there is one",
    "dataloader_pin_memory": "the machine: memory is pinned where there is a GPU",
    "bf16": "training.precision",
    "fp16": "training.precision",
    "train_sampling_strategy": "training: batches are always grouped by length",
    "length_column_name": "training: batches are always grouped by length",
    "remove_unused_columns": "training: the columns are fixed",
    "label_names": "data.target",
    "eval_strategy": "the folds: a unit predicts its fold once, at the end",
    "save_strategy": "the unit: it is written once, whole",
    "logging_strategy": "the unit's log",
    "report_to": "the unit's log",
    "disable_tqdm": "the bar over the units",
}


def _as_json(value: Any) -> Any:
    """The value if JSON gives it back: no date, and not NaN, which equals nothing."""
    with suppress(TypeError, ValueError):
        if json.loads(json.dumps(value)) == value:
            return value
    raise ValueError(
        f"is {value!r}, which run.json cannot hold; give a number, a text, true or false, or lists "
        "and maps of these"
    )


# of a pooling, a classic model or Trainer, which check the names
Options = dict[str, Annotated[Any, AfterValidator(_as_json)]]


def _as_weights(value: object) -> object:
    """The word balanced, null, or numbers above 0 by name."""
    if value is None or value == "balanced":
        return value
    weights = value if isinstance(value, dict) else {}
    bad = [w for w in weights.values() if type(w) not in (int, float) or not 0 < w < math.inf]
    if not weights or bad:
        raise ValueError(
            "is balanced, or a number above 0 by class, such as {spam: 2}, or null, got "
            f"{short(bad[0] if bad else value)}; correct it"
        )
    return {str(as_spelled(name)): float(weight) for name, weight in weights.items()}


def _as_dropout(value: Any) -> object:
    """The word pretrained, null, or a number from 0 to below 1."""
    if value is None or value == "pretrained":
        return value
    with suppress(TypeError, ValueError):
        if not isinstance(value, bool) and 0 <= (share := float(value)) < 1:
            return share
    raise ValueError(
        f"is a number from 0 to below 1, or pretrained, or null, got {short(value)}; correct it"
    )


# by the name of a class or label
ClassWeights = Annotated[
    Literal["balanced"] | Mapping[str, float] | None, PlainValidator(_as_weights)
]


def _not_ours(trainer: Options) -> Options:
    for key in trainer:
        if key in TRAINER_KEYS:
            raise ValueError(f"{key} is set by {TRAINER_KEYS[key]}; use that")
    n_batches = trainer.get("gradient_accumulation_steps", 1)
    if type(n_batches) is not int or n_batches < 1:
        raise ValueError(
            f"gradient_accumulation_steps is a whole number from 1, got {short(n_batches)}; "
            "correct it"
        )
    return trainer


class Lora(Section):
    """training.lora"""

    rank: Whole = Field(16, ge=1, le=1024, description="columns of an adapter's matrices")
    alpha: Whole = Field(32, ge=1, description="an adapter's output is scaled by alpha / rank")
    dropout: Real = Field(0.0, ge=0, lt=1, description="dropout of an adapter's input")
    targets: Columns = Field(
        (), description="names of the linear layers that get adapters; none: all of them"
    )


class Training(Section):
    epochs: Real | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="passes over the training rows of a unit; null: 3, or more if rows are few",
    )
    batch_size: Whole | None = Field(
        None, ge=1, description="rows in a training step; null: 32, or 8 if rows are few"
    )
    learning_rate: Real | None = Field(
        None,
        gt=0,
        description="peak learning rate, which then decays linearly to 0; null: 1e-4 for backbones "
        "of MiniLM's width, 2e-5 for base, 1e-5 for large ones, 10 times as much with lora",
    )
    head_learning_rate: Real | None = Field(
        None,
        gt=0,
        description="peak for the head and the pooling; null: 20 x learning_rate for regressions, "
        "50 x for classes and labels; a tenth of that with lora",
    )
    loss: Spelled | None = Field(
        None,
        description=f"loss that training minimises: {', '.join(TASKS_OF_LOSS)}; null: mse for "
        "regressions (mae where that is the metric), cross_entropy for classes, bce for binary and "
        "labels",
    )
    class_weights: ClassWeights = Field(
        None,
        description="weights of classes, such as {spam: 2}, those left out 1; of a label, that of "
        "its positive rows; balanced: all classes weigh as much in total; classic members take it "
        "too",
    )
    warmup: Real = Field(
        0.1, ge=0, lt=1, description="share of the steps with a rising learning rate"
    )
    weight_decay: Real = Field(0.0, ge=0, description="weight decay of AdamW, on weight matrices")
    max_length: Whole = Field(128, ge=4, description="tokens of a text, special tokens included")
    truncation: Literal["head", "tail", "head_tail"] = Field(
        "head",
        description="what is kept of a longer text: its head, its tail, or head_tail: a quarter of "
        "the tokens from its head and the rest from its tail",
    )
    windows: Whole | None = Field(
        None,
        ge=1,
        description="most windows of max_length tokens in which a longer text is read; the pooling "
        "sees the tokens of all; null: 1, longer texts are cut",
    )
    window_overlap: Real = Field(
        0.25, ge=0, lt=1, description="share of a window's text that the next window repeats"
    )
    windows_at_once: Whole | None = Field(
        None,
        ge=1,
        description="windows that pass the backbone together, which bounds memory; null: "
        "batch_size, or 32 where that is null too",
    )
    dropout: Annotated[float | Literal["pretrained"] | None, PlainValidator(_as_dropout)] = Field(
        None,
        description="dropout in the backbone, or pretrained: as in pretraining; null: 0 for "
        "backbones of MiniLM's width, else as in pretraining",
    )
    freeze_embeddings: bool = Field(True, description="do not train the embedding tables")
    freeze_layers: Whole = Field(
        0, ge=0, description="lowest layers that are not trained, nor the embeddings then"
    )
    layer_decay: Real = Field(
        1.0,
        gt=0,
        le=1,
        description="factor of the learning rate from each layer to the one below it, such as "
        "0.9; the embeddings are below the lowest layer",
    )
    lora: Lora | None = Field(
        None,
        description="train adapters instead of the backbone, such as {rank: 16, alpha: 32, "
        "dropout: 0, targets: [query, value]}; {}: those numbers and all linear layers; null: no "
        "adapters",
    )
    precision: Literal["fp32", "bf16", "fp16"] | None = Field(
        None,
        description="fp32, bf16 or fp16; null: bf16 where GPU or CPU have units for it, else on a "
        "GPU fp16, else fp32",
    )
    save: Literal["fp32", "fp16"] = Field(
        "fp32", description="precision of a unit's weights on disk; fp16 takes half the space"
    )
    trainer: Annotated[Options, AfterValidator(_not_ours)] = Field(
        {}, description="any other field of transformers.TrainingArguments"
    )


def losses_for(task: str) -> list[str]:
    return [name for name, tasks in TASKS_OF_LOSS.items() if task in tasks]
