"""The picture of docs/measured.md, from the table of `benchmarks.demo_scores`.

    python -m benchmarks.demo_plot           writes docs/measured.svg

Pearson's r on the test rows of tweets: blue is ours, grey other tools and published scores.
"""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from benchmarks.shared.pictures import write_picture
from benchmarks.shared.record import RESULTS

PICTURE = Path("docs") / "measured.svg"
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


def draw(table: pd.DataFrame) -> Figure:
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


def main() -> None:
    table = pd.read_csv(RESULTS / "demo_scores.csv", keep_default_na=False, na_values=[""])
    write_picture(draw, table, PICTURE)


if __name__ == "__main__":
    main()
