"""Synthetic texts of any number of classes or labels, with base rates down to .5 %.

Every class or label owns a few words of the vocabulary; its texts hold two of them among a dozen
words without meaning, so a model has to learn which words belong together. Letters: n rows, c
labels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.rows import Texts

OWN_WORDS, SHOWN_WORDS, FILLERS = 8, 2, 12
RAREST = 0.005
NOISE = 0.1  # share of a label's texts that show none of its words


@dataclass(frozen=True)
class Planted:
    """n texts with targets as in `scoring.tasks`; `columns` are the names of the outputs."""

    task: str
    texts: Texts
    y: NDArray[Any]
    columns: list[str]


def planted_classes(words: list[str], n: int, n_classes: int, seed: int) -> Planted:
    """Classes whose shares fall geometrically to `RAREST`; two classes are a binary task."""
    rng = np.random.default_rng(seed)
    shares = np.geomspace(max(RAREST, 0.3 / n_classes), RAREST, n_classes)[::-1]
    shares[-1] += 1 - shares.sum()
    y = rng.choice(n_classes, n, p=shares)
    bears = np.eye(n_classes, dtype=bool)[y]
    names = [f"class{k}" for k in range(n_classes)]
    texts = _texts(words, bears, rng)
    if n_classes == 2:
        return Planted("binary", texts, 1 - y, ["target"])  # the rare class is the positive one
    return Planted("multiclass", texts, y, names)


def planted_labels(words: list[str], n: int, n_labels: int, seed: int) -> Planted:
    """Labels that occur independently, of base rates from .2 down to `RAREST`."""
    rng = np.random.default_rng(seed)
    bears = rng.random((n, n_labels)) < np.geomspace(0.2, RAREST, n_labels)
    names = [f"label{k}" for k in range(n_labels)]
    return Planted("multilabel", _texts(words, bears, rng), bears.astype(float), names)


def _texts(words: list[str], bears: NDArray[np.bool_], rng: np.random.Generator) -> Texts:
    n_owners = bears.shape[1]
    vocabulary = rng.permutation(words)
    own = vocabulary[: n_owners * OWN_WORDS].reshape(n_owners, OWN_WORDS)
    fillers = vocabulary[n_owners * OWN_WORDS :]
    texts = []
    for row in bears:
        shown = [
            rng.choice(own[k], SHOWN_WORDS) for k in np.flatnonzero(row) if rng.random() > NOISE
        ]
        text = np.concatenate([*shown, rng.choice(fillers, FILLERS)])
        texts.append((" ".join(rng.permutation(text)),))
    return tuple(texts)
