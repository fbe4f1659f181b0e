"""Members that fine-tune an encoder with a pooling and a head; their inputs are `Tokens`."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any, cast

from safetensors.torch import load_file, save_file
from transformers import TrainingArguments, set_seed

from pipeline.competition.features import NO_COLUMNS, Columns
from pipeline.files.hashes import file_sha256
from pipeline.files.paths import backbones_dir
from pipeline.files.suggestions import did_you_mean, meant_by
from pipeline.members.bert.adapters import check_adapters
from pipeline.members.bert.cutting import TRUNCATIONS
from pipeline.members.bert.finetune import (
    FP32_ONLY,
    fit,
    labels_for_loss,
    predict,
    shrink_head,
    weights_for_loss,
)
from pipeline.members.bert.layers import check_layers
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.named_poolings import build_pooling, known_poolings, pooling_options
from pipeline.members.bert.network import (
    Network,
    build_network,
    load_trained_tensors,
    start_head,
    trained_tensors,
)
from pipeline.members.bert.pretrained import read_config, read_tokenizer
from pipeline.members.bert.segments import segment_of
from pipeline.members.bert.tokens import Tokens, TrainingRows, positions_of, tokenize
from pipeline.members.bert.trainer import training_arguments
from pipeline.members.bert.windows import Windows
from pipeline.members.defaults import BATCH, for_backbone, scheduled
from pipeline.members.training_table import UnitToTrain
from pipeline.members.units import LOG, Encoding, Texts, Unit, read_run, scaling_of, unchanged
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Jobs
from pipeline.settings.fine_tuning import Lora, Options
from pipeline.settings.members import Member
from pipeline.settings.template import n_parts

WEIGHTS = "weights.safetensors"
OF_NETWORK = {"pooling", "options", "template", "freeze_embeddings", "freeze_layers", "lora"}


class Bert:
    """See `members.kinds.Kind`."""

    def check(self, member: Member, backbone: Path | None) -> None:
        _check_segments(member)
        _check_trainer(member)
        config: Any = read_config(backbone) if backbone else None
        if member.lora is not None:
            check_adapters(member.lora, config)
        if backbone is None:
            return
        check_layers(member, config)
        if member.precision in ("bf16", "fp16") and config.model_type in FP32_ONLY:
            raise ValueError(
                f"training.precision is {member.precision}, but a backbone of type "
                f"{config.model_type} trains in fp32 alone; leave it null"
            )
        options = all_options(member.pooling, member.options, backbone, member.template)
        build_pooling(member.pooling, config.hidden_size, config.num_hidden_layers, **options)
        # a tokenizer may be set to fewer, as those of embedding models are
        limit = positions_of(config) or read_tokenizer(backbone).model_max_length
        # DeBERTa-v3 has relative positions only, and reads longer texts than in pretraining
        if member.max_length > limit and getattr(config, "position_biased_input", True):
            raise ValueError(
                f"training.max_length is {member.max_length}, but the backbone reads at most "
                f"{limit} tokens; lower it"
            )

    def encoding(self, member: Member, backbone: Path | None) -> Encoding:
        windows = (member.windows or 1, member.window_overlap)
        return Encoding(cast(Path, backbone), member.max_length, member.truncation, *windows)

    def inputs(
        self, encoding: Encoding, texts: Texts, jobs: Jobs | None, features: Columns = NO_COLUMNS
    ) -> Tokens:
        return tokenize(read_tokenizer(encoding.backbone), texts, *encoding[1:])

    def warning(self, member: Member, inputs: Tokens) -> str | None:
        if not inputs.n_cut:
            return None
        windows = "" if member.windows is None else f"training.windows {member.windows} of "
        return (
            f"{inputs.n_cut} of {len(inputs)} texts ({inputs.n_cut / len(inputs):.1%}) are longer "
            f"than {windows}training.max_length {member.max_length} and lose their "
            f"{TRUNCATIONS[member.truncation].loses}; raise training.max_length or "
            "training.windows to keep more"
        )

    def fit(
        self, unit: UnitToTrain, inputs: Tokens, folder: Path
    ) -> tuple[Floats, dict[str, object]]:
        table, rows, backbone = unit.table, unit.training, cast(Encoding, unit.encoding).backbone
        member = for_backbone(cast(Member, unit.member), backbone, table.task)
        set_seed(member.seed)  # before the network is built, whose head is random
        at_once = member.windows_at_once or member.batch_size or BATCH
        windows = Windows(member.max_length, at_once) if member.windows is not None else None
        settings = {**member.model_dump(include=OF_NETWORK), "windows": windows}
        dropout = None if member.dropout == "pretrained" else member.dropout
        n_columns, loss = len(table.train.columns), LOSSES[str(member.loss)]
        network = _network(backbone, settings, n_columns, table.task, loss=loss, dropout=dropout)
        y = table.train.y if table.train.shares is None else table.train.shares
        labels = labels_for_loss(table.task, y[rows], unit.scaling)
        weights = weights_for_loss(table.task, unit.label_weights)
        start_head(network.head, loss.constant(labels, n_columns, weights))
        dataset = TrainingRows(inputs, rows, labels, weights)
        constant_loss = shrink_head(network, dataset)
        effort = fit(network, dataset, member, seed=member.seed, log=folder / LOG)
        tensors = trained_tensors(network)
        if member.save == "fp16":
            tensors = {k: t.half() if t.is_floating_point() else t for k, t in tensors.items()}
            load_trained_tensors(network, tensors)  # predict as the unit will from its file
        predictions = predict(network, inputs.take(unit.held_out), table.task, unit.scaling)
        save_file(tensors, folder / WEIGHTS)
        return predictions, {
            "weights_sha256": file_sha256(folder / WEIGHTS),
            "network": settings,
            **effort,
            "constant_loss": constant_loss,
        }

    def load(self, unit: Unit) -> Callable[[Tokens], Floats]:
        run, weights = read_run(unit), unchanged(unit, WEIGHTS, "weights_sha256")
        backbone = backbones_dir(unit.competition) / run["encoding"]["backbone"]
        # dropout is off in predictions
        network = _network(backbone, run["network"], len(run["columns"]), run["task"], dropout=None)
        try:
            load_trained_tensors(network, load_file(weights))
        except ValueError as error:  # another version wrote them
            raise ValueError(f"{weights}: {error}; {unit.remedy}") from None
        return partial(predict, network, task=run["task"], scaling=scaling_of(unit))


def _network(
    backbone: Path, settings: Options, n_columns: int, task: str, **in_training: Any
) -> Network:
    """The network of a unit; `settings` are those of `OF_NETWORK`, as `run.json` holds them.

    Args:
        in_training: arguments of `build_network` that change nothing in a trained network.
    """
    pooling = settings["pooling"]
    options = all_options(pooling, settings["options"], backbone, settings["template"])
    return build_network(
        backbone,
        pooling,
        options,
        n_columns,
        task=task,
        freeze_embeddings=settings["freeze_embeddings"],
        freeze_layers=settings["freeze_layers"],
        lora=Lora(**settings["lora"]) if settings["lora"] else None,
        windows=Windows(*settings["windows"]) if settings["windows"] else None,
        **in_training,
    )


def all_options(
    pooling: str, options: Options, backbone: Path, template: str | None = None
) -> Mapping[str, Any]:
    """The options of a pooling, with those that come from the backbone and from the template."""
    # read where a pooling asks for it: a tokenizer takes longer to load than a small model
    from_backbone: dict[str, Callable[[], Any]] = {
        "vocab_size": lambda: read_config(backbone).vocab_size,
        "special_ids": lambda: sorted(read_tokenizer(backbone).all_special_ids),
    }
    by_name: dict[str, Options] = {}
    for name, own in known_poolings(pooling, options):
        asked = from_backbone.keys() & pooling_options(name)
        by_name[name] = {**{option: from_backbone[option]() for option in asked}, **own}
        if own.get("segment") is not None:
            tokenizer = read_tokenizer(backbone)
            by_name[name]["segment"] = segment_of(own["segment"], n_parts(template), tokenizer)
    return by_name.get(pooling, by_name)  # of several poolings those of each, by its name


def _check_segments(member: Member) -> None:
    """Raise a ValueError for an unknown pooling, or a part of texts that is not where it was."""
    moved = "windows" if member.windows is not None else None
    if member.truncation != "head" and member.template is not None:
        moved = "truncation"
    for _, own in known_poolings(member.pooling, member.options):
        if own.get("segment") is not None and moved is not None:
            raise ValueError(
                f"options.segment {own['segment']!r} counts separators, which training.{moved} "
                f"{getattr(member, moved)} may repeat or cut off; leave one of the two out"
            )


def _check_trainer(member: Member) -> None:
    known = [field.name for field in fields(TrainingArguments)]
    for key in member.trainer:
        if key not in known:
            meant = meant_by(key, known)
            hint = did_you_mean([*map(repr, meant)]) if meant else "see its documentation"
            raise ValueError(
                f"training.trainer: {key!r} is no field of transformers.TrainingArguments; {hint}"
            )
    # Trainer checks the rest; device and precision are checked by the workers
    training_arguments(scheduled(member, 1), member.seed, Path("unused"), "cpu", "fp32")
