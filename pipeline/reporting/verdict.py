"""The report's verdict: which predictor to submit, and how sure that is."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.ensemble.leaderboard import CONSTANT, PLAIN_MEAN
from pipeline.reporting.numbers import decimals_of, signed, value
from pipeline.reporting.screen import is_no_better_than_constant
from pipeline.scoring.metrics import Metric

Line = Mapping[str, Any]  # of the leaderboard of `reporting.summary`


def verdict(
    chosen: Line,
    board: Sequence[Line],
    metric: Metric,
    expected: Mapping[str, Any] | None,
    over_constant: Sequence[float | None],
) -> str:
    """The score to expect of the chosen predictor, and its gains with their intervals.

    A warning comes first if it is not surely better than the constant prediction.

    Args:
        expected: of `score_of_choice`; without it, the score on the rows that chose.
    """
    singles = [line for line in board if line["kind"] not in ("blend", CONSTANT)]
    name, alone, best = chosen["name"], chosen["alone"], singles[0]  # the board is sorted by score
    n, only = len(singles), f"the only predictor, {best['name']}"
    plain = f"the plain mean of the {n} predictors" if n > 1 else only
    decimals = decimals_of(chosen["score"], metric.greater_is_better)
    score = f"its {metric.label} on held-out rows is {value(chosen['score'], decimals)}"
    warns, line, hint = is_no_better_than_constant(over_constant), chosen, "."
    if expected is not None:
        line, score = expected, f"expect {metric.label} {value(expected['score'], decimals)}"
    if alone is not None:
        told = f"{name}, which is {alone} alone: blending gains nothing on it; {score}"
    elif name == PLAIN_MEAN:
        told = f"{name}: no blend beats {plain} by more than half a standard error; {score}"
    elif line["gain"] is None:
        told = f"{name}: {score}"
    else:
        ends = " to ".join(signed(line[end], decimals) for end in ("gain_low", "gain_high"))
        told = f"{name}: {score}, {_than(plain, line['gain'], decimals)} (95 % interval {ends})"
        if expected is not None and line["gain"] <= 0 and not warns:
            hint = f". Choosing may have gained nothing: make {PLAIN_MEAN} a second submission."
    if warns:
        told = f"nothing yet: no model is surely better than a constant. The best is {told}"
    gain, low, high = (line[f"gain_over_single{end}"] for end in ("", "_low", "_high"))
    if n > 1 and alone != best["name"] and gain is not None:
        single = f"the best single one, {best['name']}"
        told += f", and {_than(single, gain, decimals)}"
        if gain != 0 and low is not None:
            told += f" ({signed(low, decimals)} to {signed(high, decimals)})"
    return f"Submit {told}{hint}"


def _than(other: str, gain: float, decimals: int) -> str:
    """A gain in words; positive is better."""
    if signed(gain, decimals) == "0":
        return f"as good as {other}"
    return f"{'better' if gain > 0 else 'worse'} by {value(abs(gain), decimals)} than {other}"
