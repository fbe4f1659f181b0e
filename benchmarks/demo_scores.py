"""Test scores of the trained demos, beside published scores and those of other tools.

    python -m benchmarks.demo_scores                             seconds; after ./run_all.sh
    python -m benchmarks.demo_scores configs/tweets.yaml         one demo

For each competition with a leaderboard: every member, every blend and the file to upload, scored on
the test rows against data/<c>/solution.csv. `oof` is the leaderboard's score of the same predictor,
out-of-fold or cross-fitted. `se` is the standard error of `test` by bootstrap over the test rows
(over whole groups where there are any). Nothing is chosen here: * marks what the leaderboard chose.

Known scores: "here" means measured for this project on the same split, with the same backbone where
there is one, on two cores; "all rows" means the authors' texts, not our test rows alone; the others
are published scores on the official split, by larger models.

Writes benchmarks/results/demo_scores.csv, a line a score, and demo_scores.json.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.shared.command import parser_of
from benchmarks.shared.judge import read_judge
from benchmarks.shared.record import record
from pipeline.demos.fetch import DEMOS
from pipeline.ensemble.leaderboard import CONSTANT
from pipeline.files.alignment import in_order_of
from pipeline.files.paths import leaderboard_path, submission_path
from pipeline.files.reading import read_csv_as_text
from pipeline.predictors.board import read_board, read_named
from pipeline.scoring.tasks import TASKS, Floats
from pipeline.settings.command import load_config
from pipeline.settings.config import Config


@dataclass(frozen=True)
class KnownScore:
    """A score to compare with; `value` is on the scale of `scoring.metrics`."""

    metric: str
    value: float
    source: str


def uploaded_predictions(cells: Sequence[str], task: str, classes: Sequence[str]) -> Floats:
    """(n, c) predictions from a submission's single column; a label has probability 1."""
    if not (TASKS[task].has_classes and set(cells) <= set(classes)):
        return np.array(cells, dtype=np.float64)[:, None]
    certain = np.eye(len(classes))[[classes.index(cell) for cell in cells]]
    return certain[:, 1:] if task == "binary" else certain


def score_table(config: Config, known: Sequence[KnownScore]) -> pd.DataFrame:
    """A line for each predictor, the submission and each known score, best test score first."""
    judge, name = read_judge(config), config.competition
    metric = judge.target.metric
    lines = []
    board = read_board(leaderboard_path(name))
    for entry in board[board["kind"] != CONSTANT].to_dict("records"):
        predictions = read_named(config, entry["name"], "test", judge.ids, judge.train.columns)
        line = judge.line(entry["name"], entry["kind"], predictions)
        lines.append({**line, "oof": entry["score"], "chosen": "*" if entry["chosen"] else ""})
    path = submission_path(name, "submission")
    if path.is_file():
        uploaded = uploaded_predictions(
            _uploaded_cells(path, config, judge.ids), config.task, judge.train.classes
        )
        lines.append(judge.line(path.name, "submission", uploaded))
    lines += [
        {"name": score.source, "kind": "known", "test": score.value}
        for score in known
        if score.metric == metric.name
    ]
    table = pd.DataFrame(lines, columns=["name", "kind", "chosen", "oof", "test", "se"])
    table.insert(0, "competition", name)
    table.insert(1, "metric", metric.label)
    table["chosen"] = table["chosen"].fillna("")
    return table.sort_values(
        "test", ascending=not metric.greater_is_better, kind="stable", ignore_index=True
    )


def _uploaded_cells(path: Path, config: Config, ids: Sequence[str]) -> list[str]:
    """The cells of a submission's single target, in the order of `ids`."""
    table = read_csv_as_text(path)
    order = in_order_of(ids, table[config.data.id_name].tolist(), str(path), "make it again")
    (target,) = config.data.target
    return list(table[target].iloc[order])


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    every = [str(path) for path in sorted(Path("configs").glob("*.yaml"))]
    parser.add_argument("configs", nargs="*", default=every, help="all demos if none is given")
    arguments = parser.parse_args(argv)

    tables = []
    for path in arguments.configs:
        config = load_config(Path(path))
        name = config.competition
        if name in DEMOS and leaderboard_path(name).is_file():
            tables.append(score_table(config, KNOWN.get(name, ())))
    if not tables:
        raise SystemExit("no demo has a leaderboard yet; run ./run_all.sh")
    record("demo_scores", pd.concat(tables, ignore_index=True), arguments)


def _vader_scores(vader: float, human: float) -> tuple[KnownScore, ...]:
    return (
        KnownScore("pearson", vader, "VADER, all rows (Hutto & Gilbert 2014)"),
        KnownScore("pearson", human, "one human rater, all rows (Hutto & Gilbert 2014)"),
    )


def _bertgcn_scores(
    bert: float, roberta: float, graph: float, wide: float
) -> tuple[KnownScore, ...]:
    return (
        KnownScore("accuracy", bert, "fine-tuned BERT-base (BertGCN, Lin et al. 2021)"),
        KnownScore("accuracy", roberta, "fine-tuned RoBERTa-base (BertGCN, Lin et al. 2021)"),
        KnownScore("accuracy", graph, "best transductive graph model (BertGCN, Lin et al. 2021)"),
        KnownScore("accuracy", wide, "TF-IDF WideMLP, published"),
    )


KNOWN: dict[str, tuple[KnownScore, ...]] = {
    "tweets": (
        *_vader_scores(vader=0.881, human=0.888),
        KnownScore("pearson", 0.9159, "AutoGluon MultiModal 1.6.3, 939 s, here"),
        KnownScore("pearson", 0.9125, "HF Trainer, length-grouped, 5 folds, 450 s, here"),
        KnownScore("pearson", 0.910, "HF Trainer, padded to 128, one fold, 565 s, here"),
        KnownScore("pearson", 0.830, "frozen mean + SVR, 5 folds, 37 s, here"),
        KnownScore("pearson", 0.763, "TF-IDF + Ridge, 5 s, here"),
        KnownScore("pearson", 0.703, "AutoGluon Tabular best_quality, 617 s, here"),
    ),
    "movies": _vader_scores(vader=0.451, human=0.899),
    "amazon": _vader_scores(vader=0.565, human=0.911),
    "nyt": _vader_scores(vader=0.492, human=0.745),
    "r8": (
        KnownScore("accuracy", 0.971, "TF-IDF + LogisticRegression, grid, 219 s, here"),
        KnownScore("accuracy", 0.966, "frozen mean + LogisticRegression, here"),
        KnownScore("accuracy", 0.964, "TF-IDF + LogisticRegression, 18 s, here"),
        *_bertgcn_scores(bert=0.978, roberta=0.978, graph=0.982, wide=0.9727),
    ),
    "r52": _bertgcn_scores(bert=0.964, roberta=0.962, graph=0.966, wide=0.9398),
    "newsgroups": _bertgcn_scores(bert=0.853, roberta=0.838, graph=0.895, wide=0.842),
}


if __name__ == "__main__":
    main()
