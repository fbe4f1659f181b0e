"""Losses: values against their formulas, the best constants, and the choice by task and metric."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax
from torch import nn

from pipeline.members.bert.finetune import labels_for_loss
from pipeline.members.bert.losses import LOSSES, free
from pipeline.members.bert.network import start_head
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Scaling
from pipeline.settings.fine_tuning import TASKS_OF_LOSS, losses_for

N, C = 40, 4
EACH = [(name, task) for name, tasks in TASKS_OF_LOSS.items() for task in tasks]


def example(task):
    """(n, c) outputs far from any constant and labels, skewed and unequally frequent."""
    rng = np.random.default_rng(0)
    width = 1 if task == "binary" else C
    outputs = rng.normal(0, 3, (N, width))
    if task == "regression":
        return outputs, rng.exponential(1, (N, C)) - 1
    if task == "multiclass":
        return outputs, rng.choice(C - 1, N, p=[0.7, 0.2, 0.1])  # the last class has no row
    return outputs, (rng.random((N, width)) < np.array([0.2, 0.5, 0.9, 0.01][:width])) * 1.0


def tensors(outputs, labels):
    labels = torch.tensor(labels)
    return torch.tensor(
        outputs, dtype=torch.float32
    ), labels.float() if labels.ndim == 2 else labels


# --- values by their formulas


def smooth_l1(x, y):
    distance = np.abs(x - y)
    return np.where(distance < 1, distance**2 / 2, distance - 0.5).mean()


def bce(x, y):
    return -np.log(np.where(y == 1, expit(x), expit(-x))).mean()


def cross_entropy(x, y):
    return -log_softmax(x, axis=1)[np.arange(len(y)), y].mean()


def focal(x, y):
    if y.ndim == 1:
        p = softmax(x, axis=1)[np.arange(len(y)), y]
    else:
        p = np.where(y == 1, expit(x), expit(-x))
    return -((1 - p) ** 2 * np.log(p)).mean()


FORMULAS = {
    "mse": lambda x, y: ((x - y) ** 2).mean(),
    "mae": lambda x, y: np.abs(x - y).mean(),
    "smooth_l1": smooth_l1,
    "bce": bce,
    "cross_entropy": cross_entropy,
    "focal": focal,
    "ordinal": cross_entropy,
}


def test_the_losses_that_settings_name_are_those_of_the_registry_with_a_reference_each():
    assert list(LOSSES) == list(TASKS_OF_LOSS) == list(FORMULAS)
    for name, loss in LOSSES.items():
        assert loss.tasks == TASKS_OF_LOSS[name]


@pytest.mark.parametrize(("name", "task"), EACH)
def test_a_loss_is_its_formula_and_has_finite_gradients_far_away(name, task):
    outputs, labels = example(task)
    found = LOSSES[name](*tensors(outputs, labels))
    assert found.item() == pytest.approx(FORMULAS[name](outputs, labels), rel=1e-5)
    far, labels = tensors(100 * outputs, labels)
    LOSSES[name](far.requires_grad_(), labels).backward()
    assert far.grad.isfinite().all()


# --- constants


@pytest.mark.parametrize(("name", "task"), EACH)
def test_no_constant_has_less_loss_than_the_losses_own(name, task):
    _, labels = example(task)
    if task == "multiclass":  # as many rows more of each class, to have no class without rows
        labels = np.concatenate([np.tile(labels, 50), np.arange(C)])
    elif task != "regression":
        labels = np.vstack([np.tile(labels, (50, 1)), 1 - labels[:1]])
    width = 1 if task == "binary" else C
    _, as_tensor = tensors(np.zeros(1), labels)
    found = LOSSES[name].constant(as_tensor, width)
    assert found.shape == (width,)
    assert found.dtype == torch.float32

    def at(constant):
        return FORMULAS[name](np.broadcast_to(constant, (len(labels), width)), labels)

    least = minimize(at, found.double().numpy() + 0.1, method="Powell", tol=1e-9).fun
    assert at(found.double().numpy()) <= least * 1.003  # labels and classes are smoothed


def test_the_constant_of_mae_is_the_median_and_of_mse_the_mean():
    labels = torch.tensor([[0.0], [1.0], [8.0]])
    assert LOSSES["mae"].constant(labels, 1).tolist() == [1]
    assert LOSSES["mse"].constant(labels, 1).tolist() == [3]


@pytest.mark.parametrize("name", losses_for("multiclass"))
def test_the_constant_of_a_class_without_rows_is_finite(name):
    assert LOSSES[name].constant(torch.tensor([0, 0, 2]), 3).isfinite().all()


@pytest.mark.parametrize("name", losses_for("multilabel"))
def test_the_constant_of_a_label_without_rows_is_finite(name):
    labels = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    found = LOSSES[name].constant(labels, 2)
    assert found.isfinite().all()
    assert found[0] == pytest.approx(-found[1].item(), rel=1e-3)


# --- what each is for


@pytest.mark.parametrize("name", ["cross_entropy", "ordinal"])
def test_certain_probabilities_of_classes_are_codes(name):
    outputs, labels = tensors(*example("multiclass"))
    certain, loss = torch.eye(C)[labels], LOSSES[name]
    assert loss(outputs, certain).item() == pytest.approx(loss(outputs, labels).item(), rel=1e-6)
    constants = loss.constant(certain, C), loss.constant(labels, C)
    np.testing.assert_allclose(*constants, rtol=1e-6)


def test_probabilities_of_classes_teach_more_than_the_most_probable_class():
    """Where five of ten raters agree; one loss is the other where all ten do."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 4))
    truth = softmax(x @ rng.normal(size=(4, 3)) / 2, axis=1)
    votes = np.array([rng.multinomial(10, p) for p in truth]) / 10
    y, training = votes.argmax(1), np.arange(400) < 200
    drawn = np.array([rng.choice(3, p=p) for p in truth])
    predictions = []
    for labels in (votes, y):
        torch.manual_seed(0)
        head = nn.Linear(4, 3)
        labels = labels_for_loss("multiclass", labels[training], None)
        minimise(LOSSES["cross_entropy"], head, torch.tensor(x[training]).float(), labels)
        outputs = head(torch.tensor(x[~training]).float()).detach().double().numpy()
        predictions.append(softmax(outputs, axis=1))
    target = Target.of(drawn[~training], "multiclass", "logloss")
    _, low, _ = difference_interval(target, *predictions, seed=0)
    assert low > 0.02


def test_focal_hardly_counts_a_row_that_is_in_place():
    confident, labels = torch.tensor([[4.0]]), torch.tensor([[1.0]])
    p = 1 / (1 + np.exp(-4))
    share = LOSSES["focal"](confident, labels) / LOSSES["bce"](confident, labels)
    assert share.item() == pytest.approx((1 - p) ** 2, rel=1e-3)


def test_an_ordinal_head_has_one_direction_until_it_is_an_ordinary_one_of_the_same_weights():
    torch.manual_seed(0)
    head, loss = nn.Linear(5, C), LOSSES["ordinal"]
    vectors = torch.randn(7, 5)
    loss.constrain(head)
    outputs = head(vectors)
    steps = (outputs - head.bias).diff(dim=1)
    np.testing.assert_allclose(steps.detach(), steps[:, :1].expand(-1, C - 1).detach(), atol=1e-6)
    loss(outputs, torch.tensor([0, 1, 2, 3, 0, 1, 2])).backward()
    free(head)
    assert {*head.state_dict()} == {"weight", "bias"}
    np.testing.assert_allclose(head(vectors).detach(), outputs.detach(), atol=1e-6)
    free(head)  # an ordinary head stays as it is
    assert head.weight.shape == (C, 5)


@pytest.mark.parametrize("name", ["mae", "smooth_l1"])
def test_outliers_cost_absolute_errors_less_and_normal_errors_nothing(name):
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(400, 5)), rng.normal(size=400)
    y = x @ rng.normal(size=5)
    far = 15 * rng.choice([-1, 1], 400) * (rng.random(400) < 0.1)
    _, low, _ = gain(name, "mse", "regression", "mae", (y + noise + far)[:, None], x)
    assert low > 0.02
    found, *_ = gain(name, "mse", "regression", "mae", (y + noise)[:, None], x)
    assert abs(found) < 0.02


def test_the_order_of_grades_helps_where_it_is_true_and_harms_where_it_is_not():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 20))
    score = x @ rng.normal(size=20) / 4 + rng.normal(0, 0.7, 400)
    grades = np.digitize(score, [-1.5, -0.5, 0.5, 1.5])
    _, low, _ = gain("ordinal", "cross_entropy", "multiclass", "qwk", grades, x)
    assert low > 0.01
    shuffled = np.array([3, 0, 4, 1, 2])[grades]
    _, _, high = gain("ordinal", "cross_entropy", "multiclass", "accuracy", shuffled, x)
    assert high < -0.05


def gain(name, base, task, metric, y, x):
    """Gain of a linear model with one loss over another's, out-of-fold, with its interval."""
    folds = np.arange(len(x)) % 2
    oof = [np.empty((len(x), 1 if task == "regression" else y.max() + 1)) for _ in range(2)]
    for loss, predictions in zip((LOSSES[name], LOSSES[base]), oof, strict=True):
        for k in (0, 1):
            training = folds != k
            scaling = Scaling.of(y[training]) if task == "regression" else None
            labels = labels_for_loss(task, y[training], scaling)
            torch.manual_seed(0)
            head = nn.Linear(x.shape[1], predictions.shape[1])
            start_head(head, loss.constant(labels, head.out_features))
            loss.constrain(head)
            minimise(loss, head, torch.tensor(x[training]).float(), labels)
            outputs = head(torch.tensor(x[~training]).float()).detach().double().numpy()
            restore = scaling.restore if scaling else TASKS[task].to_prediction
            predictions[~training] = restore(outputs)
    return difference_interval(Target.of(y, task, metric), *oof, seed=0)


def minimise(loss, head, x, labels, weights=None):
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=40, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = loss(head(x), labels, weights) + 1e-3 * head.weight.square().sum()
        value.backward()
        return value

    optimizer.step(closure)
