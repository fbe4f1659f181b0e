"""The classic models, and the registry `ESTIMATORS`. Letters: n rows, c columns.

A model is built by `Class(task=, n_columns=, seed=, **options)`, fitted by `fit(inputs, y)` with
`y` as in `scoring.tasks`, regression targets standardised, and asked by `predict(inputs)` for
(n, c) predictions on the scale of `y`. Inputs are rows of texts, or embeddings (n, P, H) for the
models of `settings.members.EMBEDDING_MODELS`. Whatever is fitted is fitted on the rows that `fit`
gets. Its options are the keyword arguments of its constructor that have a default.
"""

from inspect import Parameter, signature
from typing import Any, Protocol

import numpy as np
from lightgbm import LGBMClassifier, LGBMRegressor
from numpy.typing import NDArray
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import KFold, StratifiedKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, SVR
from sklearn.utils.extmath import randomized_svd

from pipeline.members.classic.heads import fit_heads, shares_of
from pipeline.members.classic.statistics import statistics
from pipeline.members.classic.tfidf import Texts, Tfidf
from pipeline.scoring.tasks import Floats
from pipeline.settings.members import Options

PENALTIES = (0.3, 1.0, 3.0, 10.0)  # Ridge's, of unit rows and standardised targets
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


class Estimator(Protocol):
    """See the top of the file."""

    def __init__(self, *, task: str, n_columns: int, seed: int, **options: Any) -> None: ...

    def fit(self, inputs: Any, y: NDArray[Any]) -> None: ...

    def predict(self, inputs: Any) -> Floats: ...


class TfidfLinear:
    """Ridge or logistic regression on TF-IDF of words and characters.

    Ridge's penalty is the best of `PENALTIES` on inner folds; the logistic one is an option, since
    its fits take a multiple of Ridge's.

    Args:
        max_features: most frequent terms kept, of words and of characters each.
        inverse_penalty: scikit-learn's C of the logistic regression.
    """

    def __init__(
        self,
        *,
        task: str,
        n_columns: int,
        seed: int,
        max_features: int = 100_000,
        inverse_penalty: float = 10.0,
    ) -> None:
        self.task, self.n_columns, self.seed = task, n_columns, seed
        self.inverse_penalty = inverse_penalty
        self.tfidf = Tfidf(max_features)

    def fit(self, inputs: Texts, y: NDArray[Any]) -> None:
        features = self.tfidf.fit_transform(inputs)
        self.heads = fit_heads(self.task, self.n_columns, features, y, self._fit_head)

    def predict(self, inputs: Texts) -> Floats:
        return self.heads.predict(self.tfidf.transform(inputs))

    def _fit_head(self, features: Any, target: NDArray[Any]) -> Any:
        if self.task != "regression":
            model = LogisticRegression(C=self.inverse_penalty, max_iter=1000)
            return model.fit(features, target)
        inner = KFold(min(N_INNER, len(target)), shuffle=True, random_state=self.seed)
        errors = [
            np.square(cross_val_predict(_ridge(penalty), features, target, cv=inner) - target).sum()
            for penalty in PENALTIES
        ]
        return _ridge(PENALTIES[int(np.argmin(errors))]).fit(features, target)


class EmbeddingSvr:
    """Support vectors on the mean token vectors of a frozen backbone, as Kaggle's winners blend in.

    Of a pair it reads both vectors, their difference and their product (Conneau et al. 2017,
    arXiv:1705.02364). Decision values become probabilities by a sigmoid fitted on inner folds
    (Platt 1999), one a class where there are several (Zadrozny & Elkan 2002); a class with fewer
    rows than inner folds counts as not seen.

    Args:
        max_length: tokens kept of a text, at most as many as the backbone reads.
        inverse_penalty: scikit-learn's C.
    """

    def __init__(
        self,
        *,
        task: str,
        n_columns: int,
        seed: int,
        max_length: int = 256,
        inverse_penalty: float = 1.0,
    ) -> None:
        self.task, self.n_columns, self.seed = task, n_columns, seed
        self.inverse_penalty = inverse_penalty
        self.scaler = StandardScaler()

    def fit(self, inputs: NDArray[Any], y: NDArray[Any]) -> None:
        features = self.scaler.fit_transform(_of_pairs(inputs))
        self.heads = fit_heads(self.task, self.n_columns, features, y, self._fit_head)

    def predict(self, inputs: NDArray[Any]) -> Floats:
        return self.heads.predict(self.scaler.transform(_of_pairs(inputs)))

    def _fit_head(self, features: Floats, target: NDArray[Any]) -> Any:
        if self.task == "regression":
            return SVR(C=self.inverse_penalty, epsilon=0.1, cache_size=500).fit(features, target)
        often = np.bincount(target)[target] >= N_INNER  # (n,) enough for the inner folds
        if len(set(target[often])) < 2:
            return shares_of(target)
        inner = StratifiedKFold(N_INNER, shuffle=True, random_state=self.seed)
        machine = SVC(C=self.inverse_penalty, cache_size=500)
        model = CalibratedClassifierCV(machine, cv=inner, ensemble=False)
        return model.fit(features[often], target[often])


class LightgbmText:
    """Boosted trees on a few directions of TF-IDF and on text statistics.

    Trees split on single features, of which sparse counts have too many that say too little:
    truncated SVD condenses them (Deerwester et al. 1990, latent semantic analysis).

    Args:
        directions: kept of the SVD.
        rounds: trees, or trees a class.
        max_features: most frequent terms kept, of words and of characters each.
    """

    def __init__(
        self,
        *,
        task: str,
        n_columns: int,
        seed: int,
        directions: int = 100,
        rounds: int = 300,
        max_features: int = 20_000,
    ) -> None:
        self.task, self.n_columns, self.seed = task, n_columns, seed
        self.directions, self.rounds = directions, rounds
        self.tfidf = Tfidf(max_features)

    def fit(self, inputs: Texts, y: NDArray[Any]) -> None:
        counts = self.tfidf.fit_transform(inputs)
        n = min(self.directions, *counts.shape)
        _, _, basis = randomized_svd(counts, n, n_iter=4, random_state=self.seed)
        self.basis = basis.T.astype(np.float32)  # (f, n), most of what the unit's folder holds
        features = self._features(inputs, counts)
        self.heads = fit_heads(self.task, self.n_columns, features, y, self._fit_head)

    def predict(self, inputs: Texts) -> Floats:
        return self.heads.predict(self._features(inputs, self.tfidf.transform(inputs)))

    def _features(self, inputs: Texts, counts: Any) -> Floats:
        return np.hstack([counts @ self.basis, statistics(inputs)])

    def _fit_head(self, features: Floats, target: NDArray[Any]) -> Any:
        kind = LGBMRegressor if self.task == "regression" else LGBMClassifier
        least = max(1, min(20, len(target) // 20))
        model = kind(
            n_estimators=self.rounds,
            random_state=self.seed,
            min_child_samples=least,
            **BOOSTING,
        )
        return model.fit(features, target)


def _ridge(penalty: float) -> Ridge:
    return Ridge(penalty, solver="sparse_cg", tol=1e-4)  # its time grows with the texts, no faster


def _of_pairs(embeddings: NDArray[Any]) -> Floats:
    """Vectors (n, P, H) as features (n, f)."""
    vectors = embeddings.astype(np.float64)
    if vectors.shape[1] == 1:
        return vectors[:, 0]
    first, second = vectors[:, 0], vectors[:, 1]
    return np.hstack([first, second, np.abs(first - second), first * second])


# the names in the YAML; add a model here, and the tests run on it
ESTIMATORS: dict[str, type[Estimator]] = {
    "tfidf_linear": TfidfLinear,
    "embedding_svr": EmbeddingSvr,
    "lightgbm_text": LightgbmText,
}


def default_options(name: str) -> Options:
    """The options of a model, as they are unless a member says otherwise.

    Raises:
        ValueError: there is no such model.
    """
    if name not in ESTIMATORS:
        raise ValueError(f"unknown model {name!r}; choose one of: {', '.join(sorted(ESTIMATORS))}")
    arguments = signature(ESTIMATORS[name]).parameters.values()
    return {a.name: a.default for a in arguments if a.default is not Parameter.empty}


def check_options(name: str, options: Options) -> None:
    """Find a wrong name or option before anything is trained.

    Raises:
        ValueError: there is no such model, or it takes no such option.
    """
    known = default_options(name)
    for option, value in options.items():
        if option not in known:
            raise ValueError(
                f"model {name} has no option {option!r}; it takes {', '.join(known) or 'none'}"
            )
        number = isinstance(value, int | type(known[option])) and not isinstance(value, bool)
        if not number or not 0 < value < float("inf"):
            kind = "whole number" if isinstance(known[option], int) else "number"
            raise ValueError(f"option {option} of {name} is a positive {kind}, got {value!r}")
