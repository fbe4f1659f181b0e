"""Texts in windows: what a pooling gets, what fits one window, and memory."""

from pathlib import Path

import pytest
import tiny_networks
import torch
from tiny_backbones import ARCHITECTURES, make_tokenizer

from pipeline.members.bert import windows
from pipeline.members.bert.finetune import predict
from pipeline.members.bert.network import Network
from pipeline.members.bert.tokens import Tokens, collate, tokenize
from pipeline.members.bert.windows import Windows

WIDTH = 8
TEXTS = [
    ("the film goes on",),  # one window
    ("a splendid train and its driver goes on about the film and the driver",),  # three
    ("dull",),
    ("a train goes on and on",),  # exactly one window
    ("a grim train goes on and on about",),  # two
]


def build(backbone: Path, pooling: str = "mean", at_once: int | None = 99, **settings) -> Network:
    options = {"vocab_size": 200, "special_ids": [0, 1, 2, 3]} if pooling == "idf" else {}
    windows = None if at_once is None else Windows(WIDTH, at_once)
    how = {"freeze_embeddings": True, "windows": windows, **settings}
    return tiny_networks.build(backbone, pooling, options=options, **how)


def tokens_of(architecture: str, texts=TEXTS) -> Tokens:
    return tokenize(make_tokenizer(architecture), texts, WIDTH, "head", 99, 0.25)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_pooling_gets_each_window_as_the_backbone_reads_it_alone(architecture, backbone_of):
    network, seen = build(backbone_of(architecture)).eval(), {}
    network.pooling.register_forward_pre_hook(lambda _, args: seen.update(args=args))
    tokens = tokens_of(architecture)
    batch = collate(tokens, [0, 1, 2])
    network(**batch)
    states, mask, ids = seen["args"]
    assert torch.equal(mask, batch["attention_mask"])
    assert torch.equal(ids, batch["input_ids"])
    for row in range(3):
        for start in range(0, tokens.lengths[row], WIDTH):
            window = {k: v[[row], start : start + WIDTH] for k, v in batch.items()}
            real = window["attention_mask"][0].bool()
            alone = network.read(window)
            assert len(states) == len(alone) == 3
            for layer, of_window in zip(states, alone, strict=True):
                found = layer[row, start : start + WIDTH][real]
                assert torch.allclose(found, of_window[0, real], atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "last", "lstm", "weighted_layer", "idf"])
def test_a_text_that_fits_one_window_has_the_vector_that_it_has_without_windows(
    pooling, backbone_of
):
    """In a batch with longer texts, and alone."""
    backbone, tokens = backbone_of("bert"), tokens_of("bert")
    assert [-(-n // WIDTH) for n in tokens.lengths] == [1, 3, 1, 1, 2]
    windowed, plain = (build(backbone, pooling, at_once).eval() for at_once in (2, None))
    short, all_rows = [0, 2, 3], collate(tokens, [0, 1, 2, 3, 4])
    with torch.no_grad():
        wanted = plain.pooled(**collate(tokens, short))
        torch.testing.assert_close(windowed.pooled(**all_rows)[short], wanted, atol=1e-6, rtol=1e-6)
        assert torch.equal(windowed.pooled(**collate(tokens, short)), wanted)


def test_the_mean_of_full_windows_is_the_mean_of_their_means(backbone_of):
    network = build(backbone_of("bert")).eval()
    tokens = tokens_of("bert", [("a train goes on and on about the driver and film",)])
    assert tokens.lengths.tolist() == [2 * WIDTH]
    batch = collate(tokens, [0])
    halves = [
        network.pooled(**{name: tensor[:, k : k + WIDTH] for name, tensor in batch.items()})
        for k in (0, WIDTH)
    ]
    assert torch.allclose(network.pooled(**batch), sum(halves) / 2, atol=1e-6)


def gradients(network: Network, batch: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    torch.manual_seed(1)
    labels = torch.arange(len(batch["input_ids"]))[:, None].float()
    network.train()(**batch, labels=labels)["loss"].backward()
    return [p.grad for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("pooling", ["attention", "weighted_layer"])
def test_gradients_do_not_depend_on_how_many_windows_pass_at_once(pooling, backbone_of):
    batch = collate(tokens_of("bert"), [0, 1, 4])
    one, few, all_at_once = (
        gradients(build(backbone_of("bert"), pooling, at_once), batch) for at_once in (1, 2, 99)
    )
    for a, b, c in zip(one, few, all_at_once, strict=True):
        torch.testing.assert_close(a, c, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(b, c, atol=1e-5, rtol=1e-4)


def test_windows_that_are_read_again_have_the_dropout_of_the_first_time(backbone_of, monkeypatch):
    batch = collate(tokens_of("bert"), [1, 4])
    again = gradients(build(backbone_of("bert"), at_once=2, dropout=0.3), batch)
    monkeypatch.setattr(windows, "checkpoint", lambda read, part, use_reentrant: read(part))
    once = gradients(build(backbone_of("bert"), at_once=2, dropout=0.3), batch)
    without = gradients(build(backbone_of("bert"), at_once=2), batch)
    for a, b in zip(again, once, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    assert not torch.allclose(once[0], without[0], atol=1e-3)


def test_no_more_windows_than_allowed_pass_the_backbone_and_none_of_padding_alone(backbone_of):
    network, sizes = build(backbone_of("bert"), at_once=2), []
    network.backbone.register_forward_pre_hook(
        lambda _, __, inputs: sizes.append(tuple(inputs["input_ids"].shape)), with_kwargs=True
    )
    batch = collate(tokens_of("bert"), [0, 1, 2])  # 1 + 3 + 1 windows
    network.eval()(**batch)
    assert sizes == [(2, WIDTH), (2, WIDTH), (1, WIDTH)]


def test_tensors_kept_for_backpropagation_are_those_outside_the_backbone(backbone_of):
    batch, n_kept = collate(tokens_of("bert", [("train " * 400,)]), [0]), []
    for at_once in (1, 99):
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        network = build(backbone_of("bert"), at_once=at_once).train()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            network(**batch, labels=torch.zeros(1, 1))
        n_kept.append(sum(sizes) / batch["input_ids"].shape[1])
    of_all_windows_at_once = n_kept[1]
    assert n_kept[0] < of_all_windows_at_once / 10


def test_a_text_of_five_thousand_tokens_trains_and_predicts(backbone_of, tmp_path):
    texts = [(" ".join(["train"] * 4990 + ["splendid"] * 10),), ("grim",)]
    tokens = tokenize(make_tokenizer("bert"), texts, 64, "head", 200, 0.0)
    assert tokens.lengths[0] > 5000
    assert tokens.n_cut == 0
    network = build(backbone_of("bert"), "max", windows=Windows(64, 16))
    before = predict(network, tokens, "regression", None)
    tiny_networks.train(network, tokens, tmp_path, epochs=3)
    after = predict(network, tokens, "regression", None)
    assert after[0] - after[1] > before[0] - before[1]
