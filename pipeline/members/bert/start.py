"""Where a network's outputs start: at the best constant for the unit's own training rows.

From there a head has nothing to unlearn. At zero bias a label that 1 % of the rows bear starts at
one half, and the first hundred steps of AdamW, which moves a bias by its rate a step, go into base
rates (Lin et al. 2017, arXiv:1708.02002, section 4.1). Letters: n rows, c outputs.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pipeline.members.bert.network import LOSSES

HEAD_SD = 5e-3  # of the first weights: outputs begin at the constant, yet gradients reach the rest


def start_head(head: nn.Linear, task: str, labels: Tensor) -> None:
    """Set the bias to the constant's outputs and draw small weights; seed torch before the call."""
    nn.init.normal_(head.weight, std=HEAD_SD)
    with torch.no_grad():
        head.bias.copy_(constant_outputs(task, labels, head.out_features))


def constant_outputs(task: str, labels: Tensor, n_outputs: int) -> Tensor:
    """Outputs (c,) of the constant prediction with the least loss on the labels, smoothed.

    Args:
        labels: as the task's loss takes them, see `members.bert.finetune.labels_for_loss`.
    """
    return CONSTANTS[task](labels, n_outputs)


def constant_loss(task: str, labels: Tensor, n_outputs: int) -> float:
    """The loss of the constant prediction: what a network that learns has to fall below."""
    outputs = constant_outputs(task, labels, n_outputs).expand(len(labels), -1)
    return float(LOSSES[task](outputs, labels))


def _mean_of_standardised(labels: Tensor, n_outputs: int) -> Tensor:
    return torch.zeros(n_outputs)


def _log_odds(labels: Tensor, n_outputs: int) -> Tensor:
    # half a row more on either side, so that a label without rows starts at a finite value
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
