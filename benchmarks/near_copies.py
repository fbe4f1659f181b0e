"""What near-copies in other folds do to the out-of-fold score of a linear model on TF-IDF.

    python -m benchmarks.near_copies                      40 minutes, nearly all of it newsgroups

All training rows of a demo are dealt to folds with `folds.similar` null, .9 and .7; `tfidf_linear`
is fitted and scored on each deal. Copies that flatter lower the score as they come together.
`gain` is over the deal of the same seed without it, with its 95 % interval over rows (over whole
groups where there are any); each seed is a line of its own, so the interval does not hold the noise
between deals. No test row and no solution.csv is read.

Writes benchmarks/results/near_copies.csv, a line for each demo, share and seed, and .json.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.shared.command import parser_of, run_pieces
from benchmarks.shared.demo_rows import read_demo
from benchmarks.shared.record import record
from pipeline.competition.deal import connect
from pipeline.competition.folds import dealt
from pipeline.competition.rows import Train, joined_unordered
from pipeline.members.classic.estimators import TfidfLinear
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config

SHARES = (None, 0.9, 0.7)


def oof_of(config: Config, train: Train) -> Floats:
    """(n, c) out-of-fold predictions, each fold's by a model of the other folds."""
    folds, width = dealt(config, train), len(train.columns)
    is_regression = config.task == "regression"
    oof = np.empty((len(folds), width))
    for fold in range(config.folds.n):
        fitting, held_out = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        y = train.y[fitting]
        centre = y.mean(axis=0) if is_regression else 0
        model = TfidfLinear(task=config.task, n_columns=width, seed=0)
        model.fit([train.texts[i] for i in fitting], y - centre)
        oof[held_out] = model.predict([train.texts[i] for i in held_out]) + centre
    return oof


def main(argv: Sequence[str] | None = None) -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--competitions", nargs="+", default=["amazon", "newsgroups"])
    parser.add_argument("--seeds", type=int, default=3, help="deals a share")
    parser.add_argument("--n_jobs", type=int, help="deals side by side; all cores if not given")
    arguments = parser.parse_args(argv)
    lines = []
    for name in arguments.competitions:
        demo = read_demo(f"configs/{name}.yaml")
        config, train = demo.config, demo.train
        cells = [(share, seed) for share in SHARES for seed in range(arguments.seeds)]
        pieces: list[tuple[str, tuple[Any, ...]]] = []
        for share, seed in cells:
            folds = config.folds.model_copy(update={"similar": share, "seed": seed})
            own = config.model_copy(update={"folds": folds})
            pieces.append((f"{name} {share} {seed}", (own, train)))
        oof = dict(zip(cells, run_pieces(oof_of, pieces, arguments.n_jobs, name), strict=True))
        target = train.target(config.task, config.metric)
        texts = joined_unordered(train.texts)
        for share, seed in cells:
            gain = difference_interval(target, oof[share, seed], oof[None, seed], seed=0)
            atoms = connect(texts, train.groups, share)
            lines.append(
                {
                    "competition": name,
                    "rows": len(texts),
                    "metric": target.metric.label,
                    "similar": share,
                    "atoms": len(np.unique(atoms)),
                    "seed": seed,
                    "score": target.score(oof[share, seed]),
                    **dict(zip(("gain", "gain_low", "gain_high"), gain, strict=True)),
                }
            )
    record("near_copies", pd.DataFrame(lines), arguments)


if __name__ == "__main__":
    main()
