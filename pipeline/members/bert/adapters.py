"""Low-rank adapters beside the matrices of a frozen backbone (Hu et al. 2022, arXiv:2106.09685)."""

from importlib.util import find_spec
from typing import Any

import torch
from torch import nn
from transformers import AutoModel
from transformers.pytorch_utils import Conv1D  # GPT-2's linear layer

from pipeline.files.suggestions import choices
from pipeline.settings.fine_tuning import Lora

UNUSED = r".*\bpooler\b.*"  # BERT's own, which gets no gradient


def check_adapters(lora: Lora, config: Any | None) -> None:
    """Raise a ValueError if peft is not installed, or a target is no linear layer of the backbone.

    Args:
        config: of the backbone; without it targets are not checked.
    """
    if find_spec("peft") is None:
        raise ValueError(
            "training.lora needs the package peft, which is not installed; pip install peft, or "
            "leave training.lora out"
        )
    if config is None or not lora.targets:
        return
    with torch.device("meta"):
        modules = AutoModel.from_config(config).named_modules()
    names = {name.rpartition(".")[2] for name, m in modules if isinstance(m, nn.Linear | Conv1D)}
    for target in lora.targets:
        if target not in names:
            raise ValueError(
                f"training.lora.targets: the backbone has no linear layer {target!r}; "
                f"{choices(target, sorted(names))}"
            )


def add_adapters(model: nn.Module, lora: Lora) -> None:
    """Freeze a backbone and put adapters into its linear layers; only they train."""
    # imported here: it takes seconds to load, and most members do without
    from peft import LoraConfig, inject_adapter_in_model

    how = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets) or "all-linear",
        exclude_modules=UNUSED if getattr(model, "pooler", None) is not None else None,
    )
    inject_adapter_in_model(how, model)
