"""Competitions with predictors and blends but without models, for tests of the report."""

from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
from conftest import read_rows, write_competition, write_rows
from numpy.typing import NDArray

from pipeline import blend, make_folds, report
from pipeline.competition.folds import read_folds
from pipeline.competition.rows import read_test, read_train
from pipeline.files.hashes import sha256_of_array
from pipeline.files.paths import predictor_dir
from pipeline.predictors.predictions import write_predictions
from pipeline.scoring.tasks import TASKS, Floats, as_columns
from pipeline.settings.command import load_config

HOSTILE_CLASS = "<i>$x$</i> 👩‍👩‍👧 &amp;"
N_ROWS, N_TEST = 90, 40
HOSTILE = [
    '<script>document.title = "owned"; console.error("owned")</script>',
    '"><img src=x onerror="console.error(1)"><b>bold</b>',
    "</td></table></main><h1>out of the table",
    "\u202eright to left override שלום עולם مرحبا",
    "👩‍👩‍👧‍👦 family 🇺🇳 flag e\u0301 z\u0336a\u0336l\u0336g\u0336o",
    "x" * 10_000,
    "{{ 7 * 7 }} {% raw %} ${7*7} $\\alpha$",
    "&lt;already&gt; &amp;amp; escaped",
]


def write_reported_case(folder: Path, task: str) -> Path:
    """A competition in `folder` whose three members, blends and report stand there.

    The first rows hold `HOSTILE` texts, and every member is wrong on them.
    """
    members = [{"pooling": "mean"}, {"pooling": "max"}, {"pooling": "min"}]
    settings = {"members": members, "blend": {"methods": ["mean", "convex"]}}
    if task == "regression":
        settings["metric"] = "pearson"
    path = write_competition(folder, task, n_rows=N_ROWS, n_test=N_TEST, settings=settings)
    with chdir(folder):
        change_texts(Path("data/tiny/train.csv"))
        make_folds.main([str(path)])
        write_members(path)
        blend.main([str(path)])
        report.main([str(path)])
    return folder


def change_texts(path: Path) -> None:
    """Make the first texts and, where there are several, one class hostile."""
    header, rows = read_rows(path)
    text, target = header.index("text"), header.index("target") if "target" in header else 0
    for row, hostile in zip(rows, HOSTILE, strict=False):
        row[text] = hostile
    for row in rows:
        row[target] = {"money": HOSTILE_CLASS}.get(row[target], row[target])
    write_rows(path, header, rows)


def write_members(
    path: Path, spoil: Callable[[str, Floats, NDArray[np.int64]], None] = lambda *_: None
) -> None:
    """Write the members' predictions, the truth and some noise.

    Args:
        spoil: changes (n, c) raw OOF predictions in place, given the member's name and (n,) folds.
    """
    config = load_config(path)
    train, test = read_train(config.data, config.task), read_test(config.data)
    folds = read_folds(config.competition, train.ids, {})
    rng = np.random.default_rng(1)
    truth = as_columns(config.task, train.y, len(train.columns))
    raw = truth if config.task == "regression" else 4 * truth - 2
    shared = rng.normal(0, 0.5, raw.shape)
    for member in config.members:
        oof = raw + shared + rng.normal(0, 0.6, raw.shape)
        oof[: len(HOSTILE)] *= -3
        spoil(member.name, oof, folds)
        unseen = rng.choice(oof[len(HOSTILE) :], N_TEST)
        for part, ids, values in (("oof", train.ids, oof), ("test", test.ids, unseen)):
            write_predictions(
                predictor_dir(config.competition, member.name),
                part,
                ids,
                "id",
                train.columns,
                TASKS[config.task].to_prediction(values),
                {
                    "models": "m",
                    "task": config.task,
                    "folds": sha256_of_array(folds),
                    "targets": sha256_of_array(train.y),
                    "texts": train.sha256_of_texts,
                    "test rows": test.sha256,
                },
            )
