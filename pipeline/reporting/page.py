"""The summary as one HTML file that needs nothing else: style and pictures are in it."""

from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.reporting import curves, figures
from pipeline.reporting.numbers import FORMATS

TEMPLATE = Path(__file__).with_name("page.html.jinja")
MOST_PAIRS = 5  # pairs of predictors shown from either end


def page(summary: dict[str, Any]) -> str:
    """The page; every number in a <data> element is one of the summary, written out."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["num"] = _number
    environment.filters.update(FORMATS)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    pairs = sorted(summary["diversity"]["pairs"], key=lambda pair: -(pair["correlation"] or 0))
    shown = pairs if len(pairs) <= 2 * MOST_PAIRS else pairs[:MOST_PAIRS] + pairs[-MOST_PAIRS:]
    return template.render(
        **summary,
        s=summary,
        pairs=shown,
        heat=_heat(summary["folds"]),
        pictures=_pictures(summary),
        config_yaml=yaml.safe_dump(summary["run"]["config"], sort_keys=False, allow_unicode=True),
        has_columns={
            name: any(line.get(name) is not None for line in summary["leaderboard"])
            for name in ("test", "gain_over_single")
        },
        has_stability=any(
            line["sd"] is not None for of in summary["weights"].values() for line in of
        ),
    )


def _number(number: float | None, style: str = "value") -> Markup:
    """A number as it is written, with all its digits behind it."""
    text = FORMATS[style](number)
    if number is None:
        return Markup("{}").format(text)
    return Markup('<data value="{}">{}</data>').format(repr(number), text)


def _pictures(summary: dict[str, Any]) -> dict[str, Any]:
    """The figures as SVG by the name of their place on the page."""
    drawn: dict[str, Any] = {
        "gains": figures.gains(summary),
        "three_scores": figures.three_scores(summary),
        "correlations": figures.correlations(summary),
        "leave_one_out": figures.leave_one_out(summary),
        "shapley": figures.shapley(summary),
        "drift": curves.drift(summary),
        "length": curves.length(summary),
    }
    if summary["learning"]:
        drawn["learning"] = curves.learning(summary)
    for name in ("calibration", "residuals"):
        if summary[name] is not None:
            drawn[name] = getattr(curves, name)(summary)
    safe: dict[str, Any] = {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704
    safe["weights"] = {
        blend: Markup(figures.weights(summary, blend))  # noqa: S704
        for blend in summary["weights"]
        if blend != "blend_mean"
    }
    return safe


def _heat(folds: dict[str, list[dict[str, Any]]]) -> dict[str, list[int]]:
    """How strongly each cell of the table of fold scores is tinted, 0 to 100."""
    known = [cell["score"] for line in folds.values() for cell in line if cell["score"] is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    return {
        name: [
            0 if cell["score"] is None else round(100 * (cell["score"] - low) / (high - low or 1))
            for cell in line
        ]
        for name, line in folds.items()
    }
