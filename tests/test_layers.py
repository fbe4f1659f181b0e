"""Layers of every architecture: rates by depth, and frozen ones."""

import numpy as np
import pytest
import torch
from tiny_backbones import ARCHITECTURES, TRAINING
from tiny_networks import build, tokens_of, train
from transformers import AutoConfig, AutoModel

from pipeline.members.bert.encoder import Bert
from pipeline.members.bert.finetune import predict
from pipeline.members.bert.layers import freeze_lowest
from pipeline.members.bert.network import (
    load_trained_tensors,
    trained_tensors,
)
from pipeline.settings.fine_tuning import Lora
from pipeline.settings.members import Member

WITH_LAYERS = sorted(set(ARCHITECTURES) - {"albert"})  # whose layers are one
# parameters of each depth, by the beginnings of their names; all others outside layers are on top
EMBEDDINGS = {
    "deberta-v2": ("embeddings.", "encoder.rel_embeddings.", "encoder.LayerNorm."),
    "electra": ("embeddings.", "embeddings_project."),
    "mpnet": ("embeddings.", "encoder.relative_attention_bias."),
    "t5": ("shared.",),
    **dict.fromkeys(("eurobert", "qwen3", "llama", "gemma3_text"), ("embed_tokens.",)),
}
OF_LAYERS = {
    "distilbert": "transformer.layer.{}.",
    "t5": "encoder.block.{}.",
    **dict.fromkeys(("modernbert", "eurobert", "qwen3", "llama", "gemma3_text"), "layers.{}."),
}


def depth_of(name: str, architecture: str) -> int:
    if name.startswith(EMBEDDINGS.get(architecture, "embeddings.")):
        return 0
    layers = OF_LAYERS.get(architecture, "encoder.layer.{}.")
    return 1 if name.startswith(layers.format(0)) else 2


@pytest.mark.parametrize("adapters", [False, True], ids=["whole", "lora"])
@pytest.mark.parametrize("architecture", WITH_LAYERS)
def test_every_parameter_that_trains_has_the_rate_of_its_depth_in_one_group(
    architecture, adapters, backbone_of, trainers, tmp_path
):
    lora = Lora(rank=2) if adapters else None
    network = build(backbone_of(architecture), "attention", lora=lora)
    how = {"epochs": 1, "layer_decay": 0.5, "head_learning_rate": 0.03}
    train(network, tokens_of(architecture), tmp_path, **how)
    (trainer,) = trainers
    rates = sorted(
        (id(parameter), group["initial_lr"])
        for group in trainer.optimizer.param_groups
        for parameter in group["params"]
    )
    wanted = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            depth = depth_of(name.removeprefix("backbone."), architecture)
            of_backbone = TRAINING.learning_rate * 0.5 ** (2 - depth)
            wanted[id(parameter)] = of_backbone if name.startswith("backbone.") else 0.03
    assert rates == sorted(wanted.items())
    assert len(set(wanted.values())) >= 3


@pytest.mark.parametrize("architecture", WITH_LAYERS)
def test_frozen_layers_stay_and_are_not_saved(architecture, backbone_of, tmp_path):
    tokens, how = tokens_of(architecture), {"freeze_embeddings": True, "freeze_layers": 1}
    network = build(backbone_of(architecture), "attention", **how)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    train(network, tokens, tmp_path, epochs=1)
    after, saved = network.state_dict(), trained_tensors(network)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == set(saved)
    depths = {depth_of(n.removeprefix("backbone."), architecture) for n in saved if "backbone" in n}
    assert depths == {2}
    again = build(backbone_of(architecture), "attention", seed=99, **how)
    load_trained_tensors(again, saved)
    one, other = (predict(n, tokens, "regression", None) for n in (network, again))
    np.testing.assert_array_equal(one, other)


def test_a_layer_whose_parts_stand_in_several_lists_is_frozen_whole():
    config = AutoConfig.for_model("xlm", emb_dim=8, n_layers=2, n_heads=2)
    with torch.device("meta"):
        model = AutoModel.from_config(config)
    freeze_lowest(model, 1)
    training = {name for name, p in model.named_parameters() if p.requires_grad}
    assert training == {name for name, _ in model.named_parameters() if ".1." in name}


MEMBER = Member(name="mean", seed=1, pooling="mean", backbone="tiny", max_length=64)


@pytest.mark.parametrize(
    ("architecture", "settings", "said"),
    [
        ("albert", {"layer_decay": 0.9}, r"\balbert\b"),
        ("albert", {"freeze_layers": 1}, r"\balbert\b"),
        ("bert", {"freeze_layers": 3}, r"freeze_layers is 3\b.*\b2 layers"),
    ],
)
def test_layers_that_a_backbone_does_not_have_are_refused_in_a_line(
    architecture, settings, said, backbone_of
):
    with pytest.raises(ValueError, match=said):
        Bert().check(MEMBER.model_copy(update=settings), backbone_of(architecture))
    fine = {} if architecture == "albert" else {"freeze_layers": 2}
    Bert().check(MEMBER.model_copy(update=fine), backbone_of(architecture))
