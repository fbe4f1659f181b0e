"""Models on predictions (stacking, Wolpert 1992), and the registry `STACKERS`.

Letters: n fit rows, k new rows, m predictors, c columns. Each column has a model of its own, which
sees that column of every predictor. `ensemble.blenders` checks the input.
"""

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, RidgeCV

from pipeline.ensemble.fitted import BlendModel, State
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS, Floats, Task, spread

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


class Ridge:
    """Ridge regression of each target, its penalty by leave-one-out error (Breiman 1996)."""

    tasks = ("regression",)

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        columns = [self._fit(preds[:, :, j], y) for j, y in enumerate(target.y.T)]
        return {"columns": columns}

    def _fit(self, members: Floats, y: Floats) -> State:
        """(n, m) members and (n,) targets, both standardised before the fit."""
        center, scale = members.mean(axis=0), spread(members)
        to = {"mean": float(y.mean()), "spread": float(spread(y))}
        standardised = (y - y.mean()) / spread(y)
        model = {"coef": np.zeros(len(center)), "intercept": float(standardised.mean())}
        if len(y) >= 2:
            ridge = RidgeCV(alphas=len(y) * RIDGE_PENALTIES)
            ridge.fit((members - center) / scale, standardised)
            model = {"coef": ridge.coef_, "intercept": float(ridge.intercept_)}
        return {"center": center, "scale": scale, **model, **to}

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        blend = np.empty((len(new), new.shape[2]))
        for j, of in enumerate(state["columns"]):
            members = (new[:, :, j] - np.asarray(of["center"])) / np.asarray(of["scale"])
            standardised = members @ np.asarray(of["coef"]) + of["intercept"]
            blend[:, j] = of["mean"] + of["spread"] * standardised
        return blend


class Logistic:
    """Logistic regression on log-odds, for each class or label (Ting & Witten 1999, JAIR 10).

    It can undo the members' over- or underconfidence, which no weighted mean can. It sees their
    mean, nearly free, and each member's distance to it, the less the more members there are: so it
    is pulled to the mean of the log-odds and not to nothing. With 40 members on 300 rows, log loss
    gained .005 to .009 on the plain mean where a pull to nothing lost .013 to .019.
    """

    tasks = ("binary", "multiclass", "multilabel")

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        def of_column(members: Floats, labels: NDArray[np.int64]) -> State:
            model = LogisticRegression(C=LOGISTIC_C / members.shape[1], max_iter=1000)
            model.fit(self._seen(members), labels)
            return {"coef": model.coef_[0], "intercept": float(model.intercept_[0])}

        return {"columns": _fit_classifiers(of_column, preds, target)}

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        def of_column(of: State, members: Floats) -> Floats:
            return expit(self._seen(members) @ np.asarray(of["coef"]) + of["intercept"])

        return _apply_classifiers(of_column, state["columns"], new, task)

    def _seen(self, members: Floats) -> Floats:
        log_odds = _distances(_to_log_odds(members))
        log_odds[:, 0] *= LOOSE
        return log_odds


class Boosting:
    """What a few small trees add to the plain mean, seen from it and each member's distance to it.

    Where nothing can be learnt it is the plain mean. On 300 / 1,000 rows of 8 alike members trees
    that had to rebuild the mean out of steps lost .0147 / .0030 of Pearson's r to it, these gain
    .0014 / .0028. Nothing is constrained to rise: a member worth less than its share needs falling
    trees.
    """

    tasks = tuple(TASKS)

    def fit(self, preds: Floats, target: Target, seed: int) -> State:
        """LightGBM's own text of each column's trees; None for a column without any."""
        settings = {**BOOSTING, "seed": seed, "min_data_in_leaf": max(20, len(target) // 50)}

        def grow(members: Floats, y: NDArray[Any], start: Floats, objective: str) -> str:
            data = lightgbm.Dataset(_distances(members), y, init_score=start)
            trees = lightgbm.train({**settings, "objective": objective}, data, BOOSTING_ROUNDS)
            return trees.model_to_string()

        def of_values(members: Floats, y: Floats) -> State:
            # the remainder itself is the target: LightGBM would round 1e6 + 0.01 to float32
            missing = y - members.mean(axis=1)
            scale = float(spread(missing))
            trees = grow(members, missing / scale, np.zeros(len(y)), "regression")
            return {"trees": trees, "scale": scale}

        def of_labels(members: Floats, labels: NDArray[np.int64]) -> State:
            start = _held_back(members.mean(axis=1))
            return {"trees": grow(_to_log_odds(members), labels, start, "binary")}

        if target.task.is_probability:
            return {"columns": _fit_classifiers(of_labels, preds, target)}
        if len(target) < 2:  # a tree is grown on a part of the rows, of one row on none
            return {"columns": [None] * preds.shape[2]}
        return {"columns": [of_values(preds[:, :, j], y) for j, y in enumerate(target.y.T)]}

    def apply(self, state: State, new: Floats, task: Task) -> Floats:
        def added(of: State, members: Floats) -> Floats:
            trees = lightgbm.Booster(model_str=of["trees"])
            return np.asarray(trees.predict(_distances(members), raw_score=True, num_threads=1))

        def of_labels(of: State, members: Floats) -> Floats:
            return expit(_held_back(members.mean(axis=1)) + added(of, _to_log_odds(members)))

        if task.is_probability:
            return _apply_classifiers(of_labels, state["columns"], new, task)
        blend = new.mean(axis=1)
        for j, of in enumerate(state["columns"]):
            if of is not None:
                blend[:, j] += of["scale"] * added(of, new[:, :, j])
        return blend


def _fit_classifiers(
    fit: Callable[[Floats, NDArray[np.int64]], State], preds: Floats, target: Target
) -> list[State | None]:
    """A classifier for each column; None where its rows are all of one kind.

    For a class only the members' probabilities of that class are read (StackingC, Seewald 2002,
    ICML): with all of them, boosting on 52 classes took 30 s instead of 4 and scored no better.

    Args:
        fit: from (n, m) members and (n,) labels 0 and 1, both of which occur.
    """
    labels = target.as_columns(preds.shape[2]).astype(np.int64)
    return [
        fit(preds[:, :, j], of_column) if of_column.min() < of_column.max() else None
        for j, of_column in enumerate(labels.T)
    ]


def _apply_classifiers(
    apply: Callable[[State, Floats], Floats], columns: list[State | None], new: Floats, task: Task
) -> Floats:
    """(k, c) probabilities; a column without a classifier stays the plain mean.

    Classes sum to 1 again.
    """
    blend = new.mean(axis=1)
    for j, of in enumerate(columns):
        if of is not None:
            blend[:, j] = apply(of, new[:, :, j])
    return blend / blend.sum(axis=1, keepdims=True) if task.name == "multiclass" else blend


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


STACKERS: dict[str, BlendModel] = {"ridge": Ridge(), "logistic": Logistic(), "lightgbm": Boosting()}
