"""The report's verdict: which predictor to submit, and how sure that is."""

from collections.abc import Sequence
from typing import Any

from pipeline.ensemble.leaderboard import CONSTANT, PLAIN_MEAN
from pipeline.reporting.numbers import signed, value
from pipeline.reporting.screen import is_no_better_than_constant
from pipeline.scoring.metrics import Metric

Line = dict[str, Any]  # of the report's leaderboard


def verdict(
    chosen: Line,
    board: Sequence[Line],
    metric: Metric,
    over_constant: Sequence[float | None] | None,
) -> str:
    """The chosen predictor's score, and its gains with their intervals.

    A warning comes first if it is not surely better than the constant prediction.
    """
    singles = [line for line in board if line["kind"] not in ("blend", CONSTANT)]
    name, n, best = chosen["name"], len(singles), singles[0]  # the board is sorted by score
    score = f"its {metric.name} on held-out rows is {value(chosen['score'])}"
    if chosen["alone"] is not None:
        alone = chosen["alone"]
        start = f"Submit {name}, which is {alone} alone: blending gains nothing on it; {score}"
    elif name == PLAIN_MEAN:
        start = (
            f"Submit {PLAIN_MEAN}: no blend beats the plain mean of the {n} predictors by more "
            f"than half a standard error; {score}"
        )
    else:
        interval = f"95 % interval {signed(chosen['gain_low'])} to {signed(chosen['gain_high'])}"
        start = (
            f"Submit {name}: {score}, {signed(chosen['gain'])} over the plain mean of the {n} "
            f"predictors ({interval})"
        )
    if is_no_better_than_constant(over_constant):
        start = f"Submit nothing yet: no model is surely better than a constant. {start}"
    if chosen["alone"] == best["name"]:
        return f"{start}."
    gain = (chosen["score"] - best["score"]) * metric.sign
    if gain == 0:
        return f"{start}, and as good as the best single predictor, {best['name']}."
    low, high = chosen.get("gain_over_single_low"), chosen.get("gain_over_single_high")
    interval = "" if low is None or high is None else f" ({signed(low)} to {signed(high)})"
    return f"{start}, and {signed(gain)} over the best single predictor, {best['name']}{interval}."
