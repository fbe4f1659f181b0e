"""Fit and predict: order of rows, scale of targets, seeds, learning, Trainer's arguments."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import BAD, CLASSES, GOOD, PLAIN
from sklearn.metrics import roc_auc_score
from tiny_backbones import TRAINING, make_tokenizer
from transformers import set_seed

from pipeline.members.bert import finetune, trainer
from pipeline.members.bert.finetune import Scaling, fit, labels_for_loss, predict
from pipeline.members.bert.losses import LOSSES
from pipeline.members.bert.network import Network, build_network
from pipeline.members.bert.tokens import TrainingRows, collate, tokenize
from pipeline.members.bert.trainer import refuse_overflow, training_arguments
from pipeline.scoring.tasks import TASKS
from pipeline.settings.fine_tuning import TRAINER_KEYS, losses_for


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer("bert")


def build(backbone, task="regression", n_outputs=1, seed=3):
    set_seed(seed)
    loss = LOSSES[losses_for(task)[0]]
    return build_network(backbone, "mean", {}, n_outputs, loss, dropout=0.0, freeze_embeddings=True)


def sentences(telling, longest=40):
    """Texts of 3 to `longest` words, two of them of `telling[i]` in text i."""
    rng = np.random.default_rng(0)
    texts = []
    for words in telling:
        filler = rng.choice(PLAIN, rng.integers(1, longest - 1)).tolist()
        texts.append((" ".join(rng.permutation([*filler, *rng.choice(words, 2)])),))
    return texts


def weights_of(network):
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


# --- predict


@pytest.mark.parametrize("seed", range(3))
def test_predictions_come_in_the_order_of_the_rows_whatever_their_lengths(
    seed, tiny_backbone, tokenizer, monkeypatch
):
    monkeypatch.setitem(finetune.PREDICTION_TOKENS, "cpu", 64)  # many batches
    texts = sentences([GOOD + BAD] * 50)
    texts = [texts[i] for i in np.random.default_rng(seed).permutation(50)]
    network = build(tiny_backbone).eval()
    tokens = tokenize(tokenizer, texts, max_length=40)
    assert len(set(tokens.lengths)) > 15
    predictions = predict(network, tokens, "regression", None)
    for row, text in enumerate(texts):
        alone = network(**collate(tokenize(tokenizer, [text], 40), [0]))["logits"]
        assert predictions[row, 0] == pytest.approx(alone.item(), abs=1e-5)
    assert np.unique(predictions.round(4)).size > 40


@pytest.mark.parametrize("at_most", [1, 3, 4, 5])
def test_short_texts_do_not_make_batches_of_thousands(
    at_most, tiny_backbone, tokenizer, monkeypatch
):
    monkeypatch.setattr(finetune, "PREDICTION_TEXTS", at_most)
    network, sizes = build(tiny_backbone), []
    network.register_forward_pre_hook(
        lambda _, __, batch: sizes.append(len(batch["input_ids"])), with_kwargs=True
    )
    predict(network, tokenize(tokenizer, [("dull",)] * 9, 40), "regression", None)
    assert max(sizes) == at_most
    assert sum(sizes) == 9


@pytest.mark.parametrize("at_most", [1, 100, 10**9])
def test_predictions_do_not_depend_on_the_batches(at_most, tiny_backbone, tokenizer, monkeypatch):
    tokens = tokenize(tokenizer, sentences([GOOD] * 40), max_length=40)
    network = build(tiny_backbone)
    wanted = predict(network, tokens, "regression", None)
    monkeypatch.setitem(finetune.PREDICTION_TOKENS, "cpu", at_most)
    np.testing.assert_allclose(predict(network, tokens, "regression", None), wanted, atol=1e-5)


def test_a_text_predicts_the_same_in_another_table(tiny_backbone, tokenizer):
    texts = sentences([GOOD] * 30)
    network = build(tiny_backbone)
    all_rows = predict(network, tokenize(tokenizer, texts, 40), "regression", None)
    some = predict(network, tokenize(tokenizer, texts[20:25], 40), "regression", None)
    np.testing.assert_allclose(some, all_rows[20:25], atol=1e-5)


@pytest.mark.parametrize(("task", "c"), [("binary", 1), ("multiclass", 3), ("multilabel", 2)])
def test_probabilities_are_probabilities(task, c, tiny_backbone, tokenizer):
    network = build(tiny_backbone, task, c)
    predictions = predict(network, tokenize(tokenizer, sentences([GOOD] * 9), 40), task, None)
    assert predictions.shape == (9, c)
    assert predictions.dtype == np.float64
    assert ((predictions > 0) & (predictions < 1)).all()
    if task == "multiclass":
        np.testing.assert_allclose(predictions.sum(axis=1), 1, atol=1e-12)


def test_no_texts_have_no_predictions(tiny_backbone, tokenizer):
    network = build(tiny_backbone, "multiclass", 3)
    assert predict(network, tokenize(tokenizer, [], 40), "multiclass", None).shape == (0, 3)


def test_predicting_leaves_the_network_in_evaluation_mode_and_unchanged(tiny_backbone, tokenizer):
    network = build(tiny_backbone)
    before = weights_of(network)
    predict(network.train(), tokenize(tokenizer, [("dull",)], 40), "regression", None)
    assert not network.training
    assert torch.equal(weights_of(network), before)


# --- the targets' scale


def test_scaling_is_each_columns_mean_and_deviation_and_a_constant_column_counts_as_1():
    scaling = Scaling.of(np.array([[1.0, 7.0], [3.0, 7.0]]))
    assert scaling == Scaling([2.0, 7.0], [1.0, 1.0])
    labels = labels_for_loss("regression", np.array([[5.0, 8.0]]), scaling)
    assert labels.tolist() == [[3.0, 1.0]]
    assert labels.dtype == torch.float32


def test_a_constant_that_rounding_gives_a_deviation_counts_as_one():
    y = np.full((3, 1), 0.1)
    assert y.std() > 0  # 1.4e-17
    assert Scaling.of(y).sd == [1.0]


def test_predictions_are_scaled_back_to_target_units(tiny_backbone, tokenizer):
    network = build(tiny_backbone, n_outputs=2)
    tokens = tokenize(tokenizer, sentences([GOOD] * 5), 40)
    raw = predict(network, tokens, "regression", None)
    scaled = predict(network, tokens, "regression", Scaling([100.0, -1.0], [10.0, 1e6]))
    np.testing.assert_allclose(scaled, raw * [10.0, 1e6] + [100.0, -1.0])


def test_labels_have_the_form_that_the_loss_wants():
    binary = labels_for_loss("binary", np.array([0, 1, 1]), None)
    assert (binary.tolist(), binary.dtype) == ([[0.0], [1.0], [1.0]], torch.float32)
    multiclass = labels_for_loss("multiclass", np.array([2, 0]), None)
    assert (multiclass.tolist(), multiclass.dtype) == ([2, 0], torch.int64)
    multilabel = labels_for_loss("multilabel", np.array([[0.0, 1.0]]), None)
    assert (multilabel.tolist(), multilabel.dtype) == ([[0.0, 1.0]], torch.float32)


# --- fit


def trained_with(**settings):
    """The usual settings but for some."""
    return TRAINING.model_copy(update=settings)


def fitted(backbone, tokenizer, folder, training=TRAINING, *, seed=5, head_seed=3):
    """A network fitted on 24 rows of 36, what it took, and its log."""
    texts = sentences(([GOOD] * 2 + [BAD]) * 12)
    tokens = tokenize(tokenizer, texts, 40)
    labels = torch.tensor([[1.0], [1.0], [-2.0]] * 8)
    network = build(backbone, seed=head_seed)
    log = folder / "train.log"
    dataset = TrainingRows(tokens, np.arange(24), labels)
    effort = fit(network, dataset, training, seed=seed, log=log)
    return network, effort, log


def test_one_seed_gives_one_network_bit_for_bit_and_another_seed_another(
    tiny_backbone, tokenizer, tmp_path
):
    one, same, other_order, other_head = (
        weights_of(fitted(tiny_backbone, tokenizer, tmp_path, seed=s, head_seed=head)[0])
        for s, head in ((5, 3), (5, 3), (6, 3), (5, 4))
    )
    assert torch.equal(one, same)
    assert not torch.allclose(one, other_order)
    assert not torch.allclose(one, other_head)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_predicts_in_float32_whatever_it_was_trained_in(
    precision, tiny_backbone, tokenizer, tmp_path
):
    """As the one that is built anew from its tensors does, bit for bit."""
    training = trained_with(precision=precision)
    network, effort, _ = fitted(tiny_backbone, tokenizer, tmp_path, training)
    assert effort["precision"] == precision
    assert AcceleratorState().mixed_precision == {"fp32": "no", "bf16": "bf16"}[precision]
    rebuilt = build(tiny_backbone)
    rebuilt.load_state_dict(network.state_dict())
    tokens = tokenize(tokenizer, sentences([GOOD, BAD] * 10), 40)
    one, other = (predict(n, tokens, "regression", None) for n in (network, rebuilt))
    np.testing.assert_array_equal(one, other)
    assert all(parameter.grad is None for parameter in network.parameters())


def test_precisions_differ_and_none_stays_for_the_next_unit(tiny_backbone, tokenizer, tmp_path):
    full, half, again = (
        weights_of(fitted(tiny_backbone, tokenizer, tmp_path, trained_with(precision=p))[0])
        for p in ("fp32", "bf16", "fp32")
    )
    assert torch.equal(full, again)
    assert not torch.equal(full, half)
    assert torch.allclose(full, half, atol=0.05)


def test_a_precision_of_the_environment_has_no_say(tiny_backbone, tokenizer, tmp_path, monkeypatch):
    full = trained_with(precision="fp32")
    wanted = weights_of(fitted(tiny_backbone, tokenizer, tmp_path, full)[0])
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert torch.equal(weights_of(fitted(tiny_backbone, tokenizer, tmp_path, full)[0]), wanted)


@pytest.mark.parametrize(
    ("has_gpu", "has_bf16", "capability", "best"),
    [
        (False, False, (0, 0), "fp32"),
        (False, True, (0, 0), "bf16"),  # a CPU from Cooper Lake or Zen 4 on
        (True, True, (8, 0), "bf16"),  # A100 and newer
        (True, False, (7, 5), "fp16"),  # T4, V100
        (True, False, (6, 0), "fp32"),  # P100: no units for it
    ],
)
def test_the_best_precision_is_what_the_machine_has_units_for(
    has_gpu, has_bf16, capability, best, monkeypatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: has_gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    monkeypatch.setattr(finetune, "cpu_multiplies_bf16", lambda: has_bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert finetune.best_precision() == best


@pytest.mark.parametrize(("avx512", "amx"), [(True, False), (False, True), (False, False)])
def test_a_cpu_multiplies_bf16_if_it_has_either_unit(avx512, amx, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    assert finetune.cpu_multiplies_bf16() == (avx512 or amx)


def test_fp16_is_refused_without_a_gpu(tiny_backbone, tokenizer, tmp_path):
    with pytest.raises(ValueError, match=r"training\.precision: (?!.*bf16).*fp16.*GPU"):
        fitted(tiny_backbone, tokenizer, tmp_path, trained_with(precision="fp16"))


@pytest.mark.parametrize(("last_scale", "n_steps"), [(2.0**5, 20), (0.0, 5000), (2.0**-5, 40)])
def test_a_training_that_left_out_most_steps_is_refused(last_scale, n_steps):
    """A step that overflows halves the scale: 11 of 20, all, and 21 of 40."""
    with pytest.raises(ValueError, match=r"training\.precision: .*fp16.*fp32.*bf16"):
        refuse_overflow(2.0**16, last_scale, n_steps)


@pytest.mark.parametrize("last_scale", [2.0**16, 2.0**6, 2.0**18])
def test_a_training_that_left_out_few_steps_stands(last_scale):
    refuse_overflow(2.0**16, last_scale, 20)


def test_what_is_drawn_at_random_before_does_not_matter(tiny_backbone, tokenizer, tmp_path):
    one = weights_of(fitted(tiny_backbone, tokenizer, tmp_path)[0])
    torch.rand(7)
    np.random.rand(7)
    assert torch.equal(one, weights_of(fitted(tiny_backbone, tokenizer, tmp_path)[0]))


def test_rows_that_are_not_trained_on_do_not_matter(tiny_backbone, tokenizer, tmp_path):
    texts = sentences([GOOD, BAD] * 8)
    labels = torch.tensor([[1.0], [-1.0]] * 6)
    found = []
    for others in ([("dull",)] * 4, [("the film goes on and on",)] * 4):
        tokens = tokenize(tokenizer, [*others[:2], *texts[:12], *others[2:]], 40)
        network = build(tiny_backbone)
        dataset = TrainingRows(tokens, np.arange(2, 14), labels)
        fit(network, dataset, TRAINING, seed=5, log=tmp_path / "train.log")
        found.append(weights_of(network))
    assert torch.equal(*found)


def test_the_log_is_a_json_a_line_with_falling_loss(tiny_backbone, tokenizer, tmp_path):
    training = trained_with(epochs=10)
    _, effort, log = fitted(tiny_backbone, tokenizer, tmp_path, training)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert len(losses) >= 5
    assert losses[-1] < losses[0] / 2
    assert lines[-1]["step"] == effort["steps"] == 30
    assert effort["seconds"] > 0
    assert effort["tokens_per_second"] > 0
    assert effort["precision"] == finetune.best_precision()


def test_speed_counts_the_real_tokens_of_the_training_rows_in_every_epoch(
    tiny_backbone, tokenizer, tmp_path
):
    _, effort, _ = fitted(tiny_backbone, tokenizer, tmp_path, trained_with(epochs=3))
    n_tokens = tokenize(tokenizer, sentences(([GOOD] * 2 + [BAD]) * 12), 40).lengths[:24].sum()
    assert effort["tokens_per_second"] * effort["seconds"] == pytest.approx(3 * n_tokens, rel=0.02)


@pytest.mark.parametrize(
    ("precision", "longest", "attention"),
    [("bf16", 128, "eager"), ("bf16", 129, None), ("fp32", 16, None), ("fp16", 16, None)],
)
def test_short_texts_in_bf16_on_a_cpu_train_with_eager_attention(precision, longest, attention):
    assert finetune.fastest_attention(precision, longest) == attention


@pytest.mark.parametrize(("precision", "fastest"), [("bf16", "eager"), ("fp32", "sdpa")])
def test_a_network_attends_in_training_as_is_fastest_and_afterwards_as_before(
    precision, fastest, tiny_backbone, tokenizer, tmp_path, monkeypatch
):
    attend_by, asked = Network.attend_by, []
    monkeypatch.setattr(Network, "attend_by", lambda self, name: asked.append(name))
    network, _, _ = fitted(tiny_backbone, tokenizer, tmp_path, trained_with(precision=precision))
    assert asked == [fastest, "sdpa"]
    attend_by(network, "eager")
    assert network.attention == "eager"


def test_training_leaves_nothing_but_its_log_and_prints_nothing(
    tiny_backbone, tokenizer, tmp_path, capsys
):
    fitted(tiny_backbone, tokenizer, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["train.log"]
    assert capsys.readouterr().out == ""


TOPICS = list(CLASSES.values())
EASY = {
    "regression": ([GOOD, BAD], np.array([[3.0], [1.0]])),
    "binary": ([GOOD, BAD], np.array([1, 0])),
    "multiclass": (TOPICS, np.array([0, 1, 2])),
    "multilabel": ([GOOD, BAD, PLAIN[:1]], np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])),
}


@pytest.mark.parametrize("task", sorted(TASKS))
def test_an_easy_task_is_learned_and_holds_on_other_rows(task, tiny_backbone, tokenizer, tmp_path):
    words, targets = EASY[task]
    code = np.arange(90) % len(words)
    y = targets[code]
    tokens = tokenize(tokenizer, sentences([words[k] for k in code], longest=8), 40)
    training, held_out = np.arange(60), np.arange(60, 90)
    scaling = Scaling.of(y[training]) if task == "regression" else None
    network = build(tiny_backbone, task, 1 if task == "binary" else targets.shape[-1])
    labels = labels_for_loss(task, y[training], scaling)
    dataset = TrainingRows(tokens, training, labels)
    fit(network, dataset, trained_with(epochs=8), seed=5, log=tmp_path / "train.log")
    found, truth = predict(network, tokens.take(held_out), task, scaling), y[held_out]
    if task == "regression":
        assert np.corrcoef(found[:, 0], truth[:, 0])[0, 1] > 0.8
        assert found.mean() == pytest.approx(2.0, abs=0.3)  # in the targets' units
    elif task == "multiclass":
        assert (found.argmax(axis=1) == truth).mean() > 0.8
    else:
        assert roc_auc_score(truth, found) > 0.9


# --- what Trainer is told


def test_an_unknown_trainer_key_is_named(tiny_backbone, tokenizer, tmp_path):
    training = trained_with(trainer={"learning_rat": 1})
    with pytest.raises(ValueError, match=r"training\.trainer: .*'learning_rat'"):
        fitted(tiny_backbone, tokenizer, tmp_path, training)


def test_trainer_keys_reach_the_trainer(tmp_path):
    training = trained_with(trainer={"lr_scheduler_type": "constant", "logging_steps": 7})
    arguments = training_arguments(training, 5, tmp_path, "cpu", "fp32")
    assert arguments.lr_scheduler_type == "constant"
    assert arguments.logging_steps == 7
    assert arguments.learning_rate == TRAINING.learning_rate


def test_the_learning_rate_warms_up_by_its_share_and_falls_to_0(tiny_backbone, tokenizer, tmp_path):
    training = trained_with(epochs=10, warmup=0.5, trainer={"logging_steps": 1})
    _, _, log = fitted(tiny_backbone, tokenizer, tmp_path, training)
    rates = [json.loads(line).get("learning_rate") for line in log.read_text().splitlines()][:-1]
    assert np.argmax(rates) == 15
    assert max(rates) == pytest.approx(1e-2)
    assert rates[-1] == pytest.approx(1e-2 / 15)


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ({"lr_scheduler_type": "cosine"}, [(1 + np.cos(np.pi * k / 30)) / 2 for k in range(30)]),
        (
            {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 2}},
            [(1 + np.cos(np.pi * (k % 15) / 15)) / 2 for k in range(30)],
        ),
        ({"lr_scheduler_type": "constant_with_warmup"}, [1.0] * 30),
    ],
    ids=lambda value: value["lr_scheduler_type"] if isinstance(value, dict) else "",
)
def test_any_schedule_of_the_trainer_sets_the_learning_rate(
    schedule, shares, tiny_backbone, tokenizer, tmp_path
):
    schedule = {"logging_steps": 1, **schedule}
    training = trained_with(epochs=10, warmup=0.0, trainer=schedule)
    _, _, log = fitted(tiny_backbone, tokenizer, tmp_path, training)
    rates = [json.loads(line).get("learning_rate") for line in log.read_text().splitlines()][:-1]
    np.testing.assert_allclose(rates, np.array(shares) * TRAINING.learning_rate, atol=1e-9)


def test_accumulated_gradients_are_those_of_one_batch(tiny_backbone, tokenizer, tmp_path):
    """All rows are one step, as one batch or as three: the mean of their losses is the same."""
    whole = trained_with(batch_size=24, epochs=3, trainer={"optim": "sgd"})
    accumulated = {**whole.trainer, "gradient_accumulation_steps": 3}
    parts = whole.model_copy(update={"batch_size": 8, "trainer": accumulated})
    results = [fitted(tiny_backbone, tokenizer, tmp_path, how) for how in (whole, parts)]
    assert [effort["steps"] for _, effort, _ in results] == [3, 3]
    one, other = (weights_of(network) for network, _, _ in results)
    start = weights_of(build(tiny_backbone))
    assert (one - start).abs().max() > 1e-3
    assert torch.allclose(one, other, atol=1e-5)


def test_every_field_of_the_trainer_that_is_filled_names_the_setting_to_use_instead(monkeypatch):
    filled = {}

    def remember(**fields):
        filled.update(fields)
        return SimpleNamespace()

    monkeypatch.setattr(trainer, "TrainingArguments", remember)
    training_arguments(TRAINING, 5, Path("folder"), "cpu", "fp32")
    assert set(filled) - {"logging_steps"} <= set(TRAINER_KEYS)  # that one may be set
