"""Training rows with the most disagreement or the largest loss.

Letters: n rows, m predictors, c columns.
"""

import re
from typing import TypedDict

import numpy as np
import pandas as pd

from pipeline.competition.rows import joined
from pipeline.reporting.diversity import ambiguity, errors
from pipeline.reporting.evidence import Evidence
from pipeline.reporting.numbers import MINUS
from pipeline.scoring.formulas import ROW_MEANS
from pipeline.scoring.tasks import TASKS, Floats, decide

N_ROWS, N_IN_FILE = 20, 1000  # on the page, and in worst_rows.csv
MOST_CHARACTERS = 400


def loss_of_rows(evidence: Evidence) -> Floats:
    """(n,) loss of the chosen predictor on each row: squared error, or log loss.

    The mean over the targets that the row has.
    """
    p, y, task = evidence.chosen_oof, evidence.train.y, evidence.config.task
    if not TASKS[task].is_probability:
        return np.asarray(np.nanmean(errors(p[:, None], y, task)[:, 0] ** 2, axis=1))
    log_loss = ROW_MEANS["logloss"].of_rows
    if task == "multiclass":
        return log_loss(y, p)
    y = y.reshape(p.shape)
    losses = np.column_stack([log_loss(*column) for column in zip(y.T, p.T, strict=True)])
    return np.asarray(np.nanmean(np.where(np.isnan(y), np.nan, losses), axis=1))


class Example(TypedDict):
    """A training row as the page shows it, its predictions as short texts."""

    id: str
    text: str
    characters_left_out: int
    truth: str
    predicted: str
    members: dict[str, str]
    measure: float


def telling_rows(evidence: Evidence) -> dict[str, list[Example]]:
    """Twenty rows of most disagreement, and twenty of the chosen predictor's largest loss."""
    disagreement = ambiguity(evidence.stack.oof, evidence.train.y, evidence.config.task).rows
    return {
        "disagreement": _largest(evidence, disagreement),
        "worst": _largest(evidence, loss_of_rows(evidence)),
    }


def worst_rows(evidence: Evidence) -> pd.DataFrame:
    """The thousand rows with the largest loss, worst first, with their whole texts."""
    train, task, loss = evidence.train, evidence.config.task, loss_of_rows(evidence)
    worst = np.argsort(-loss, kind="stable")[:N_IN_FILE]
    truth, predicted = train.y[worst], evidence.chosen_oof[worst]
    table = pd.DataFrame({"id": [train.ids[i] for i in worst], "fold": evidence.folds[worst]})
    if train.classes:
        classes = np.array(train.classes)
        table["truth"], table["prediction"] = classes[truth], classes[decide(task, predicted)]
    else:
        for j, name in enumerate(train.columns):
            of = f" {name}" if len(train.columns) > 1 else ""
            table[f"truth{of}"], table[f"prediction{of}"] = truth[:, j], predicted[:, j]
    texts = joined(tuple(train.texts[i] for i in worst))
    # pandas does not quote a lone carriage return, which would end the line
    return table.assign(error=loss[worst], text=[re.sub(r"\r(?!\n)", "\n", t) for t in texts])


def _largest(evidence: Evidence, measure: Floats) -> list[Example]:
    """The rows with the largest values of a (n,) measure."""
    train, stack, texts = evidence.train, evidence.stack, joined(evidence.train.texts)
    return [
        {
            "id": train.ids[i],
            "text": texts[i][:MOST_CHARACTERS],
            "characters_left_out": max(0, len(texts[i]) - MOST_CHARACTERS),
            "truth": train.classes[int(train.y[i])]
            if train.classes
            else _values(train.y[i], train.columns),
            "predicted": _prediction(evidence, evidence.chosen_oof[i]),
            "members": {
                name: _prediction(evidence, stack.oof[i, j]) for j, name in enumerate(stack.names)
            },
            "measure": float(measure[i]),
        }
        for i in np.argsort(-measure, kind="stable")[:N_ROWS].tolist()
    ]


def _prediction(evidence: Evidence, prediction: Floats) -> str:
    """A prediction as a short text: values, or the most probable class and its probability."""
    classes = evidence.train.classes
    if evidence.config.task == "multiclass":
        top = int(prediction.argmax())
        return f"{classes[top]} {prediction[top]:.2f}"
    if evidence.config.task == "binary":
        return f"{classes[1]} {prediction[0]:.2f}"
    return _values(prediction, evidence.train.columns)


def _values(values: Floats, columns: tuple[str, ...]) -> str:
    texts = ["missing" if np.isnan(v) else f"{v:z.3g}".replace("-", MINUS) for v in values.tolist()]
    if len(texts) == 1:
        return texts[0]
    return ", ".join(f"{name} {text}" for name, text in zip(columns, texts, strict=True))
