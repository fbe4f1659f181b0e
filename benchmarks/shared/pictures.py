"""Pictures of the docs, the same bytes each time they are drawn from the same table."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.figure import Figure


def write_picture(draw: Callable[[pd.DataFrame], Figure], table: pd.DataFrame, path: Path) -> None:
    with matplotlib.rc_context(
        {
            "font.size": 8,
            "svg.fonttype": "none",
            "svg.hashsalt": path.stem,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 9,
            "legend.frameon": False,
        }
    ):
        draw(table).savefig(path, metadata={"Date": None, "Creator": None})
    print(f"{path}: written")
