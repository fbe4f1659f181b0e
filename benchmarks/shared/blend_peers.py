"""Other packages' blenders on our arrays: both ends of a pipe to the interpreter that has them.

    python benchmarks/shared/blend_peers.py         the other end, started by `Peers`

Packages pin versions that we do not have, so the peers may live in an environment of their own. The
script there imports nothing of ours. For each path to an .npz on its standard input it runs the
requested peers, writes their predictions beside the file, and answers with a line. Each peer runs
in one thread and is stopped after a limit. Seconds are CPU time, which other work changes little.

Letters: n fit rows, k new rows, m members, c columns. Each peer is called as
`PEERS[name](preds, y, new_preds, *, task, metric, **options) -> (k, c)`.
"""

import contextlib
import functools
import importlib.metadata
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Peers:
    """The peers of an interpreter, in a process of their own until the `with` block ends.

    Attributes:
        versions: package and version of each peer that can be imported there.
    """

    def __init__(self, python: str) -> None:
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [python, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **one_thread},
        )
        self.versions: dict[str, str] = self._answer()

    def __enter__(self) -> "Peers":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.communicate()  # closes its standard input, at which it ends

    def blend(
        self,
        preds: Array,
        y: Array,
        new_preds: Array,
        *,
        task: str,
        metric: str,
        limit: float,
        names: Sequence[str],
    ) -> Iterator[tuple[str, Array | None, float, str]]:
        """Name, (k, c) blend, CPU seconds and remark of each peer that fits the task.

        Args:
            limit: seconds after which a peer is stopped; the remark says so, the blend is None.
            names: peers to call; peers that are not installed are skipped.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "stack.npz")
            np.savez(path, preds=preds, y=y, new_preds=new_preds)
            request = {"task": task, "metric": metric}
            order = {"path": str(path), "names": names, "limit": limit, "request": request}
            print(json.dumps(order), file=self._process.stdin, flush=True)
            for name, (seconds, remark) in self._answer().items():
                blend = None if remark else np.load(Path(folder, f"{name}.npy"))
                yield name, blend, seconds, remark

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended; its error is above")
        return json.loads(line)


# ---- the other end ----


def hillclimbers(preds: Array, y: Array, new_preds: Array, *, task: str, metric: str) -> Array:
    """hillclimbers' climb_hill with its defaults and our metric in plain NumPy."""
    import pandas as pd
    from hillclimbers import climb_hill, partial

    oof, new = (pd.DataFrame(p[:, :, 0]).add_prefix("member_") for p in (preds, new_preds))
    blend = climb_hill(
        train=pd.DataFrame({"target": y.reshape(-1)}),
        oof_pred_df=oof,
        test_pred_df=new,
        target="target",
        objective="maximize" if metric == "auc" else "minimize",
        eval_metric=partial(_METRICS[metric]),
        plot_hill=False,
    )
    return blend[:, None]


def autogluon(
    preds: Array, y: Array, new_preds: Array, *, task: str, metric: str, n_steps: int
) -> Array:
    """AutoGluon's EnsembleSelection."""
    from autogluon.core import metrics
    from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

    names = {"rmse": "root_mean_squared_error", "logloss": "log_loss", "auc": "roc_auc"}
    flat = slice(None) if task == "multiclass" else 0  # one column is a vector to AutoGluon
    climb = EnsembleSelection(n_steps, task, getattr(metrics, names[metric]))
    climb.fit([np.ascontiguousarray(p[:, flat]) for p in preds.swapaxes(0, 1)], y.reshape(len(y)))
    return np.einsum("kmc,m->kc", new_preds, climb.weights_)


def sklearn_stacking(preds: Array, y: Array, new_preds: Array, *, task: str, metric: str) -> Array:
    """The last stage that StackingRegressor and StackingClassifier have by default.

    Fitted on the out-of-fold predictions as they are, as those two fit it on the ones they make.
    """
    from sklearn.linear_model import LogisticRegression, RidgeCV

    columns, new_columns = preds.reshape(len(preds), -1), new_preds.reshape(len(new_preds), -1)
    if task == "regression":
        return RidgeCV().fit(columns, y[:, 0]).predict(new_columns)[:, None]
    probabilities = LogisticRegression().fit(columns, y).predict_proba(new_columns)
    return probabilities if task == "multiclass" else probabilities[:, 1:]


def scipy_slsqp(preds: Array, y: Array, new_preds: Array, *, task: str, metric: str) -> Array:
    """Convex weights by SLSQP with numerical derivatives, as nyaggle's averaging_opt has them."""
    from scipy.optimize import minimize

    n_members = preds.shape[1]
    if task == "multiclass":  # log loss needs the probability of the true class only
        preds, truth = preds[np.arange(len(y)), :, y], np.ones(len(y))
    else:
        preds, truth = preds[:, :, 0], y.reshape(-1)
    weights = minimize(
        lambda w: _METRICS[metric](truth, preds @ w),
        np.full(n_members, 1 / n_members),
        method="SLSQP",
        bounds=[(0, 1)] * n_members,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    ).x
    return np.einsum("kmc,m->kc", new_preds, weights)


def rmse(y: Array, p: Array) -> float:
    return float(np.sqrt(np.mean((y - p) ** 2)))


def logloss(y: Array, p: Array) -> float:
    of_truth = np.where(y == 1, p, 1 - p)
    return float(-np.mean(np.log(np.clip(of_truth, np.finfo(np.float64).eps, 1))))


def auc(y: Array, p: Array) -> float:
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, p))


_METRICS: dict[str, Callable[[Array, Array], float]] = {
    "rmse": rmse,
    "logloss": logloss,
    "auc": auc,
}
_ONE_COLUMN = ("regression", "binary")
_ALL = (*_ONE_COLUMN, "multiclass")
PEERS: dict[str, tuple[Callable[..., Array], str, tuple[str, ...]]] = {
    "hillclimbers": (hillclimbers, "hillclimbers", _ONE_COLUMN),
    # 25 steps are AutoGluon's own default
    "autogluon": (functools.partial(autogluon, n_steps=25), "autogluon.core", _ALL),
    "autogluon_100": (functools.partial(autogluon, n_steps=100), "autogluon.core", _ALL),
    "sklearn_stacking": (sklearn_stacking, "scikit-learn", _ALL),
    "scipy_slsqp": (scipy_slsqp, "scipy", _ALL),
}


@contextlib.contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """Raise a TimeoutError once the block has used that much CPU time."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"stopped after {seconds:g} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def installed() -> dict[str, str]:
    """Package and version of each peer whose package is here."""
    versions = {}
    for name, (_, package, _) in PEERS.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = f"{package} {importlib.metadata.version(package)}"
    return versions


def blend_all(path: Path, names: Sequence[str], limit: float, request: dict[str, str]) -> Any:
    """Seconds and remark ("" if all went well) of each peer; its blend is in <peer>.npy."""
    with np.load(path) as arrays:
        inputs = arrays["preds"], arrays["y"], arrays["new_preds"]
    answer = {}
    for name in names:
        function, _, tasks = PEERS[name]
        if request["task"] not in tasks or name not in installed():
            continue
        remark, start = "", time.process_time()
        try:
            with stopped_after(limit):
                np.save(path.with_name(f"{name}.npy"), function(*inputs, **request))
        except Exception as error:  # a peer that breaks is a finding, not the end of the benchmark
            remark = f"{type(error).__name__}: {error}"
        answer[name] = time.process_time() - start, remark
    return answer


def main() -> None:
    warnings.filterwarnings("ignore")  # of convergence, a line a fit
    answers = sys.stdout
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # peers print
        print(json.dumps(installed()), file=answers, flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            answer = blend_all(Path(order.pop("path")), **order)
            print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
