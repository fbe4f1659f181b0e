"""The leaderboard in the terminal: the chosen blend, why it is chosen, and its expected score.

Plain ASCII, at most 100 columns wide; leaderboard.csv has all lines and columns.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from pipeline.ensemble.leaderboard import PLAIN_MEAN
from pipeline.files.messages import shortened
from pipeline.reporting.numbers import decimals_of
from pipeline.scoring.metrics import Metric

WIDTH = 100
N_BEST = 5
LONGEST = {"kind": 24, "alone": 20, "number": 12}  # characters, so that names find room

Format = Callable[..., str]


def summary(
    board: pd.DataFrame,
    metric: Metric,
    expected: Mapping[str, Any] | None,
    over_constant: Sequence[float | None],
    postprocessing: str | None,
) -> str:
    """The chosen line, the five best, every single predictor and the constant, and sentences.

    Args:
        board: as `ensemble.leaderboard.leaderboard` makes it.
        expected: of `score_of_choice`; None if the choice was not scored.
        over_constant: gain of the chosen line over the constant, low and high of its interval;
            None where they are undefined.
        postprocessing: what is done to the chosen blend, if anything is.
    """
    better = "higher" if metric.greater_is_better else "lower"
    chosen = board[board["chosen"]].iloc[0]
    number = _format(metric, chosen["score"])
    shown = board[board["chosen"] | (board.index < N_BEST) | (board["kind"] != "blend")]
    hidden = len(board) - len(shown)
    sentences = [f"({hidden} more blends in leaderboard.csv)"] if hidden else []
    if is_no_better_than_constant(over_constant):
        gain, low, high = (number(end, "+") for end in over_constant)
        sentences.append(
            f"warning: {chosen['name']} is not surely better than predicting a constant: gain "
            f"{gain} [{low}, {high}]; the models have learned nothing worth submitting"
        )
    if postprocessing is not None:
        sentences.append(f"{chosen['name']}: {postprocessing}")
    if (board["kind"] == "blend").sum() > 1:
        sentences += [_why(chosen), *_expected(chosen["score"], expected, number)]
    else:
        sentences.append("* the only blend, so nothing was chosen")
    return "\n".join(
        [
            f"{metric.label}, {better} is better; gain: over the plain mean, with a 95 % interval",
            *_table(shown, number),
            *(fill(line, WIDTH, break_on_hyphens=False) for line in sentences),
        ]
    )


def is_no_better_than_constant(over_constant: Sequence[float | None]) -> bool:
    """Whether the interval of the gain over the constant prediction reaches 0."""
    low = over_constant[1]
    return low is not None and low <= 0


def _table(board: pd.DataFrame, number: Format) -> list[str]:
    """Lines of aligned columns below their headings."""
    cells = {
        "name": ["", *board["name"]],
        "kind": ["", *(shortened(kind, LONGEST["kind"]) for kind in board["kind"])],
        "score": ["score", *map(number, board["score"])],
        "gain": ["gain", *(_gain(line, number) for _, line in board.iterrows())],
    }
    taken = sum(2 + max(map(len, cells[name])) for name in ("kind", "score", "gain"))
    room = WIDTH - len("*  ") - taken
    cells["name"] = [shortened(name, room) for name in cells["name"]]
    table = pd.DataFrame({"mark": ["", *np.where(board["chosen"], "*", "")], **cells})
    for name in ("mark", "name", "kind"):
        table[name] = table[name].str.ljust(1 + table[name].str.len().max())
    lines = table.to_string(index=False, header=False).splitlines()
    return [line.rstrip() for line in lines]


def _gain(line: Any, number: Format) -> str:
    alone = _alone_of(line)
    if alone is not None:
        return f"is {shortened(alone, LONGEST['alone'])} alone"
    value, low, high = line["gain"], line["gain_low"], line["gain_high"]
    if np.isnan(value):
        return "undefined"
    return f"{number(value, '+')} [{number(low, '+')}, {number(high, '+')}]"


def _alone_of(line: Any) -> str | None:
    """The single predictor on which all weights of a blend lie, if there is one."""
    alone = line.get("alone")
    return alone if isinstance(alone, str) else None


def _format(metric: Metric, chosen: float) -> Format:
    """A format of scores and gains, with the decimals of `decimals_of`."""
    decimals = decimals_of(chosen, metric.greater_is_better)

    def number(value: float, sign: str = "") -> str:
        if np.isnan(value):
            return "undefined"
        written = f"{value:{sign}z.{decimals}f}"
        return written if len(written) <= LONGEST["number"] else f"{value:{sign}.3e}"

    return number


def _why(chosen: Any) -> str:
    name, alone = chosen["name"], _alone_of(chosen)
    if alone is not None:
        return f"* chosen: {name}, which is {alone} alone: blending gains nothing on it"
    margin = "by more than half a standard error"
    if name == PLAIN_MEAN:
        return f"* chosen: {name}, the plain mean; no blend beats it {margin}"
    return f"* chosen: {name}, the best blend; it beats the plain mean {margin}"


def _expected(score: float, expected: Mapping[str, Any] | None, number: Format) -> list[str]:
    if expected is None:
        return [
            f"expect slightly worse than {number(score)}: it was chosen on the rows that score it "
            "(the cost of choosing is measured with at most 20,000 rows and at least 3 folds)"
        ]
    known = {name: np.nan if value is None else value for name, value in expected.items()}
    times = Counter(expected["chosen"]).most_common()
    return [
        f"expect {number(known['score'])}: the score of choosing without each fold and scoring the "
        f"choice on that fold; gain {_gain(known, number)}",
        "choices, each without one fold: " + ", ".join(f"{name} ({k})" for name, k in times),
    ]
