"""The report's figures of curves: learning, calibration, residuals, drift, length."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.reporting.numbers import value
from pipeline.reporting.svg import BLUE, GREEN, INK, LINE, ORANGE, QUIET, drawn

PER_LINE = 3  # small panels side by side


def learning(summary: dict[str, Any]) -> str:
    """Training loss by epoch: a panel a member, a line a fold."""
    curves = summary["learning"]
    per_line = min(PER_LINE, len(curves))
    n_lines = -(-len(curves) // per_line)
    losses = np.concatenate([unit["loss"] for units in curves.values() for unit in units])
    # one unit that diverged must not flatten all others
    top = min(losses.max(), 3 * np.quantile(losses, 0.95))

    def draw(figure: Figure) -> None:
        panels = figure.subplots(n_lines, per_line, sharex=True, sharey=True, squeeze=False)
        for axes in panels.flat[len(curves) :]:
            axes.set_visible(False)
        for axes, (name, units) in zip(panels.flat, curves.items(), strict=False):
            for unit in units:
                axes.plot(unit["epoch"], unit["loss"], color=BLUE, linewidth=0.8, alpha=0.7)
            axes.set_title(name, fontsize=8.5, loc="left", color=INK)
            axes.set_ylim(0 if losses.min() >= 0 else None, top * 1.03)
            axes.tick_params(labelcolor=QUIET, labelsize=7.5)
        figure.supxlabel("epoch", fontsize=8.5, color=QUIET)
        figure.supylabel("training loss", fontsize=8.5, color=QUIET)

    last = {name: np.mean([u["loss"][-1] for u in units]) for name, units in curves.items()}
    told = ", ".join(f"{name} {value(float(loss))}" for name, loss in last.items())
    return drawn(draw, 0.5 + 1.25 * n_lines, f"Training loss by epoch; it ends at: {told}.")


def calibration(summary: dict[str, Any]) -> str:
    """What was said against what was true."""
    bins = summary["calibration"]["bins"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        said, true = [b["said"] for b in bins], [b["true"] for b in bins]
        axes.plot(said, true, "o-", color=BLUE, markersize=5)
        axes.set(xlabel="probability that was said", ylabel="share that was true")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
        axes.tick_params(labelcolor=QUIET)

    error = value(summary["calibration"]["expected_error"])
    alt = f"Calibration in {len(bins)} groups of cases; mean distance from the diagonal {error}."
    return drawn(draw, 2.9, alt)


def residuals(summary: dict[str, Any]) -> str:
    """Truth less prediction along the prediction."""
    bins = summary["residuals"]["bins"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        said = [b["said"] for b in bins]
        axes.axhline(0, color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        low, high = [b["low"] for b in bins], [b["high"] for b in bins]
        axes.fill_between(said, low, high, color=BLUE, alpha=0.18, linewidth=0)
        axes.plot(said, [b["median"] for b in bins], "o-", color=BLUE, markersize=4)
        unit = ", in standard deviations" if summary["residuals"]["standardised"] else ""
        axes.set(xlabel=f"prediction{unit}", ylabel="truth − prediction")
        axes.tick_params(labelcolor=QUIET)

    widest = max(bins, key=lambda b: b["high"] - b["low"])
    alt = (
        f"Residuals by prediction; the middle 80 % are widest near {value(widest['said'])}, from "
        f"{value(widest['low'])} to {value(widest['high'])}."
    )
    return drawn(draw, 2.9, alt)


def drift(summary: dict[str, Any]) -> str:
    """Distributions of the chosen predictor's held-out and test predictions."""
    found = summary["drift"]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        edges = found["edges"]
        axes.stairs(found["oof_share"], edges, color=BLUE, fill=True, alpha=0.25)
        axes.stairs(found["oof_share"], edges, color=BLUE, label="training rows, held out")
        axes.stairs(found["test_share"], edges, color=GREEN, label="test rows", linewidth=1.5)
        axes.set(xlabel="prediction", ylabel="share of rows")
        axes.set_ylim(0)
        axes.tick_params(labelcolor=QUIET)
        figure.legend(loc="outside upper right", ncols=2, columnspacing=1)

    own = next(p for p in found["predictors"] if p["name"] == summary["chosen"]["name"])
    alt = f"Histograms of held-out and test predictions; their largest gap is {value(own['ks'])}."
    return drawn(draw, 2.9, alt)


def length(summary: dict[str, Any]) -> str:
    """Score of the shortest to the longest texts."""
    bins = summary["length"]
    known = [(at, b["score"]) for at, b in enumerate(bins) if b["score"] is not None]

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        overall = summary["chosen"]["score"]
        axes.axhline(overall, color=ORANGE, linewidth=1, linestyle=(0, (4, 3)))
        if known:
            axes.plot(*zip(*known, strict=True), "o-", color=BLUE, markersize=5)
            for at, found in known:
                error = bins[at]["se"]
                if error is not None:
                    ends = [found - 2 * error, found + 2 * error]
                    axes.plot([at, at], ends, color=BLUE, alpha=0.6)
        names = [f"{b['shortest']}–{b['longest']}" for b in bins]
        axes.set_xticks(range(len(bins)), names)
        axes.set_xlim(-0.4, len(bins) - 0.6)
        axes.set(xlabel="characters", ylabel=summary["metric"])
        axes.tick_params(labelcolor=QUIET)
        axes.grid(False, axis="x")
        axes.spines["bottom"].set_color(LINE)

    told = ", ".join(f"{bins[at]['longest']} characters {value(score)}" for at, score in known)
    return drawn(draw, 2.7, f"Score by length of the text, up to: {told}.")
