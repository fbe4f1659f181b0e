"""The layers of a backbone: learning rates by depth, frozen layers.

A parameter's depth is 0 for embeddings, k for the k-th of L layers, and L for the norm behind them.
"""

import re
from typing import Any

import torch
from torch import nn
from transformers import AutoModel

from pipeline.settings.fine_tuning import Training

COUNTED = ("layer_decay", "freeze_layers")
# parts that stand behind the layers in the list of parameters, and that all layers read: MPNet's
# and DeBERTa's tables of relative positions, and DeBERTa's norm of it and convolution
READ_BY_LAYERS = re.compile(r"embed|relative|^encoder\.(LayerNorm|conv)\.")


def layers_of(backbone: nn.Module) -> nn.ModuleList:
    """The layers, the lowest first; a ValueError if depths share one, as in ALBERT."""
    n_layers = backbone.config.num_hidden_layers  # type: ignore[union-attr]
    for module in backbone.modules():  # from the outside in
        if isinstance(module, nn.ModuleList) and len(module) == n_layers:
            return module
    raise ValueError(
        f"the backbone, of type {backbone.config.model_type}, "  # type: ignore[union-attr]
        "has no separate layers; choose another one, or leave "
        f"{', '.join(f'training.{name}' for name in COUNTED)} out"
    )


def check_layers(training: Training, config: Any) -> None:
    """Raise a ValueError if a backbone, by its config, lacks the layers that a setting counts."""
    usual = Training()
    if all(getattr(training, name) == getattr(usual, name) for name in COUNTED):
        return
    with torch.device("meta"):
        n_layers = len(layers_of(AutoModel.from_config(config)))
    if training.freeze_layers > n_layers:
        raise ValueError(
            f"training.freeze_layers is {training.freeze_layers}, but the backbone has {n_layers} "
            "layers; lower it"
        )


def shares_of_rate(backbone: nn.Module, decay: float) -> dict[int, float]:
    """Each parameter's share of the learning rate, `decay` to the layers above it, by its id."""
    n_layers = len(layers_of(backbone))
    return {key: decay ** (n_layers - depth) for key, depth in _depths(backbone).items()}


def freeze_lowest(backbone: nn.Module, n: int) -> None:
    """Freeze the n lowest layers and the embeddings."""
    depths = _depths(backbone)
    for parameter in backbone.parameters():
        if depths[id(parameter)] <= n:
            parameter.requires_grad_(False)


def _depths(backbone: nn.Module) -> dict[int, int]:
    """Depth of each parameter by its id."""
    layers = layers_of(backbone)
    in_layers = {id(p): k for k, layer in enumerate(layers, 1) for p in layer.parameters()}
    depths, depth_outside = {}, 0
    for name, parameter in backbone.named_parameters():
        key = id(parameter)
        if key in in_layers:
            depths[key], depth_outside = in_layers[key], len(layers)
        else:
            depths[key] = 0 if READ_BY_LAYERS.search(name) else depth_outside
    return depths
