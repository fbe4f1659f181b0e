"""Rows to look at: where predictors disagree, where the chosen one is worst, long and short texts.

Letters: n rows, m predictors, c columns.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.competition.rows import joined
from pipeline.reporting.diversity import ambiguity, errors
from pipeline.reporting.evidence import Evidence
from pipeline.reporting.numbers import MINUS
from pipeline.reporting.sampling import standard_error
from pipeline.scoring.formulas import ROW_MEANS
from pipeline.scoring.tasks import TASKS, Floats

N_ROWS = 20
MOST_CHARACTERS = 400
N_LENGTHS = 5
FEWEST = 20  # rows of a score that is worth showing


def loss_of_rows(of: Evidence) -> Floats:
    """(n,) loss of the chosen predictor on each row: squared error, or log loss."""
    if not TASKS[of.config.task].is_probability:
        found = errors(of.chosen_oof[:, None], of.train.y, of.config.task)
        return (found[:, 0] ** 2).mean(axis=1)
    p, y, surprise = of.chosen_oof, of.train.y, ROW_MEANS["logloss"].of_rows
    if of.config.task == "multiclass":
        return surprise(y, p)
    return np.mean([surprise(*column) for column in zip(y.reshape(p.shape).T, p.T, strict=True)], 0)


def telling_rows(of: Evidence) -> dict[str, list[dict[str, Any]]]:
    """The twenty rows where members differ most, and the twenty that the chosen one gets worst."""
    apart = ambiguity(of.stack.oof, of.train.y, of.config.task).rows
    loss = loss_of_rows(of)
    texts = joined(of.train.texts)
    return {
        "disagreement": [_row(of, texts, i, float(apart[i])) for i in _largest(apart)],
        "worst": [_row(of, texts, i, float(loss[i])) for i in _largest(loss)],
    }


def _largest(values: Floats) -> list[int]:
    return [int(i) for i in np.argsort(-values, kind="stable")[:N_ROWS]]


def _row(of: Evidence, texts: list[str], i: int, measure: float) -> dict[str, Any]:
    text = texts[i]
    return {
        "id": of.train.ids[i],
        "text": text[:MOST_CHARACTERS],
        "characters_left_out": max(0, len(text) - MOST_CHARACTERS),
        "truth": _truth(of, i),
        "predicted": _told(of, of.chosen_oof[i]),
        "members": {name: _told(of, of.stack.oof[i, j]) for j, name in enumerate(of.stack.names)},
        "measure": measure,
    }


def _truth(of: Evidence, i: int) -> str:
    if of.train.classes:
        return of.train.classes[int(of.train.y[i])]
    return _several(of, of.train.y[i])


def _told(of: Evidence, prediction: Floats) -> str:
    """A prediction in a few characters: values, or the likeliest class and its probability."""
    if of.config.task == "multiclass":
        top = int(prediction.argmax())
        return f"{of.train.classes[top]} {prediction[top]:.2f}"
    if of.config.task == "binary":
        return f"{of.train.classes[1]} {prediction[0]:.2f}"
    return _several(of, prediction)


def _several(of: Evidence, values: Floats) -> str:
    told = [f"{v:.3g}".replace("-", MINUS) for v in values.tolist()]
    if len(told) == 1:
        return told[0]
    return ", ".join(f"{name} {v}" for name, v in zip(of.train.columns, told, strict=True))


def by_length(of: Evidence) -> list[dict[str, Any]]:
    """The chosen predictor's score on the shortest to the longest fifth of the training texts."""
    lengths = np.array([len(text) for text in joined(of.train.texts)])
    edges = np.unique(np.quantile(lengths, np.linspace(0, 1, N_LENGTHS + 1)[1:-1]))
    part: NDArray[Any] = np.searchsorted(edges, lengths, side="left")
    rng = np.random.default_rng(of.config.seed)
    found = []
    for k in np.unique(part):
        rows = np.flatnonzero(part == k)
        value = se = np.nan
        if len(rows) >= FEWEST:
            value = of.target[rows].score(of.chosen_oof[rows])
            se = standard_error(of, of.chosen_oof, rows, rng)
        span = {"shortest": int(lengths[rows].min()), "longest": int(lengths[rows].max())}
        found.append({**span, "rows": len(rows), "score": value, "se": se})
    return found
