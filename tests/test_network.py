"""Many architectures: which parameters train, what is saved, what is refused."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.special import expit, log_softmax
from tiny_backbones import ARCHITECTURES, SIZES, TRAINING, make_tokenizer, save_backbone
from tiny_networks import TEXTS, build, tokens_of, train, trained_with
from transformers import AutoConfig, AutoModelForSequenceClassification

from pipeline.members.bert import encoder, finetune
from pipeline.members.bert.encoder import Bert, all_options
from pipeline.members.bert.finetune import fit, predict
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.network import (
    Network,
    _set_dropout,
    build_network,
    check_network,
    load_trained_tensors,
    trained_tensors,
)
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.bert.pretrained import read_config, read_tokenizer
from pipeline.members.bert.tokens import TrainingRows, collate, tokenize
from pipeline.scoring.tasks import TASKS
from pipeline.settings.fine_tuning import losses_for
from pipeline.settings.members import Member

WITHOUT_DROPOUT_LAYERS = {"eurobert", "qwen3", "llama", "gemma3_text"}  # only in attention
PRETRAINED_WITHOUT_DROPOUT = {"modernbert", "albert", *WITHOUT_DROPOUT_LAYERS}


def tensors_of(network: Network) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


# --- every architecture


@pytest.mark.parametrize("frozen", [True, False], ids=["frozen", "unfrozen"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_all_that_can_train_is_in_one_group_and_moves_and_all_else_stays(
    architecture, frozen, backbone_of, trainers, tmp_path
):
    # attention has parameters of its own, which a copied snippet leaves out of the optimizer
    network = build(backbone_of(architecture), "attention", freeze_embeddings=frozen)
    before = tensors_of(network)
    train(network, tokens_of(architecture), tmp_path, epochs=1)

    (trainer,) = trainers
    groups = trainer.optimizer.param_groups
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    trainable = {name: p for name, p in network.named_parameters() if p.requires_grad}
    assert sorted(grouped) == sorted(id(p) for p in trainable.values())

    after = network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    in_training = {p.data_ptr() for p in trainable.values()}  # T5 lists its embeddings twice
    assert moved == {name for name in before if after[name].data_ptr() in in_training}

    table = network.get_input_embeddings().weight
    beginnings = {n.rpartition(".")[0] for n, p in network.named_parameters() if p is table}
    of_embeddings = ("backbone.embeddings.", *(f"{name}." for name in beginnings))
    embeddings = {name for name in before if name.startswith(of_embeddings)}
    assert embeddings
    assert embeddings & moved == (set() if frozen else embeddings & set(trainable))
    if architecture == "deberta-v2":
        assert "backbone.encoder.rel_embeddings.weight" in moved


@pytest.mark.parametrize("pooling", ["attention", "weighted_layer", "gem"])
def test_head_and_pooling_have_a_rate_of_their_own_and_matrices_decay(
    pooling, backbone_of, trainers, tmp_path
):
    network = build(backbone_of("bert"), pooling)
    settings = {"epochs": 1, "head_learning_rate": 0.05, "weight_decay": 0.1}
    train(network, tokens_of("bert"), tmp_path, **settings)
    (trainer,) = trainers
    rates = [
        (id(parameter), group["initial_lr"], bool(group["weight_decay"]))
        for group in trainer.optimizer.param_groups
        for parameter in group["params"]
    ]
    wanted = [
        (
            id(parameter),
            TRAINING.learning_rate if name.startswith("backbone.") else 0.05,
            parameter.ndim == 2,
        )
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    ]
    assert sorted(rates) == sorted(wanted)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_saved_tensors_laid_over_the_backbone_predict_bit_for_bit_the_same(
    architecture, backbone_of, tmp_path
):
    tokens = tokens_of(architecture)
    network = build(backbone_of(architecture), "attention", freeze_embeddings=True)
    train(network, tokens, tmp_path, epochs=1)
    save_file(trained_tensors(network), tmp_path / "weights.safetensors")

    again = build(backbone_of(architecture), "attention", seed=99, freeze_embeddings=True)
    untrained = predict(again, tokens, "regression", None)
    load_trained_tensors(again, load_file(tmp_path / "weights.safetensors"))
    written = predict(network, tokens, "regression", None)
    assert np.array_equal(predict(again, tokens, "regression", None), written)
    assert not np.allclose(untrained, written)
    assert np.unique(written).size == len(TEXTS)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_dropout_0_makes_training_mode_repeat_itself(architecture, backbone_of):
    network = build(backbone_of(architecture), dropout=0.0).train()
    batch = collate(tokens_of(architecture), [0, 1, 2])
    assert torch.equal(network(**batch)["logits"], network(**batch)["logits"])


@pytest.mark.parametrize("architecture", sorted(set(ARCHITECTURES) - PRETRAINED_WITHOUT_DROPOUT))
def test_dropout_null_leaves_the_backbones_own(architecture, backbone_of):
    network = build(backbone_of(architecture), dropout=None).train()
    batch = collate(tokens_of(architecture), [0, 1, 2])
    assert not torch.equal(network(**batch)["logits"], network(**batch)["logits"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_given_dropout_reaches_every_architecture(architecture, backbone_of):
    network = build(backbone_of(architecture), dropout=0.3).train()
    given = {module.p for module in network.modules() if isinstance(module, torch.nn.Dropout)}
    assert given == (set() if architecture in WITHOUT_DROPOUT_LAYERS else {0.3})
    batch = collate(tokens_of(architecture), [0, 1, 2])
    assert not torch.equal(network(**batch)["logits"], network(**batch)["logits"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_poolings_get_the_embeddings_and_every_layer_and_the_last_is_final(
    architecture, backbone_of
):
    network = build(backbone_of(architecture)).eval()
    seen = {}
    network.pooling.register_forward_pre_hook(lambda _, args: seen.update(states=args[0]))
    network.backbone.register_forward_hook(lambda *args: seen.update(last=args[2][0], all=args[2]))
    batch = collate(tokens_of(architecture), [0, 1])
    network(**batch)
    states = seen["states"]
    assert seen["all"].get("past_key_values") is None  # of a decoder, for generating text
    assert [tuple(state.shape) for state in states] == [(*batch["input_ids"].shape, 16)] * 3
    assert torch.equal(states[-1], seen["last"])
    assert not torch.allclose(states[0], states[1])
    assert not torch.allclose(states[1], states[2])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_text_does_not_notice_what_it_is_batched_with(architecture, backbone_of):
    network = build(backbone_of(architecture)).eval()
    tokens = tokens_of(architecture)
    together = network(**collate(tokens, [0, 1, 2, 3]))["logits"]
    alone = torch.cat([network(**collate(tokens, [row]))["logits"] for row in range(4)])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_long_text_reads_the_same_after_a_short_one(tmp_path, monkeypatch):
    settings = {**SIZES, "block_size": 2, "num_random_blocks": 1}  # sparse from 15 tokens on
    monkeypatch.setitem(ARCHITECTURES, "big_bird", settings)
    network = build(save_backbone(tmp_path / "big_bird", "big_bird"), "weighted_layer").eval()
    long_text = torch.arange(4, 21)[None]
    before, _, after = (
        network(tokens, torch.ones_like(tokens))["logits"]
        for tokens in (long_text, long_text[:, :5], long_text)
    )
    assert torch.equal(before, after)


def test_the_dropouts_of_gpt_2_are_set_too():
    config = AutoConfig.for_model("gpt2")
    _set_dropout(config, 0.3)
    assert {config.resid_pdrop, config.embd_pdrop, config.attn_pdrop} == {0.3}


def test_a_backbone_that_mixes_precisions_trains_in_float32(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "deberta", {**SIZES, "type_vocab_size": 0})
    monkeypatch.setattr(finetune, "best_precision", lambda: "bf16")
    folder = save_backbone(tmp_path / "deberta", "deberta")
    train(build(folder), tokens_of("deberta"), tmp_path, epochs=1)
    member = Member(name="mean", seed=1, pooling="mean", backbone="deberta", max_length=64)
    Bert().check(member, folder)
    with pytest.raises(ValueError, match=r"bf16.*\bdeberta\b"):
        Bert().check(member.model_copy(update={"precision": "bf16"}), folder)


def test_a_backbone_may_read_more_tokens_than_its_tokenizer_is_set_to(tmp_path):
    folder = save_backbone(tmp_path / "bert", "bert", max_position_embeddings=130)
    assert read_tokenizer(folder).model_max_length == 64
    settings = {"seed": 1, "pooling": "mean", "backbone": "bert", "precision": "fp32"}
    Bert().check(Member(name="mean", max_length=130, **settings), folder)
    with pytest.raises(ValueError, match=r"\b131\b.*\b130\b"):
        Bert().check(Member(name="mean", max_length=131, **settings), folder)


# --- one architecture is enough


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_head_gets_normalised_vectors_where_the_pooling_asks_for_it(pooling, task, backbone_of):
    how = {"task": task, "dropout": 0.0, "freeze_embeddings": True}
    network = build_network(backbone_of("bert"), pooling, {}, 2, **how)
    seen = {}
    network.head.register_forward_pre_hook(lambda _, args: seen.update(vectors=args[0]))
    batch = collate(tokens_of("bert"), [0, 1, 2])
    network(**batch)
    vectors = network.pooled(**batch)
    if task in POOLINGS[pooling].normalised_for:
        centred = vectors - vectors.mean(1, keepdim=True)
        vectors = centred / centred.square().mean(1, keepdim=True).sqrt()
    assert torch.allclose(seen["vectors"], vectors, atol=1e-3)


def test_a_tokenizer_is_read_only_for_a_pooling_that_asks_for_it(backbone_of, monkeypatch):
    folder = backbone_of("bert")
    assert all_options("idf", {}, folder).keys() == {"vocab_size", "special_ids"}
    monkeypatch.setattr(encoder, "read_tokenizer", lambda _: pytest.fail("read"))
    assert all_options("mean", {"layer": 1}, folder) == {"layer": 1}


def test_a_text_is_pooled_from_the_last_layer(backbone_of):
    network = build(backbone_of("bert")).eval()
    batch = collate(tokens_of("bert"), [0])
    last = network.backbone(**batch).last_hidden_state
    assert torch.allclose(network.pooled(**batch), last.mean(1), atol=1e-6)


def test_the_outputs_of_a_pair_depend_on_which_text_a_token_belongs_to(backbone_of):
    network = build(backbone_of("bert")).eval()
    pair = collate(tokenize(make_tokenizer("bert"), [("the film", "a train")], max_length=16), [0])
    one_text = {**pair, "token_type_ids": torch.zeros_like(pair["token_type_ids"])}
    outputs, of_one_text = (network(**batch)["logits"] for batch in (pair, one_text))
    assert not torch.allclose(outputs, of_one_text, atol=1e-3)


def test_a_backbone_of_one_type_reads_a_pair_whose_tokenizer_gives_two(backbone_of):
    network = build(backbone_of("roberta")).eval()
    pair = collate(tokenize(make_tokenizer("roberta"), [("the film", "a")], max_length=16), [0])
    types = torch.ones_like(pair["input_ids"])
    assert torch.equal(network.pooled(**pair), network.pooled(**pair, token_type_ids=types))


@pytest.mark.parametrize(
    ("task", "labels", "loss"),
    [
        ("regression", [[0.5], [-1.0]], lambda x, y: ((x - y) ** 2).mean()),
        ("binary", [[1.0], [0.0]], lambda x, y: cross_entropy(x, y)),
        ("multilabel", [[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]], lambda x, y: cross_entropy(x, y)),
        ("multiclass", [2, 0], lambda x, y: -log_softmax(x, axis=1)[[0, 1], y].mean()),
    ],
)
def test_the_loss_is_that_of_the_task_far_from_the_constant_too(task, labels, loss, backbone_of):
    width = len(labels[0]) if task != "multiclass" else 3
    settings = {"loss": LOSSES[losses_for(task)[0]], "dropout": 0.0, "freeze_embeddings": False}
    network = build_network(backbone_of("bert"), "mean", {}, width, **settings).eval()
    found = network(**collate(tokens_of("bert"), [0, 1]), labels=torch.tensor(labels))
    logits = found["logits"].detach().double().numpy()
    assert found["loss"].item() == pytest.approx(loss(logits, np.array(labels)), rel=1e-5)


def cross_entropy(logits, labels):
    """Mean over rows and columns of the negative log of the truth's probability."""
    return -np.log(np.where(labels == 1, expit(logits), expit(-logits))).mean()


@pytest.mark.parametrize("pooling", [*sorted(POOLINGS), "mean+idf"])
def test_every_pooling_trains_through_the_network(pooling, backbone_of, tmp_path):
    options = all_options(pooling, {}, backbone_of("bert"))
    network = build(backbone_of("bert"), pooling, options=options, freeze_embeddings=True)
    tokens = tokens_of("bert")
    before = predict(network, tokens, "regression", None)
    train(network, tokens, tmp_path)
    after = predict(network, tokens, "regression", None)
    assert np.isfinite(after).all()
    assert np.abs(after - before).min() > 1e-3


def test_noise_on_the_embeddings_changes_what_is_learned_and_goes_when_training_ends(
    backbone_of, tmp_path
):
    tokens = tokens_of("bert")
    found = []
    for trainer in ({}, {"neftune_noise_alpha": 5.0}):
        network = build(backbone_of("bert"))
        train(network, tokens, tmp_path, epochs=1, trainer=trainer)
        found.append(predict(network, tokens, "regression", None))
        again = predict(network.train(), tokens, "regression", None)
        np.testing.assert_array_equal(again, found[-1])
    assert np.isfinite(found[1]).all()
    assert np.abs(found[1] - found[0]).max() > 1e-4


def test_an_idf_learned_from_the_training_rows_is_among_the_saved_tensors(backbone_of, tmp_path):
    options = {"vocab_size": 200, "special_ids": [0, 1, 2, 3]}
    network = build(backbone_of("bert"), "idf", options=options, freeze_embeddings=True)
    tokens = tokens_of("bert")
    labels = torch.tensor([[1.0], [2.0]])
    dataset = TrainingRows(tokens, np.array([0, 2]), labels)
    fit(network, dataset, trained_with(), seed=1, log=tmp_path / "train.log")
    idf = trained_tensors(network)["pooling.idf"]
    once, never = np.log(3 / 2) + 1, np.log(3) + 1
    film, dull = make_tokenizer("bert").convert_tokens_to_ids(["film", "dull"])
    assert idf[film].item() == pytest.approx(once)
    assert idf[dull].item() == pytest.approx(never)  # stands in a row that was not trained on


def test_untouched_tensors_are_not_saved_twice(backbone_of):
    whole, saved = (
        trained_tensors(build(backbone_of("bert"), freeze_embeddings=frozen))
        for frozen in (False, True)
    )
    assert "backbone.embeddings.word_embeddings.weight" in whole
    assert not [name for name in saved if "embeddings" in name or "pooler" in name]
    assert "backbone.encoder.layer.1.output.dense.weight" in saved
    assert {"head.weight", "head.bias"} <= set(saved)


def test_tensors_of_another_network_are_refused(backbone_of):
    saved = trained_tensors(build(backbone_of("bert"), "attention"))
    with pytest.raises(ValueError, match=r"\b5\b.*'pooling\.score"):
        load_trained_tensors(build(backbone_of("bert"), "mean"), saved)
    del saved["head.bias"]
    with pytest.raises(ValueError, match=r"\b1\b.*'head\.bias'"):
        load_trained_tensors(build(backbone_of("bert"), "attention"), saved)


def without(folder: Path, pattern: str) -> None:
    """Remove a backbone's weights that match."""
    path = folder / "model.safetensors"
    kept = {n: t for n, t in load_file(path).items() if not re.search(pattern, n)}
    save_file(kept, path, {"format": "pt"})


def test_a_float16_checkpoint_is_trained_in_float32(tmp_path):
    folder = save_backbone(tmp_path / "bert", "bert")
    path = folder / "model.safetensors"
    half = {name: tensor.half() for name, tensor in load_file(path).items()}
    save_file(half, path, {"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "dtype": "float16"}))
    network = build(folder)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    name = "encoder.layer.0.output.dense.weight"
    assert torch.equal(network.backbone.state_dict()[name], half[name].float())


# --- backbones that cannot be used


def with_weights(folder: Path, change) -> None:
    path = folder / "model.safetensors"
    save_file({n: change(n, t) for n, t in load_file(path).items()}, path, {"format": "pt"})


def with_setting(folder: Path, **settings) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def as_pickle(folder: Path, content: object = None) -> None:
    path = folder / "model.safetensors"
    torch.save(load_file(path) if content is None else content, folder / "pytorch_model.bin")
    path.unlink()


class Code:
    def __reduce__(self):
        return print, ("this runs",)


def zeros(name, tensor):
    return tensor * 0


def same_words(name, tensor):
    return tensor * 0 if "word_embeddings" in name else tensor


def with_nan(name, tensor):
    return tensor / (0.0 if name.endswith("layer.1.output.LayerNorm.bias") else 1.0)


UNUSABLE = {
    "zeros": (lambda f: with_weights(f, zeros), "same vector"),
    "one embedding": (lambda f: with_weights(f, same_words), "same vector"),
    "NaN": (lambda f: with_weights(f, with_nan), r"'encoder\.layer\.1\.output\.LayerNorm\.bias'"),
    "half a file": (lambda f: os.truncate(f / "model.safetensors", 5_000), "header"),
    "other shapes": (lambda f: with_setting(f, intermediate_size=48), "shapes"),
    "odd heads": (lambda f: with_setting(f, num_attention_heads=3), r"\b16\b.*\b3\b"),
    "missing weights": (
        lambda f: without(f, r"layer\.1\.output\.dense"),
        r"\b2\b.*'encoder\.layer\.1\.output\.dense\.bias'",
    ),
    "a layer too many": (lambda f: with_setting(f, num_hidden_layers=3), r"'encoder\.layer\.2"),
    "an unknown type": (lambda f: with_setting(f, model_type="none"), "`none`"),
    "an unknown activation": (lambda f: with_setting(f, hidden_act="none"), "'none'"),
    "text for a number": (lambda f: with_setting(f, hidden_size="16"), "'16'"),
    "no JSON": (lambda f: (f / "config.json").write_text("{"), "JSON"),
    "code in a pickle": (lambda f: as_pickle(f, {"a": Code()}), "code"),
    "no pickle": (lambda f: as_pickle(f) or os.truncate(f / "pytorch_model.bin", 900), "zip"),
    "no tokenizer": (lambda f: [p.unlink() for p in f.glob("token*.json")], "tokenizer"),
    "another tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "added_tokens"),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_a_backbone_that_cannot_be_used_is_refused_in_a_line(tmp_path, fault, capsys):
    folder = save_backbone(tmp_path / "bert", "bert")
    spoil, said = UNUSABLE[fault]
    spoil(folder)
    with pytest.raises(ValueError, match=rf"^backbone mine/bert: [^\n]*{said}[^\n]*; [^\n]*$"):
        check_network("mine/bert", folder)
    assert "this runs" not in capsys.readouterr().out


def test_a_tokenizer_of_a_larger_vocabulary_is_refused(tmp_path):
    folder = save_backbone(tmp_path / "bert", "bert", vocab_size=30)
    with pytest.raises(ValueError, match=r"\b30\b"):
        check_network("mine/bert", folder)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_a_backbone_of_each_architecture_can_be_used(architecture, backbone_of):
    check_network(architecture, backbone_of(architecture))


def test_a_backbone_whose_vectors_hold_padding_is_refused(tmp_path, monkeypatch):
    settings = {**SIZES, "embedding_size": 16, "head_ratio": 1, "conv_kernel_size": 3}
    monkeypatch.setitem(ARCHITECTURES, "convbert", settings)
    with pytest.raises(ValueError, match="padding"):
        check_network("mine/convbert", save_backbone(tmp_path / "convbert", "convbert"))


def with_another_head(folder: Path) -> None:
    AutoModelForSequenceClassification.from_pretrained(folder).save_pretrained(folder)


NEARLY_UNUSABLE = {
    "another head": with_another_head,
    "a layer left out": lambda f: with_setting(f, num_hidden_layers=1),
    "tensors in a pickle": as_pickle,
    "float16": lambda f: with_weights(f, lambda _, tensor: tensor.half()),
    "no pooler": lambda f: without(f, "pooler"),
    "attention of zeros": lambda f: with_weights(
        f, lambda n, t: t * 0 if "layer.0.attention.self" in n else t
    ),
}


@pytest.mark.parametrize("kind", NEARLY_UNUSABLE)
def test_a_backbone_with_an_oddity_that_does_no_harm_is_fine(tmp_path, kind):
    folder = save_backbone(tmp_path / "bert", "bert")
    NEARLY_UNUSABLE[kind](folder)
    check_network("mine/bert", folder)


# --- code that a backbone brings


def with_own_code(folder: Path, model_type: str) -> Path:
    """Let the folder's configuration ask for classes of its own; loading them leaves a file."""
    path = folder / "config.json"
    classes = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    config = {**json.loads(path.read_text()), "model_type": model_type, "auto_map": classes}
    path.write_text(json.dumps(config))
    tokenizer = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (folder / "own.py").write_text(f"open({str(folder / 'ran')!r}, 'w')\n")
    return folder


@pytest.mark.parametrize("read", [read_config, read_tokenizer, build])
def test_a_backbone_that_only_its_own_code_can_read_is_refused_without_asking(
    read, tmp_path, monkeypatch
):
    folder = with_own_code(save_backbone(tmp_path / "own", "bert"), "nobody_knows")
    monkeypatch.setattr("builtins.input", lambda _: pytest.fail("asked on the terminal"))
    with pytest.raises(ValueError, match=rf"^backbone {folder}: [^\n]*\bauto_map\b[^\n]*$"):
        read(folder)
    assert not (folder / "ran").exists()


def test_a_backbone_that_transformers_knows_is_read_by_its_code_and_not_by_the_folders(tmp_path):
    folder = with_own_code(save_backbone(tmp_path / "own", "bert"), "bert")
    assert type(build(folder).backbone).__module__.startswith("transformers.")
    assert not (folder / "ran").exists()
