"""Do different poolings make a better ensemble than one pooling with different seeds?

    python -m benchmarks.pooling_diversity                 trains four grids; it resumes
    python -m benchmarks.pooling_diversity configs/nyt.yaml --rows 200 --epochs 1    a small look

Trains a grid of poolings x seeds on the same folds and draws ensembles of equal size from it: of
different poolings and one seed, of one pooling and different seeds, of both. Every ensemble is a
plain mean; an arm's score is the mean over all its ensembles. `test` is scored on
data/<c>/solution.csv, where each member is the mean of its folds' models; `oof` on the out-of-fold
predictions.

Intervals are 95 % bootstrap intervals that draw rows (whole groups where there are any) and seeds:
a seed counts as often as it is drawn. An arm that needs all seeds has one ensemble per pooling, so
its interval holds the noise of rows only.

The chosen blend of an arm is the leaderboard's choice among five blends of each ensemble, fitted
and chosen on the out-of-fold rows; at most --blends ensembles of each arm and size.

Writes benchmarks/results/<name>_diversity.csv, a line for each score or difference of arms,
<name>_members.csv, a line for each cell, and their .json, with the correlations of errors.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.shared.arm_scores import Grid, drawn_scores, error_correlations, score_lines
from benchmarks.shared.arms import ARMS, Subset, all_arms
from benchmarks.shared.command import parser_of
from benchmarks.shared.grid import Limits, member_name, train_grid
from benchmarks.shared.judge import read_judge
from benchmarks.shared.record import record
from pipeline.competition.folds import origin_of, read_folds
from pipeline.competition.rows import read_train
from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.crossfit import cross_fit
from pipeline.ensemble.leaderboard import Entry, choose, leaderboard
from pipeline.members.bert.poolings import POOLINGS
from pipeline.predictors.board import read_named
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config

ARTICLE = ["mean", "max", "min", "weighted_layer", "attention"]
CHOSEN_FROM = ("mean", "convex", "hill_climb", "ridge", "logistic")


def read_grids(config: Config, poolings: Sequence[str], n_seeds: int) -> dict[str, Grid]:
    """The grid on the training rows, out-of-fold, and on the test rows."""
    judge = read_judge(config)
    train = judge.train

    def predictions(part: str, ids: Sequence[str]) -> Floats:
        cells = [
            read_named(config, member_name(p, s), part, ids, train.columns)
            for p in poolings
            for s in range(n_seeds)
        ]
        return np.reshape(cells, (len(poolings), n_seeds, len(ids), -1))

    target = train.target(config.task, config.metric)
    return {
        "oof": Grid(predictions("oof", train.ids), target),
        "test": Grid(predictions("test", judge.ids), judge.target),
    }


def chosen_blends(
    grids: dict[str, Grid], subsets: Sequence[Subset], folds: NDArray[Any]
) -> dict[Subset, Floats]:
    """(k, c) test predictions of the blend that the blend stage would choose for each ensemble."""
    from_train, to_test = grids["oof"], grids["test"]
    target = from_train.target
    methods = [BLENDERS[m] for m in CHOSEN_FROM if target.task.name in BLENDERS[m].tasks]
    blends = {}
    for subset in subsets:
        preds = np.stack([from_train.preds[cell] for cell in subset], axis=1)
        entries = [
            Entry(f"blend_{b.name}", "blend", cross_fit(b, preds, target, folds, seed=0))
            for b in methods
        ]
        board = leaderboard(entries, target, folds, n_bootstrap=200, seed=0)
        blender = BLENDERS[choose(board).removeprefix("blend_")]
        new_preds = np.stack([to_test.preds[cell] for cell in subset], axis=1)
        blends[subset] = blender.fit(preds, target, seed=0).apply(new_preds)
    return blends


def member_lines(grids: dict[str, Grid], poolings: Sequence[str]) -> list[dict[str, Any]]:
    """A line for each cell, with its score on both parts."""
    lines = []
    for p, pooling in enumerate(poolings):
        for s in range(grids["oof"].preds.shape[1]):
            scores = {part: grid.target.score(grid.preds[p, s]) for part, grid in grids.items()}
            lines.append({"pooling": pooling, "seed": s, **scores})
    return lines


def study(
    path: str,
    poolings: Sequence[str],
    n_seeds: int,
    limits: Limits,
    n_draws: int,
    n_blends: int,
    n_jobs: int | None,
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Train the grid of one competition and compare its arms.

    Returns:
        Lines of scores and differences, lines of cells, and the mean error correlations.
    """
    config = train_grid(path, poolings, range(n_seeds), limits, n_jobs)
    grids = read_grids(config, poolings, n_seeds)
    metric = grids["oof"].target.metric
    cells = pd.DataFrame(member_lines(grids, poolings))
    of_pooling = metric.sign * cells.groupby("pooling")["oof"].mean()
    best = poolings.index(str(of_pooling.idxmax()))
    arms = all_arms(poolings, n_seeds, best)
    n_ensembles = {arm: len(subsets) for arm, subsets in arms.items()}
    drawn = {subset for subsets in arms.values() for subset in subsets}
    lines = []
    for part, grid in grids.items():
        blends = {
            subset: np.mean([grid.preds[cell] for cell in subset], axis=0) for subset in drawn
        }
        scores = drawn_scores(grid, arms, blends, n_draws)
        lines += [
            {"part": part, **line} for line in score_lines(scores, metric, "mean", n_ensembles)
        ]
    size = min(len(poolings), n_seeds)
    rng = np.random.default_rng(0)
    few = {
        (arm, size): [
            arms[arm, size][i] for i in sorted(rng.permutation(n_ensembles[arm, size])[:n_blends])
        ]
        for arm in ARMS
    }
    drawn = {subset for subsets in few.values() for subset in subsets}
    train = read_train(config.data, config.task)
    folds = read_folds(config.competition, train.ids, origin_of(config.folds, train))
    n_few = {arm: len(subsets) for arm, subsets in few.items()}
    test = grids["test"]
    for blend, predictions in (
        ("mean of those", {s: np.mean([test.preds[cell] for cell in s], axis=0) for s in drawn}),
        ("chosen of those", chosen_blends(grids, sorted(drawn), folds)),
    ):
        scores = drawn_scores(test, few, predictions, n_draws)
        lines += [{"part": "test", **line} for line in score_lines(scores, metric, blend, n_few)]
    name = config.competition.removesuffix("-grid")
    tables = [pd.DataFrame(lines), cells]
    for table in tables:
        table.insert(0, "competition", name)
        table.insert(1, "metric", metric.label)
    about = {part: error_correlations(grid) for part, grid in grids.items()}
    return tables[0], tables[1], {"best pooling on oof": poolings[best], "error correlation": about}


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    four = [f"configs/{name}.yaml" for name in ("tweets", "amazon", "nyt", "movies")]
    parser.add_argument("configs", nargs="*", default=four)
    parser.add_argument("--poolings", nargs="+", default=ARTICLE, choices=sorted(POOLINGS))
    parser.add_argument("--seeds", type=int, default=4, help="how many")
    parser.add_argument("--rows", type=int, default=1000, help="training rows; 0: all")
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--draws", type=int, default=1000, help="of the bootstrap")
    parser.add_argument("--blends", type=int, default=20, help="ensembles an arm, chosen blend")
    parser.add_argument("--n_jobs", type=int, help="units side by side; several may share a GPU")
    parser.add_argument("--name", default="pooling", help="of the results' files")
    arguments = parser.parse_args(argv)

    limits = Limits(arguments.rows or None, arguments.folds, arguments.epochs)
    grid = (arguments.poolings, arguments.seeds, limits)
    how = (*grid, arguments.draws, arguments.blends, arguments.n_jobs)
    scores, cells, about = [], [], {}
    for path in arguments.configs:
        arm_table, cell_table, facts = study(path, *how)
        scores.append(arm_table)
        cells.append(cell_table)
        about[arm_table["competition"].iloc[0]] = facts
    record(f"{arguments.name}_members", pd.concat(cells, ignore_index=True), arguments, **about)
    record(f"{arguments.name}_diversity", pd.concat(scores, ignore_index=True), arguments)


if __name__ == "__main__":
    main()
