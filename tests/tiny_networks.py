"""Networks on tiny random backbones, and their training on four texts."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_backbones import TRAINING, make_tokenizer
from transformers import set_seed

from pipeline.members.bert.finetune import fit
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.network import Network, build_network
from pipeline.members.bert.tokens import Tokens, TrainingRows, tokenize
from pipeline.settings.fine_tuning import Training

TEXTS = [("the film goes on",), ("dull",), ("a splendid train and its driver",), ("grim, stale",)]
LABELS = torch.tensor([[1.0], [-1.0], [2.0], [-2.0]])


def build(
    backbone: Path, pooling: str = "mean", seed: int = 3, options: Any = None, **settings: Any
) -> Network:
    set_seed(seed)
    how = {"dropout": 0.0, "freeze_embeddings": False, **settings}
    return build_network(backbone, pooling, options or {}, 1, LOSSES["mse"], **how)


def tokens_of(architecture: str) -> Tokens:
    return tokenize(make_tokenizer(architecture), TEXTS, max_length=16)


def trained_with(**settings: Any) -> Training:
    return TRAINING.model_copy(update={"batch_size": 2, "warmup": 0.0, **settings})


def train(network: Network, tokens: Tokens, folder: Path, **settings: Any) -> None:
    dataset = TrainingRows(tokens, np.arange(len(tokens)), LABELS[: len(tokens)])
    fit(network, dataset, trained_with(**settings), seed=1, log=folder / "train.log")
