"""The leaderboard in the terminal: what is chosen, why, and what to expect of it.

Plain ASCII, at most 100 columns wide. What is not shown stands in leaderboard.csv.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd

from pipeline.ensemble.leaderboard import PLAIN_MEAN
from pipeline.scoring.metrics import METRICS

WIDTH = 100
N_BEST = 5
LONGEST = {"kind": 24, "alone": 30, "number": 12}  # characters, so that the rest finds room

Format = Callable[..., str]


def summary(
    board: pd.DataFrame,
    metric: str,
    expected: dict[str, Any] | None,
    over_constant: Sequence[float | None] | None = None,
) -> str:
    """The table and the sentences below it.

    The table holds the chosen line, the five best, every single predictor and the constant.

    Args:
        board: as `ensemble.leaderboard.leaderboard` makes it.
        expected: of `score_of_choice`; None where that was not measured.
        over_constant: gain of the chosen line over the constant, low and high end of its interval;
            None where they are not defined.
    """
    better = "higher" if METRICS[metric].greater_is_better else "lower"
    chosen = board[board["chosen"]].iloc[0]
    number = _format(metric, chosen["score"])
    shown = board[board["chosen"] | (board.index < N_BEST) | (board["kind"] != "blend")]
    hidden = len(board) - len(shown)
    sentences = [f"({hidden} more blends in leaderboard.csv)"] if hidden else []
    if is_no_better_than_constant(over_constant):
        gain, low, high = (number(end, "+") for end in over_constant or ())
        sentences.append(
            f"warning: {chosen['name']} is not surely better than predicting a constant: gain "
            f"{gain} [{low}, {high}]; nothing to submit was learned"
        )
    if (board["kind"] == "blend").sum() > 1:
        sentences += [_why(chosen), *_what_to_expect(chosen["score"], expected, number)]
    else:
        sentences.append("* the only blend, so nothing was chosen")
    return "\n".join(
        [
            f"{metric}, {better} is better; gain: over the plain mean, with a 95 % interval",
            *_table(shown, number),
            *(fill(line, WIDTH, break_on_hyphens=False) for line in sentences),
        ]
    )


def is_no_better_than_constant(over_constant: Sequence[float | None] | None) -> bool:
    """Whether the interval of the gain over the constant prediction reaches 0."""
    low = over_constant[1] if over_constant else None
    return low is not None and low <= 0


def _table(board: pd.DataFrame, number: Format) -> list[str]:
    """One line for each predictor below their headings: words to the left, numbers to the right."""
    cells = {
        "name": ["", *board["name"]],
        "kind": ["", *(_shortened(kind, LONGEST["kind"]) for kind in board["kind"])],
        "score": ["score", *map(number, board["score"])],
        "gain": ["gain", *(_gain(line, number) for _, line in board.iterrows())],
    }
    taken = sum(2 + max(map(len, cells[name])) for name in ("kind", "score", "gain"))
    room = WIDTH - len("*  ") - taken
    cells["name"] = [_shortened(name, room) for name in cells["name"]]
    table = pd.DataFrame({"mark": ["", *np.where(board["chosen"], "*", "")], **cells})
    for name in ("mark", "name", "kind"):
        table[name] = table[name].str.ljust(1 + table[name].str.len().max())
    lines = table.to_string(index=False, header=False).splitlines()
    return [line.rstrip() for line in lines]


def _gain(line: Any, number: Format) -> str:
    alone = alone_of(line)
    if alone is not None:
        return f"is {_shortened(alone, LONGEST['alone'])} alone"
    value, low, high = line["gain"], line["gain_low"], line["gain_high"]
    if np.isnan(value):
        return "undefined"
    return f"{number(value, '+')} [{number(low, '+')}, {number(high, '+')}]"


def alone_of(line: Any) -> str | None:
    """The name of the single predictor that a blend's line of the leaderboard is, if any."""
    alone = line.get("alone")
    return alone if isinstance(alone, str) else None


def _format(metric: str, chosen: float) -> Format:
    """How scores and gains are written: with four decimals, of small errors with four digits.

    The chosen score decides, for the others are read beside it, and the largest may be anything.
    Where greater is better the scale is known, and a correlation next to 0 needs no more.
    """
    decimals = 4
    if not METRICS[metric].greater_is_better and 0 < chosen < 0.01:
        decimals = 3 - int(np.floor(np.log10(chosen)))

    def number(value: float, sign: str = "") -> str:
        if np.isnan(value):
            return "undefined"
        written = f"{value:{sign}.{decimals}f}"
        return written if len(written) <= LONGEST["number"] else f"{value:{sign}.3e}"

    return number


def _shortened(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: room - 3]}..."


def _why(chosen: Any) -> str:
    name, alone = chosen["name"], alone_of(chosen)
    if alone is not None:
        return f"* chosen: {name}, which is {alone} alone: blending gains nothing on it"
    beats = "beats {} by more than half a standard error"
    if name == PLAIN_MEAN:
        return f"* chosen: {name}, the plain mean; no blend {beats.format('it')}"
    return f"* chosen: {name}, the best blend; it {beats.format('the plain mean')}"


def _what_to_expect(shown: float, expected: dict[str, Any] | None, number: Format) -> list[str]:
    if expected is None:
        return [
            f"expect a little worse than {number(shown)}: it was chosen on the rows that score it "
            "(what the choice costs is measured with at most 20,000 rows and at least 3 folds)"
        ]
    found = {name: np.nan if value is None else value for name, value in expected.items()}
    times = Counter(expected["chosen"]).most_common()
    return [
        f"expect {number(found['score'])}: the score where the choice is made again without each "
        f"fold and scored on that fold; gain {_gain(found, number)}",
        "chosen without one of the folds: " + ", ".join(f"{name} ({k})" for name, k in times),
    ]
