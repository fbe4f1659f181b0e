"""A head starts at the best constant prediction of its training rows."""

import math

import numpy as np
import pytest
import torch
from tiny_backbones import make_tokenizer

from pipeline.members.bert.encoder import all_options
from pipeline.members.bert.finetune import shrink_head
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.network import build_network, start_head
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.bert.tokens import TrainingRows, collate, tokenize
from pipeline.scoring.tasks import TASKS
from pipeline.settings.fine_tuning import losses_for

N = 200


def labels_of(task: str) -> torch.Tensor:
    """Rare and common targets, as the loss takes them."""
    generator = torch.Generator().manual_seed(0)
    draws = torch.rand(N, 3, generator=generator)
    if task == "regression":
        return (draws - draws.mean(0)) / draws.std(0, correction=0)
    if task == "multiclass":
        return (draws[:, 0] > 0.05).long() + (draws[:, 0] > 0.4).long()
    labels = (draws < torch.tensor([0.03, 0.2, 0.6])).float()
    return labels[:, :1] if task == "binary" else labels


def best_constant_loss(task: str, labels: torch.Tensor) -> float:
    """The least loss of any constant, from its formula: variance, or entropy in nats."""
    if task == "regression":
        return float(labels.var(0, correction=0).mean())
    if task == "multiclass":
        shares = torch.bincount(labels).double() / N
        return float(-(shares * shares.log()).sum())
    p = labels.double().mean(0)
    return float(-(p * p.log() + (1 - p) * (1 - p).log()).mean())


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("pooling", sorted(POOLINGS))
def test_at_step_0_the_loss_is_that_of_the_constant_prediction(pooling, task, tiny_backbone):
    tokenizer = make_tokenizer("bert")
    texts = [(text,) for text in ("the film goes on", "dull", "a splendid train", "grim, stale")]
    tokens = tokenize(tokenizer, texts, max_length=16)
    options = all_options(pooling, {}, tiny_backbone)
    torch.manual_seed(3)
    labels, loss = labels_of(task), LOSSES[losses_for(task)[0]]
    width = 1 if task == "binary" else 3
    how = {"task": task, "dropout": 0.0, "freeze_embeddings": True}
    network = build_network(tiny_backbone, pooling, options, width, loss, **how)
    for layer in network.backbone.encoder.layer:
        torch.nn.init.constant_(layer.output.LayerNorm.weight, 30)  # long vectors
    start_head(network.head, loss.constant(labels, width))
    shrink_head(network, TrainingRows(tokens, np.arange(N) % len(texts), labels))
    with torch.inference_mode():
        logits = network(**collate(tokens, range(len(texts))))["logits"]
        # each text with the labels of all rows: those of its own would tell by chance
        found = torch.stack([loss(of_text.expand(N, -1), labels) for of_text in logits]).mean()
    assert float(found) == pytest.approx(best_constant_loss(task, labels), rel=0.01)
    assert len(logits.unique(dim=0)) > 1  # the texts still tell: gradients have a way


def test_log_odds_count_half_a_row_more_on_either_side():
    labels = torch.tensor([[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    expected = [math.log(1.5 / 2.5), math.log(0.5 / 3.5)]
    assert LOSSES["bce"].constant(labels, 2).tolist() == pytest.approx(expected)


def test_log_frequencies_count_half_a_row_more_of_every_class():
    outputs = LOSSES["cross_entropy"].constant(torch.tensor([0, 0, 2]), 3)
    assert outputs.exp().tolist() == pytest.approx([2.5 / 4.5, 0.5 / 4.5, 1.5 / 4.5])
