"""The first fold of a demo competition, dealt as the stages deal it, but without their files.

n rows, k of them held out.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import AutoTokenizer

from pipeline import prepare
from pipeline.competition.deal import make_folds
from pipeline.competition.rows import Train, joined_unordered, read_train
from pipeline.members.backbones import locate_backbone
from pipeline.members.bert.tokens import Tokens, tokenize
from pipeline.settings.command import load_config
from pipeline.settings.config import Config


@dataclass(frozen=True)
class FirstFold:
    """A competition's training rows, cut in two.

    Attributes:
        training: (n - k,) row numbers to train on.
        held_out: (k,) row numbers of fold 0.
        tokens: of all n rows.
        backbone: its folder.
    """

    config: Config
    train: Train
    training: NDArray[np.int64]
    held_out: NDArray[np.int64]
    tokens: Tokens
    backbone: Path


def read_first_fold(path: str, train_rows: int | None = None) -> FirstFold:
    """Fold 0 of the competition whose YAML is `path`; what is missing of a demo is fetched.

    Args:
        train_rows: keep this many training rows only.
    """
    limit = ["--data.train_rows", "null" if train_rows is None else str(train_rows)]
    prepare.main([path, *limit])
    config = load_config(Path(path), {"data.train_rows": train_rows})
    train = read_train(config.data, config.task)
    folds = make_folds(
        config.folds.scheme,
        train.y,
        task=config.task,
        n=config.folds.n,
        seed=config.folds.seed,
        texts=joined_unordered(train.texts),
        groups=train.groups,
    )
    backbone = locate_backbone(config.backbone)
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    return FirstFold(
        config,
        train,
        np.flatnonzero(folds != 0),
        np.flatnonzero(folds == 0),
        tokenize(tokenizer, train.texts, config.training.max_length),
        backbone,
    )
