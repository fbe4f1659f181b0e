"""The pictures of docs/pooling.md, from the tables of `benchmarks.pooling_diversity`.

    python -m benchmarks.pooling_plots           writes docs/pooling.svg

Above, the gain of a plain mean of several members over one member, on the test rows; below, the
difference of two arms with as many members, with the table's 95 % intervals.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from benchmarks.shared.pictures import write_picture
from benchmarks.shared.record import RESULTS

PICTURE = Path("docs") / "pooling.svg"
COLOURS = {"poolings": "#0072b2", "seeds": "#d55e00", "both": "#009e73"}  # Okabe & Ito
NAMES = {
    "poolings": "different poolings, one seed",
    "seeds": "one pooling, different seeds",
    "both": "both differ",
}
PAIRS = (
    ("poolings", "seeds", "poolings − seeds"),
    ("both", "seeds", "both − seeds"),
    ("both", "poolings", "both − poolings"),
    ("both", "seeds of best", "both − seeds of\nthe best pooling"),
)


def gains(table: pd.DataFrame, arm: str) -> tuple[list[int], list[float]]:
    """Numbers of members, and their gain over one member."""
    rows = table[(table["arm"] == arm) & (table["minus"] == "one member")].sort_values("size")
    return [1, *rows["size"]], [0.0, *rows["value"]]


def largest_of_all(table: pd.DataFrame) -> int:
    """The largest number of members at which every pair of arms was compared."""
    sizes = [
        set(table.loc[(table["arm"] == arm) & (table["minus"] == minus), "size"])
        for arm, minus, _ in PAIRS
    ]
    return int(max(set.intersection(*sizes)))


def draw_gains(axes: Axes, table: pd.DataFrame) -> None:
    for arm, colour in COLOURS.items():
        axes.plot(*gains(table, arm), color=colour, marker="o", markersize=3, label=NAMES[arm])
    axes.set_xlabel("members")
    axes.xaxis.set_major_locator(MultipleLocator(1))
    axes.yaxis.set_major_formatter("{x:+.4f}")


def draw_differences(axes: Axes, table: pd.DataFrame, size: int) -> None:
    for at, (arm, minus, _) in enumerate(reversed(PAIRS)):
        is_pair = (table["arm"] == arm) & (table["minus"] == minus) & (table["size"] == size)
        value, low, high = table.loc[is_pair, ["value", "low", "high"]].iloc[0]
        axes.plot([low, high], [at, at], color=COLOURS[arm], linewidth=2)
        axes.plot(value, at, color=COLOURS[arm], marker="o", markersize=5)
    axes.axvline(0, color="#888888", linewidth=0.8)
    axes.set_yticks(np.arange(len(PAIRS)), [name for *_, name in reversed(PAIRS)])
    axes.set_ylim(-0.6, len(PAIRS) - 0.4)
    axes.locator_params(axis="x", nbins=3)
    axes.xaxis.set_major_formatter("{x:+.3f}")
    axes.set_xlabel(f"with {size} members")


def draw(table: pd.DataFrame) -> Figure:
    """A column of two pictures for each competition."""
    table = table[(table["part"] == "test") & (table["blend"] == "mean")]
    competitions = list(dict.fromkeys(table["competition"]))
    figure = Figure(figsize=(1 + 2.1 * len(competitions), 4.6), layout="constrained")
    panels = figure.subplots(2, len(competitions), squeeze=False)
    for column, competition in enumerate(competitions):
        own = table[table["competition"] == competition]
        draw_gains(panels[0, column], own)
        panels[0, column].set_title(f"{competition}: {own['metric'].iloc[0]}")
        draw_differences(panels[1, column], own, largest_of_all(own))
        if column:
            panels[1, column].set_yticklabels([])
    panels[0, 0].set_ylabel("gain on one member")
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def main() -> None:
    table = pd.read_csv(RESULTS / "pooling_diversity.csv", keep_default_na=False)
    write_picture(draw, table, PICTURE)


if __name__ == "__main__":
    main()
