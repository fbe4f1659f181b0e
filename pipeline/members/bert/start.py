"""Initial head: its outputs are the best constant prediction for the training rows.

With a zero bias a label of 1 % of the rows starts at one half, and AdamW, which moves a bias by the
learning rate per step, spends the first hundred steps on base rates (Lin et al. 2017,
arXiv:1708.02002, section 4.1). Letters: n rows, c outputs.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.members.bert.network import LOSSES

HEAD_SD = 5e-3  # of the initial weights: near the constant, yet gradients reach the backbone


def start_head(head: nn.Linear, task: str, labels: Tensor) -> None:
    """Set the bias to the constant's outputs and draw small weights; seed torch first."""
    nn.init.normal_(head.weight, std=HEAD_SD)
    with torch.no_grad():
        head.bias.copy_(constant_outputs(task, labels, head.out_features))


def constant_outputs(task: str, labels: Tensor, n_outputs: int) -> Tensor:
    """Outputs (c,) of the constant with the least loss on `labels_for_loss`'s labels, smoothed."""
    return CONSTANTS[task](labels, n_outputs)


def constant_loss(task: str, labels: Tensor, n_outputs: int) -> float:
    """The loss of the constant prediction, which a network that learns falls below."""
    outputs = constant_outputs(task, labels, n_outputs).expand(len(labels), -1)
    return float(LOSSES[task](outputs, labels))


def _mean_of_standardised(labels: Tensor, n_outputs: int) -> Tensor:
    return torch.zeros(n_outputs)


def _log_odds(labels: Tensor, n_outputs: int) -> Tensor:
    # half a row is added to both sides, so that a label without rows has finite log-odds
    return ((labels.sum(0) + 0.5) / (len(labels) + 1)).logit()


def _log_frequencies(labels: Tensor, n_outputs: int) -> Tensor:
    counts = torch.bincount(labels, minlength=n_outputs) + 0.5
    return (counts / counts.sum()).log()


CONSTANTS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "regression": _mean_of_standardised,
    "binary": _log_odds,
    "multiclass": _log_frequencies,
    "multilabel": _log_odds,
}
