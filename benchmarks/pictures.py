"""The pictures of the docs, from the tables in benchmarks/results/, the same bytes each time.

    python -m benchmarks.pictures

docs/measured.svg, from `benchmarks.demo_scores`: Pearson's r on the test rows of tweets.
docs/pooling.svg, from `benchmarks.pooling_diversity`: above, the gain of a plain mean of several
members over one member, on the test rows; below, the difference of two arms with as many members,
with the table's 95 % intervals.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from benchmarks.shared.record import RESULTS

STYLE: Any = {
    "font.size": 8,
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
}
OURS, OTHERS = "#0072b2", "#999999"
# the names in the table, beside the best member, and what the picture calls them
SHOWN = {
    "submission.csv": "the file to submit",
    "blend_mean": "plain mean of all eight members",
    "AutoGluon MultiModal": "AutoGluon MultiModal 1.6.3",
    "HF Trainer, length-grouped": "Hugging Face Trainer, 5 folds",
    "one human rater": "one human rater (all 4,200 tweets)",
    "VADER": "VADER (all 4,200 tweets)",
    "frozen mean + SVR": "frozen mean + SVR, 5 folds",
    "TF-IDF + Ridge": "TF-IDF + Ridge",
}
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


def shown_lines(table: pd.DataFrame) -> pd.DataFrame:
    """A line for each name in `SHOWN` and the best member out of fold, lowest score first."""
    table = table[table["competition"] == "tweets"]
    members = table[table["kind"] == "member"].sort_values("oof")
    best = str(members["name"].iloc[-1])
    lines = [
        table[table["name"].str.startswith(name)].iloc[[0]].assign(label=label)
        for name, label in {**SHOWN, best: f"best single member ({best})"}.items()
    ]
    return pd.concat(lines).sort_values("test", ignore_index=True)


def measured(table: pd.DataFrame) -> Figure:
    """Blue is ours, grey other tools and published scores."""
    lines = shown_lines(table)
    figure = Figure(figsize=(7, 2.8), layout="constrained")
    axes = figure.subplots()
    for at, line in enumerate(lines.to_dict("records")):
        known = line["kind"] == "known"
        error = None if known else line["se"]
        axes.errorbar(line["test"], at, xerr=error, fmt="o", color=OTHERS if known else OURS)
        value = f"{line['test']:g}" if known else f"{line['test']:.4f}"
        axes.annotate(value, (line["test"], at), (0, 5), textcoords="offset points", ha="center")
    axes.set_yticks(range(len(lines)), lines["label"])
    axes.margins(x=0.1)
    axes.set_ylim(-0.5, len(lines) - 0.2)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.set_xlabel("Pearson's r on the test rows of tweets, with one standard error")
    return figure


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


def pooling(table: pd.DataFrame) -> Figure:
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


# the picture in docs/, the table that it is drawn from, and how
PICTURES: dict[str, tuple[str, Callable[[pd.DataFrame], Figure]]] = {
    "measured": ("demo_scores", measured),
    "pooling": ("pooling_diversity", pooling),
}


def draw(name: str, path: Path) -> None:
    """Write a picture of `PICTURES`."""
    results, figure = PICTURES[name]
    table = pd.read_csv(RESULTS / f"{results}.csv", keep_default_na=False, na_values=[""])
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        figure(table).savefig(path, metadata={"Date": None, "Creator": None})


def main() -> None:
    for name in PICTURES:
        path = Path("docs") / f"{name}.svg"
        draw(name, path)
        print(f"{path}: written")


if __name__ == "__main__":
    main()
