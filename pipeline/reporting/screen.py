"""The leaderboard in plain words: which blend is chosen, why, and what to expect of it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pipeline.scoring.metrics import METRICS

Cell = Callable[..., str]


def summary(board: pd.DataFrame, metric: str, expected: dict[str, Any] | None) -> str:
    """The table and the sentences below it, as lines.

    Args:
        board: as `ensemble.leaderboard.leaderboard` makes it.
        expected: of `score_of_choice`; None where that was not measured.
    """
    better = "higher" if METRICS[metric].greater_is_better else "lower"
    chosen = board[board["chosen"]].iloc[0]
    decimals = _decimals(metric, chosen["score"])

    def gain(line: Any, name: str) -> str:
        value, low, high = (line[f"{name}{end}"] for end in ("", "_low", "_high"))
        if np.isnan(value):
            return "undefined"
        return f"{value:+.{decimals}f} [{low:+.{decimals}f}, {high:+.{decimals}f}]"

    def cell(value: float, sign: str = "") -> str:
        return "undefined" if np.isnan(value) else f"{value:{sign}.{decimals}f}"

    table = [["", "", "", "score", "over the plain mean", "over the best single", "in-sample"]]
    table += [
        [
            "*" if line["chosen"] else "",
            line["name"],
            line["kind"],
            cell(line["score"]),
            gain(line, "gain"),
            gain(line, "gain_over_single"),
            cell(line["optimism"], "+") if line["kind"] == "blend" else "",
        ]
        for _, line in board.iterrows()
    ]
    of_the_choice = ["* the only blend, so nothing was chosen"]
    if (board["kind"] == "blend").sum() > 1:
        told = _what_to_expect(chosen["score"], expected, cell, gain)
        of_the_choice = [_why(chosen["name"]), *told]
    return "\n".join(
        [
            f"{metric}, {better} is better; gains are better when above 0, with 95 % intervals;",
            "in-sample: how much better a blend looks on the rows that it was fitted on",
            *_aligned(table),
            *of_the_choice,
        ]
    )


def _decimals(metric: str, chosen: float) -> int:
    """Four, or those that show four digits of a chosen error below 0.01.

    The chosen one, for the others are read beside it, and the largest may be anything. Where
    greater is better the scale is known, and a correlation next to 0 needs no more.
    """
    if METRICS[metric].greater_is_better or not 0 < chosen < 0.01:
        return 4
    return 3 - int(np.floor(np.log10(chosen)))


def _aligned(table: list[list[str]]) -> list[str]:
    """Names and kinds to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(
            f"{cell:{'<' if at < 3 else '>'}{width}}"
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in table
    ]


def _why(name: str) -> str:
    if name == "blend_mean":
        return "* chosen: the plain mean; no blend gains half a standard error on it"
    return f"* chosen: {name}, the best blend that gains half a standard error on the plain mean"


def _what_to_expect(
    shown: float, expected: dict[str, Any] | None, cell: Cell, gain: Cell
) -> list[str]:
    if expected is None:
        return [
            f"expect a little worse than {cell(shown)}: it was chosen on the rows that score it",
            "(what choosing scores is measured on up to 20,000 rows, in at least 3 folds, where",
            "there is something to choose)",
        ]
    found = {name: np.nan if value is None else value for name, value in expected.items()}
    counts = Counter(expected["chosen"]).most_common()
    return [
        f"expect {cell(found['score'])}: what choosing scores on folds that it did not see, "
        f"{gain(found, 'gain')} over the plain mean;",
        "chosen without one of the folds: " + ", ".join(f"{name} ({k})" for name, k in counts),
    ]
