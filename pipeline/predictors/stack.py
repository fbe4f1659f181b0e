"""The stack: all predictors of a competition side by side.

Letters: n training rows, k test rows, m predictors, c columns.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.rows import TestRows, Train
from pipeline.ensemble.leaderboard import Entry
from pipeline.files.messages import listed, score_as_text
from pipeline.predictors.board import check_predicted, external_folders, member_folders, read_named
from pipeline.predictors.external import MEANINGS, kind_of
from pipeline.predictors.leak_check import leak_check
from pipeline.predictors.predictions import check_made_for, check_same_models, origin_of_oof
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Floats
from pipeline.settings.config import Config

DUPLICATE = 0.9999  # correlation of two copies, on the training and on the test rows
AGAINST = -0.3  # correlation with the target; a weak predictor's OOF may fall a little below 0
SURE = 5.0  # standard errors


@dataclass(frozen=True, eq=False)
class Stack:
    """Predictors side by side.

    Attributes:
        kinds: "member", or a kind of `predictors.external.kind_of`.
        oof: (n, m, c) on the training rows.
        test: (k, m, c) on the test rows.
    """

    names: list[str]
    kinds: list[str]
    oof: Floats
    test: Floats

    @property
    def entries(self) -> list[Entry]:
        """The leaderboard entries of all predictors."""
        lines = zip(self.names, self.kinds, self.oof.swapaxes(0, 1), strict=True)
        return [Entry(*line) for line in lines]


def read_stack(config: Config, train: Train, test: TestRows, folds: NDArray[np.int64]) -> Stack:
    """Read all predictors of the config by id, members first.

    Args:
        folds: (n,) our folds, for comparison with those of external predictors.
    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file breaks the contract of `predictors.predictions`, or a member was made for
            other folds, targets or test rows.
    """
    members, external = member_folders(config), external_folders(config)
    check_predicted(members.values())
    folders = {**members, **external}
    oof, test_predictions = (
        np.stack([read_named(config, n, part, ids, train.columns) for n in folders], axis=1)
        for part, ids in (("oof", train.ids), ("test", test.ids))
    )
    for folder in folders.values():
        check_same_models(folder)
    made_for = origin_of_oof(train, folds, config.task, config.data.transform)
    for folder in members.values():
        check_made_for(folder, "oof", made_for)
        check_made_for(folder, "test", {"test rows": test.sha256})
    return Stack(
        list(folders),
        ["member"] * len(members) + [kind_of(f, train.ids, folds) for f in external.values()],
        oof,
        test_predictions,
    )


def with_doubts(stack: Stack, target: Target) -> tuple[Stack, list[str]]:
    """Mark predictors that fail the leak check, and give a warning line for each doubt."""
    kinds, lines = list(stack.kinds), []
    for doubtful, meaning in MEANINGS.items():
        of_kind = [n for n, kind in zip(stack.names, kinds, strict=True) if kind == doubtful]
        if of_kind:
            lines.append(f"{listed(of_kind)}: {doubtful}: {meaning}")
    m = kinds.count("member")
    members = (stack.oof[:, :m], stack.test[:, :m])
    for i in range(m, len(kinds)):
        name, kind = stack.names[i], kinds[i]
        against = _least_correlation(stack.oof[:, i], target)
        if against < AGAINST:
            lines.append(
                f"{name}: its OOF is low where the target is high (correlation {against:.2f}): is "
                "it the probability of the other class, another order of columns, or another "
                "sign? correct it or leave it out"
            )
        check = leak_check(members, (stack.oof[:, i], stack.test[:, i]), target)
        if check is not None and check.is_too_good:
            kinds[i] = f"{kind}, suspicious"
            better = f"{score_as_text(check.gain)} {target.metric.label} better"
            lines.append(
                f"{name}: suspicious: on the training rows it explains {check.explained:.0%} of "
                f"our members' squared error and is {check.far:.0%} of it away from them, but its "
                f"test predictions suggest at most {check.expected:.0%} (z {check.z:.1f}); its OOF "
                f"is {better} than our best member's. Find out "
                "whether its models were trained on the rows that they predict"
            )
    return replace(stack, kinds=kinds), lines


def _least_correlation(oof: Floats, target: Target) -> float:
    """The least correlation of a column of (n, c) predictions with its target that is `SURE`."""
    pairs = zip(oof.T, target.as_columns(oof.shape[1]).T, strict=True)
    columns = [np.stack([p, y])[:, ~np.isnan(y)] for p, y in pairs]
    varied = [pair for pair in columns if (np.ptp(pair, axis=1) > 0).all()]
    correlations = [(float(np.corrcoef(pair)[0, 1]), pair.shape[1]) for pair in varied]
    return min((r for r, n in correlations if r * np.sqrt(n) < -SURE), default=0.0)


def lines_about_duplicates(stack: Stack) -> list[str]:
    """A warning line for each pair of predictors that agree on training and test rows.

    A plain mean would count both.
    """
    least = np.minimum(_correlations(stack.oof), _correlations(stack.test))
    return [
        f"{stack.names[i]} and {stack.names[j]} predict the same (correlation "
        f"{least[i, j]:.6f}), and the plain mean counts both; take one of them out"
        for i, j in zip(*np.triu_indices(len(least), 1), strict=True)
        if least[i, j] > DUPLICATE
    ]


def _correlations(preds: Floats) -> Floats:
    """(m, m) smallest correlation over the columns of (n, m, c); constants agree if equal."""
    smallest = np.ones((preds.shape[1], preds.shape[1]))
    for column in preds.transpose(2, 1, 0):  # (m, n)
        shifted = column - column[:, :1]  # a constant is exactly 0, also after rounding
        centred = shifted - shifted.mean(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):  # np.corrcoef warns of a single row
            scaled = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        correlation = scaled @ scaled.T
        varies = shifted.any(axis=1)
        equal = (column[:, :1] == column[:, 0]) & (varies[:, None] == varies)
        smallest = np.minimum(smallest, np.where(np.isnan(correlation), equal, correlation))
    return smallest
