"""The predictors of a competition side by side: what a blend is made of.

Letters: n training rows, k test rows, m predictors, c columns.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.ensemble.leaderboard import Entry
from pipeline.predictors.external import MEANINGS, kind_of
from pipeline.predictors.leak_check import leak_check
from pipeline.predictors.predictions import check_same_models, read_predictions
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats

SUSPICIOUS = "suspicious"


@dataclass(frozen=True)
class Stack:
    """Predictors side by side.

    Attributes:
        names: m names.
        kinds: member, or one of those of `predictors.external.kind_of`.
        oof: (n, m, c) on the training rows.
        test: (k, m, c) on the test rows.
    """

    names: list[str]
    kinds: list[str]
    oof: Floats
    test: Floats

    @property
    def entries(self) -> list[Entry]:
        """The predictors' lines of the leaderboard, before they are scored."""
        named = enumerate(zip(self.names, self.kinds, strict=True))
        return [Entry(name, kind, self.oof[:, i]) for i, (name, kind) in named]


def read_stack(
    members: dict[str, Path],
    external: dict[str, Path],
    train_ids: Sequence[str],
    test_ids: Sequence[str],
    columns: Sequence[str],
    task: str,
    folds: NDArray[np.int64],
    by_position: Collection[str] = (),
) -> Stack:
    """Read members and external predictors, by id.

    Args:
        members: folder of each member by its name; `external` likewise.
        folds: (n,) ours, which those of an external predictor are held against.
        by_position: external predictors whose rows, if they have no ids, are in our order.
    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a file breaks the contract of `predictors.predictions`.
    """
    oof, test = [], []
    for name, folder in (*members.items(), *external.items()):
        trusted = name in by_position
        oof.append(read_predictions(folder, "oof", train_ids, columns, task, by_position=trusted))
        test.append(read_predictions(folder, "test", test_ids, columns, task, by_position=trusted))
        check_same_models(folder)
    kinds = [kind_of(folder, train_ids, folds) for folder in external.values()]
    return Stack(
        [*members, *external],
        ["member"] * len(members) + kinds,
        np.stack(oof, axis=1),
        np.stack(test, axis=1),
    )


def with_doubts(stack: Stack, target: Target) -> tuple[Stack, list[str]]:
    """The stack with suspicious kinds marked, and a line for each doubt about a predictor.

    Args:
        target: of the training rows.
    """
    kinds, lines = list(stack.kinds), []
    m = kinds.count("member")
    members = (stack.oof[:, :m], stack.test[:, :m])  # they come first
    for i, (name, kind) in enumerate(zip(stack.names, stack.kinds, strict=True)):
        if kind in MEANINGS:
            lines.append(f"{name}: {kind}: {MEANINGS[kind]}")
        if kind == "member":
            continue
        theirs = (stack.oof[:, i], stack.test[:, i])
        found = leak_check(members, theirs, target)
        if found is not None and found.is_too_good:
            kinds[i] = f"{kind}, {SUSPICIOUS}"
            lines.append(
                f"{name}: {SUSPICIOUS}: on the training rows it explains {found.explained:.0%} of "
                f"our members' squared error and is {found.far:.0%} of it away from them, where "
                f"its test predictions lead us to expect at most {found.expected:.0%} "
                f"(z {found.z:.1f}); its OOF is {found.gain:.4f} {target.metric.name} better than "
                "our best member's. Find out whether the models that predicted these rows had seen "
                "them"
            )
    return replace(stack, kinds=kinds), lines
