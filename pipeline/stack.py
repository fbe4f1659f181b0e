"""The predictors of a competition side by side: what a blend is made of.

Letters: n training rows, k test rows, m predictors, c columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.predictors import check_same_models, read_predictions
from pipeline.tasks import Floats


@dataclass(frozen=True)
class Stack:
    """Predictors side by side.

    Attributes:
        names: m names.
        kinds: member or external.
        oof: (n, m, c) on the training rows.
        test: (k, m, c) on the test rows.
    """

    names: list[str]
    kinds: list[str]
    oof: Floats
    test: Floats


def read_stack(
    members: dict[str, Path],
    external: dict[str, Path],
    train_ids: Sequence[str],
    test_ids: Sequence[str],
    columns: Sequence[str],
    task: str,
) -> Stack:
    """Read members and external predictors, by id.

    Args:
        members: folder of each member by its name; `external` likewise.
    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file breaks the contract of `pipeline.predictors`.
    """
    oof, test = [], []
    for folder in (*members.values(), *external.values()):
        oof.append(read_predictions(folder, "oof", train_ids, columns, task))
        test.append(read_predictions(folder, "test", test_ids, columns, task))
        check_same_models(folder)
    return Stack(
        [*members, *external],
        ["member"] * len(members) + ["external"] * len(external),
        np.stack(oof, axis=1),
        np.stack(test, axis=1),
    )
