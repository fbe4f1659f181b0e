"""The classic models, and the registry `ESTIMATORS`. Letters: n rows, P texts a row, c columns."""

from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any, ClassVar

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.utils.extmath import randomized_svd

from pipeline.files.messages import short
from pipeline.files.suggestions import choices
from pipeline.members.classic.heads import Estimator, shares_of
from pipeline.members.classic.statistics import statistics
from pipeline.members.classic.tfidf import Tfidf
from pipeline.members.units import Texts
from pipeline.scoring.tasks import Floats
from pipeline.settings.fine_tuning import Options
from pipeline.settings.members import ClassicMember

PENALTIES = (0.3, 1.0, 3.0, 10.0)  # Ridge's, of unit rows and standardised targets
EMBEDDING_PENALTIES = (30.0, 100.0, 300.0, 1000.0, 3000.0)  # of standardised vectors and targets
LARGEST_OPTION = 1_000_000  # a million trees take hours; LightGBM cannot count much further
N_INNER = 3  # folds of the unit's own rows that choose a penalty or calibrate
BOOSTING: Options = {
    "num_leaves": 7,
    "learning_rate": 0.05,
    "reg_lambda": 5.0,
    "colsample_bytree": 0.3,
    "subsample": 0.7,
    "subsample_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "n_jobs": 1,
    "verbose": -1,
}


@dataclass(kw_only=True, eq=False)
class TfidfLinear(Estimator):
    """Ridge or logistic regression on TF-IDF of words and characters.

    Ridge's penalty is the best of `PENALTIES` on inner folds. Logistic regression takes far longer
    to fit, so its penalty is an option instead.

    Attributes:
        max_features: most terms of words, and of characters; the most frequent are kept.
        inverse_penalty: scikit-learn's C of the logistic regression.
    """

    max_features: int = 100_000
    inverse_penalty: float = 10.0

    def learn_features(self, inputs: Texts) -> Any:
        self.tfidf = Tfidf(self.max_features)
        return self.tfidf.fit_transform(inputs)

    def features(self, inputs: Texts) -> Any:
        return self.tfidf.transform(inputs)

    def fit_head(self, features: Any, target: NDArray[Any], weights: Floats | None) -> Any:
        if self.task != "regression":
            model = LogisticRegression(C=self.inverse_penalty, max_iter=1000)
            return model.fit(features, target, weights)
        inner = KFold(min(N_INNER, len(target)), shuffle=True, random_state=self.seed)
        how: dict[str, Any] = {"cv": inner, "params": {"sample_weight": weights}}
        errors = []
        for penalty in PENALTIES:
            predictions = cross_val_predict(_ridge(penalty), features, target, **how)
            errors.append(np.average(np.square(predictions - target), weights=weights))
        return _ridge(PENALTIES[int(np.argmin(errors))]).fit(features, target, weights)


@dataclass(kw_only=True, eq=False)
class Embedding(Estimator):
    """A model of a frozen backbone's vectors.

    A pair is both vectors, their difference and their product (Conneau et al. 2017,
    arXiv:1705.02364).

    Attributes:
        max_length: most tokens of a text; the backbone's limit holds too.
        inverse_penalty: scikit-learn's C.
    """

    max_length: int = 256

    def learn_features(self, inputs: NDArray[Any]) -> Floats:
        self.scaler = StandardScaler()
        return self.scaler.fit_transform(_of_pairs(inputs))

    def features(self, inputs: NDArray[Any]) -> Floats:
        return self.scaler.transform(_of_pairs(inputs))


@dataclass(kw_only=True, eq=False)
class EmbeddingLinear(Embedding):
    """Ridge or logistic regression on the vectors of a frozen backbone.

    Its time grows linearly with the rows. Ridge's penalty is the best of `EMBEDDING_PENALTIES` on
    left-out rows.
    """

    inverse_penalty: float = 0.03

    def fit_head(self, features: Floats, target: NDArray[Any], weights: Floats | None) -> Any:
        if self.task == "regression":
            return RidgeCV(alphas=EMBEDDING_PENALTIES).fit(features, target, weights)
        model = LogisticRegression(C=self.inverse_penalty, max_iter=1000)
        return model.fit(features, target, weights)


@dataclass(kw_only=True, eq=False)
class EmbeddingSvr(Embedding):
    """Support vector machine on the vectors of a frozen backbone.

    Decision values become probabilities by a sigmoid fitted on inner folds (Platt 1999), one per
    class (Zadrozny & Elkan 2002); a class with fewer rows than inner folds counts as unseen.
    """

    many_rows: ClassVar[float] = 20_000  # 8,000 take 22 s a fit (docs/LOG.md), these two minutes

    inverse_penalty: float = 1.0

    def fit_head(self, features: Floats, target: NDArray[Any], weights: Floats | None) -> Any:
        if self.task == "regression":
            machine = SVR(C=self.inverse_penalty, epsilon=0.1, cache_size=500)
            return machine.fit(features, target, weights)
        frequent = np.bincount(target)[target] >= N_INNER  # (n,) enough for the inner folds
        if len(set(target[frequent])) < 2:
            return shares_of(target, weights)
        inner = StratifiedKFold(N_INNER, shuffle=True, random_state=self.seed)
        machine = SVC(C=self.inverse_penalty, cache_size=500)
        model = CalibratedClassifierCV(machine, cv=inner, ensemble=False)
        own = None if weights is None else weights[frequent]
        return model.fit(features[frequent], target[frequent], own)


@dataclass(kw_only=True, eq=False)
class LightgbmText(Estimator):
    """Boosted trees on a few directions of TF-IDF, on text statistics and on `data.features`.

    Trees split on single features, and single sparse counts carry little: truncated SVD condenses
    them (Deerwester et al. 1990, latent semantic analysis).

    Attributes:
        directions: components of the SVD.
        rounds: trees, for several classes trees per class.
    """

    reads_features: ClassVar[bool] = True

    directions: int = 100
    rounds: int = 300
    max_features: int = 20_000

    def learn_features(self, inputs: Texts) -> Floats:
        self.tfidf = Tfidf(self.max_features)
        counts = self.tfidf.fit_transform(inputs)
        n = min(self.directions, *counts.shape)
        _, _, basis = randomized_svd(counts, n, n_iter=4, random_state=self.seed)
        self.basis = basis.T.astype(np.float32)  # (f, n), most of what the unit's folder holds
        return np.hstack([counts @ self.basis, statistics(inputs)])

    def features(self, inputs: Texts) -> Floats:
        return np.hstack([self.tfidf.transform(inputs) @ self.basis, statistics(inputs)])

    def fit_head(self, features: Floats, target: NDArray[Any], weights: Floats | None) -> Any:
        boosting = LGBMRegressor if self.task == "regression" else LGBMClassifier
        least_rows = max(1, min(20, len(target) // 20))
        model = boosting(
            n_estimators=self.rounds,
            random_state=self.seed,
            min_child_samples=least_rows,
            **BOOSTING,
        )
        first = features.shape[1] - len(self.tabular.codes)
        categorical = [first + at for at in self.tabular.categorical]
        return model.fit(features, target, weights, categorical_feature=categorical)


def _ridge(penalty: float) -> Ridge:
    return Ridge(penalty, solver="sparse_cg", tol=1e-4)  # linear in the texts


def _of_pairs(embeddings: NDArray[Any]) -> Floats:
    """Vectors (n, P, H) as features (n, f)."""
    vectors = embeddings.astype(np.float64)
    if vectors.shape[1] == 1:
        return vectors[:, 0]
    first, second = vectors[:, 0], vectors[:, 1]
    return np.hstack([first, second, np.abs(first - second), first * second])


# by name in the YAML; the tests run on every model here
ESTIMATORS: dict[str, type[Estimator]] = {
    "tfidf_linear": TfidfLinear,
    "embedding_linear": EmbeddingLinear,
    "embedding_svr": EmbeddingSvr,
    "lightgbm_text": LightgbmText,
}


def default_options(name: str) -> Options:
    """The options of a model with their defaults; a ValueError if there is no such model."""
    if name not in ESTIMATORS:
        raise ValueError(f"unknown model {name!r}; {choices(name, sorted(ESTIMATORS))}")
    arguments = signature(ESTIMATORS[name]).parameters.values()
    return {a.name: a.default for a in arguments if a.default is not Parameter.empty}


def options_of(member: ClassicMember) -> Options:
    """A member's options, those that it leaves out by default."""
    return {**default_options(member.model), **member.options}


def check_options(name: str, options: Options) -> None:
    """Raise a ValueError for an unknown model or option, or a value out of range."""
    known = default_options(name)
    for option, value in options.items():
        if option not in known:
            raise ValueError(f"model {name} has no option {option!r}; it takes {', '.join(known)}")
        number = isinstance(value, int | type(known[option])) and not isinstance(value, bool)
        if not number or not 0 < value <= LARGEST_OPTION:
            kind = "whole number" if isinstance(known[option], int) else "number"
            raise ValueError(
                f"option {option} of {name} is a positive {kind} up to {LARGEST_OPTION:,}, "
                f"got {short(value)}"
            )
