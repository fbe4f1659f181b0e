"""The summary as one HTML file that holds its style and its figures."""

from functools import partial
from pathlib import Path

import yaml
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pipeline.ensemble.leaderboard import PLAIN_MEAN
from pipeline.reporting import curves, figures
from pipeline.reporting.numbers import FORMATS, decimals_of
from pipeline.reporting.summary import Summary
from pipeline.reporting.svg import drawn

TEMPLATE = Path(__file__).with_name("page.html.jinja")
MOST_CLASSES = 100  # shown in the table of precision and recall
MOST_TARGETS = 20  # or labels, shown in their table
MOST_PAIRS = 5  # pairs of predictors shown from either end


def page(summary: Summary) -> str:
    """The page; every <data> element holds a number of the summary."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    decimals = decimals_of(summary["chosen"]["score"], summary["greater_is_better"])
    environment.globals["num"] = partial(_number, decimals=decimals)
    environment.filters.update(FORMATS)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    pairs = sorted(summary["diversity"]["pairs"], key=lambda pair: -(pair["correlation"] or 0))
    shown = pairs if len(pairs) <= 2 * MOST_PAIRS else pairs[:MOST_PAIRS] + pairs[-MOST_PAIRS:]
    classes = summary["classification"]["classes"] if summary["classification"] else []
    return template.render(
        **summary,
        s=summary,
        pairs=shown,
        classes=sorted(classes, key=lambda line: -line["rows"])[:MOST_CLASSES],
        worst_targets=_worst(summary),
        most_weights=figures.MOST_WEIGHTS,
        heat=_heat(summary["folds"]),
        pictures=_figures(summary),
        weight_figures={
            blend: Markup(drawn(figures.weights, summary, blend))  # noqa: S704
            for blend in summary["weights"]
            if blend != PLAIN_MEAN
        },
        config_yaml=yaml.safe_dump(summary["run"]["config"], sort_keys=False, allow_unicode=True),
        has_columns={
            name: any(line.get(name) is not None for line in summary["leaderboard"])
            for name in ("test", "gain_over_single", "minutes")
        },
    )


def _number(number: float | None, style: str = "value", *, decimals: int) -> Markup:
    """A number as the reader sees it, with all its digits in the element's value."""
    is_scaled = style in ("value", "signed")
    text = FORMATS[style](number, decimals) if is_scaled else FORMATS[style](number)
    if number is None:
        return Markup("{}").format(text)
    return Markup('<data value="{}">{}</data>').format(repr(number), text)


def _figures(summary: Summary) -> dict[str, Markup]:
    """The figures as SVG, by the name of their function; without those that have no data."""
    of_each = [figures.correlations, figures.leave_one_out, figures.shapley]
    calibration = summary["calibration"]
    shown = [
        (True, [figures.gains, figures.three_scores, curves.drift]),
        (len(summary["contributions"]["predictors"]) > 1, of_each),
        (summary["ranking"], [curves.roc, curves.precision_recall]),
        (summary["by_threshold"], [curves.by_threshold]),
        (summary["residuals"], [curves.residuals]),
        (calibration, [curves.calibration]),
        (calibration and calibration["columns"], [curves.calibration_of_columns]),
        (summary["learning"], [curves.learning]),
        (any(b["score"] is not None for b in summary["length"]), [curves.length]),
    ]
    functions = [function for data, of_data in shown if data for function in of_data]
    return {function.__name__: Markup(drawn(function, summary)) for function in functions}  # noqa: S704


def _worst(summary: Summary) -> list[dict[str, float | None]]:
    """All targets, or the worst of those with a score where the page would become long."""
    targets, sign = summary["targets"], 1 if summary["greater_is_better"] else -1
    if len(targets) <= MOST_TARGETS:
        return list(targets)
    known = [line for line in targets if line["score"] is not None]
    return sorted(known, key=lambda line: sign * line["score"])[:MOST_TARGETS]


def _heat(folds: dict[str, list[dict[str, float | None]]]) -> dict[str, list[int]]:
    """How strongly each cell of the table of fold scores is tinted, 0 to 100."""
    scores = {name: [cell["score"] for cell in line] for name, line in folds.items()}
    known = [score for line in scores.values() for score in line if score is not None]
    low, span = (min(known), max(known) - min(known)) if known else (0.0, 1.0)
    return {
        name: [0 if score is None else round(100 * (score - low) / (span or 1)) for score in line]
        for name, line in scores.items()
    }
