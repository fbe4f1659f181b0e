"""Matplotlib figures as SVG with the colours and the font of the page.

Figures are drawn in stand-in colours, which become the page's CSS variables: one SVG then serves a
light and a dark screen.
"""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.style import context

matplotlib.use("agg")  # no screen is needed

NAMES = ("ink", "quiet", "line", "card", "blue", "orange", "green")
VARIABLES = {f"#01020{i}": name for i, name in enumerate(NAMES)}  # CSS variables by stand-in
INK, QUIET, LINE, PAPER, BLUE, ORANGE, GREEN = VARIABLES
WIDTH = 4.1  # inches: on a phone its text is about as large as the page's small print
HEIGHT = 2.9  # of a figure that does not set its own
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 8.5,
    "text.parse_math": False,  # a class may be called $x$
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "xaxis.labellocation": "right",  # there a long label has room: it may run below the names
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.labelcolor": QUIET,
}


def drawn(draw: Callable[..., str], *arguments: Any) -> str:
    """The figure that `draw` makes, as one <svg> element.

    Args:
        draw: draws on a figure, given it and the arguments; returns the content in words, for
            screen readers.
    """
    # reset, because a matplotlibrc of the user's may have another font, or write by TeX
    with context(STYLE, after_reset=True), warnings.catch_warnings():
        # the browser has the letters that Matplotlib's own font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing")
        warnings.filterwarnings("ignore", "No artists with labels")  # where no score is defined
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        alt = draw(figure, *arguments)
        # ids within the SVG must not change, nor repeat those of the page's other figures
        matplotlib.rcParams["svg.hashsalt"] = f"{draw.__qualname__} {alt}"
        file = io.StringIO()
        no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=no_metadata)
    return _for_a_page(file.getvalue(), alt)


def _for_a_page(svg: str, alt: str) -> str:
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)  # several pictures share a page and its ids
    opening, rest = svg.split(">", 1)
    svg = re.sub(r' (?:width|height)="[^"]*"', "", opening) + ">" + rest
    svg = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", svg)  # Matplotlib's first font
    for stand_in, variable in VARIABLES.items():
        svg = svg.replace(stand_in, f"var(--{variable})")
    svg = re.sub(r"\n\s*", "\n", svg)
    head = f'<svg role="img" aria-label="{escape(alt)}"'
    return svg.replace("<svg", head, 1).strip()
