"""The layers of a backbone: learning rates by depth, frozen layers.

A parameter's depth is 0 for embeddings, k for the k-th of L layers, and L for the norm behind them.
"""

import re
from typing import Any

import torch
from torch import nn
from transformers import AutoModel

from pipeline.settings.fine_tuning import Training

LAYER = re.compile(r"\.(\d+)\.")  # the first number in a parameter's name, from 0
# parts that stand behind the layers in the list of parameters, and that all layers read: MPNet's
# and DeBERTa's tables of relative positions, and DeBERTa's norm of it and convolution
READ_BY_LAYERS = re.compile(r"embed|relative|^encoder\.(LayerNorm|conv)\.")


def check_layers(training: Training, config: Any) -> None:
    """Raise a ValueError if a backbone, by its config, lacks the layers that a setting counts."""
    if training.layer_decay == 1 and training.freeze_layers == 0:
        return
    with torch.device("meta"):
        _depths(AutoModel.from_config(config))
    if training.freeze_layers > config.num_hidden_layers:
        raise ValueError(
            f"training.freeze_layers is {training.freeze_layers}, but the backbone has "
            f"{config.num_hidden_layers} layers; lower it"
        )


def rates_of(backbone: nn.Module, rate: float, decay: float) -> dict[int, float]:
    """Learning rate of each parameter by its id: `rate` times `decay` for each layer above it."""
    if decay == 1:
        return dict.fromkeys(map(id, backbone.parameters()), rate)
    config: Any = backbone.config
    n_layers = config.num_hidden_layers
    return {key: rate * decay ** (n_layers - depth) for key, depth in _depths(backbone).items()}


def freeze_lowest(backbone: nn.Module, n: int) -> None:
    """Freeze the n lowest layers and the embeddings."""
    depths = _depths(backbone)
    for parameter in backbone.parameters():
        if depths[id(parameter)] <= n:
            parameter.requires_grad_(False)


def _depths(backbone: nn.Module) -> dict[int, int]:
    """Depth of each parameter by its id; a ValueError if depths share a layer, as in ALBERT."""
    config: Any = backbone.config
    depths, layers, depth_outside = {}, set(), 0
    for name, parameter in backbone.named_parameters():
        if number := LAYER.search(name):
            depth, depth_outside = int(number[1]) + 1, config.num_hidden_layers
            layers.add(depth)
        else:
            depth = 0 if READ_BY_LAYERS.search(name) else depth_outside
        depths[id(parameter)] = depth
    if len(layers) != config.num_hidden_layers:
        raise ValueError(
            f"the backbone, of type {config.model_type}, has no separate layers; choose another "
            "one, or leave training.layer_decay, training.freeze_layers out"
        )
    return depths
