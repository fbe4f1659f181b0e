"""The figures of a report: each draws numbers of the summary, and returns what it shows."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pipeline.ensemble.leaderboard import CONSTANT
from pipeline.files.messages import shortened
from pipeline.reporting.numbers import decimals_of, short, signed, value
from pipeline.reporting.summary import Summary
from pipeline.reporting.svg import BLUE, GREEN, INK, LINE, ORANGE, PAPER, QUIET
from pipeline.reporting.verdict import Line

KIND = {"blend": ORANGE, "member": BLUE, "external": GREEN}
LEAST_SPAN = 0.05  # of correlations, from the palest cell to the darkest
LONGEST_NAME, LONGEST_OF_PAIR = 28, 18  # characters, so that the axes keep their room
FAR = 6  # times the median's distance from the best gain: gains beyond would leave others no room
MOST_WEIGHTS = 40  # bars of a figure
MOST_CELLS = 12  # predictors up to which a heatmap's cells hold their numbers

Estimate = list[float | None]  # value, and low and high of its 95 % interval


def _without_constant(summary: Summary) -> list[Line]:
    """The leaderboard without the constant, whose score would leave the others no room."""
    return [line for line in summary["leaderboard"] if line["kind"] != CONSTANT]


def gains(figure: Figure, summary: Summary) -> str:
    """The gain of each predictor and blend over the plain mean, with its interval.

    Gains far below the others are numbers at the edge.
    """
    board = _without_constant(summary)
    known = [line["gain"] for line in board if line["gain"] is not None] or [0.0]
    least = max(known) - FAR * (max(known) - np.median(known))
    decimals = decimals_of(summary["chosen"]["score"], summary["greater_is_better"])
    axes = _lines(figure, [line["name"] for line in board])
    axes.axvline(0, color=QUIET, linewidth=0.8)
    for at, line in enumerate(board):
        gain, colour = line["gain"], KIND.get(line["kind"], GREEN)
        if gain is not None and gain < least:
            edge, text = axes.get_yaxis_transform(), f"← {signed(gain, decimals)}"
            axes.text(0.01, at, text, transform=edge, va="center", color=colour)
            continue
        estimate = [gain, line["gain_low"], line["gain_high"]]
        _point(axes, at, estimate, colour, 8 if line["chosen"] else 5)
    axes.set_xlabel(f"gain in {summary['metric']} over the plain mean, 95 % interval")
    best = board[0]
    return (
        f"Gain over the plain mean of {len(board)} predictors and blends; the best is "
        f"{best['name']} with {signed(best['gain'], decimals)}, from "
        f"{signed(best['gain_low'], decimals)} to {signed(best['gain_high'], decimals)}."
    )


def three_scores(figure: Figure, summary: Summary) -> str:
    """The in-sample, held-out and test score of each predictor and blend."""
    board, chosen = _without_constant(summary), summary["chosen"]
    scores = [
        ("in-sample", [line["in_sample"] for line in board], "o", PAPER, QUIET),
        ("held out", [line["score"] for line in board], "o", BLUE, BLUE),
        ("test", [line["test"] for line in board], "D", GREEN, GREEN),
    ]
    axes = _lines(figure, [line["name"] for line in board])
    for at, values in enumerate(zip(*(column for _, column, *_ in scores), strict=True)):
        known = [score for score in values if score is not None]
        if known:
            axes.plot([min(known), max(known)], [at, at], color=LINE, linewidth=3, zorder=1)
    for label, column, marker, face, edge in scores:
        points = [(score, at) for at, score in enumerate(column) if score is not None]
        if points:
            (mark,) = axes.plot(*zip(*points, strict=True), marker, markersize=5, label=label)
            mark.set(markerfacecolor=face, markeredgecolor=edge)
    axes.set_xlabel(summary["metric"])
    figure.set_figheight(figure.get_figheight() + 0.2)
    figure.legend(loc="outside upper right", ncols=3, handletextpad=0.1, columnspacing=1)
    return (
        f"Scores of every predictor; {chosen['name']}: held out {value(chosen['score'])}, "
        f"in-sample {value(chosen['in_sample'])}, test {value(chosen['test'])}."
    )


def correlations(figure: Figure, summary: Summary) -> str:
    """Heatmap of error correlations, with similar predictors side by side."""
    names = summary["diversity"]["order"]
    cells = np.array(summary["diversity"]["error_correlation"], dtype=np.float64)
    m = len(names)
    pairs = cells[~np.eye(m, dtype=bool)]
    known = pairs[~np.isnan(pairs)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    figure.set_figheight(min(3.7, 1.5 + 0.55 * m))
    axes = figure.subplots()
    axes.grid(False)
    axes.set(aspect="equal", xlim=(0, m), ylim=(m, 0))
    # the diagonal's 1 does not count, and a hundredth more or less is no contrast
    shades = np.nan_to_num(np.clip((cells - low) / max(high - low, LEAST_SPAN), 0, 1))
    for i, j in np.ndindex(m, m):
        corner, alpha = (j + 0.02, i + 0.02), 0.06 + 0.6 * shades[i, j]
        axes.add_patch(Rectangle(corner, 0.96, 0.96, facecolor=BLUE, alpha=alpha))
        if i != j and m <= MOST_CELLS:
            text = short(float(cells[i, j])).replace("0.", ".")
            size = 8 if m <= 8 else 6
            axes.text(j + 0.5, i + 0.5, text, ha="center", va="center", fontsize=size)
    shown = [shortened(name, LONGEST_OF_PAIR, "…") for name in names]
    axes.set_xticks(np.arange(m) + 0.5, shown, rotation=90)
    axes.set_yticks(np.arange(m) + 0.5, shown)
    axes.tick_params(axis="x", labelcolor=INK)
    axes.spines[:].set_visible(False)
    mean = value(summary["diversity"]["mean_correlation"])
    return (
        f"Heatmap of the correlations between the errors of {m} predictors, from "
        f"{value(low)} to {value(high)}; their mean is {mean}."
    )


def weights(figure: Figure, summary: Summary, blend: str) -> str:
    """A blend's weights, the largest of many, with their spread over other fits."""
    lines = summary["weights"][blend]
    if len(lines) > MOST_WEIGHTS:
        lines = sorted(lines, key=lambda line: -abs(line["weight"]))[:MOST_WEIGHTS]
    names = [" · ".join(filter(None, (line["predictor"], line["target"]))) for line in lines]
    axes = _lines(figure, names)
    for at, line in enumerate(lines):
        axes.barh(at, line["weight"], height=0.62, color=BLUE, alpha=0.75)
        mean, sd = line["mean"], line["sd"]
        axes.plot([mean - sd, mean + sd], [at, at], color=INK, linewidth=1.2)
        axes.plot(mean, at, "o", color=INK, markersize=3)
    axes.set_xlabel("weight")
    values = [f"{n} {short(line['weight'])}" for n, line in zip(names, lines, strict=True)]
    return f"Weights of {blend}: {', '.join(values)}."


def leave_one_out(figure: Figure, summary: Summary) -> str:
    """How much worse the plain mean becomes without each predictor, as bars."""
    losses = _contributions(summary, "leave_one_out")
    axes = _lines(figure, [name for name, _ in losses])
    axes.axvline(0, color=QUIET, linewidth=0.8)
    for at, (_, (loss, low, high)) in enumerate(losses):
        if loss is None:
            continue
        axes.barh(at, loss, height=0.62, color=BLUE if loss >= 0 else ORANGE, alpha=0.75)
        if low is not None and high is not None:
            axes.plot([low, high], [at, at], color=INK, linewidth=1.2)
    axes.set_xlabel(f"loss of {summary['metric']} without it, 95 % interval")
    values = ", ".join(f"{name} {signed(loss[0])}" for name, loss in losses)
    return f"What the plain mean loses without each predictor: {values}."


def shapley(figure: Figure, summary: Summary) -> str:
    """Shapley values, as points around an equal share: bars from 0 would all look alike."""
    shares, whole = _contributions(summary, "shapley"), summary["contributions"]["whole"]
    axes = _lines(figure, [name for name, _ in shares])
    if whole is not None:
        axes.axvline(whole / len(shares), color=QUIET, linewidth=0.8, linestyle=(0, (4, 3)))
    for at, (_, share) in enumerate(shares):
        _point(axes, at, share, BLUE, 6)
    axes.set_xlabel(f"Shapley value in {summary['metric']}, 95 % interval")
    values = ", ".join(f"{name} {signed(share[0])}" for name, share in shares)
    return f"Shapley value of every predictor: {values}."


def _contributions(summary: Summary, measure: str) -> list[tuple[str, Estimate]]:
    """Each predictor with the estimate of its contribution, the largest first."""
    lines = summary["contributions"]["predictors"]
    estimates = [(line["name"], line[measure]) for line in lines]
    return sorted(estimates, key=lambda pair: -(pair[1][0] or 0))


def _point(axes: Axes, at: int, estimate: Estimate, colour: str, size: int) -> None:
    """A point on the line `at` with its interval."""
    point, low, high = estimate
    if point is not None:
        if low is not None and high is not None:
            axes.plot([low, high], [at, at], color=colour, alpha=0.6)
        axes.plot(point, at, "o", color=colour, markersize=size)


def _lines(figure: Figure, names: Sequence[str]) -> Axes:
    """Axes with a line for each name, the first at the top, on a figure that is high enough."""
    figure.set_figheight(0.75 + 0.24 * len(names))
    axes: Axes = figure.subplots()
    axes.set_yticks(range(len(names)), [shortened(name, LONGEST_NAME, "…") for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)
    return axes
