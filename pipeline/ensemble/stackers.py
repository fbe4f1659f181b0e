"""Models on predictions (stacking, Wolpert 1992), and the registry `STACKERS`.

Letters: n fit rows, k new rows, m predictors, c columns. Each is called as
`function(preds, y, new_preds, *, task, metric, seed) -> (k, c)` and fitted and applied in that one
call; `pipeline.ensemble.blenders` checks the input. Each column has a model of its own, which sees
that column of every predictor.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, RidgeCV

from pipeline.tasks import TASKS, Floats

_to_log_odds = TASKS["binary"].to_raw

RIDGE_PENALTIES = np.logspace(-5, 1, 13)  # a row, of standardised predictions
LOGISTIC_C = 0.1  # of 0.01, 0.1 and 1 the one that never lost much, on 300 to 3,000 rows
BOOSTING_ROUNDS = 100
SUREST = 10.0  # log-odds: 100 small steps do not lead back from the 34 of a sure 0 that is wrong
BOOSTING: dict[str, Any] = {
    "num_leaves": 4,
    "learning_rate": 0.03,
    "lambda_l2": 30.0,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}


@dataclass(frozen=True)
class Stacker:
    """A model on predictions, and the tasks that it fits."""

    function: Callable[..., Floats]
    tasks: tuple[str, ...]


def ridge(
    preds: Floats, y: Floats, new_preds: Floats, *, task: str, metric: str, seed: int
) -> Floats:
    """Ridge regression of each target, its penalty by leave-one-out error (Breiman 1996)."""
    blend = np.empty((len(new_preds), preds.shape[2]))
    for j in range(preds.shape[2]):
        features, target = preds[:, :, j], y[:, j]
        center, spread = features.mean(axis=0), _spread(features)
        model = RidgeCV(alphas=len(target) * RIDGE_PENALTIES)
        model.fit((features - center) / spread, (target - target.mean()) / _spread(target))
        standardised = model.predict((new_preds[:, :, j] - center) / spread)
        blend[:, j] = target.mean() + _spread(target) * standardised
    return blend


def logistic(
    preds: Floats, y: NDArray[Any], new_preds: Floats, *, task: str, metric: str, seed: int
) -> Floats:
    """Logistic regression on log-odds, for each class or label (Ting & Witten 1999, JAIR 10).

    It can undo a member's over- or underconfidence, which no weighted mean can.
    """

    def fit_and_apply(members: Floats, labels: NDArray[Any], new_members: Floats) -> Floats:
        model = LogisticRegression(C=LOGISTIC_C, max_iter=1000)
        model.fit(_to_log_odds(members), labels)
        return model.predict_proba(_to_log_odds(new_members))[:, 1]

    return _classify(fit_and_apply, preds, y, new_preds, task)


def boosting(
    preds: Floats, y: NDArray[Any], new_preds: Floats, *, task: str, metric: str, seed: int
) -> Floats:
    """What a few small trees add to the plain mean, seen from it and each member's distance to it.

    Where nothing can be learnt it is the plain mean. On 300 / 1,000 rows of 8 alike members trees
    that had to rebuild the mean out of steps lost .0147 / .0030 of Pearson's r to it, these gain
    .0014 / .0028. Nothing is constrained to rise: a member worth less than its share needs falling
    trees.
    """
    settings = {**BOOSTING, "seed": seed, "min_data_in_leaf": max(20, len(y) // 50)}

    def grow(members: Floats, target: Floats, start: Floats, new_members: Floats) -> Floats:
        data = lightgbm.Dataset(_distances(members), target, init_score=start)
        trees = lightgbm.train(settings, data, BOOSTING_ROUNDS)
        return np.asarray(trees.predict(_distances(new_members), raw_score=True))

    if task == "regression":
        settings["objective"] = "regression"
        blend = new_preds.mean(axis=1)
        for j in range(preds.shape[2]):
            # the remainder itself is the target: LightGBM would round 1e6 + 0.01 to float32
            missing = y[:, j] - preds[:, :, j].mean(axis=1)
            spread = _spread(missing)
            nothing = np.zeros(len(missing))
            blend[:, j] += spread * grow(
                preds[:, :, j], missing / spread, nothing, new_preds[:, :, j]
            )
        return blend
    settings["objective"] = "binary"

    def fit_and_apply(members: Floats, labels: NDArray[Any], new_members: Floats) -> Floats:
        start, new_start = (
            np.clip(_to_log_odds(p.mean(axis=1)), -SUREST, SUREST) for p in (members, new_members)
        )
        added = grow(_to_log_odds(members), labels, start, _to_log_odds(new_members))
        return expit(new_start + added)

    return _classify(fit_and_apply, preds, y, new_preds, task)


def _classify(
    fit_and_apply: Callable[[Floats, NDArray[Any], Floats], Floats],
    preds: Floats,
    y: NDArray[Any],
    new_preds: Floats,
    task: str,
) -> Floats:
    """(k, c) probabilities, each column's by a classifier of its own; classes sum to 1 again.

    For a class only the members' probabilities of that class are read (StackingC, Seewald 2002,
    ICML): with all of them, boosting on 52 classes took 30 s instead of 4 and scored no better. A
    column whose rows are all of one kind, such as a class that no fit row holds, stays the plain
    mean.

    Args:
        fit_and_apply: `(members, labels, new_members)`, (n, m), (n,) of 0 and 1, both of which
            occur, and (k, m), to (k,) probabilities of 1.
    """
    labels = (
        y[:, None] == np.arange(preds.shape[2]) if task == "multiclass" else y.reshape(len(y), -1)
    )
    blend = new_preds.mean(axis=1)
    for j in range(preds.shape[2]):
        column = labels[:, j].astype(np.int64)
        if column.min() < column.max():
            blend[:, j] = fit_and_apply(preds[:, :, j], column, new_preds[:, :, j])
    return blend / blend.sum(axis=1, keepdims=True) if task == "multiclass" else blend


def _distances(members: Floats) -> Floats:
    """(n, m) to (n, 1 + m): the mean over members, and each member's distance to it."""
    center = members.mean(axis=1, keepdims=True)
    return np.concatenate([center, members - center], axis=1)


def _spread(values: Floats) -> Floats:
    """Standard deviation of each column, 1 where all values are equal."""
    # not std > 0: rounding lets the deviation of a constant differ from 0
    return np.where(np.ptp(values, axis=0) > 0, values.std(axis=0), 1.0)


STACKERS: dict[str, Stacker] = {
    "ridge": Stacker(ridge, ("regression",)),
    "logistic": Stacker(logistic, ("binary", "multiclass", "multilabel")),
    "lightgbm": Stacker(boosting, tuple(TASKS)),
}
