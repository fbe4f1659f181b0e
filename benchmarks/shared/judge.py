"""Test predictions scored against a demo's solution.csv. Letters: n test rows, c columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.competition.rows import Train, read_test, read_train
from pipeline.competition.solution import solution_path, solution_target
from pipeline.competition.tables import column, open_table
from pipeline.scoring.intervals import bootstrap_scores
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config


def standard_error(target: Target, predictions: Floats) -> float:
    """Standard deviation of the score over bootstrap draws of rows, or of whole groups."""
    return float(np.nanstd(bootstrap_scores(target, [predictions], seed=0), ddof=1))


@dataclass(frozen=True)
class Judge:
    """Scores the test predictions of one competition.

    Attributes:
        ids: (n,) of the test rows.
        target: of these rows, with the labels of the training rows.
    """

    config: Config
    train: Train
    ids: Sequence[str]
    target: Target

    def line(self, name: str, kind: str, predictions: Floats) -> dict[str, Any]:
        test, se = self.target.score(predictions), standard_error(self.target, predictions)
        return {"name": name, "kind": kind, "test": test, "se": se}


def read_judge(config: Config) -> Judge:
    """The training rows, the test rows and, beside the test table, solution.csv."""
    data = config.data
    train, test = read_train(data, config.task), read_test(data)
    groups = None
    if data.group is not None:
        groups = column(
            open_table(data.test, "data.test", data.dialect), data.group, data.test, "data.group"
        )
    target = solution_target(config, train, test.ids, groups)
    if target is None:
        raise SystemExit(f"{solution_path(data)}: not there, {config.competition} cannot be scored")
    return Judge(config, train, test.ids, target)
