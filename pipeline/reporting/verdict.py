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
    name, n, best = chosen["name"], len(singles), singles[0]  # the board is sorted by score
    plain, single = f"the plain mean of the {n} predictors", f"the best single one, {best['name']}"
    line = chosen if expected is None else expected
    decimals = decimals_of(chosen["score"], metric.greater_is_better)
    warns = is_no_better_than_constant(over_constant)
    verb = "The best is" if warns else "Submit"
    hint = "."
    score = f"its {metric.label} on held-out rows is {value(chosen['score'], decimals)}"
    if expected is not None:
        score = f"expect {metric.label} {value(line['score'], decimals)}"
    if chosen["alone"] is not None:
        alone = chosen["alone"]
        start = f"{verb} {name}, which is {alone} alone: blending gains nothing on it; {score}"
    elif name == PLAIN_MEAN:
        start = (
            f"{verb} {PLAIN_MEAN}: no blend beats {plain} by more than half a standard error; "
            f"{score}"
        )
    else:
        start = f"{verb} {name}: {score}"
        gain, low, high = line["gain"], line["gain_low"], line["gain_high"]
        if gain is not None:
            interval = f"95 % interval {signed(low, decimals)} to {signed(high, decimals)}"
            start += f", {_than(plain, gain, decimals)} ({interval})"
            if expected is not None and gain <= 0 and not warns:
                hint += f" Choosing may have gained nothing: make {PLAIN_MEAN} a second submission."
    if warns:
        start = f"Submit nothing yet: no model is surely better than a constant. {start}"
    own, other = line["score"], best["score"]
    if chosen["alone"] == best["name"] or own is None or other is None:
        return f"{start}{hint}"
    gain = (own - other) * metric.sign
    end = f"{start}, and {_than(single, gain, decimals)}"
    low, high = line.get("gain_over_single_low"), line.get("gain_over_single_high")
    if gain == 0 or low is None or high is None:
        return f"{end}{hint}"
    return f"{end} ({signed(low, decimals)} to {signed(high, decimals)}){hint}"


def _than(other: str, gain: float, decimals: int) -> str:
    """A gain in words; positive is better."""
    if signed(gain, decimals) == "0":
        return f"as good as {other}"
    return f"{'better' if gain > 0 else 'worse'} by {value(abs(gain), decimals)} than {other}"
