"""Gain of a change to the training recipe, one change at a time, scored out-of-fold.

    python -m benchmarks.recipes start --competitions r52 --rows 1600
    python -m benchmarks.recipes start --planted labels28 --rows 3000 --epochs 2
    python -m benchmarks.recipes steps --competitions tweets nyt election --rows 500
    python -m benchmarks.recipes scale --competitions tweets --poolings max min --seeds 2
    python -m benchmarks.recipes poolings --competitions amazon --poolings mean mean+max gem
    python -m benchmarks.recipes losses --competitions amazon --rows 1500 --metric mae
    python -m benchmarks.recipes losses --competitions newsgroups --rows 800 --metric f1_macro
    python -m benchmarks.recipes defaults --competitions movies amazon --rows 3000 --folds 5
    python -m benchmarks.recipes precision --competitions tweets --rows 3325 --poolings mean max
    python -m benchmarks.recipes kit --competitions amazon movies newsgroups --rows 1000 --seeds 2

All arms of a study are trained on the same folds with the same seeds; no test row and no
solution.csv is read. `gain` is over the study's first arm, in a study of one arm over the pooling
`mean` of the same seed, or else the first pooling; positive is better, with its 95 % interval over
rows (over whole groups where there are any); each seed is a line of its own, so the interval does
not hold the noise between seeds. In a study of one arm with several seeds, `pair_gain` says what a
pooling adds to an ensemble: the plain mean of its OOF and that of a `mean` of the next seed, over
the plain mean of two `mean`s of these seeds. A planted task is made of words from the demo
`election`: see benchmarks/shared/planted.py.

Writes benchmarks/results/<name>.csv, a line for each task, pooling, seed and arm, and <name>.json.
"""

import argparse
import math
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import set_seed

from benchmarks.shared.command import parser_of, run_pieces
from benchmarks.shared.demo_rows import read_demo
from benchmarks.shared.planted import planted_classes, planted_labels
from benchmarks.shared.record import record
from pipeline import prepare
from pipeline.competition.deal import make_folds
from pipeline.competition.rows import joined_unordered
from pipeline.members.backbones import locate_backbone
from pipeline.members.bert.encoder import all_options
from pipeline.members.bert.finetune import (
    Scaling,
    fit,
    labels_for_loss,
    predict,
    shrink_head,
    weights_for_loss,
)
from pipeline.members.bert.losses import LOSSES, BinaryCrossEntropy
from pipeline.members.bert.named_poolings import known_poolings
from pipeline.members.bert.network import Network, build_network, start_head
from pipeline.members.bert.pretrained import read_tokenizer
from pipeline.members.bert.tokens import Tokens, TrainingRows, tokenize
from pipeline.members.bert.windows import Windows
from pipeline.members.label_weights import label_weights
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.names import Setting
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.fine_tuning import TASKS_OF_LOSS, Lora, Options, Training, losses_for

Cell = tuple[str, int, str]  # pooling, seed, arm
LEARNING_RATE, MAX_LENGTH, WINDOW_OVERLAP = 1e-4, 128, 0.25
HEAD = {"regression": 20.0}  # rate of head and pooling over that of the backbone, else 50
PLANTED = {
    f"{kind}{k}": (make, k)
    for kind, make in (("classes", planted_classes), ("labels", planted_labels))
    for k in (2, 6, 28, 100)
}


@dataclass(frozen=True)
class Arm:
    """A way to train; its defaults are written out here, as the pipeline's own may change.

    Attributes:
        steps: least number of steps of a unit, reached by more epochs.
        starts: whether the head starts at the constant prediction.
        head: learning rate of head and pooling in multiples of `LEARNING_RATE`; None: by `HEAD`.
        learning_rate: of the backbone or its adapters.
        dropout: in the backbone; None: as pretrained.
        loss: None: the task's default.
        balanced: whether all classes weigh as much in total.
        truncation: what is kept of a text that is longer than all its windows.
        precision: of training; None: the machine's best.
        change: changes the network before training.
    """

    epochs: float = 3
    steps: int = 0
    batch_size: int = 32
    starts: bool = True
    head: float | None = None
    learning_rate: float = LEARNING_RATE
    dropout: float | None = 0.0
    freeze_embeddings: bool = True
    loss: str | None = None
    balanced: bool = False
    layer_decay: float = 1.0
    freeze_layers: int = 0
    lora: Lora | None = None
    truncation: str = "head"
    windows: int = 1
    precision: Literal["fp32", "bf16"] | None = None
    change: Callable[[Network], None] | None = None


class SumOfLabels(BinaryCrossEntropy):
    """Log loss summed over a row's labels, not averaged."""

    def of_labels(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return labels.shape[1] * super().of_labels(outputs, labels)


def sum_of_labels(network: Network) -> None:
    network.loss = SumOfLabels(TASKS_OF_LOSS["bce"])


def as_pooled(network: Network) -> None:
    network.norm = nn.Identity()


def layer_norm(network: Network) -> None:
    network.norm = nn.LayerNorm(network.head.in_features)


def unit_scale(network: Network) -> None:
    """Scale pooled vectors to a root mean square of 1, without parameters."""
    network.norm = nn.RMSNorm(network.head.in_features, elementwise_affine=False)


OURS, FIFTY = Arm(), Arm(head=50)
TWO_EPOCHS = replace(OURS, epochs=2)
STUDIES: dict[str, dict[str, Arm]] = {
    "start": {
        "as it was": Arm(starts=False, head=1),
        "base rates": Arm(head=1),
        "both": Arm(head=10),
        "both, head 20x": Arm(head=20),
        "both, head 50x": FIFTY,
        "both, head 200x": Arm(head=200),
        "both, sum of labels": Arm(head=10, change=sum_of_labels),
    },
    "steps": {
        "3 epochs": FIFTY,
        "80 steps": replace(FIFTY, steps=80),
        "160 steps": replace(FIFTY, steps=160),
        "320 steps": replace(FIFTY, steps=320),
        "batch 8": replace(FIFTY, batch_size=8),
        "batch 8, 160 steps": replace(FIFTY, batch_size=8, steps=160),
    },
    "scale": {
        "as pooled": replace(FIFTY, change=as_pooled),
        "layer norm": replace(FIFTY, change=layer_norm),
        "unit scale": replace(FIFTY, change=unit_scale),
    },
    "poolings": {"ours": OURS},
    "defaults": {
        "2 epochs": TWO_EPOCHS,
        "learning_rate 5e-5": replace(TWO_EPOCHS, learning_rate=5e-5),
        "learning_rate 2e-4": replace(TWO_EPOCHS, learning_rate=2e-4),
        "epochs 3": OURS,
        "batch 16": replace(TWO_EPOCHS, batch_size=16),
        "batch 8": replace(TWO_EPOCHS, batch_size=8),
        "dropout as pretrained": replace(TWO_EPOCHS, dropout=None),
        "embeddings trained": replace(TWO_EPOCHS, freeze_embeddings=False),
    },
    "kit": {
        "as it is": OURS,
        "layer decay .9": replace(OURS, layer_decay=0.9),
        "freeze 2 layers": replace(OURS, freeze_layers=2),
        "head_tail": replace(OURS, truncation="head_tail"),
        "windows 4": replace(OURS, windows=4),
    },
    "lora": {
        "as it is": OURS,
        "lora": replace(OURS, lora=Lora()),
        "lora, 10x": replace(OURS, lora=Lora(), learning_rate=1e-3),
    },
    "precision": {"fp32": replace(OURS, precision="fp32"), "bf16": replace(OURS, precision="bf16")},
    "losses": {
        "default": OURS,
        # no demo has ordered classes
        **{name: replace(OURS, loss=name) for name in TASKS_OF_LOSS if name != "ordinal"},
        "class weights": replace(OURS, balanced=True),
    },
}


@dataclass(frozen=True)
class Rows:
    """n texts with their targets and folds, as all arms are trained on them."""

    name: str
    task: str
    metric: Setting
    backbone: Path
    tokens: Tokens
    y: NDArray[Any]
    n_outputs: int
    folds: NDArray[np.int64]
    groups: NDArray[Any] | None = None
    texts: Sequence[tuple[str, ...]] = ()
    max_length: int = MAX_LENGTH

    def read_by(self, arm: Arm) -> Tokens:
        """The tokens of all texts as an arm reads them."""
        if (arm.truncation, arm.windows) == (Arm.truncation, Arm.windows):
            return self.tokens
        how = (self.max_length, arm.truncation, arm.windows, WINDOW_OVERLAP)
        return tokenize(read_tokenizer(self.backbone), self.texts, *how)


def demo_rows(name: str, n_rows: int, n_folds: int) -> Rows:
    """Rows of a demo competition."""
    demo = read_demo(f"configs/{name}.yaml", n_rows, n_folds)
    config, train = demo.config, demo.train
    groups = None if train.groups is None else np.array(train.groups)
    about = (name, config.task, config.metric, demo.backbone, demo.tokens)
    read = (train.texts, config.training.max_length)
    return Rows(*about, train.y, len(train.columns), demo.folds, groups, *read)


def planted_rows(name: str, n_rows: int, n_folds: int) -> Rows:
    """Rows of a planted task, of words that occur in at least three tweets of `election`."""
    prepare.main(["configs/election.yaml"])
    table = pd.read_csv("data/election/train.csv", dtype=str, keep_default_na=False)
    counts = Counter(word for text in table["text"] for word in set(re.findall("[a-z]{4,}", text)))
    words = sorted(word for word, count in counts.items() if count >= 3)
    make, size = PLANTED[name]
    planted = make(words, n_rows, size, 0)
    task, y, texts = planted.task, planted.y, joined_unordered(planted.texts)
    folds = make_folds("stratified", y, task=task, n=n_folds, seed=42, texts=texts)
    backbone = locate_backbone("minilm")
    tokens = tokenize(read_tokenizer(backbone), planted.texts, MAX_LENGTH)
    metric = "accuracy" if task == "multiclass" else "auc"
    return Rows(name, task, metric, backbone, tokens, y, len(planted.columns), folds)


def train_and_predict(
    rows: Rows, pooling: str, options: Options, seed: int, arm: Arm, epochs: float | None, fold: int
) -> tuple[Floats, float, int]:
    """Predictions of a fold by a unit trained on the other folds, its seconds and its steps."""
    training, held_out = np.flatnonzero(rows.folds != fold), np.flatnonzero(rows.folds == fold)
    set_seed(seed)
    loss, tokens = LOSSES[arm.loss or losses_for(rows.task)[0]], rows.read_by(arm)
    network = build_network(
        rows.backbone,
        pooling,
        all_options(pooling, options, rows.backbone),
        rows.n_outputs,
        loss,
        task=rows.task,
        dropout=arm.dropout,
        freeze_embeddings=arm.freeze_embeddings,
        freeze_layers=arm.freeze_layers,
        lora=arm.lora,
        windows=Windows(rows.max_length, arm.batch_size) if arm.windows > 1 else None,
    )
    if arm.change is not None:
        arm.change(network)
    y = rows.y[training]
    scaling = Scaling.of(y) if rows.task == "regression" else None
    labels = labels_for_loss(rows.task, y, scaling)
    of_labels = label_weights(y, None, "balanced" if arm.balanced else None, [""] * rows.n_outputs)
    weights = weights_for_loss(rows.task, of_labels)
    dataset = TrainingRows(tokens, training, labels, weights)
    if arm.starts:
        start_head(network.head, loss.constant(labels, rows.n_outputs, weights))
        shrink_head(network, dataset)
    steps_an_epoch = math.ceil(len(training) / arm.batch_size)
    settings = Training(
        epochs=max(epochs or arm.epochs, math.ceil(arm.steps / steps_an_epoch)),
        batch_size=arm.batch_size,
        learning_rate=arm.learning_rate,
        head_learning_rate=LEARNING_RATE * (arm.head or HEAD.get(rows.task, 50.0)),
        warmup=0.1,
        weight_decay=0.0,
        layer_decay=arm.layer_decay,
        precision=arm.precision,
    )
    with tempfile.TemporaryDirectory() as folder:
        effort = fit(network, dataset, settings, seed=seed, log=Path(folder, "train.log"))
    predictions = predict(network, tokens.take(held_out), rows.task, scaling)
    return predictions, effort["seconds"], effort["steps"]


def fits(arm: Arm, rows: Rows) -> bool:
    """Whether an arm is of use for a task and its texts."""
    task = rows.task
    if (arm.truncation, arm.windows) != (Arm.truncation, Arm.windows) and not rows.tokens.n_cut:
        return False
    if arm.loss is not None:
        return arm.loss in losses_for(task)[1:]
    needs_classes = arm.balanced and task == "regression"
    return not needs_classes and (arm.change is not sum_of_labels or task == "multilabel")


def reference(cell: Cell, arms: Sequence[str], poolings: Sequence[str]) -> Cell:
    """The cell that another one's gain is over; see the top of the file."""
    pooling, seed, _ = cell
    if len(arms) == 1:
        pooling = "mean" if "mean" in poolings else poolings[0]
    return pooling, seed, arms[0]


def run_study(rows: Rows, arms: dict[str, Arm], arguments: argparse.Namespace) -> pd.DataFrame:
    """A line for each pooling, seed and arm: OOF score, gain, steps, seconds."""
    n_folds = int(rows.folds.max()) + 1
    cells = [
        (pooling, seed, name)
        for pooling in arguments.poolings
        for seed in range(arguments.seeds)
        for name in arms
    ]
    options = arguments.options
    pieces = [
        (
            f"{rows.name} {pooling} {name} {k}",
            (rows, pooling, options.get(pooling, {}), seed, arms[name], arguments.epochs, k),
        )
        for pooling, seed, name in cells
        for k in range(n_folds)
    ]
    results = run_pieces(train_and_predict, pieces, arguments.n_jobs, rows.name)
    torch.set_num_threads(1)
    oof: dict[Cell, Floats] = {}
    lines = []
    target = Target.of(rows.y, rows.task, rows.metric, rows.groups)
    for i, cell in enumerate(cells):
        units = results[i * n_folds : (i + 1) * n_folds]
        oof[cell] = np.empty((len(rows.folds), rows.n_outputs))
        for k, (predictions, _, _) in enumerate(units):
            oof[cell][rows.folds == k] = predictions
    for i, cell in enumerate(cells):
        units, (pooling, seed, name) = results[i * n_folds : (i + 1) * n_folds], cell
        base = reference(cell, list(arms), arguments.poolings)
        gain = difference_interval(target, oof[cell], oof[base], seed=0)
        pair_gain: tuple[float, ...] = (math.nan,) * 3
        if len(arms) == 1 < arguments.seeds:
            beside = oof[base[0], (seed + 1) % arguments.seeds, name]
            pair, pair_of_base = (beside + oof[cell]) / 2, (beside + oof[base]) / 2
            pair_gain = difference_interval(target, pair, pair_of_base, seed=0)
        lines.append(
            {
                "task": rows.name,
                "rows": len(rows.folds),
                "metric": target.metric.label,
                "pooling": pooling,
                "seed": seed,
                "arm": name,
                "score": target.score(oof[cell]),
                **dict(zip(("gain", "gain_low", "gain_high"), gain, strict=True)),
                **dict(zip(("pair_gain", "pair_low", "pair_high"), pair_gain, strict=True)),
                "steps": units[0][2],
                "seconds": sum(seconds for _, seconds, _ in units) / n_folds,
            }
        )
    table = pd.DataFrame(lines).dropna(axis=1, how="all")
    print(table.to_string(index=False), flush=True)
    return table


def pooling_name(text: str) -> str:
    """The name; a ValueError if it is none. Two poolings side by side are mean+max."""
    known_poolings(text, {})
    return text


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("study", choices=list(STUDIES))
    parser.add_argument("--competitions", nargs="+", default=[])
    parser.add_argument("--planted", nargs="+", default=[], choices=list(PLANTED))
    parser.add_argument("--rows", type=int, nargs="+", default=[1500], help="training rows")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--poolings", nargs="+", type=pooling_name, default=["mean"])
    parser.add_argument(
        "--options", type=yaml.safe_load, default={}, help="{gem: {layer: 5}}: by pooling"
    )
    parser.add_argument("--arms", nargs="+", help="only these arms; gains are over the first")
    parser.add_argument("--metric", help="that scores; the competition's if not given")
    parser.add_argument("--epochs", type=float, help="of every arm, instead of its own")
    parser.add_argument("--n_jobs", type=int, help="units side by side; all cores if not given")
    parser.add_argument("--name", help="of the results' files; the study's if not given")
    arguments = parser.parse_args(argv)
    arms = STUDIES[arguments.study]
    if arguments.arms:
        arms = {name: arms[name] for name in arguments.arms}
    tables = []
    for n_rows in arguments.rows:
        for name in (*arguments.competitions, *arguments.planted):
            make = planted_rows if name in PLANTED else demo_rows
            rows = make(name, n_rows, arguments.folds)
            if arguments.metric:
                rows = replace(rows, metric=arguments.metric)
            of_task = {name: arm for name, arm in arms.items() if fits(arm, rows)}
            tables.append(run_study(rows, of_task, arguments))
    record(arguments.name or f"recipes_{arguments.study}", pd.concat(tables), arguments)


if __name__ == "__main__":
    main()
