"""Settings of the members, fine-tuned and classic, and the values that they inherit."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, PlainValidator, Tag

from pipeline.files.messages import short
from pipeline.settings.section import (
    Columns,
    Name,
    Real,
    Section,
    Spelled,
    Template,
    Whole,
    as_spelled,
)

MOST_SEEDS = 100  # of one entry
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
EMBEDDING_MODELS = (
    "embedding_linear",
    "embedding_svr",
)  # the classic models that read a backbone's embeddings
SEEDLESS_MODELS = ("tfidf_linear", *EMBEDDING_MODELS)  # another seed gives a copy, or nearly
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
    try:
        if json.loads(json.dumps(value)) == value:
            return value
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"is {value!r}, which run.json cannot hold; give a number, a text, true or false, or lists "
        "and maps of these"
    )


def _joined(value: object) -> object:
    """`[mean, max]` as mean+max: one text wherever the name of a pooling goes."""
    if not isinstance(value, list):
        return as_spelled(value)
    if not value or not all(isinstance(name, str) for name in value):
        raise ValueError(
            f"pooling is a name, or a list of names such as [mean, max], got {short(value)}; "
            "options go into options"
        )
    return "+".join(value)


# of a pooling, a classic model or Trainer, which check the names
Options = dict[str, Annotated[Any, AfterValidator(_as_json)]]


def _as_weights(value: object) -> object:
    """The word balanced, null, or numbers above 0 by name."""
    if value is None or value == "balanced":
        return value
    if isinstance(value, dict) and value:
        weights = {as_spelled(name): weight for name, weight in value.items()}
        bad = [w for w in weights.values() if type(w) not in (int, float) or not 0 < w < math.inf]
        if all(isinstance(name, str) for name in weights) and not bad:
            return {name: float(weight) for name, weight in weights.items()}
        value = bad[0] if bad else value
    raise ValueError(
        "is balanced, or a number above 0 by class, such as {yes: 2}, or null, got "
        f"{short(value)}; correct it"
    )


# by the name of a class or label
ClassWeights = Annotated[
    Literal["balanced"] | Mapping[str, float] | None, PlainValidator(_as_weights)
]


def _not_ours(trainer: Options) -> Options:
    for key in trainer:
        if key in TRAINER_KEYS:
            raise ValueError(f"{key} is set by {TRAINER_KEYS[key]}; use that")
    return trainer


class Lora(Section):
    """training.lora"""

    rank: Whole = Field(16, ge=1, le=1024, description="columns of an adapter's matrices")
    alpha: Whole = Field(32, ge=1, description="an adapter's output is scaled by alpha / rank")
    dropout: Real = Field(0.0, ge=0, lt=1, description="dropout of an adapter's input")
    targets: Columns = Field(
        (), description="names of the linear layers that get adapters; none: all of them"
    )


class MultiSampleDropout(Section):
    """training.multi_sample_dropout"""

    samples: Whole = Field(
        5, ge=2, le=100, description="masks of a batch, whose losses are averaged"
    )
    dropout: Real = Field(0.3, gt=0, lt=1, description="dropout of the pooled vector")


class Training(Section):
    """training"""

    epochs: Real | None = Field(
        None,
        gt=0,
        description="passes over the training rows of a unit; null: 3, or more if rows are few",
    )
    batch_size: Whole | None = Field(
        None, ge=1, description="rows in a training step; null: 32, or 8 if rows are few"
    )
    learning_rate: Real | None = Field(
        None,
        gt=0,
        description="peak learning rate, which then decays linearly to 0; null: 1e-4 for backbones "
        "of MiniLM's width, 2e-5 for base, 1e-5 for large ones, 1e-4 with lora",
    )
    head_learning_rate: Real | None = Field(
        None,
        gt=0,
        description="peak for the head and the pooling; null: 20 x learning_rate for regressions, "
        "50 x for classes and labels",
    )
    loss: Spelled | None = Field(
        None,
        description=f"loss that training minimises: {', '.join(TASKS_OF_LOSS)}; null: mse for "
        "regressions (mae where that is the metric), cross_entropy for classes, bce for binary and "
        "labels",
    )
    class_weights: ClassWeights = Field(
        None,
        description="weights of classes, such as {yes: 2}, those left out 1; of a label, that of "
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
    dropout: Annotated[Real, Field(ge=0, lt=1)] | Literal["pretrained"] | None = Field(
        None,
        description="dropout in the backbone, or pretrained: as in pretraining; null: 0 for "
        "backbones of MiniLM's width, else as in pretraining",
    )
    multi_sample_dropout: MultiSampleDropout | None = Field(
        None,
        description="dropout before the head by several masks at once, such as {samples: 5, "
        "dropout: 0.3}; {}: those numbers; null: none",
    )
    freeze_embeddings: bool = Field(True, description="do not train the embedding tables")
    freeze_layers: Whole = Field(
        0, ge=0, description="lowest layers that are not trained, nor the embeddings then"
    )
    reinit_layers: Whole = Field(
        0, ge=0, description="top layers that start at random as before pretraining"
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


def _not_a_blend(name: str) -> str:
    if name.startswith("blend_"):
        raise ValueError(f"{name!r}: names that start with blend_ are kept for blends")
    return name


class Named(Section):
    """What every member has."""

    name: Annotated[Name, AfterValidator(_not_a_blend)] = Field(
        description="unique; that of the pooling or model unless two share it"
    )
    seed: Whole = Field(ge=0, lt=2**32, description="derived from the seed and the name")
    template: Template | None = Field(
        None,
        description="how text columns and features become one text; null: each column is a text",
    )

    @property
    def settings(self) -> Options:
        """Everything but data and backbone files that determines its models."""
        return self.model_dump(exclude={"name"})


class Member(Training, Named):
    """A fine-tuned backbone."""

    kind: ClassVar[str] = "bert"  # of `members.kinds`
    variation: ClassVar[str] = "seed: 7"  # makes a second member of the same pooling another model

    pooling: Annotated[str, BeforeValidator(_joined)] = Field(
        description="name of the pooling, which turns tokens into a vector; [mean, max]: the "
        "vectors of both, side by side"
    )
    options: Options = Field(
        {}, description="options of the pooling; of several, by name, such as {mean: {segment: 2}}"
    )
    backbone: Spelled = Field(description="a demo name, a folder or a hub id")

    @property
    def reads_segment(self) -> bool:
        """Whether a pooling has the option `segment`."""
        maps = (of for of in (self.options, *self.options.values()) if isinstance(of, dict))
        return any(of.get("segment") is not None for of in maps)


def with_loss(member: Member, task: str, metric: str) -> Member:
    """The member with the task's loss where it has none of its own."""
    if member.loss is not None:
        return member
    fitting = losses_for(task)
    return member.model_copy(update={"loss": metric if metric in fitting else fitting[0]})


def losses_for(task: str) -> list[str]:
    return [name for name, tasks in TASKS_OF_LOSS.items() if task in tasks]


class ClassicMember(Named):
    """A model that is not fine-tuned; of `training` it inherits the weights of classes only."""

    kind: ClassVar[str] = "classic"
    variation: ClassVar[str] = "other options"  # another seed gives a near copy at best

    model: Spelled = Field(description="name of the classic model, instead of a pooling")
    options: Options = Field({}, description="options of the model")
    backbone: Spelled | None = Field(None, description="backbone of a model that reads embeddings")
    class_weights: ClassWeights = Field(None, description="as training.class_weights")


FINE_TUNED, CLASSIC = "fine-tuned", "classic"
KINDS: dict[str, type[Member] | type[ClassicMember]] = {
    FINE_TUNED: Member,
    CLASSIC: ClassicMember,
}


def _kind(member: object) -> str:
    is_classic = "model" in member if isinstance(member, dict) else hasattr(member, "model")
    return CLASSIC if is_classic else FINE_TUNED


AnyMember = Annotated[
    Annotated[Member, Tag(FINE_TUNED)] | Annotated[ClassicMember, Tag(CLASSIC)],
    Discriminator(_kind),
]


def expanded(member: object) -> list[object]:
    """The members that an entry stands for: with `seeds: 3`, NAME-s1 to NAME-s3."""
    if not isinstance(member, dict):
        return [member]
    model, seeded = member.get("model"), [key for key in ("seed", "seeds") if key in member]
    if seeded and model in SEEDLESS_MODELS:
        raise ValueError(
            f"member {_name_of(member)}: {seeded[0]} is set, but model {model} predicts almost "
            "the same with any seed; leave it out, or give the member other options"
        )
    if "seeds" not in member:
        return [member]
    n = member["seeds"]
    if type(n) is not int or not 1 <= n <= MOST_SEEDS:
        raise ValueError(f"seeds of a member is a number from 1 to {MOST_SEEDS}, got {short(n)}")
    if "seed" in member:
        raise ValueError("a member has one seed, or seeds: a number of them, not both")
    entry = {key: value for key, value in member.items() if key != "seeds"}
    return [{**entry, "name": f"{_name_of(entry)}-s{k}"} for k in range(1, n + 1)]


def _name_of(entry: Options) -> object:
    if "name" in entry:
        return entry["name"]
    own = entry.get("pooling", entry.get("model"))
    own = _joined(own) if isinstance(own, list) else own
    return own.replace("+", "-") if isinstance(own, str) else own


def filled_in(
    member: object, training: Training, template: str | None, backbone: str | None, seed: int
) -> object:
    """A member with what it leaves out: name, seed, and what its kind inherits."""
    if not isinstance(member, dict):
        return member
    if "model" in member:
        weights: Options = {"class_weights": training.class_weights}
        member = {**weights, **_with_backbone(member, backbone)}
    else:
        shared = {} if backbone is None else {"backbone": backbone}
        member = {**training.model_dump(), **shared, **member}
    name = _name_of(member)
    return {
        "name": name,
        "seed": derived_seed(seed, str(name)),
        "template": template,
        **member,
    }


def _with_backbone(member: Options, shared: str | None) -> Options:
    """Embeddings are those of the member's own backbone, otherwise of the shared backbone."""
    model, own = member["model"], member.get("backbone")
    if "pooling" in member:
        raise ValueError("a member has a pooling (fine-tuned) or a model (classic), not both")
    if not isinstance(model, str):
        raise ValueError(f"a model is a name, got {model!r}")
    if model not in EMBEDDING_MODELS:
        if own is not None:
            raise ValueError(f"model {model} reads no backbone; leave it out of the member")
        return member
    own = shared if own is None else own
    if own is None:
        raise ValueError(f"model {model} reads the embeddings of a backbone; set backbone")
    return {**member, "backbone": own}


def derived_seed(seed: int, name: str) -> int:
    """A 32-bit seed from the competition's seed and the member's name.

    Members that share a seed see the same batches from the same start and become near copies.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:4], "big")
