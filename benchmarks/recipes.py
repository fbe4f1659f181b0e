"""What a recipe of training is worth: one thing changed at a time, scored out-of-fold.

    python -m benchmarks.recipes start --competitions r52 --rows 1600
    python -m benchmarks.recipes start --planted labels28 --rows 3000 --epochs 2
    python -m benchmarks.recipes steps --competitions tweets nyt election --rows 500
    python -m benchmarks.recipes scale --competitions tweets --poolings max min --seeds 2

Every arm of a study is trained on the same folds with the same seeds; no test row and no
solution.csv is read. `gain` is over the study's first arm, positive is better, with its 95 %
interval over rows (over whole groups where there are any); several seeds are several lines. A
planted task is made of words from the demo `election`: see benchmarks/planted.py.

Writes benchmarks/results/<name>.csv, a line for each task, pooling, seed and arm, and <name>.json.
"""

import argparse
import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoTokenizer

from benchmarks.planted import planted_classes, planted_labels
from benchmarks.record import record
from pipeline import prepare
from pipeline.competition.deal import make_folds
from pipeline.competition.rows import joined_unordered, read_train
from pipeline.members.backbones import locate_backbone
from pipeline.members.bert.finetune import Scaling, fit, labels_for_loss, predict, seed_everything
from pipeline.members.bert.network import Network, build_network
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.bert.start import start_head
from pipeline.members.bert.tokens import Tokens, TrainingRows, tokenize
from pipeline.members.jobs import Failure, run_all
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.command import load_config
from pipeline.settings.members import Training

LEARNING_RATE, MAX_LENGTH = 1e-4, 128
PLANTED = {
    **{f"classes{k}": (planted_classes, k) for k in (2, 6, 28, 100)},
    **{f"labels{k}": (planted_labels, k) for k in (6, 28, 100)},
}


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes:
        steps: least steps of a unit, reached by more epochs.
        starts: whether the head starts at the constant prediction.
        head: the head's rate as a multiple of the learning rate.
        change: what else is done to a network before it is trained.
    """

    epochs: float = 3
    steps: int = 0
    batch_size: int = 32
    starts: bool = True
    head: float = 1
    change: Callable[[Network], None] | None = None


def sum_of_labels(network: Network) -> None:
    """The loss of a row is the sum over its labels, not their mean."""

    def summed(logits: Tensor, labels: Tensor) -> Tensor:
        loss = functional.binary_cross_entropy_with_logits(logits, labels, reduction="sum")
        return loss / len(logits)

    network.loss = summed


class Normalised(nn.Module):
    """A pooling whose vectors pass a LayerNorm, or are scaled to the norm of 1 a feature."""

    def __init__(self, pooling: nn.Module, layer: nn.Module) -> None:
        super().__init__()
        self.pooling = pooling
        self.layer = layer
        self.output_dim = pooling.output_dim

    def fit(self, token_ids: Any) -> None:
        self.pooling.fit(token_ids)  # type: ignore[operator]

    def forward(self, *inputs: Any) -> Tensor:
        return self.layer(self.pooling(*inputs))


def layer_norm(network: Network) -> None:
    width = int(network.pooling.output_dim)  # type: ignore[arg-type]
    network.pooling = Normalised(network.pooling, nn.LayerNorm(width))


def unit_scale(network: Network) -> None:
    width = int(network.pooling.output_dim)  # type: ignore[arg-type]
    network.pooling = Normalised(network.pooling, nn.RMSNorm(width, elementwise_affine=False))


OURS = Arm(head=10)
STUDIES: dict[str, dict[str, Arm]] = {
    "start": {
        "as it was": Arm(starts=False),
        "head 10x": Arm(starts=False, head=10),
        "base rates": Arm(),
        "both": OURS,
        "both, head 50x": Arm(head=50),
        "both, sum of labels": Arm(head=10, change=sum_of_labels),
    },
    "steps": {
        "3 epochs": OURS,
        "80 steps": replace(OURS, steps=80),
        "160 steps": replace(OURS, steps=160),
        "320 steps": replace(OURS, steps=320),
        "batch 8": replace(OURS, batch_size=8),
        "batch 8, 160 steps": replace(OURS, batch_size=8, steps=160),
    },
    "scale": {
        "as pooled": OURS,
        "layer norm": replace(OURS, change=layer_norm),
        "unit scale": replace(OURS, change=unit_scale),
    },
    "poolings": {"ours": OURS},
}


@dataclass(frozen=True)
class Rows:
    """What the arms are trained on: n texts, their targets, their K folds."""

    name: str
    task: str
    metric: str
    backbone: Path
    tokens: Tokens
    y: NDArray[Any]
    n_outputs: int
    folds: NDArray[np.int64]
    groups: NDArray[Any] | None


def demo_rows(name: str, n_rows: int, n_folds: int) -> Rows:
    """Rows of a demo competition; what is missing of it is fetched."""
    path = f"configs/{name}.yaml"
    prepare.main([path, "--data.train_rows", str(n_rows)])
    config = load_config(Path(path), {"data.train_rows": n_rows})
    train = read_train(config.data, config.task)
    folds = make_folds(
        config.folds.scheme,
        train.y,
        task=config.task,
        n=n_folds,
        seed=config.folds.seed,
        texts=joined_unordered(train.texts),
        groups=train.groups,
    )
    return Rows(
        name,
        config.task,
        config.metric,
        locate_backbone("minilm"),
        _tokens(train.texts),
        train.y,
        len(train.columns),
        folds,
        None if train.groups is None else np.array(train.groups),
    )


def planted_rows(name: str, n_rows: int, n_folds: int) -> Rows:
    """Rows of a planted task, of words that occur in at least three tweets of `election`."""
    prepare.main(["configs/election.yaml"])
    table = pd.read_csv("data/election/train.csv", dtype=str, keep_default_na=False)
    counts = Counter(word for text in table["text"] for word in set(re.findall("[a-z]{4,}", text)))
    words = sorted(word for word, count in counts.items() if count >= 3)
    make, size = PLANTED[name]
    planted = make(words, n_rows, size, 0)
    texts = planted.texts
    folds = make_folds(
        "stratified",
        planted.y,
        task=planted.task,
        n=n_folds,
        seed=42,
        texts=joined_unordered(texts),
    )
    metric = "accuracy" if planted.task == "multiclass" else "auc"
    tokens, width = _tokens(texts), len(planted.columns)
    backbone = locate_backbone("minilm")
    return Rows(name, planted.task, metric, backbone, tokens, planted.y, width, folds, None)


def _tokens(texts: Sequence[tuple[str, ...]]) -> Tokens:
    tokenizer = AutoTokenizer.from_pretrained(locate_backbone("minilm"))
    return tokenize(tokenizer, texts, MAX_LENGTH)


def train_and_predict(
    rows: Rows,
    pooling: str,
    seed: int,
    arm: Arm,
    epochs: float | None,
    precision: str | None,
    k: int,
) -> tuple[Floats, float, int]:
    """Predictions of fold k by a unit trained on the others, its seconds and steps."""
    training, held_out = np.flatnonzero(rows.folds != k), np.flatnonzero(rows.folds == k)
    seed_everything(seed)
    network = build_network(
        rows.backbone, pooling, {}, rows.n_outputs, rows.task, dropout=0.0, freeze_embeddings=True
    )
    if arm.change is not None:
        arm.change(network)
    y = rows.y[training]
    scaling = Scaling.of(y) if rows.task == "regression" else None
    labels = labels_for_loss(rows.task, y, scaling)
    if arm.starts:
        start_head(network.head, rows.task, labels)
    an_epoch = math.ceil(len(training) / arm.batch_size)
    dataset = TrainingRows(rows.tokens, training, labels)
    how = Training(
        epochs=max(epochs or arm.epochs, math.ceil(arm.steps / an_epoch)),
        batch_size=arm.batch_size,
        learning_rate=LEARNING_RATE,
        head_learning_rate=LEARNING_RATE * (1 if rows.task == "regression" else arm.head),
        warmup=0.1,
        weight_decay=0.0,
        precision=precision,
    )
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        effort = fit(network, dataset, how, seed=seed, log=Path(folder, "train.log"))
    seconds = time.perf_counter() - start
    predictions = predict(network, rows.tokens.take(held_out), rows.task, scaling)
    return predictions, seconds, effort.steps


def run_study(rows: Rows, arms: dict[str, Arm], arguments: argparse.Namespace) -> pd.DataFrame:
    """A line for each pooling, seed and arm: its OOF score, gain over the first arm, effort."""
    n_folds = int(rows.folds.max()) + 1
    cells = [
        (pooling, seed, name)
        for pooling in arguments.poolings
        for seed in range(arguments.seeds)
        for name in arms
    ]
    pieces = [
        (
            f"{rows.name} {pooling} {name} {k}",
            (rows, pooling, seed, arms[name], arguments.epochs, arguments.precision, k),
        )
        for pooling, seed, name in cells
        for k in range(n_folds)
    ]
    results = run_all(
        train_and_predict,
        pieces,
        backend="loky",
        n_jobs=arguments.n_jobs,
        threads=1,
        title=rows.name,
    )
    for result in results:
        if isinstance(result, Failure):
            raise SystemExit(f"{result.label} failed:\n{result.details}")
    torch.set_num_threads(1)
    oof, lines = {}, []
    target = Target.of(rows.y, rows.task, rows.metric, rows.groups)
    for i, cell in enumerate(cells):
        of_folds = results[i * n_folds : (i + 1) * n_folds]
        oof[cell] = np.empty((len(rows.folds), rows.n_outputs))
        for k, (predictions, _, _) in enumerate(of_folds):
            oof[cell][rows.folds == k] = predictions
        pooling, seed, name = cell
        base = oof[pooling, seed, next(iter(arms))]
        gain, low, high = difference_interval(target, oof[cell], base, seed=0)
        lines.append(
            {
                "task": rows.name,
                "rows": len(rows.folds),
                "metric": rows.metric,
                "pooling": pooling,
                "seed": seed,
                "arm": name,
                "score": target.score(oof[cell]),
                "gain": gain,
                "gain_low": low,
                "gain_high": high,
                "steps": of_folds[0][2],
                "seconds": sum(seconds for _, seconds, _ in of_folds) / n_folds,
            }
        )
    table = pd.DataFrame(lines)
    print(table.to_string(index=False), flush=True)
    return table


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--competitions", nargs="+", default=[])
    parser.add_argument("--planted", nargs="+", default=[], choices=list(PLANTED))
    parser.add_argument("--rows", type=int, nargs="+", default=[1500], help="training rows")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--poolings", nargs="+", choices=list(POOLINGS), default=["mean"])
    parser.add_argument("--arms", nargs="+", help="only these, the first of them the base")
    parser.add_argument("--epochs", type=float, help="of every arm, where it is not three")
    parser.add_argument("--precision", default=None, help="null: the machine's best")
    parser.add_argument("--n_jobs", type=int, help="units side by side; all cores if not given")
    parser.add_argument("--name", help="of the results' files; that of the study if not given")
    arguments = parser.parse_args(argv)
    arms = STUDIES[arguments.study]
    if arguments.arms:
        arms = {name: arms[name] for name in arguments.arms}
    tables = []
    for n_rows in arguments.rows:
        for name in (*arguments.competitions, *arguments.planted):
            make = planted_rows if name in PLANTED else demo_rows
            rows = make(name, n_rows, arguments.folds)
            fitting = {a: arm for a, arm in arms.items() if _fits(arm, rows.task)}
            tables.append(run_study(rows, fitting, arguments))
    record(arguments.name or f"recipes_{arguments.study}", pd.concat(tables), arguments)


def _fits(arm: Arm, task: str) -> bool:
    return arm.change is not sum_of_labels or task == "multilabel"


if __name__ == "__main__":
    main()
