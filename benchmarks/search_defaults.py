"""The bounded search for training defaults: one setting changed at a time, on one fold.

    python -m benchmarks.search_defaults                   six settings took 11 minutes on two cores
    python -m benchmarks.search_defaults --competitions amazon --rows 100         a smoke test

Every setting changes one thing of the base. It is trained with mean pooling and one seed on folds
1 to 4 and scored on fold 0; no test row and no solution.csv is read. `gain` is over the base,
positive is better, with its 95 % interval over the held-out rows (over whole groups where there
are any); what another seed would do is not in it.

Writes benchmarks/results/<name>.csv, a line a setting and competition, and <name>.json.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.first_fold import FirstFold, read_first_fold
from benchmarks.record import record
from pipeline.members.bert.finetune import Scaling, fit, labels_for_loss, predict, seed_everything
from pipeline.members.bert.network import build_network
from pipeline.members.bert.tokens import TrainingRows
from pipeline.members.jobs import Failure, run_all
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.members import Training

# written out: the base must not move when the defaults do
BASE: dict[str, Any] = {
    "epochs": 2,
    "learning_rate": 1e-4,
    "head_learning_rate": None,
    "dropout": 0.0,
    "freeze_embeddings": True,
    "batch_size": 32,
    "warmup": 0.1,
    "weight_decay": 0.0,
    "precision": None,
}
SETTINGS: dict[str, dict[str, Any]] = {
    "base": {},
    "learning_rate 5e-5": {"learning_rate": 5e-5},
    "learning_rate 2e-4": {"learning_rate": 2e-4},
    "head_learning_rate 1e-3": {"head_learning_rate": 1e-3},
    "epochs 3": {"epochs": 3},
    "dropout as pretrained": {"dropout": None},
    "embeddings trained": {"freeze_embeddings": False},
}
OF_NETWORK = ("dropout", "freeze_embeddings")
POOLING = "mean"


@dataclass(frozen=True)
class Outcome:
    """One setting on one competition: predictions (k, c) of the held-out rows, and the effort."""

    predictions: Floats
    seconds: float
    tokens_per_second: float


def train_and_predict(fold: FirstFold, setting: dict[str, Any], seed: int) -> Outcome:
    """Train on the other folds' rows, predict fold 0's. Workers run this."""
    task, y = fold.config.task, fold.train.y[fold.training]
    seed_everything(seed)
    of_network = {key: setting[key] for key in OF_NETWORK}
    n_outputs = len(fold.train.columns)
    network = build_network(fold.backbone, POOLING, {}, n_outputs, task, **of_network)
    scaling = Scaling.of(y) if task == "regression" else None
    labels = labels_for_loss(task, y, scaling)
    dataset = TrainingRows(fold.tokens, fold.training, labels)
    with tempfile.TemporaryDirectory() as folder:
        effort = fit(
            network, dataset, Training(**setting), seed=seed, log=Path(folder, "train.log")
        )
    predictions = predict(network, fold.tokens.take(fold.held_out), task, scaling)
    return Outcome(predictions, effort.seconds, effort.tokens_per_second)


def table_of(fold: FirstFold, outcomes: dict[str, Outcome], seed: int) -> pd.DataFrame:
    """A line a setting, best first: score on fold 0, gain over "base", effort."""
    config, train = fold.config, fold.train
    target = Target.of(train.y, config.task, config.metric, train.groups)[fold.held_out]
    lines = []
    for name, outcome in outcomes.items():
        gain, low, high = difference_interval(
            target, outcome.predictions, outcomes["base"].predictions, seed=seed
        )
        lines.append(
            {
                "competition": config.competition,
                "setting": name,
                config.metric: target.score(outcome.predictions),
                "gain": gain,
                "gain_low": low,
                "gain_high": high,
                "seconds": outcome.seconds,
                "tokens_per_second": outcome.tokens_per_second,
            }
        )
    return pd.DataFrame(lines).sort_values("gain", ascending=False, kind="stable")


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--competitions", nargs="+", default=["movies", "amazon"])
    parser.add_argument("--rows", type=int, default=3000, help="training rows of each, all folds")
    parser.add_argument("--seed", type=int, default=42, help="one for all settings")
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--epochs", type=float, default=BASE["epochs"], help="of the base")
    parser.add_argument("--n_jobs", type=int, help="units side by side; all cores if not given")
    parser.add_argument("--name", default="search_defaults", help="of the results' files")
    arguments = parser.parse_args(argv)
    base = {**BASE, "epochs": arguments.epochs}
    settings = {name: SETTINGS[name] for name in dict.fromkeys(["base", *arguments.settings])}

    folds = {
        name: read_first_fold(f"configs/{name}.yaml", arguments.rows)
        for name in arguments.competitions
    }
    pieces = {
        (competition, name): (fold, {**base, **setting}, arguments.seed)
        for competition, fold in folds.items()
        for name, setting in settings.items()
    }
    results = run_all(
        train_and_predict,
        [(f"{name} on {competition}", piece) for (competition, name), piece in pieces.items()],
        backend="loky",
        n_jobs=arguments.n_jobs,
        threads=1,
        title="search",
    )
    failures = [result for result in results if isinstance(result, Failure)]
    if failures:
        raise SystemExit(f"{failures[0].label} failed:\n{failures[0].details}")
    outcomes = dict(zip(pieces, results, strict=True))
    tables = [
        table_of(fold, {name: outcomes[competition, name] for name in settings}, arguments.seed)
        for competition, fold in folds.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    mean_gain = table.groupby("setting")["gain"].mean().sort_values(ascending=False)
    record(
        arguments.name,
        table,
        arguments,
        mean_gain=mean_gain.to_dict(),
        base={"pooling": POOLING, **base},
        settings=settings,
    )
    print("mean gain over the base:")
    print(mean_gain.map("{:+.4f}".format).to_string(header=False))


if __name__ == "__main__":
    main()
