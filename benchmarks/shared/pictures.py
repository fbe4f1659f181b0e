"""Pictures of the docs, the same bytes each time they are drawn from the same table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

STYLE: dict[str, Any] = {
    "font.size": 8,
    "svg.fonttype": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 9,
    "legend.frameon": False,
}


def write_picture(draw: Callable[[pd.DataFrame], Figure], table: pd.DataFrame, path: Path) -> None:
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": path.stem}):
        draw(table).savefig(path, metadata={"Date": None, "Creator": None})
    print(f"{path}: written")
