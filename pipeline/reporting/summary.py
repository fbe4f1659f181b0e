"""The numbers of a report, as they stand in summary.json and, from there, in the page.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.reporting.behaviour import calibration, drift, residuals
from pipeline.reporting.contributions import contributions
from pipeline.reporting.diversity import ambiguity, clustered, error_correlation, pairwise
from pipeline.reporting.evidence import Evidence
from pipeline.reporting.examples import by_length, telling_rows
from pipeline.reporting.runs import learning_curves, minutes_of, run_facts
from pipeline.reporting.sampling import standard_error
from pipeline.reporting.screen import alone_of
from pipeline.reporting.verdict import verdict

OUTLYING = 3.0  # standard errors: of 100 folds that differ by chance alone, less than one


def summarise(of: Evidence) -> dict[str, Any]:
    """Every number of the report, with None for what is undefined."""
    board = _leaderboard(of)
    summary = {
        "competition": of.config.competition,
        "task": of.config.task,
        "metric": of.config.metric,
        "greater_is_better": of.target.metric.greater_is_better,
        "rows": {
            "train": len(of.train.ids),
            "test": len(of.test.ids),
            "folds": int(of.folds.max()) + 1,
            "columns": list(of.train.columns),
            "groups": None if of.train.groups is None else len(set(of.train.groups)),
        },
        "chosen": next(line for line in board if line["chosen"]),
        "leaderboard": board,
        "expected": of.board_stamp.about["expected"],
        "over_constant": of.board_stamp.about["over_constant"],
        "folds": _fold_scores(of),
        "diversity": _diversity(of),
        "contributions": _contributions(of),
        "weights": {name: _weights(table) for name, table in of.weights.items()},
        "learning": learning_curves(of.logs),
        "calibration": calibration(of) if of.target.task.is_probability else None,
        "residuals": None if of.target.task.is_probability else residuals(of),
        "drift": drift(of),
        "length": by_length(of),
        "examples": telling_rows(of),
        "run": run_facts(of),
    }
    return without_nan({"verdict": verdict(summary), **summary})


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


def _leaderboard(of: Evidence) -> list[dict[str, Any]]:
    """The leaderboard's lines, with the in-sample score and, where it is known, the test score."""
    sign = of.target.metric.sign
    lines = []
    for line in of.board.to_dict("records"):
        in_sample = float(line["score"]) + sign * float(line["optimism"])
        test = None
        if of.test_target is not None:
            test = of.test_target.score(of.test_predictions[line["name"]])
        own = {str(key): cell for key, cell in line.items()}
        own |= {"alone": alone_of(line), "chosen": bool(line["chosen"])}
        lines.append({**own, "in_sample": in_sample, "test": test})
    return lines


def _weights(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A blend's weights; None for what its table does not tell."""
    keys = ("predictor", "target", "weight", "mean", "sd", "selected")
    return [{key: line.get(key) for key in keys} for line in table.to_dict("records")]


def _fold_scores(of: Evidence) -> dict[str, list[dict[str, Any]]]:
    """Each member's score on each fold; outlying: far from the median of the member's folds.

    Far is more than 3 standard errors, which is what the fold's rows alone could make of it.
    """
    rng = np.random.default_rng(of.config.seed)
    rows = [np.flatnonzero(of.folds == k) for k in range(int(of.folds.max()) + 1)]
    found = {}
    for i, name in enumerate(of.stack.names):
        preds = of.stack.oof[:, i]
        scores = np.array([of.target[r].score(preds[r]) for r in rows])
        spread = np.array([standard_error(of, preds, r, rng) for r in rows])
        usual = np.median(scores[~np.isnan(scores)]) if not np.isnan(scores).all() else np.nan
        lines = []
        for k, (value, se) in enumerate(zip(scores, spread, strict=True)):
            outlying = bool(se > 0 and abs(value - usual) > OUTLYING * se)
            lines.append({"fold": k, "score": value, "se": se, "outlying": outlying})
        found[name] = lines
    return found


def _diversity(of: Evidence) -> dict[str, Any]:
    task, y, names = of.config.task, of.train.y, of.stack.names
    correlation = error_correlation(of.stack.oof, y, task)
    order = clustered(correlation)
    parts = ambiguity(of.stack.oof, y, task)
    beside = correlation[np.triu_indices(len(names), 1)]
    pairs = pairwise(of.stack.oof, y, task) if of.target.task.is_probability else None
    return {
        "order": [names[i] for i in order],
        "error_correlation": correlation[np.ix_(order, order)],
        "mean_correlation": float(beside.mean()) if len(beside) else None,
        "loss": parts.loss,
        "mean_member_loss": float(parts.members.mean()),
        "diversity": parts.diversity,
        "combined_loss": parts.combined,
        "pairs": [
            {
                "first": names[i],
                "second": names[j],
                "correlation": correlation[i, j],
                "disagreement": None if pairs is None else pairs.disagreement[i, j],
                "double_fault": None if pairs is None else pairs.double_fault[i, j],
                "yule_q": None if pairs is None else pairs.yule_q[i, j],
            }
            for i in range(len(names))
            for j in range(i + 1, len(names))
        ],
    }


def _contributions(of: Evidence) -> dict[str, Any]:
    found = contributions(of.stack.oof, of.target, seed=of.config.seed)
    lines = []
    for i, name in enumerate(of.stack.names):
        minutes = minutes_of(of.runs.get(name, {}), int(of.folds.max()) + 1)
        marginal = found.leave_one_out[i]
        lines.append(
            {
                "name": name,
                "shapley": found.shapley[i],
                "leave_one_out": marginal,
                "minutes": minutes,
                "gain_per_minute": marginal[0] / minutes if minutes else None,
            }
        )
    return {
        "predictors": lines,
        "whole": found.whole,
        "sampling_error": found.standard_error,
        "rows": found.n_rows,
        "draws": found.n_draws,
    }
