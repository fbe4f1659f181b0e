"""The figures of a report, each from numbers of the summary."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.reporting.numbers import short, signed, value
from pipeline.reporting.svg import BLUE, GREEN, INK, LINE, ORANGE, PAPER, QUIET, drawn

KIND = {"blend": ORANGE, "member": BLUE, "external": GREEN}
LEAST_SPAN = 0.05  # of correlations, from the palest cell to the darkest
MOST_CELLS = 12  # predictors up to which a heatmap's cells hold their numbers


def height_of(n_lines: int) -> float:
    """Inches for a figure of n lines."""
    return 0.75 + 0.24 * n_lines


def gains(summary: dict[str, Any]) -> str:
    """Each line's gain over the plain mean with its interval."""
    board = summary["leaderboard"]

    def draw(figure: Figure) -> None:
        axes = _lines(figure, [line["name"] for line in board])
        axes.axvline(0, color=QUIET, linewidth=0.8)
        for at, line in enumerate(board):
            if line["gain"] is None:
                continue
            colour = KIND.get(line["kind"], KIND["external"])
            if line["gain_low"] is not None:
                axes.plot([line["gain_low"], line["gain_high"]], [at, at], color=colour, alpha=0.6)
            axes.plot(line["gain"], at, "o", color=colour, markersize=8 if line["chosen"] else 5)
        axes.set_xlabel(f"gain in {summary['metric']} over the plain mean, 95 % interval")

    best = board[0]
    alt = (
        f"Gain over the plain mean of {len(board)} predictors and blends; the best is "
        f"{best['name']} with {signed(best['gain'])}, from {signed(best['gain_low'])} to "
        f"{signed(best['gain_high'])}."
    )
    return drawn(draw, height_of(len(board)), alt)


def three_scores(summary: dict[str, Any]) -> str:
    """In-sample, honest and test score of each line."""
    board = summary["leaderboard"]
    kinds = [("in_sample", "o", PAPER, QUIET), ("score", "o", BLUE, BLUE)]
    kinds.append(("test", "D", GREEN, GREEN))
    names = {"in_sample": "in-sample", "score": "held out", "test": "test"}

    def draw(figure: Figure) -> None:
        axes = _lines(figure, [line["name"] for line in board])
        for at, line in enumerate(board):
            known = [line[key] for key, *_ in kinds if line[key] is not None]
            if known:
                axes.plot([min(known), max(known)], [at, at], color=LINE, linewidth=3, zorder=1)
        for key, marker, face, edge in kinds:
            points = [(line[key], at) for at, line in enumerate(board) if line[key] is not None]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    marker,
                    markersize=5,
                    markerfacecolor=face,
                    markeredgecolor=edge,
                    label=names[key],
                )
        axes.set_xlabel(summary["metric"])
        figure.legend(loc="outside upper right", ncols=3, handletextpad=0.1, columnspacing=1)

    chosen = summary["chosen"]
    alt = (
        f"Scores of every predictor; {chosen['name']}: held out {value(chosen['score'])}, "
        f"in-sample {value(chosen['in_sample'])}, test {value(chosen['test'])}."
    )
    return drawn(draw, height_of(len(board)) + 0.2, alt)


def correlations(summary: dict[str, Any]) -> str:
    """Heatmap of error correlations, alike predictors side by side."""
    names = summary["diversity"]["order"]
    cells = np.array(summary["diversity"]["error_correlation"], dtype=np.float64)
    m = len(names)
    beside = cells[~np.eye(m, dtype=bool)]
    known = beside[~np.isnan(beside)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.grid(False)
        axes.set(aspect="equal", xlim=(0, m), ylim=(m, 0))
        # the diagonal's 1 does not count, and a hundredth more or less is no contrast
        shades = np.nan_to_num(np.clip((cells - low) / max(high - low, LEAST_SPAN), 0, 1))
        for i, j in np.ndindex(m, m):
            at, of_cell = (j + 0.02, i + 0.02), 0.06 + 0.6 * shades[i, j]
            axes.add_patch(Rectangle(at, 0.96, 0.96, facecolor=BLUE, alpha=of_cell))
            if i != j and m <= MOST_CELLS:
                text = short(float(cells[i, j])).replace("0.", ".")
                size = 8 if m <= 8 else 6
                axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=size)
        axes.set_xticks(np.arange(m) + 0.5, names, rotation=90)
        axes.set_yticks(np.arange(m) + 0.5, names)
        axes.tick_params(axis="x", labelcolor=INK)
        axes.spines[:].set_visible(False)

    mean = value(summary["diversity"]["mean_correlation"])
    alt = (
        f"Heatmap of the correlations between the errors of {m} predictors, from "
        f"{value(low)} to {value(high)}; their mean is {mean}."
    )
    return drawn(draw, min(3.7, 1.5 + 0.55 * m), alt)


def weights(summary: dict[str, Any], blend: str) -> str:
    """One blend's weights, with their spread over other fits where it is known."""
    lines = summary["weights"][blend]
    names = [
        f"{line['predictor']} · {line['target']}" if line["target"] else line["predictor"]
        for line in lines
    ]

    def draw(figure: Figure) -> None:
        axes = _lines(figure, names)
        for at, line in enumerate(lines):
            axes.barh(at, line["weight"], height=0.62, color=BLUE, alpha=0.75)
            if line["sd"] is not None:
                ends = [line["mean"] - line["sd"], line["mean"] + line["sd"]]
                axes.plot(ends, [at, at], color=INK, linewidth=1.2)
                axes.plot(line["mean"], at, "o", color=INK, markersize=3)
        axes.set_xlabel("weight")

    told = ", ".join(f"{n} {short(line['weight'])}" for n, line in zip(names, lines, strict=True))
    return drawn(draw, height_of(len(lines)), f"Weights of {blend}: {told}.")


def leave_one_out(summary: dict[str, Any]) -> str:
    """What the plain mean loses without each predictor, as bars."""
    lines = _by_value(summary, "leave_one_out")

    def draw(figure: Figure) -> None:
        axes = _lines(figure, [line["name"] for line in lines])
        axes.axvline(0, color=QUIET, linewidth=0.8)
        for at, line in enumerate(lines):
            found, low, high = line["leave_one_out"]
            if found is None:
                continue
            axes.barh(at, found, height=0.62, color=BLUE if found >= 0 else ORANGE, alpha=0.75)
            if low is not None:
                axes.plot([low, high], [at, at], color=INK, linewidth=1.2)
        axes.set_xlabel(f"loss of {summary['metric']} without it, 95 % interval")

    told = ", ".join(f"{line['name']} {signed(line['leave_one_out'][0])}" for line in lines)
    alt = f"What the plain mean loses without each predictor: {told}."
    return drawn(draw, height_of(len(lines)), alt)


def shapley(summary: dict[str, Any]) -> str:
    """Each predictor's share, as points around an equal share: bars from 0 would look alike."""
    lines = _by_value(summary, "shapley")
    whole = summary["contributions"]["whole"]

    def draw(figure: Figure) -> None:
        axes = _lines(figure, [line["name"] for line in lines])
        if whole is not None:
            axes.axvline(whole / len(lines), color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
        for at, line in enumerate(lines):
            found, low, high = line["shapley"]
            if found is None:
                continue
            if low is not None:
                axes.plot([low, high], [at, at], color=BLUE, alpha=0.6)
            axes.plot(found, at, "o", color=BLUE, markersize=6)
        axes.set_xlabel(f"Shapley value in {summary['metric']}, 95 % interval")

    told = ", ".join(f"{line['name']} {signed(line['shapley'][0])}" for line in lines)
    return drawn(draw, height_of(len(lines)), f"Shapley value of every predictor: {told}.")


def _by_value(summary: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Contributions, the largest first."""
    lines = summary["contributions"]["predictors"]
    return sorted(lines, key=lambda line: -(line[key][0] or 0))


def _lines(figure: Figure, names: list[str]) -> Axes:
    """Axes with one named line for each, the first at the top."""
    axes: Axes = figure.subplots()
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    return axes
