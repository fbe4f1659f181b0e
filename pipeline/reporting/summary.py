"""The numbers of a report, as summary.json holds them and the page shows them.

Letters: n training rows, k test rows, m predictors, c columns, K folds.
"""

from typing import Any

import numpy as np
import pandas as pd

from pipeline.ensemble.leaderboard import fold_scores
from pipeline.files.writing import without_nan
from pipeline.reporting import behaviour, classification
from pipeline.reporting.contributions import contributions, n_scored
from pipeline.reporting.diversity import ambiguity, clustered, error_correlation, pairwise
from pipeline.reporting.evidence import Evidence
from pipeline.reporting.examples import telling_rows
from pipeline.reporting.runs import learning_curves, minutes_of, run_facts
from pipeline.reporting.verdict import Line, verdict
from pipeline.scoring.intervals import N_FOR_ERROR, standard_error
from pipeline.scoring.trial import cost_of_calls

OUTLYING = 3.0  # standard errors: by chance alone, less than one fold in 100 is that far off

Summary = dict[str, Any]


def summarise(evidence: Evidence) -> Summary:
    """Every number of the report, with None for what is undefined."""
    board = _leaderboard(evidence)
    chosen, metric = next(line for line in board if line["chosen"]), evidence.target.metric
    about = evidence.board_stamp.about
    expected, over_constant = about["expected"], about["over_constant"]
    is_probability = evidence.target.task.is_probability
    summary = {
        "verdict": verdict(chosen, board, metric, expected, over_constant),
        "competition": evidence.config.competition,
        "task": evidence.config.task,
        "metric": metric.label,
        "greater_is_better": metric.greater_is_better,
        "rows": {
            "train": len(evidence.train.ids),
            "training_only": evidence.n_training_only,
            "test": len(evidence.test.ids),
            "folds": evidence.n_folds,
            "columns": list(evidence.train.columns),
            "positive": evidence.train.classes[1] if evidence.config.task == "binary" else None,
            "metric_weight": evidence.config.data.metric_weight,
            "groups": evidence.train.groups and len(set(evidence.train.groups)),
        },
        "chosen": chosen,
        "leaderboard": board,
        "expected": expected,
        "over_constant": over_constant,
        "postprocessing": about["postprocessing"],
        "folds": _fold_scores(evidence),
        "diversity": _diversity(evidence),
        "contributions": _contributions(evidence),
        "weights": {name: _weights(table) for name, table in evidence.weights.items()},
        "learning": learning_curves(evidence.logs),
        "targets": classification.score_of_targets(evidence),
        "classification": classification.classification(evidence),
        "ranking": classification.ranking(evidence),
        "by_threshold": classification.by_threshold(evidence),
        "calibration": behaviour.calibration(evidence) if is_probability else None,
        "residuals": None if is_probability else behaviour.residuals(evidence),
        "drift": behaviour.drift(evidence),
        "length": behaviour.by_length(evidence),
        "examples": telling_rows(evidence),
        "run": run_facts(evidence),
    }
    return dict(without_nan(summary))


def cost_of_own(evidence: Evidence) -> str | None:
    """What calls of the user's own metric will take, in a line; None for a built-in metric."""
    n_predictors = len(evidence.stack.names)
    n_parts = (len(evidence.blends) + n_predictors) * evidence.n_folds + behaviour.N_LENGTHS
    n_calls = n_scored(n_predictors) + n_parts * (1 + N_FOR_ERROR)
    return cost_of_calls(evidence.target, evidence.chosen_oof, n_calls)


def _leaderboard(evidence: Evidence) -> list[Line]:
    """The leaderboard with in-sample and test scores and minutes; None for what is unknown."""
    board, target, sign = evidence.board.copy(), evidence.test_target, evidence.target.metric.sign
    runs = evidence.runs
    board["minutes"] = [minutes_of(runs.get(n, {}), evidence.n_folds) for n in board["name"]]
    board["in_sample"] = board["score"] + sign * board["optimism"]
    board["test"] = None
    if target is not None:
        board["test"] = [target.score(evidence.test_predictions[name]) for name in board["name"]]
    return list(without_nan(board.to_dict("records")))


def _weights(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The lines of a weight table; a weight for all targets has None as its target."""
    numbers = ["weight", "mean", "sd", "selected"]
    lines = table.reindex(columns=["predictor", "target", *numbers])
    return list(without_nan(lines.astype(dict.fromkeys(numbers, float)).to_dict("records")))


def _fold_scores(evidence: Evidence) -> dict[str, Any]:
    """The score of each blend and each predictor on each fold, in the leaderboard's order.

    Outlying folds are more than 3 standard errors, of a score on that fold's rows, away from the
    median of the predictor's folds; of few groups it has none.
    """
    rng = np.random.default_rng(evidence.config.seed)
    rows = [evidence.folds == k for k in range(evidence.n_folds)]
    stack, lines = evidence.stack, {}
    known = {**evidence.blends, **dict(zip(stack.names, stack.oof.swapaxes(0, 1), strict=True))}
    for name, oof in ((name, known[name]) for name in evidence.board["name"] if name in known):
        scores = fold_scores(evidence.target, oof, evidence.folds)
        errors = np.array([standard_error(evidence.target[r], oof[r], rng) for r in rows])
        median = np.nan if np.isnan(scores).all() else np.nanmedian(scores)
        outlying = (errors > 0) & (np.abs(scores - median) > OUTLYING * errors)
        table = pd.DataFrame({"score": scores, "se": errors, "outlying": outlying})
        lines[name] = table.reset_index(names="fold").to_dict("records")
    return lines


def _diversity(evidence: Evidence) -> dict[str, Any]:
    task, y, names = evidence.config.task, evidence.train.y, evidence.stack.names
    correlation = error_correlation(evidence.stack.oof, y, task)
    order = clustered(correlation)
    losses = ambiguity(evidence.stack.oof, y, task)
    first, second = np.triu_indices(len(names), 1)
    measures = pairwise(evidence.stack.oof, y, task) if evidence.target.task.is_probability else {}
    pairs = [
        {
            "first": names[i],
            "second": names[j],
            "correlation": correlation[i, j],
            **{name: cells[i, j] for name, cells in measures.items()},
        }
        for i, j in zip(first, second, strict=True)
    ]
    return {
        "order": [names[i] for i in order],
        "error_correlation": correlation[np.ix_(order, order)],
        "mean_correlation": correlation[first, second].mean() if pairs else None,
        "loss": losses.loss,
        "mean_member_loss": losses.of_members,
        "diversity": losses.diversity,
        "combined_loss": losses.combined,
        "pairs": pairs,
    }


def _contributions(evidence: Evidence) -> dict[str, Any]:
    measured = contributions(evidence.stack.oof, evidence.target, seed=evidence.config.seed)
    estimates = zip(evidence.stack.names, measured.shapley, measured.leave_one_out, strict=True)
    lines = []
    for name, shapley, left_out in estimates:
        minutes = minutes_of(evidence.runs.get(name, {}), evidence.n_folds)
        per_minute = left_out[0] / minutes if minutes else None
        line = {"name": name, "shapley": shapley, "leave_one_out": left_out}
        lines.append({**line, "gain_per_minute": per_minute})
    return {
        "predictors": lines,
        "whole": measured.whole,
        "sampling_error": measured.standard_error,
        "rows": measured.n_rows,
        "draws": measured.n_draws,
    }
