"""The losses of fine-tuned members, and the registry `LOSSES`.

Letters: B rows of a batch, n rows, c outputs. Labels are as from `finetune.labels_for_loss`:
(n, c) standardised targets, (n, c) labels of 0 and 1, (n,) codes of classes, or (n, c)
probabilities of classes.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from pipeline.settings.fine_tuning import TASKS_OF_LOSS

FOCUS = 2.0  # gamma of the focal loss


class Loss:
    """What training minimises, and the constant outputs that minimise it."""

    def __init__(self, tasks: tuple[str, ...]) -> None:
        self.tasks = tasks

    def __call__(self, outputs: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """The mean of the labels' losses times their weights.

        Weights have a mean of 1 over all rows. A batch is not divided by its own: a row then counts
        as much whatever rows it is trained with.
        """
        losses = self.of_labels(outputs, labels)
        return (losses if weights is None else losses * weights).mean()

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        """(B, c) losses of targets or labels, (B,) of classes."""
        raise NotImplementedError

    def constant(self, labels: Tensor, n_outputs: int, weights: Tensor | None = None) -> Tensor:
        """The same (c,) outputs for all rows that have the least loss.

        Weights are all 1 by default. Half a row is added to both sides of a label and to each
        class, so that outputs are finite where there is none.
        """
        if weights is None:
            weights = torch.ones_like(self.of_labels(torch.zeros(len(labels), n_outputs), labels))
        return self.best_constant(labels, n_outputs, weights)

    def best_constant(self, labels: Tensor, n_outputs: int, weights: Tensor) -> Tensor:
        raise NotImplementedError

    def constrain(self, head: nn.Linear) -> None:
        """Restrict a started head until `free` is called; by default not at all."""


class SquaredError(Loss):
    """Squared error of standardised targets; its constant is the mean."""

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.mse_loss(outputs, labels, reduction="none")

    def best_constant(self, labels: Tensor, n_outputs: int, weights: Tensor) -> Tensor:
        return (weights * labels).sum(0) / weights.sum(0)


class AbsoluteError(Loss):
    """Absolute error of standardised targets; its constant is the median."""

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.l1_loss(outputs, labels, reduction="none")

    def best_constant(self, labels: Tensor, n_outputs: int, weights: Tensor) -> Tensor:
        order = labels.argsort(0)
        below = weights.gather(0, order).cumsum(0)  # weight up to each value
        middle = (below < below[-1] / 2).sum(0, keepdim=True)
        return labels.gather(0, order.gather(0, middle))[0]


class SmoothAbsoluteError(Loss):
    """Squared error up to one standard deviation, absolute error beyond (Huber 1964)."""

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.smooth_l1_loss(outputs, labels, reduction="none")

    def best_constant(self, labels: Tensor, n_outputs: int, weights: Tensor) -> Tensor:
        mean = LOSSES["mse"].best_constant(labels, n_outputs, weights)
        return _minimised(self, mean, labels, weights)


class BinaryCrossEntropy(Loss):
    """Log loss of each label; its constant is the log-odds of the base rate."""

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs, labels, reduction="none")

    def best_constant(self, labels: Tensor, n_outputs: int, weights: Tensor) -> Tensor:
        return (((weights * labels).sum(0) + 0.5) / (weights.sum(0) + 1)).logit()


class CrossEntropy(Loss):
    """Log loss of the true class; its constant is the classes' log frequencies."""

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(outputs, labels, reduction="none")

    def best_constant(self, labels: Tensor, n_outputs: int, weights: Tensor) -> Tensor:
        if labels.ndim == 1:
            counts = torch.bincount(labels, weights, minlength=n_outputs) + 0.5
        else:
            counts = (weights[:, None] * labels).sum(0) + 0.5
        return (counts / counts.sum()).log()


class Focal(Loss):
    """Log loss times (1 - p)^2, p of the truth: rows in place count little (Lin et al. 2017)."""

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        losses = _log_loss(labels).of_labels(outputs, labels)
        return (1 - torch.exp(-losses)) ** FOCUS * losses

    def best_constant(self, labels: Tensor, n_outputs: int, weights: Tensor) -> Tensor:
        start = _log_loss(labels).best_constant(labels, n_outputs, weights)
        # nearer to equal probabilities than the frequencies are
        if labels.ndim == 1:
            return _minimised(self, start, torch.arange(n_outputs), start.exp())
        both = torch.stack([torch.zeros_like(start), torch.ones_like(start)])  # (2, c)
        return _minimised(self, start, both, torch.stack([(-start).sigmoid(), start.sigmoid()]))


class Ordinal(CrossEntropy):
    """Log loss of the true class, of logits that follow the classes' order: k s + b_k for class k.

    A text has one score s, and a greater score raises a class against the one below it by the same
    odds everywhere: the model of adjacent categories (Agresti 2010, section 4.1). Its predictions
    are a softmax as those of other classes, which cumulative logits would not be.
    """

    def constrain(self, head: nn.Linear) -> None:
        of_weight = OneDirection(head.out_features).to(head.weight.device)
        parametrize.register_parametrization(head, "weight", of_weight)


class OneDirection(nn.Module):
    """Weights (c, f) projected to those whose rows are a direction times the class's number."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        order = torch.arange(n_classes) - (n_classes - 1) / 2
        self.register_buffer("order", (order / order.norm())[:, None])  # (c, 1)

    def forward(self, weight: Tensor) -> Tensor:
        return self.order @ (self.order.T @ weight)  # type: ignore[operator]


def free(head: nn.Linear) -> None:
    """Make a restricted head an ordinary one with the same weights."""
    if parametrize.is_parametrized(head):
        parametrize.remove_parametrizations(head, "weight")


def _log_loss(labels: Tensor) -> Loss:
    """The log loss of codes of classes, or of labels of 0 and 1."""
    return LOSSES["cross_entropy" if labels.ndim == 1 else "bce"]


def _minimised(loss: Loss, start: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """The (c,) outputs with the least loss on all labels, from outputs near it."""
    outputs = start.double().requires_grad_()
    labels = labels.double() if labels.is_floating_point() else labels
    optimizer = torch.optim.LBFGS([outputs], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss(outputs.expand(len(labels), -1), labels, weights)
        value.backward()
        return value

    optimizer.step(closure)
    return outputs.detach().float()


# by name in the YAML; the tests run on every loss here
LOSSES: dict[str, Loss] = {
    "mse": SquaredError(TASKS_OF_LOSS["mse"]),
    "mae": AbsoluteError(TASKS_OF_LOSS["mae"]),
    "smooth_l1": SmoothAbsoluteError(TASKS_OF_LOSS["smooth_l1"]),
    "bce": BinaryCrossEntropy(TASKS_OF_LOSS["bce"]),
    "cross_entropy": CrossEntropy(TASKS_OF_LOSS["cross_entropy"]),
    "focal": Focal(TASKS_OF_LOSS["focal"]),
    "ordinal": Ordinal(TASKS_OF_LOSS["ordinal"]),
}
