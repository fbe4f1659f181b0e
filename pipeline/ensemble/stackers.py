"""Models on predictions (stacking, Wolpert 1992), and the registry `STACKERS`.

Letters: n fit rows, k new rows, m predictors, c columns. Each is called as
`function(preds, y, new_preds, *, task, metric, seed) -> (k, c)` and fitted and applied in that one
call; `ensemble.blenders` checks the input. Each column has a model of its own, which sees
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

from pipeline.ensemble.columns import classify, regress
from pipeline.scoring.tasks import TASKS, Floats, spread

_to_log_odds = TASKS["binary"].to_raw

RIDGE_PENALTIES = np.logspace(-5, 1, 13)  # a row, of standardised predictions
LOGISTIC_C = 0.1  # for one member: the more there are, the more each is held back
LOOSE = 10.0  # how much less the mean of the members is held back than their distances to it
BOOSTING_ROUNDS = 100
SUREST = 10.0  # log-odds; see `_held_back`
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

    def fit_and_apply(members: Floats, target: Floats, new_members: Floats) -> Floats:
        if len(target) < 2:
            return np.full(len(new_members), target.mean())
        model = RidgeCV(alphas=len(target) * RIDGE_PENALTIES)
        return model.fit(members, target).predict(new_members)

    return regress(fit_and_apply, preds, y, new_preds)


def logistic(
    preds: Floats, y: NDArray[Any], new_preds: Floats, *, task: str, metric: str, seed: int
) -> Floats:
    """Logistic regression on log-odds, for each class or label (Ting & Witten 1999, JAIR 10).

    It can undo the members' over- or underconfidence, which no weighted mean can. It sees their
    mean, nearly free, and each member's distance to it, the less the more members there are: so it
    is pulled to the mean of the log-odds and not to nothing. With 40 members on 300 rows, log loss
    gained .005 to .009 on the plain mean where a pull to nothing lost .013 to .019.
    """

    def seen(members: Floats) -> Floats:
        log_odds = _distances(_to_log_odds(members))
        log_odds[:, 0] *= LOOSE
        return log_odds

    def fit_and_apply(members: Floats, labels: NDArray[Any], new_members: Floats) -> Floats:
        model = LogisticRegression(C=LOGISTIC_C / members.shape[1], max_iter=1000)
        model.fit(seen(members), labels)
        return model.predict_proba(seen(new_members))[:, 1]

    return classify(fit_and_apply, preds, y, new_preds, task)


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
        if len(y) < 2:
            return blend  # a tree is grown on a part of the rows, of one on none
        for j in range(preds.shape[2]):
            # the remainder itself is the target: LightGBM would round 1e6 + 0.01 to float32
            missing = y[:, j] - preds[:, :, j].mean(axis=1)
            scale = spread(missing)
            nothing = np.zeros(len(missing))
            blend[:, j] += scale * grow(
                preds[:, :, j], missing / scale, nothing, new_preds[:, :, j]
            )
        return blend
    settings["objective"] = "binary"

    def fit_and_apply(members: Floats, labels: NDArray[Any], new_members: Floats) -> Floats:
        start, new_start = (_held_back(p.mean(axis=1)) for p in (members, new_members))
        added = grow(_to_log_odds(members), labels, start, _to_log_odds(new_members))
        return expit(new_start + added)

    return classify(fit_and_apply, preds, y, new_preds, task)


def _held_back(probabilities: Floats) -> Floats:
    """Log-odds; beyond `SUREST` only the logarithm of what lies beyond is added.

    100 small steps do not lead back from the 34 of a sure 0 that is wrong. Cut off, sure rows would
    tie: with six members of 300 rows, their log-odds twenty times too large, that cost .004 of AUC.
    """
    log_odds = _to_log_odds(probabilities)
    size = np.abs(log_odds)
    beyond = np.log1p(np.maximum(size - SUREST, 0))
    return np.sign(log_odds) * (np.minimum(size, SUREST) + beyond)


def _distances(members: Floats) -> Floats:
    """(n, m) to (n, 1 + m): the mean over members, and each member's distance to it."""
    center = members.mean(axis=1, keepdims=True)
    return np.concatenate([center, members - center], axis=1)


STACKERS: dict[str, Stacker] = {
    "ridge": Stacker(ridge, ("regression",)),
    "logistic": Stacker(logistic, ("binary", "multiclass", "multilabel")),
    "lightgbm": Stacker(boosting, tuple(TASKS)),
}
