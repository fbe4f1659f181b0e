"""Train and keep one BERT unit; load it again and predict. These are what workers run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer

from pipeline.files.paths import backbones_dir
from pipeline.members.bert.finetune import (
    best_device,
    fit,
    labels_for_loss,
    predict,
    seed_everything,
)
from pipeline.members.bert.network import (
    Network,
    build_network,
    load_trained_tensors,
    trained_tensors,
)
from pipeline.members.bert.poolings import build_pooling, pooling_options
from pipeline.members.bert.start import constant_loss, start_head
from pipeline.members.bert.tokens import Tokens, most_tokens, tokenize
from pipeline.members.bert.trainer import Recipe
from pipeline.members.unit_folder import (
    Assignment,
    Outcome,
    check_parity,
    fill_unit,
    parity_texts,
    scaling_of,
)
from pipeline.members.units import Unit, read_run
from pipeline.scoring.tasks import Floats

WEIGHTS, LOG = "weights.safetensors", "train.log"


@dataclass(frozen=True)
class Architecture:
    """What it takes to build a unit's network again.

    Attributes:
        backbone: name of the folder in the competition's `backbones`.
        pooling: its name; `options` are its own.
        max_length: tokens kept of a text.
    """

    backbone: str
    pooling: str
    options: dict[str, Any]
    max_length: int
    dropout: float | None
    freeze_embeddings: bool


def check_architecture(competition: str, architecture: Architecture) -> None:
    """Find what cannot be built before any unit is trained.

    Raises:
        ValueError: unknown pooling, an option that it does not take, or more tokens than the
            backbone has positions.
    """
    folder = backbones_dir(competition) / architecture.backbone
    config, tokenizer = AutoConfig.from_pretrained(folder), _tokenizer(folder)
    options = _all_options(architecture, folder)
    build_pooling(architecture.pooling, config.hidden_size, config.num_hidden_layers, **options)
    limit = most_tokens(config, tokenizer)
    # DeBERTa-v3 knows relative positions only, and reads more than it was pretrained on
    if architecture.max_length > limit and getattr(config, "position_biased_input", True):
        raise ValueError(
            f"training.max_length is {architecture.max_length}, "
            f"but the backbone reads at most {limit} tokens"
        )


def tokenize_texts(
    competition: str, backbone: str, max_length: int, texts: Sequence[tuple[str, ...]]
) -> Tokens:
    """Tokenise with the competition's copy of a backbone's tokenizer."""
    return tokenize(_tokenizer(backbones_dir(competition) / backbone), texts, max_length)


def train_unit(
    assignment: Assignment, architecture: Architecture, recipe: Recipe, tokens: Tokens
) -> None:
    """Train a unit, predict its fold, and write its folder in one piece.

    Args:
        tokens: all training rows.
    Raises:
        ValueError: a unit with another fingerprint stands there.
    """
    rows, task = assignment.rows, assignment.task

    def train(folder: Path) -> Outcome:
        seed_everything(recipe.seed)
        network = _network(assignment.unit.competition, architecture, len(rows.columns), task)
        scaling = assignment.scaling()
        labels = labels_for_loss(task, rows.y[rows.training], scaling)
        start_head(network.head, task, labels)
        effort = fit(network, tokens, rows.training, labels, recipe, folder / LOG)
        predictions = predict(network, tokens.take(rows.held_out), task, scaling)
        save_file(trained_tensors(network), folder / WEIGHTS)
        how = {"architecture": asdict(architecture), "recipe": asdict(recipe)}
        facts = {**how, **effort, "constant_loss": constant_loss(task, labels, len(rows.columns))}
        return Outcome(predictions, WEIGHTS, scaling, best_device().type, facts)

    fill_unit(assignment, train)


def predict_unit(unit: Unit, tokens: Tokens) -> Floats:
    """Predictions (n, c) of a unit as it lies on disk, once it has shown that it is the same.

    Raises:
        ValueError: it does not reproduce the predictions that were written when it was trained.
    """
    run = read_run(unit)
    architecture = Architecture(**run["architecture"])
    network = _network(unit.competition, architecture, len(run["columns"]), run["task"])
    try:
        load_trained_tensors(network, load_file(unit.folder / WEIGHTS))
    except (ValueError, SafetensorError) as error:
        raise ValueError(f"{unit.folder / WEIGHTS}: {error}; train the unit again") from None
    scaling = scaling_of(run)
    source = (architecture.backbone, architecture.max_length)
    known = tokenize_texts(unit.competition, *source, parity_texts(unit))
    check_parity(unit, predict(network, known, run["task"], scaling), best_device().type)
    return predict(network, tokens, run["task"], scaling)


def _network(competition: str, architecture: Architecture, n_outputs: int, task: str) -> Network:
    folder = backbones_dir(competition) / architecture.backbone
    return build_network(
        folder,
        architecture.pooling,
        _all_options(architecture, folder),
        n_outputs,
        task,
        dropout=architecture.dropout,
        freeze_embeddings=architecture.freeze_embeddings,
    )


def _all_options(architecture: Architecture, folder: Path) -> dict[str, Any]:
    """The pooling's options, and what it asks to know of the backbone."""
    facts = {
        "vocab_size": AutoConfig.from_pretrained(folder).vocab_size,
        "special_ids": sorted(_tokenizer(folder).all_special_ids),
    }
    asked = pooling_options(architecture.pooling)
    return {**{k: v for k, v in facts.items() if k in asked}, **architecture.options}


def _tokenizer(folder: Path) -> Any:
    try:
        return AutoTokenizer.from_pretrained(folder)
    except (TypeError, ImportError) as error:  # a file or a package that this tokenizer wants
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"backbone {folder}: its tokenizer cannot be loaded: {reason}") from None
