"""Train and keep one BERT unit; load it again and predict. These are what workers run."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoTokenizer

from pipeline.artifacts import (
    backbones_dir,
    file_sha256,
    folder_written_whole,
    read_json,
    write_csv,
    write_json,
)
from pipeline.bert.finetune import (
    Recipe,
    Scaling,
    best_device,
    fit,
    labels_for_loss,
    predict,
    seed_everything,
)
from pipeline.bert.network import Network, build_network, load_trained_tensors, trained_tensors
from pipeline.bert.poolings import build_pooling, pooling_options
from pipeline.bert.tokens import Tokens, tokenize
from pipeline.metrics import score
from pipeline.predictors import predictions_table
from pipeline.provenance import provenance
from pipeline.tasks import Floats
from pipeline.units import (
    LOG,
    OOF,
    PARITY,
    RUN,
    WEIGHTS,
    Unit,
    check_parity,
    is_finished,
    locked,
    read_run,
)

N_PARITY = 32


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


@dataclass(frozen=True)
class UnitRows:
    """The rows that a unit sees.

    Attributes:
        y: targets of all training rows, as in `pipeline.tasks`.
        fold: (n,) bool, the rows of the unit's fold.
        ids: ids of the fold's rows, in their order.
        texts: their texts.
        columns: the c prediction columns.
        id_name: name of the id's column.
    """

    y: NDArray[Any]
    fold: NDArray[np.bool_]
    ids: list[str]
    texts: list[tuple[str, ...]]
    columns: list[str]
    id_name: str


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
    limit = min(tokenizer.model_max_length, getattr(config, "max_position_embeddings", 10**9))
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
    unit: Unit,
    wanted: dict[str, Any],
    n_folds: int,
    architecture: Architecture,
    recipe: Recipe,
    rows: UnitRows,
    tokens: Tokens,
    task: str,
    metric: str,
    overwrite: bool,
) -> None:
    """Train a unit, predict its fold, and write its folder in one piece.

    Args:
        wanted: the unit's fingerprint.
        tokens: all training rows.
        overwrite: whether a unit with another fingerprint may be replaced.
    Raises:
        ValueError: it may not, and another run has put one there.
    """
    with locked(unit):
        if is_finished(unit, wanted, overwrite=overwrite):
            return  # another run finished it while this one waited
        with folder_written_whole(unit.folder) as folder:
            seed_everything(recipe.seed)
            network = _network(unit.competition, architecture, len(rows.columns), task)
            training = np.flatnonzero(~rows.fold)
            scaling = Scaling.of(rows.y[training]) if task == "regression" else None
            labels = labels_for_loss(task, rows.y[training], scaling)
            effort = fit(network, tokens, training, labels, recipe, folder / LOG)
            held_out = np.flatnonzero(rows.fold)
            predictions = predict(network, tokens.take(held_out), task, scaling)
            table = predictions_table(rows.ids, rows.id_name, rows.columns, predictions)
            write_csv(folder / OOF, table)
            shown = np.unique(np.linspace(0, len(held_out) - 1, N_PARITY).astype(int))
            parity = {
                "texts": [rows.texts[i] for i in shown],
                "predictions": predictions[shown].tolist(),
            }
            write_json(folder / PARITY, parity)
            save_file(trained_tensors(network), folder / WEIGHTS)
            run = {
                "fingerprint": wanted,
                "n_folds": n_folds,
                "task": task,
                "columns": rows.columns,
                "architecture": asdict(architecture),
                "recipe": asdict(recipe),
                "scaling": asdict(scaling) if scaling else None,
                "weights_sha256": file_sha256(folder / WEIGHTS),
                "metric": metric,
                "score": score(metric, task, rows.y[held_out], predictions, rows.y),
                "rows": {"training": len(training), "held_out": len(held_out)},
                "device": best_device().type,
                **effort,
                **provenance(),
            }
            write_json(folder / RUN, run)


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
    scaling = Scaling(**run["scaling"]) if run["scaling"] else None
    texts = [tuple(text) for text in read_json(unit.folder / PARITY)["texts"]]
    known = tokenize_texts(unit.competition, architecture.backbone, architecture.max_length, texts)
    again = predict(network, known, run["task"], scaling)
    check_parity(unit, again, best_device().type)
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
