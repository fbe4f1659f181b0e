"""Adapters beside a frozen backbone: what trains, what is saved, what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_networks
import torch
from conftest import read_rows, stage, stages, write_competition
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from tiny_backbones import TRAINING, make_tokenizer
from transformers import AutoConfig, AutoModel

from pipeline.members.bert.adapters import add_adapters, check_adapters
from pipeline.members.bert.finetune import fit, predict
from pipeline.members.bert.network import load_trained_tensors, trained_tensors
from pipeline.members.bert.tokens import TrainingRows, tokenize
from pipeline.members.defaults import for_backbone
from pipeline.settings.fine_tuning import Lora, Training

TEXTS = [("good",), ("bad film",), ("the warm bright driver",), ("dull",)] * 2


SMALL = Lora(rank=2)


def build(backbone, seed=0, lora=SMALL):
    return tiny_networks.build(backbone, "attention", seed, freeze_embeddings=True, lora=lora)


@pytest.fixture
def trained(backbone_of, tmp_path):
    """A tiny network with adapters after training, the tensors before it, and the texts' tokens."""

    def train(architecture):
        network = build(backbone_of(architecture))
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        tokens = tokenize(make_tokenizer(architecture), TEXTS, max_length=16)
        y = torch.linspace(-1, 1, len(TEXTS))[:, None]
        rows = TrainingRows(tokens, np.arange(len(TEXTS)), y, None)
        training = TRAINING.model_copy(update={"epochs": 6})  # B starts at 0, and A then at step 2
        fit(network, rows, training, seed=0, log=tmp_path / "log")
        return network, before, tokens

    return train


@pytest.mark.parametrize("architecture", ["bert", "t5", "llama"])
def test_the_adapters_the_pooling_and_the_head_train_and_nothing_else(architecture, trained):
    network, before, _ = trained(architecture)
    after = network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {
        name for name in before if ".lora_" in name or not name.startswith("backbone.")
    }
    assert moved == set(trained_tensors(network))


def test_saved_tensors_laid_over_the_backbone_predict_bit_for_bit_the_same(trained, backbone_of):
    network, _, tokens = trained("bert")
    again = build(backbone_of("bert"), seed=99)
    load_trained_tensors(again, trained_tensors(network))
    found = predict(again, tokens, "regression", None)
    assert np.array_equal(found, predict(network, tokens, "regression", None))


def test_adapters_merged_into_the_backbone_predict_the_same(trained):
    network, _, tokens = trained("bert")
    apart = predict(network, tokens, "regression", None)
    for module in network.modules():
        if isinstance(module, LoraLayer):
            module.merge()
    np.testing.assert_allclose(predict(network, tokens, "regression", None), apart, atol=1e-5)


def test_a_unit_of_minilm_saves_less_than_a_twentieth_of_the_backbone():
    minilm = AutoConfig.for_model(
        "bert", hidden_size=384, num_hidden_layers=6, num_attention_heads=12
    )
    minilm.intermediate_size = 1536
    with torch.device("meta"):
        model = AutoModel.from_config(minilm)
        n_all = sum(p.numel() for p in model.parameters())
        add_adapters(model, Lora())
    n_saved = sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert 0 < n_saved < n_all / 20


def test_only_the_named_layers_get_adapters(backbone_of):
    network = build(backbone_of("bert"), lora=Lora(rank=2, targets=("query", "value")))
    layers = {name.split(".lora_")[0] for name in trained_tensors(network) if ".lora_" in name}
    assert {name.rpartition(".")[2] for name in layers} == {"query", "value"}
    assert len(layers) == 4


def test_adapters_learn_ten_times_as_fast_as_a_backbone_and_the_head_as_ever(backbone_of):
    whole, adapters, by_hand = (
        for_backbone(Training(**settings), backbone_of("bert"), "binary")
        for settings in ({}, {"lora": Lora()}, {"lora": Lora(), "learning_rate": 2e-4})
    )
    assert (whole.learning_rate, adapters.learning_rate) == (1e-4, 1e-3)
    assert whole.head_learning_rate == adapters.head_learning_rate == pytest.approx(5e-3)
    assert by_hand.learning_rate == 2e-4
    assert by_hand.head_learning_rate == pytest.approx(1e-3)
    assert for_backbone(adapters, backbone_of("bert"), "binary") == adapters


def test_a_target_that_the_backbone_lacks_is_named(backbone_of):
    config = AutoConfig.from_pretrained(backbone_of("bert"))
    with pytest.raises(ValueError, match="'qery'.*'query'"):
        check_adapters(Lora(targets=("qery",)), config)
    check_adapters(Lora(targets=("query",)), config)


def test_a_linear_layer_of_gpt_2_may_be_a_target():
    config = AutoConfig.for_model("gpt2", n_embd=16, n_layer=1, n_head=2, vocab_size=9)
    check_adapters(Lora(targets=("c_attn",)), config)
    with pytest.raises(ValueError, match="'query'.*c_attn"):
        check_adapters(Lora(targets=("query",)), config)


def test_without_peft_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match="pip install peft"):
        check_adapters(Lora(), None)


def test_a_member_with_adapters_goes_through_training_and_prediction(
    workplace, backbone_of, capsys, refusal
):
    training = {"epochs": 1, "batch_size": 16, "max_length": 32, "lora": {"rank": 2}}
    settings = {"folds": {"n": 2}, "members": [{"pooling": "mean"}], "training": training}
    settings |= {"backbone": str(backbone_of("bert")), "jobs": {"n_jobs": 1}}
    write_competition(workplace, "regression", settings=settings)
    stages("make_folds", "train", "predict")
    assert len(read_rows(Path("oof/tiny/mean/test.csv"))[1]) == 20
    saved = load_file("models/tiny/mean/fold0/weights.safetensors")
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in saved if ".lora_" in name} == {
        "query",
        "key",
        "value",
        "dense",
    }
    stage("train")
    assert " 0 of 2 units" in capsys.readouterr().out
    assert "'rank'" in refusal("train", "--training.lora", "{rank: 3}")
