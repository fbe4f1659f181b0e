"""Synthetic stacks: predictions of m correlated members of different quality, for three tasks.

Letters: n fit rows, k held-out rows, m members, c columns.

Every row has a latent score z for each column. A
regression's target is z and noise, a binary one is whether z and noise are positive, a class is the
largest of ten z with Gumbel noise. Member i reads v = z + error. Its error is the sum of what all
members get wrong alike, what its family gets wrong (families are to members as backbones are), and
its own; its own share is drawn for each member, so members differ in quality.

A calibrated member predicts E[target | v] (exactly for regression and binary; for classes up to
matching the noise's variance). A miscalibrated one is a calibrated one that is over- or
underconfident by a factor of up to 2.5 and biased, each in its own way.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, softmax

from pipeline.scoring.tasks import Floats

COLUMNS = {"regression": 1, "binary": 1, "multiclass": 10}
FAMILIES = 4
SIGNAL = 4.0  # variance of z, where a target's own noise has about 1
SHARED, OF_FAMILY = 0.5, 0.1  # variances of errors
OWN = (0.05, 1.0)  # range of the variance of a member's own error, log-uniform
CENTER = 3.0  # of a regression's targets, so that no member's zero is right
CONFIDENCE, BIAS = 2.5, 0.3  # a miscalibrated member's largest factor, and the sd of its bias
N_FOLDS = 5
_GUMBEL_DIFFERENCE = np.pi**2 / 3  # variance of the difference of two Gumbel variables


@dataclass(frozen=True)
class Stack:
    """One draw.

    Attributes:
        oof: (n, m, c) predictions of the fit rows, `y` their targets as in `scoring.tasks`,
            `folds` (n,) their folds.
        new: (k, m, c) predictions of the held-out rows, `new_y` their targets.
    """

    oof: Floats
    y: NDArray[Any]
    folds: NDArray[np.int64]
    new: Floats
    new_y: NDArray[Any]


def draw_stack(
    task: str, n_rows: int, n_held_out: int, n_members: int, *, calibrated: bool, seed: int
) -> Stack:
    """The stack of a seed; its members are alike however many rows are drawn."""
    of_members, of_rows = (np.random.default_rng([seed, part]) for part in (0, 1))
    n_columns, total = COLUMNS[task], n_rows + n_held_out
    low, high = np.log(OWN)
    own = np.exp(of_members.uniform(low, high, n_members))
    factor, bias = np.ones(n_members), np.zeros((n_members, n_columns))
    if not calibrated:
        factor = CONFIDENCE ** of_members.uniform(-1, 1, n_members)
        bias = of_members.normal(0, BIAS, (n_members, n_columns))

    z = of_rows.normal(0, np.sqrt(SIGNAL), (total, n_columns))
    y = _targets(task, z, of_rows)
    read = z + of_rows.normal(0, np.sqrt(SHARED), z.shape)
    families = [read + of_rows.normal(0, np.sqrt(OF_FAMILY), z.shape) for _ in range(FAMILIES)]
    preds = np.empty((total, n_members, n_columns))
    for i in range(n_members):
        v = families[i % FAMILIES] + of_rows.normal(0, np.sqrt(own[i]), z.shape)
        reliable = SIGNAL / (SIGNAL + SHARED + OF_FAMILY + own[i])
        preds[:, i] = _predict(task, reliable * v, SIGNAL * (1 - reliable), factor[i], bias[i])
    folds = of_rows.permutation(np.arange(n_rows) % N_FOLDS)
    return Stack(preds[:n_rows], y[:n_rows], folds, preds[n_rows:], y[n_rows:])


def _targets(task: str, z: Floats, rng: np.random.Generator) -> NDArray[Any]:
    if task == "regression":
        return CENTER + z + rng.normal(size=z.shape)
    if task == "binary":
        return (z[:, 0] + rng.normal(size=len(z)) > 0).astype(np.int64)
    return (z + rng.gumbel(size=z.shape)).argmax(axis=1)


def _predict(task: str, center: Floats, variance: float, factor: float, bias: Floats) -> Floats:
    """(n, c) predictions of a member to which z is normal around (n, c) `center`."""
    if task == "regression":
        return CENTER + factor * center + bias
    if task == "binary":
        return expit(factor * logit(ndtr(center / np.sqrt(1 + variance))) + bias)
    scale = np.sqrt(1 + 2 * variance / _GUMBEL_DIFFERENCE)
    return softmax(factor * center / scale + bias, axis=1)
