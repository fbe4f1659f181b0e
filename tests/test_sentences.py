"""Vectors of embedding models, made as the models' own files say."""

import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer

from pipeline.members.backbones import check_copies, keep_backbone
from pipeline.members.bert import embeddings
from pipeline.members.bert.embeddings import embed
from pipeline.members.bert.tokens import tokenize
from pipeline.members.sentences import Recipe, recipe_of

TEXTS = ["dull film", "the warm bright driver goes on", "a"]


@pytest.fixture
def embedding_model(workplace, tiny_backbone):
    """Writes an embedding model's files beside the tiny backbone's; the competition's copy."""

    def write(pooling, *further, prompts=None, default=None):
        folder = workplace / "theirs"
        shutil.copytree(tiny_backbone, folder)
        kinds = ["Transformer", "Pooling", *further]
        modules = [
            {"idx": k, "path": f"{k}_{kind}" if k else "", "type": f"sentence_transformers.{kind}"}
            for k, kind in enumerate(kinds)
        ]
        files = {
            "modules.json": modules,
            "1_Pooling/config.json": pooling,
            "config_sentence_transformers.json": {
                "prompts": prompts,
                "default_prompt_name": default,
            },
        }
        (folder / "1_Pooling").mkdir()
        for name, content in files.items():
            (folder / name).write_text(json.dumps(content))
        return keep_backbone(str(folder), "tiny")

    return write


def states_of(folder, text):
    """(T, H) last layer of one text."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    with torch.inference_mode():
        tokens = tokenizer(text, return_tensors="pt")
        return model.eval()(**tokens).last_hidden_state[0].numpy()


@pytest.mark.parametrize(
    ("pooling", "by_hand"),
    [
        ({"pooling_mode_cls_token": True}, lambda h: h[0]),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, lambda h: h.mean(0)),
        ({"pooling_mode": "lasttoken"}, lambda h: h[-1]),
        ({"pooling_mode": "max"}, lambda h: h.max(0)),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, lambda h: h.sum(0) / len(h) ** 0.5),
        ({"pooling_mode": ["cls", "mean"]}, lambda h: np.hstack([h[0], h.mean(0)])),
        (
            {"pooling_mode_weightedmean_tokens": True},
            lambda h: np.average(h, 0, weights=1 + np.arange(len(h))),
        ),
        ({}, lambda h: h.mean(0)),
    ],
    ids=["cls", "mean", "last", "max", "sqrt_len", "two", "weighted mean", "none"],
)
def test_a_vector_is_pooled_as_the_models_files_say(
    pooling, by_hand, embedding_model, tiny_backbone
):
    vectors = embed(embedding_model(pooling), 32, [(text,) for text in TEXTS])
    for text, vector in zip(TEXTS, vectors[:, 0], strict=True):
        np.testing.assert_allclose(vector, by_hand(states_of(tiny_backbone, text)), atol=1e-5)


def test_a_model_that_scales_its_vectors_gives_vectors_of_length_1(embedding_model, tiny_backbone):
    copy = embedding_model({"pooling_mode": "mean"}, "Normalize")
    (vector,) = embed(copy, 32, [(TEXTS[0],)])[:, 0]
    mean = states_of(tiny_backbone, TEXTS[0]).mean(0)
    np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_the_prompt_that_is_the_models_default_stands_before_every_text(
    embedding_model, tiny_backbone
):
    prompts = {"query": "the warm ", "passage": "dull "}
    copy = embedding_model({"pooling_mode": "mean"}, prompts=prompts, default="query")
    (vector,) = embed(copy, 32, [("film",)])[:, 0]
    np.testing.assert_allclose(vector, states_of(tiny_backbone, "the warm film").mean(0), atol=1e-5)


def test_a_model_of_lower_case_reads_prompt_and_text_so(embedding_model, monkeypatch):
    read = []
    monkeypatch.setattr(
        embeddings, "tokenize", lambda *args: read.extend(args[1]) or tokenize(*args)
    )
    copy = embedding_model({"pooling_mode": "mean"}, prompts={"query": "The "}, default="query")
    embed(copy, 32, [("FILM",)])
    (copy / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    embed(copy, 32, [("FILM",)])
    assert read == [("The FILM",), ("the film",)]


def test_a_prompt_that_is_not_to_be_pooled_is_refused(embedding_model):
    pooling = {"pooling_mode": "mean", "include_prompt": False}
    copy = embedding_model(pooling, prompts={"query": "the "}, default="query")
    with pytest.raises(ValueError, match="include_prompt: false"):
        recipe_of(copy)


def test_a_model_without_a_default_prompt_gets_none(embedding_model):
    copy = embedding_model({"pooling_mode": "mean"}, prompts={"query": "the warm "})
    assert recipe_of(copy) == Recipe("", "mean", is_scaled=False)


def test_a_backbone_without_such_files_is_averaged(tiny_backbone):
    assert recipe_of(tiny_backbone) == Recipe()


def test_a_module_that_is_not_understood_is_named(embedding_model):
    with pytest.raises(ValueError, match=r"modules\.json.*'Dense'"):
        recipe_of(embedding_model({"pooling_mode": "mean"}, "Dense"))


@pytest.mark.parametrize("content", ["", "[{}]", "[1]", "{"])
def test_damaged_modules_are_named(content, embedding_model):
    copy = embedding_model({"pooling_mode": "mean"})
    (copy / "modules.json").write_text(content)
    with pytest.raises(ValueError, match=r"modules\.json: "):
        recipe_of(copy)


@pytest.mark.parametrize(
    "file",
    ["1_Pooling/config.json", "config_sentence_transformers.json", "sentence_bert_config.json"],
)
def test_a_damaged_file_of_a_model_is_to_be_downloaded_again(file, embedding_model):
    copy = embedding_model({"pooling_mode": "mean"})
    (copy / file).write_text("{")
    with pytest.raises(ValueError, match=rf"{file}: .*\bdownload\b"):
        recipe_of(copy)


def test_a_pooling_that_is_not_known_is_named(embedding_model):
    with pytest.raises(ValueError, match="'median'"):
        recipe_of(embedding_model({"pooling_mode": "median"}))


def test_the_copy_of_a_backbone_holds_how_it_pools_and_a_changed_file_is_noticed(embedding_model):
    copy = embedding_model({"pooling_mode": "cls"})
    check_copies([copy])
    (copy / "1_Pooling" / "config.json").write_text("{}")
    with pytest.raises(ValueError, match=copy.name):
        check_copies([copy])
