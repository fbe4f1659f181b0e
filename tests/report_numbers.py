"""Evidence in memory, for tests of a report's numbers, tables and figures."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from pipeline.files.stamp import Stamp
from pipeline.scoring.target import Target


def evidence(task, y, oof, *, chosen=None, texts=None, metric="rmse", classes=()):
    """As much of the evidence as the numbers below need; (n, m, c) predictions."""
    n, m, c = oof.shape
    texts = texts or ["word"] * n
    return SimpleNamespace(
        config=SimpleNamespace(task=task, metric=metric, seed=0),
        train=SimpleNamespace(
            ids=[f"r{i}" for i in range(n)],
            texts=[(text,) for text in texts],
            y=y,
            classes=classes,
            columns=list(classes) if c == len(classes) else [f"t{j}" for j in range(c)],
            groups=None,
        ),
        n_training_only=0,
        target=Target.of(y, task, metric),
        test=SimpleNamespace(ids=["x"] * n, texts=[("word",)] * n),
        stack=SimpleNamespace(names=[f"m{i}" for i in range(m)], oof=oof, test=oof[::-1]),
        chosen_name="m0",
        chosen_oof=oof[:, 0] if chosen is None else chosen,
        chosen_test=oof[:, 0],
    )


def whole_evidence(*, kind="regression", metric="rmse", copies=1, grouped=False):
    """Evidence that `summarise` is content with: five predictors, of which m0 and m3 are alike.

    Args:
        kind: a task, or "several" for two targets of a regression. Classes and labels come from the
            same numbers: their sign, the nearest of three, or whether they exceed each of three.
        copies: of each row, one behind the other.
        grouped: the copies of a row are a group.
    """
    rng = np.random.default_rng(0)
    y, noise = rng.normal(size=(120, 1)), rng.normal(size=(120, 5, 1))
    noise[:, 3] = noise[:, 0] + 0.1 * noise[:, 3]
    noise *= np.array([0.5, 1.0, 0.7, 0.6, 1.4])[:, None]
    y, oof = (np.repeat(of, copies, axis=0) for of in (y, y[:, None] + noise))
    classes, test_y, n = (), y[::-1] + 0.3, len(y)
    task, three = "regression" if kind == "several" else kind, np.array([-0.7, 0.0, 0.7])
    if kind == "binary":
        y, oof, classes = (y[:, 0] > 0).astype(np.int64), expit(oof), ("no", "yes")
    elif kind == "multiclass":
        y, oof = abs(y - three).argmin(axis=1), softmax(-4 * (oof - three) ** 2, axis=-1)
        classes = ("low", "middle", "high")
    elif kind == "multilabel":
        y, oof = (y > three).astype(np.float64), expit(3 * (oof - three))
    elif kind == "several":
        y, oof = y * [1, 10], oof * [1, 10]
    if kind != "regression":
        test_y = y[::-1]
    chosen = oof[:, :3].mean(axis=1)
    of = evidence(task, y, oof, metric=metric, chosen=chosen, classes=classes)
    of.config = SimpleNamespace(
        task=task,
        metric=metric,
        seed=0,
        competition="tiny",
        data=SimpleNamespace(metric_weight=None, weight=None, transform=None),
        members=[],
        blend=SimpleNamespace(external=[]),
        model_dump=lambda **_: {},
    )
    if grouped:
        of.train.groups = [f"g{i // copies}" for i in range(n)]
        of.target = Target.of(y, task, metric, of.train.groups)
    of.folds, of.n_folds = np.arange(n) // copies % 3, 3
    of.chosen_name, of.postprocessing = "blend_convex", {}
    of.blends = {"blend_convex": chosen, "blend_mean": oof.mean(axis=1)}
    made_from = {"folds": "f" * 64, "targets": "t" * 64}
    of.board = board_of_five()
    about = {"expected": None, "over_constant": [0.5, 0.4, 0.6], "postprocessing": "cut at 0.3"}
    of.board_stamp = Stamp(made_from, "b" * 64, "0.2.0", about)
    of.test_target = Target.of(test_y, task, metric, labels=y)
    of.test_predictions = {
        "blend_convex": oof[::-1, 0],
        "blend_mean": oof[::-1, 1],
        **{name: oof[::-1, i] for i, name in enumerate(of.stack.names)},
    }
    of.weights, of.runs, of.logs = {"blend_convex": weights_of_three()}, {}, {}
    return of


def board_of_five() -> pd.DataFrame:
    """A leaderboard on which every number stands once."""
    names = ["blend_convex", "m0", "m3", "blend_mean", "m2", "m1", "m4"]
    numbers = ["score", "fold_mean", "fold_sd", "optimism", "gain", "gain_low", "gain_high"]
    numbers += [f"gain_over_single{end}" for end in ("", "_low", "_high")]
    at = np.arange(len(names) * len(numbers)).reshape(len(names), len(numbers))
    board = pd.DataFrame(0.25 + at / 128, columns=numbers)  # no rounding in sums of these
    board.insert(0, "name", names)
    board.insert(1, "kind", ["blend" if name.startswith("blend") else "member" for name in names])
    board.insert(2, "alone", None)
    board.loc[board["kind"] == "member", "optimism"] = np.nan
    return board.assign(chosen=board["name"] == "blend_convex")


def weights_of_three() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "predictor": ["m0", "m1", "m2"],
            "target": ["t0"] * 3,
            "weight": [0.625, 0.125, 0.25],
            "mean": [0.59, 0.14, 0.27],
            "sd": [0.02, 0.03, 0.04],
            "selected": [1.0, 0.7, 0.9],
        }
    )
