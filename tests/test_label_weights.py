"""Weights of rows and classes: what they are, and that every member and its start follow them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_estimators import example, fitted, n_columns
from test_losses import minimise
from torch import nn

from pipeline.competition.rows import Train
from pipeline.competition.targets import read_weights
from pipeline.members.bert.finetune import labels_for_loss, weights_for_loss
from pipeline.members.bert.losses import LOSSES
from pipeline.members.classic.estimators import ESTIMATORS
from pipeline.members.label_weights import label_weights
from pipeline.members.training_table import TrainingTable
from pipeline.members.units import Unit
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.settings.fine_tuning import TASKS_OF_LOSS
from pipeline.settings.members import ClassicMember

CODES = np.array([0, 1, 1, 1, 2, 2])
NAMES = ("a", "b", "c")
EACH_LOSS = [(name, task) for name, tasks in TASKS_OF_LOSS.items() for task in tasks]


# --- what they are


def test_without_weights_of_rows_and_classes_there_are_none():
    assert label_weights(CODES, None, None, NAMES) is None


def test_balanced_classes_weigh_as_much_in_total_and_rows_1_on_average():
    found = label_weights(CODES, None, "balanced", NAMES)
    np.testing.assert_allclose(found, 6 / 3 / np.array([1, 3, 3, 3, 2, 2]))


def test_balanced_classes_count_the_weights_of_their_rows():
    found = label_weights(CODES, np.array([1.0, 3, 1, 2, 1, 1]), "balanced", NAMES)
    np.testing.assert_allclose([found[k == CODES].sum() for k in range(3)], [2, 2, 2])
    assert found[1] == pytest.approx(3 * found[2])


def test_a_class_without_rows_takes_no_weight():
    found = label_weights(np.array([0, 2, 2]), None, "balanced", NAMES)
    np.testing.assert_allclose(found, [1.5, 0.75, 0.75])


def test_classes_weigh_what_the_map_says_and_1_where_it_is_silent():
    found = label_weights(CODES, None, {"b": 2.0, "a": 0.5}, NAMES)
    np.testing.assert_allclose(found, np.array([0.5, 2, 2, 2, 1, 1]) * 6 / 8.5)


def test_a_labels_weight_is_that_of_its_positive_rows():
    y = np.array([[1.0, 0], [0, 0], [0, 1], [0, 0]])
    found = label_weights(y, None, {"rare": 3.0}, ("rare", "other"))
    np.testing.assert_allclose(found, [[2, 1], [2 / 3, 1], [2 / 3, 1], [2 / 3, 1]])
    found = label_weights(y, None, "balanced", ("rare", "other"))
    np.testing.assert_allclose(found[:, 0], [2, 2 / 3, 2 / 3, 2 / 3])


def test_rows_weigh_alike_in_all_targets_of_a_regression():
    found = label_weights(np.zeros((3, 2)), np.array([1.0, 2, 3]), None, ("x", "y"))
    np.testing.assert_allclose(found, [[0.5, 0.5], [1, 1], [1.5, 1.5]])


# --- the column


@pytest.mark.parametrize("cell", ["-1", "much", "", "nan", "inf", "1e31"])
def test_a_weight_that_is_no_number_from_0_is_named_with_its_id(cell):
    with pytest.raises(ValueError, match=rf"^train\.csv: 1 .*'w'.*'{cell}'.*'i1'"):
        read_weights("train.csv", "data.weight", "w", ["i0", "i1", "i2"], ["1", cell, "0"])


def test_weights_that_are_all_0_are_refused():
    with pytest.raises(ValueError, match=r"^train\.csv: .*'w'.*\b0\b"):
        read_weights("train.csv", "data.weight", "w", ["i0", "i1"], ["0", "0.0"])


# --- fine-tuned members


def tensors(task, y):
    labels = labels_for_loss(task, y, None)
    return labels, 1 if task == "binary" else 3


@pytest.mark.parametrize(("name", "task"), EACH_LOSS)
def test_a_row_of_weight_2_is_the_row_twice_in_the_loss_and_in_the_constant(name, task):
    _, y = example("tfidf_linear", task, n=12)
    y = np.hstack([y, y[:, :1] ** 2])[:, :3] if task == "regression" else y
    twice = np.array([2.0] * 4 + [1.0] * 8)
    rows = np.concatenate([np.arange(12), np.arange(4)])
    labels, width = tensors(task, y)
    weights = weights_for_loss(task, label_weights(y, twice, None, NAMES))
    outputs, loss = torch.randn(12, width, generator=torch.manual_seed(0)), LOSSES[name]
    assert loss(outputs, labels, weights) == pytest.approx(loss(outputs[rows], labels[rows]).item())
    constants = loss.constant(labels, width, weights), loss.constant(labels[rows], width)
    # half a row of smoothing is half of another mean weight
    np.testing.assert_allclose(*constants, atol=0.05)


def table_of(weights, member, task="multiclass"):
    texts, y = example("tfidf_linear", task, n=12)
    ids = tuple(f"i{k}" for k in range(12))
    names = {"multiclass": NAMES, "binary": ("no", "yes")}.get(task, ())
    columns = NAMES if task in ("multiclass", "multilabel") else ("target",)
    train = Train(ids, tuple(texts), y, names, None, columns, weights=weights)
    table = TrainingTable("tiny", task, "accuracy", "id", train, np.arange(12) % 2)
    facts = {"member": member, "encoding": None, "fingerprint": {}, "provenance": {}}
    return table, table.to_train(Unit("tiny", "m", 0), **facts, overwrite=False)


MEMBER = ClassicMember(name="m", seed=1, model="tfidf_linear")


def test_a_row_of_weight_0_is_held_out_but_never_trained_on():
    weights = np.array([0.0, 0.0, *[1.0] * 10])
    _, unit = table_of(weights, MEMBER)
    assert unit.training.tolist() == [3, 5, 7, 9, 11]
    assert unit.held_out.tolist() == [0, 2, 4, 6, 8, 10]
    assert unit.label_weights.tolist() == [1] * 5
    _, without = table_of(None, MEMBER)
    assert without.training.tolist() == [1, 3, 5, 7, 9, 11]
    assert without.label_weights is None


@pytest.mark.parametrize(
    ("task", "of_classes"),
    [("multiclass", {"b": 4.0}), ("binary", {"yes": 4.0}), ("multilabel", {"c": 4.0})],
)
def test_a_unit_weighs_the_classes_by_their_names(task, of_classes):
    member = MEMBER.model_copy(update={"class_weights": of_classes})
    _, unit = table_of(None, member, task)
    y, found = unit.table.train.y[unit.training], unit.label_weights
    y, found = (y[:, 2], found[:, 2]) if task == "multilabel" else (y, found)
    assert found[y == 1].min() == pytest.approx(4 * found[y == 0].max())


def test_other_probabilities_of_classes_are_another_fingerprint():
    table, _ = table_of(None, MEMBER)
    soft = [replace(table.train, shares=np.full((12, 3), k / 3)) for k in (1, 2)]
    tables = [table, *(replace(table, train=train) for train in soft)]
    assert len({str(t.fingerprint(MEMBER, {})) for t in tables}) == 3


def test_other_weights_are_another_fingerprint():
    tables = [table_of(w, MEMBER)[0] for w in (None, np.ones(12), np.arange(12.0))]
    assert len({str(table.fingerprint(MEMBER, {})) for table in tables}) == 3
    other = MEMBER.model_copy(update={"class_weights": "balanced"})
    assert tables[0].fingerprint(other, {}) != tables[0].fingerprint(MEMBER, {})
    changed = replace(tables[0].train, weights=np.ones(12))
    assert replace(tables[0], train=changed).hashes != tables[0].hashes


# --- classic members


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_classic_model_leans_to_the_rows_with_the_greater_weight(name, task):
    """Rows of the same features and two targets: the prediction follows the heavier rows."""
    inputs, y = example(name, task)
    one = np.zeros_like(y) if task != "regression" else np.full_like(y, -1.0)
    targets = np.concatenate([one, one + 1])
    both = np.concatenate([inputs] * 2) if isinstance(inputs, np.ndarray) else inputs * 2
    rows = np.where(np.arange(240) < 120, 0.2, 1.8)
    means = []
    for weights in (rows, 2 - rows):
        own = label_weights(targets, weights, None, NAMES)
        quick = {"rounds": 20, "directions": 5} if name == "lightgbm_text" else {}
        model = ESTIMATORS[name](task=task, n_columns=n_columns(task, y), seed=0, **quick)
        model.fit(both, targets, weights=own)
        column = 1 if task == "multiclass" else 0
        means.append(model.predict(inputs)[:, column].mean())
    assert means[0] > means[1] + 0.2


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_equal_weights_are_no_weights(name):
    inputs, y = example(name, "multiclass", n=60)
    model = ESTIMATORS[name](task="multiclass", n_columns=3, seed=0)
    model.fit(inputs, y, weights=np.ones(60))
    wanted = fitted(name, "multiclass", inputs, y).predict(inputs)
    np.testing.assert_allclose(model.predict(inputs), wanted, atol=1e-6)


# --- what they are for


def test_balanced_classes_help_f1_where_a_class_is_rare_and_do_not_matter_where_none_is():
    gains = {}
    for share in (0.15, 0.5):
        rng = np.random.default_rng(0)
        y = (rng.random(1200) < share).astype(int)
        x = torch.tensor(rng.normal(size=(1200, 4)) + 0.6 * y[:, None] * [1, 1, 0, 0]).float()
        labels, training, predictions = torch.tensor(y), slice(0, 600), []
        for of_classes in ("balanced", None):
            weights = label_weights(y[training], None, of_classes, ("no", "yes"))
            weights = weights_for_loss("multiclass", weights)
            torch.manual_seed(0)
            head = nn.Linear(4, 2)
            minimise(LOSSES["cross_entropy"], head, x[training], labels[training], weights)
            predictions.append(head(x[600:]).softmax(1)[:, 1:].detach().double().numpy())
        for metric in ("f1", "accuracy"):
            target = Target.of(y[600:], "binary", metric)
            gains[metric, share] = difference_interval(target, *predictions, seed=0)
    assert gains["f1", 0.15][1] > 0.05
    assert gains["accuracy", 0.15][2] < 0
    assert abs(gains["accuracy", 0.5][0]) < 0.02


@pytest.mark.parametrize("is_noisy", [True, False])
def test_weights_help_where_the_rows_that_weigh_little_are_noisy_and_else_hardly_matter(is_noisy):
    rng = np.random.default_rng(0)
    holds, light = rng.random((400, 12)) < 0.5, rng.random(400) < 0.5
    words = np.array([f"word{k}" for k in range(12)])
    texts = [(" ".join(words[row]),) for row in holds]
    noise = rng.normal(size=400) * np.where(light & is_noisy, 5, 0.2)
    y = (holds @ rng.normal(size=12) + noise)[:, None]
    oof = []
    for weights in (np.where(light, 0.05, 1), None):
        predictions = np.empty((400, 1))
        for fold in (0, 1):
            fit, new = np.flatnonzero(np.arange(400) % 2 != fold), np.arange(fold, 400, 2)
            model = ESTIMATORS["tfidf_linear"](task="regression", n_columns=1, seed=0)
            own = label_weights(y[fit], None if weights is None else weights[fit], None, ("y",))
            model.fit([texts[k] for k in fit], y[fit], weights=own)
            predictions[new] = model.predict([texts[k] for k in new])
        oof.append(predictions)
    target = Target.of(y, "regression", "rmse")[~light]
    gain, low, _ = difference_interval(target, *(p[~light] for p in oof), seed=0)
    if is_noisy:
        assert low > 0.1
    else:
        assert abs(gain) < 0.05
