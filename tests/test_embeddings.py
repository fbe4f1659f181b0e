"""Frozen embeddings: the vector of a text, which does not depend on its batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from pipeline.members.backbones import keep_backbone
from pipeline.members.bert import embeddings
from pipeline.members.bert.embeddings import embed, embed_texts
from pipeline.settings.config import Jobs

JOBS = Jobs(n_jobs=1, threads=1)
TEXTS = [("dull film",), ("the warm bright driver goes on",), ("",), ("train " * 100,), ("a",)]


@pytest.fixture
def backbone(workplace, tiny_backbone):
    """Folder of the competition's copy of the tiny backbone."""
    return keep_backbone(str(tiny_backbone), "tiny")


def by_hand(folder, text, max_length):
    """The mean of the last layer's tokens, a text at a time."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    tokens = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
    with torch.inference_mode():
        return model.eval()(**tokens).last_hidden_state[0].mean(dim=0).numpy()


def test_a_text_is_the_mean_of_its_real_tokens_in_the_last_layer(backbone, tiny_backbone):
    found = embed(backbone, 32, TEXTS)
    assert found.shape == (5, 1, 16)
    assert found.dtype == np.float32
    for (text,), vector in zip(TEXTS, found[:, 0], strict=True):
        np.testing.assert_allclose(vector, by_hand(tiny_backbone, text, 32), atol=1e-5)


def test_each_text_of_a_pair_has_the_vector_that_it_has_alone(backbone):
    first, second = TEXTS, TEXTS[::-1]
    pairs = [(a, b) for (a,), (b,) in zip(first, second, strict=True)]
    found = embed(backbone, 32, pairs)
    assert found.shape == (5, 2, 16)
    np.testing.assert_allclose(found[:, 0], embed(backbone, 32, first)[:, 0], atol=1e-5)
    np.testing.assert_allclose(found[:, 1], embed(backbone, 32, second)[:, 0], atol=1e-5)


def test_more_tokens_than_the_backbone_reads_are_cut_there(backbone):
    long = [("train " * 100,)]
    np.testing.assert_array_equal(embed(backbone, 999, long), embed(backbone, 64, long))


def test_pieces_come_back_in_the_order_of_the_texts(backbone, monkeypatch):
    monkeypatch.setattr(embeddings, "ROWS_A_PIECE", 2)
    found = embed_texts(backbone, 32, TEXTS, JOBS)
    np.testing.assert_allclose(found, embed(backbone, 32, TEXTS), atol=1e-5)


def test_no_texts_have_no_vectors(backbone):
    assert embed_texts(backbone, 32, [], JOBS).shape == (0, 1, 16)


def test_a_piece_that_fails_is_named(workplace):
    with pytest.raises(ValueError, match=r"\bnowhere\b.*\b0\b.*backbones/nowhere"):
        embed_texts(Path("models/tiny/backbones/nowhere"), 32, TEXTS, JOBS)
