"""The numbers of a report, as summary.json holds them and the page shows them.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from typing import Any, TypedDict, cast

import numpy as np
import pandas as pd

from pipeline.reporting import behaviour
from pipeline.reporting.contributions import contributions
from pipeline.reporting.diversity import ambiguity, clustered, error_correlation, pairwise
from pipeline.reporting.evidence import Evidence
from pipeline.reporting.examples import Example, by_length, telling_rows
from pipeline.reporting.runs import Curve, learning_curves, minutes_of, run_facts
from pipeline.reporting.sampling import standard_error
from pipeline.reporting.screen import alone_of
from pipeline.reporting.verdict import Line, verdict

OUTLYING = 3.0  # standard errors: by chance alone, less than one fold in 100 is that far off

Estimate = list[float | None]  # value, and low and high of its 95 % interval


class Weight(TypedDict):
    """A line of a blend's weight table; None for columns that the table lacks."""

    predictor: str
    target: str | None
    weight: float
    mean: float | None
    sd: float | None
    selected: float | None


class Pair(TypedDict):
    """Two predictors, with the error correlation and the measures of `diversity.Pairwise`."""

    first: str
    second: str
    correlation: float | None
    disagreement: float | None
    double_fault: float | None
    yule_q: float | None


class Diversity(TypedDict):
    order: list[str]
    error_correlation: list[Estimate]
    mean_correlation: float | None
    loss: str
    mean_member_loss: float
    diversity: float
    combined_loss: float
    pairs: list[Pair]


class Contribution(TypedDict):
    name: str
    shapley: Estimate
    leave_one_out: Estimate
    minutes: float | None
    gain_per_minute: float | None


class Contributions(TypedDict):
    predictors: list[Contribution]
    whole: float | None
    sampling_error: float
    rows: int
    draws: int


class Summary(TypedDict):
    verdict: str
    competition: str
    task: str
    metric: str
    greater_is_better: bool
    rows: dict[str, object]
    chosen: Line
    leaderboard: list[Line]
    expected: dict[str, object] | None
    over_constant: Estimate | None
    folds: dict[str, list[dict[str, float | None]]]
    diversity: Diversity
    contributions: Contributions
    weights: dict[str, list[Weight]]
    learning: dict[str, list[Curve]]
    calibration: behaviour.Calibration | None
    residuals: behaviour.Residuals | None
    drift: behaviour.Drift
    length: list[dict[str, float | None]]
    examples: dict[str, list[Example]]
    run: dict[str, Any]


def summarise(evidence: Evidence) -> Summary:
    """Every number of the report, with None for what is undefined."""
    board = _leaderboard(evidence)
    chosen, metric = next(line for line in board if line["chosen"]), evidence.target.metric
    over_constant = evidence.board_stamp.about["over_constant"]
    is_probability = evidence.target.task.is_probability
    summary: Summary = {
        "verdict": verdict(chosen, board, metric, over_constant),
        "competition": evidence.config.competition,
        "task": evidence.config.task,
        "metric": evidence.config.metric,
        "greater_is_better": metric.greater_is_better,
        "rows": {
            "train": len(evidence.train.ids),
            "test": len(evidence.test.ids),
            "folds": evidence.n_folds,
            "columns": list(evidence.train.columns),
            "groups": evidence.train.groups and len(set(evidence.train.groups)),
        },
        "chosen": chosen,
        "leaderboard": board,
        "expected": evidence.board_stamp.about["expected"],
        "over_constant": over_constant,
        "folds": _fold_scores(evidence),
        "diversity": _diversity(evidence),
        "contributions": _contributions(evidence),
        "weights": {name: _weights(table) for name, table in evidence.weights.items()},
        "learning": learning_curves(evidence.logs),
        "calibration": behaviour.calibration(evidence) if is_probability else None,
        "residuals": None if is_probability else behaviour.residuals(evidence),
        "drift": behaviour.drift(evidence),
        "length": by_length(evidence),
        "examples": telling_rows(evidence),
        "run": run_facts(evidence),
    }
    return cast(Summary, without_nan(summary))


def without_nan(value: Any) -> Any:
    """The same with plain Python numbers, and None for NaN and infinity: JSON has neither."""
    if isinstance(value, dict):
        return {str(key): without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    if isinstance(value, np.ndarray | np.generic):
        return without_nan(value.tolist())
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


def _leaderboard(evidence: Evidence) -> list[Line]:
    """The leaderboard with in-sample scores and, where the test targets are known, test scores."""
    lines = []
    for line in evidence.board.to_dict("records"):
        name, chosen, target = line["name"], bool(line["chosen"]), evidence.test_target
        in_sample = float(line["score"]) + evidence.target.metric.sign * float(line["optimism"])
        test = None if target is None else target.score(evidence.test_predictions[name])
        more = {"alone": alone_of(line), "chosen": chosen, "in_sample": in_sample, "test": test}
        lines.append(cast(Line, {**line, **more}))
    return cast(list[Line], without_nan(lines))


def _weights(table: pd.DataFrame) -> list[Weight]:
    keys = Weight.__annotations__
    return [cast(Weight, {key: line.get(key) for key in keys}) for line in table.to_dict("records")]


def _fold_scores(evidence: Evidence) -> dict[str, list[dict[str, float | None]]]:
    """Each predictor's score on each fold.

    Outlying folds are more than 3 standard errors, of a score on that fold's rows, away from the
    median of the predictor's folds.
    """
    rng = np.random.default_rng(evidence.config.seed)
    rows = [np.flatnonzero(evidence.folds == k) for k in range(evidence.n_folds)]
    lines = {}
    for i, name in enumerate(evidence.stack.names):
        oof = evidence.stack.oof[:, i]
        scores = np.array([evidence.target[r].score(oof[r]) for r in rows])
        errors = np.array([standard_error(evidence, oof, r, rng) for r in rows])
        median = np.nan if np.isnan(scores).all() else np.nanmedian(scores)
        outlying = (errors > 0) & (np.abs(scores - median) > OUTLYING * errors)
        columns = {"score": scores, "se": errors, "outlying": outlying}
        lines[name] = [
            {"fold": k, **{key: v[k] for key, v in columns.items()}} for k in range(len(rows))
        ]
    return lines


def _diversity(evidence: Evidence) -> Diversity:
    task, y, names = evidence.config.task, evidence.train.y, evidence.stack.names
    correlation = error_correlation(evidence.stack.oof, y, task)
    order = clustered(correlation)
    losses = ambiguity(evidence.stack.oof, y, task)
    first, second = np.triu_indices(len(names), 1)
    measures: dict[str, Any] = dict.fromkeys(("disagreement", "double_fault", "yule_q"))
    if evidence.target.task.is_probability:
        measures = vars(pairwise(evidence.stack.oof, y, task))
    pairs = [
        {
            "first": names[i],
            "second": names[j],
            "correlation": correlation[i, j],
            **{key: cells if cells is None else cells[i, j] for key, cells in measures.items()},
        }
        for i, j in zip(first, second, strict=True)
    ]
    return {
        "order": [names[i] for i in order],
        "error_correlation": correlation[np.ix_(order, order)].tolist(),
        "mean_correlation": float(correlation[first, second].mean()) if pairs else None,
        "loss": losses.loss,
        "mean_member_loss": float(losses.members.mean()),
        "diversity": losses.diversity,
        "combined_loss": losses.combined,
        "pairs": cast(list[Pair], pairs),
    }


def _contributions(evidence: Evidence) -> Contributions:
    measured = contributions(evidence.stack.oof, evidence.target, seed=evidence.config.seed)
    lines: list[Contribution] = []
    for i, name in enumerate(evidence.stack.names):
        minutes = minutes_of(evidence.runs.get(name, {}), evidence.n_folds)
        marginal = measured.leave_one_out[i].tolist()
        lines.append(
            {
                "name": name,
                "shapley": measured.shapley[i].tolist(),
                "leave_one_out": marginal,
                "minutes": minutes,
                "gain_per_minute": marginal[0] / minutes if minutes else None,
            }
        )
    return {
        "predictors": lines,
        "whole": measured.whole,
        "sampling_error": measured.standard_error,
        "rows": measured.n_rows,
        "draws": measured.n_draws,
    }
