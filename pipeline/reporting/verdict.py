"""The report's verdict: what to submit, and how sure that is."""

from typing import Any

from pipeline.ensemble.leaderboard import CONSTANT, PLAIN_MEAN
from pipeline.reporting.numbers import signed, value
from pipeline.reporting.screen import alone_of, is_no_better_than_constant


def verdict(summary: dict[str, Any]) -> str:
    """A sentence on the chosen blend, from the numbers of the summary.

    A blend that is not surely better than the constant prediction is warned about first.
    """
    chosen, metric = summary["chosen"], summary["metric"]
    singles = [x for x in summary["leaderboard"] if x["kind"] not in ("blend", CONSTANT)]
    n = len(singles)
    interval = f"95 % interval {signed(chosen['gain_low'])} to {signed(chosen['gain_high'])}"
    alone = alone_of(chosen)
    if alone is not None:
        start = (
            f"Submit {chosen['name']}, which is {alone} alone: blending gains nothing on it; its "
            f"{metric} on held-out rows is {value(chosen['score'])}"
        )
    elif chosen["name"] == PLAIN_MEAN:
        start = (
            f"Submit {PLAIN_MEAN}: no blend beats the plain mean of the {n} predictors by more "
            f"than half a standard error; its {metric} on held-out rows is {value(chosen['score'])}"
        )
    else:
        start = (
            f"Submit {chosen['name']}: its {metric} on held-out rows is {value(chosen['score'])}, "
            f"{signed(chosen['gain'])} over the plain mean of the {n} predictors ({interval})"
        )
    if is_no_better_than_constant(summary["over_constant"]):
        start = f"Submit nothing yet: no model is surely better than a constant. {start}"
    if alone == singles[0]["name"]:
        return f"{start}."
    return f"{start}, {_beside_the_best(chosen, singles[0], summary['greater_is_better'])}."


def _beside_the_best(chosen: dict[str, Any], best: dict[str, Any], greater: bool) -> str:
    """Singles are in the leaderboard's order, so the first is the best of them."""
    gain = (chosen["score"] - best["score"]) * (1 if greater else -1)
    low, high = chosen.get("gain_over_single_low"), chosen.get("gain_over_single_high")
    if gain == 0:
        return f"and as good as the best single one, {best['name']}"
    interval = "" if low is None or high is None else f" ({signed(low)} to {signed(high)})"
    return f"and {signed(gain)} over the best single one, {best['name']}{interval}"
