"""The report's figures of curves, from learning to drift: each draws, and returns what it shows."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.files.messages import shortened
from pipeline.reporting.numbers import value
from pipeline.reporting.summary import Summary
from pipeline.reporting.svg import BLUE, GREEN, INK, LINE, ORANGE, QUIET

PER_LINE = 3  # small panels side by side
LONGEST_TITLE = 17  # characters above a small panel
REFERENCE: dict[str, Any] = {"color": QUIET, "linewidth": 0.8, "linestyle": (0, (4, 3))}
UNIT_SQUARE: dict[str, Any] = {"xlim": (-0.02, 1.02), "ylim": (-0.02, 1.02)}


def learning(figure: Figure, summary: Summary) -> str:
    """Training loss by epoch: a panel for each member, a line for each fold."""
    curves = summary["learning"]
    losses = np.concatenate([unit["loss"] for units in curves.values() for unit in units])
    # one unit that diverged must not flatten all others
    top = min(losses.max(), 3 * np.quantile(losses, 0.95))
    panels = _panels(figure, list(curves), "epoch", "training loss")
    for axes, units in zip(panels, curves.values(), strict=True):
        for unit in units:
            axes.plot(unit["epoch"], unit["loss"], color=BLUE, linewidth=0.8, alpha=0.7)
        axes.set_ylim(0 if losses.min() >= 0 else None, top * 1.03)
    last = {name: np.mean([u["loss"][-1] for u in units]) for name, units in curves.items()}
    ends = ", ".join(f"{name} {value(float(loss))}" for name, loss in last.items())
    return f"Training loss by epoch; at the end: {ends}."


def roc(figure: Figure, summary: Summary) -> str:
    """True positives by false positives, at all thresholds."""
    curve = summary["ranking"]["roc"]
    axes = _axes(figure, "share of the negatives", "share of the positives")
    axes.plot([0, 1], [0, 1], **REFERENCE)
    axes.plot(curve["x"], curve["y"], color=BLUE)
    axes.set(**UNIT_SQUARE)
    return f"ROC curve; the area below it is {value(curve['area'])}."


def precision_recall(figure: Figure, summary: Summary) -> str:
    """Precision by recall, at all thresholds."""
    curve = summary["ranking"]["precision_recall"]
    axes = _axes(figure, "recall", "precision")
    axes.axhline(curve["share"], **REFERENCE)
    axes.plot(curve["x"], curve["y"], color=BLUE)
    axes.set(**UNIT_SQUARE)
    return f"Precision by recall; the average precision is {value(curve['area'])}."


def by_threshold(figure: Figure, summary: Summary) -> str:
    """The score at each threshold, with the cut in use."""
    measured = summary["by_threshold"]
    axes = _axes(figure, "threshold of the probability", summary["metric"])
    figure.set_figheight(2.7)
    axes.axvline(0.5, **REFERENCE)
    axes.axvline(measured["cut"], color=ORANGE, linewidth=1.2)
    axes.plot(measured["thresholds"], measured["scores"], color=BLUE)
    return f"{summary['metric']} by threshold; the cut in use is {value(measured['cut'])}."


def calibration(figure: Figure, summary: Summary) -> str:
    """Predicted probability against the observed share."""
    measured = summary["calibration"]
    axes = _axes(figure, "predicted probability", "observed share")
    _plot_calibration(axes, measured["bins"])
    error = value(measured["expected_error"])
    return f"Calibration in {len(measured['bins'])} bins; mean distance from the diagonal {error}."


def calibration_of_columns(figure: Figure, summary: Summary) -> str:
    """The same for the most frequent classes or labels: a panel for each."""
    columns = summary["calibration"]["columns"]
    names = [column["name"] for column in columns]
    panels = _panels(figure, names, "predicted probability", "observed share")
    for axes, column in zip(panels, columns, strict=True):
        _plot_calibration(axes, column["bins"])
    errors = ", ".join(f"{c['name']} {value(c['expected_error'])}" for c in columns)
    return f"Calibration of single classes; mean distances from the diagonal: {errors}."


def _plot_calibration(axes: Axes, bins: list[dict[str, float]]) -> None:
    axes.plot([0, 1], [0, 1], **REFERENCE)
    x, y = [b["predicted"] for b in bins], [b["observed"] for b in bins]
    axes.plot(x, y, "o-", color=BLUE, markersize=4, clip_on=False)
    axes.set(**UNIT_SQUARE)


def residuals(figure: Figure, summary: Summary) -> str:
    """Target minus prediction, by prediction."""
    measured = summary["residuals"]
    bins = measured["bins"]
    unit = ", in standard deviations" if measured["standardised"] else ""
    axes = _axes(figure, f"prediction{unit}", "target − prediction")
    axes.axhline(0, **REFERENCE)
    x, low, high = ([b[key] for b in bins] for key in ("predicted", "low", "high"))
    axes.fill_between(x, low, high, color=BLUE, alpha=0.18, linewidth=0)
    axes.plot(x, [b["median"] for b in bins], "o-", color=BLUE, markersize=4)
    widest = max(bins, key=lambda b: b["high"] - b["low"])
    return (
        f"Residuals by prediction; the middle 80 % are widest near {value(widest['predicted'])}, "
        f"from {value(widest['low'])} to {value(widest['high'])}."
    )


def drift(figure: Figure, summary: Summary) -> str:
    """Distributions of the chosen predictor's held-out and test predictions."""
    measured = summary["drift"]
    axes = _axes(figure, "prediction", "share of rows")
    oof, test, edges = measured["oof_share"], measured["test_share"], measured["edges"]
    axes.stairs(oof, edges, color=BLUE, fill=True, alpha=0.25)
    axes.stairs(oof, edges, color=BLUE, label="training rows, held out")
    axes.stairs(test, edges, color=GREEN, label="test rows", linewidth=1.5)
    axes.set_ylim(0)
    figure.legend(loc="outside upper right", ncols=2, columnspacing=1)
    chosen = next(p for p in measured["predictors"] if p["name"] == summary["chosen"]["name"])
    gap = value(chosen["ks"])
    return f"Histograms of held-out and test predictions; their largest gap is {gap}."


def length(figure: Figure, summary: Summary) -> str:
    """Score of the shortest to the longest texts."""
    bins = summary["length"]
    known = [(at, b["score"], b["se"]) for at, b in enumerate(bins) if b["score"] is not None]
    axes = _axes(figure, "characters", summary["metric"])
    figure.set_figheight(2.7)
    axes.axhline(summary["chosen"]["score"], color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
    axes.plot([at for at, *_ in known], [score for _, score, _ in known], "o-", color=BLUE)
    for at, score, error in known:
        if error is not None:
            low, high = score - 2 * error, score + 2 * error
            # the best is 1 or 0, but for some metrics of the user's own
            if summary["greater_is_better"] and score <= 1:
                high = min(high, 1)
            elif not summary["greater_is_better"] and score >= 0:
                low = max(low, 0)
            axes.plot([at, at], [low, high], color=BLUE, alpha=0.6)
    axes.set_xticks(range(len(bins)), [f"{b['shortest']}–{b['longest']}" for b in bins])
    axes.set_xlim(-0.4, len(bins) - 0.6)
    axes.grid(False, axis="x")
    axes.spines["bottom"].set_color(LINE)
    scores = ", ".join(f"{bins[at]['longest']} characters {value(v)}" for at, v, _ in known)
    return f"Score by length of the text, up to: {scores}."


def _axes(figure: Figure, xlabel: str, ylabel: str) -> Axes:
    axes: Axes = figure.subplots()
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.tick_params(labelcolor=QUIET)
    return axes


def _panels(figure: Figure, names: list[str], xlabel: str, ylabel: str) -> list[Axes]:
    """Small axes of one scale, side by side in lines, each with its name above."""
    n = len(names)
    per_line = min(PER_LINE, n)
    n_lines = -(-n // per_line)
    figure.set_figheight(0.5 + 1.25 * n_lines)
    panels = figure.subplots(n_lines, per_line, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat:
        axes.tick_params(labelcolor=QUIET, labelsize=7.5)
    for axes, name in zip(panels.flat, names, strict=False):
        axes.set_title(shortened(name, LONGEST_TITLE, "…"), fontsize=8.5, loc="left", color=INK)
    for axes in panels.flat[n:]:
        axes.set_visible(False)
    figure.supxlabel(xlabel, fontsize=8.5, color=QUIET)
    figure.supylabel(ylabel, fontsize=8.5, color=QUIET)
    return list(panels.flat[:n])
