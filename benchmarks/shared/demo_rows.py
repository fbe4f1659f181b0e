"""The training rows of a demo competition, dealt into folds without the stages' files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import prepare
from pipeline.competition.folds import dealt
from pipeline.competition.rows import Train, read_train
from pipeline.members.backbones import locate_backbone
from pipeline.members.bert.pretrained import read_tokenizer
from pipeline.members.bert.tokens import Tokens, tokenize
from pipeline.settings.command import load_config
from pipeline.settings.config import Config


@dataclass(frozen=True)
class DemoRows:
    """n training rows of a competition.

    Attributes:
        folds: (n,) the fold of each row.
        tokens: of all n rows.
        backbone: its folder.
    """

    config: Config
    train: Train
    folds: NDArray[np.int64]
    tokens: Tokens
    backbone: Path


def read_demo(path: str, n_rows: int | None = None, n_folds: int | None = None) -> DemoRows:
    """Rows of the competition whose YAML is `path`; a demo's missing files are fetched.

    Args:
        n_rows: training rows, all folds together; None: all rows.
        n_folds: None: as the YAML says.
    """
    prepare.main([path, "--data.train_rows", "null" if n_rows is None else str(n_rows)])
    folds = {} if n_folds is None else {"folds.n": n_folds}
    config = load_config(Path(path), {"data.train_rows": n_rows, **folds})
    if config.backbone is None:
        raise SystemExit(f"{path}: backbone is null; choose a config with a backbone to fine-tune")
    backbone = locate_backbone(config.backbone)
    train = read_train(config.data, config.task)
    tokens = tokenize(read_tokenizer(backbone), train.texts, config.training.max_length)
    return DemoRows(config, train, dealt(config, train), tokens, backbone)
