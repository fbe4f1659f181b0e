"""Weights of rows in the metric: scores, bootstrap samples and what follows from them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import CONFIG, change_config, read_rows, stage, stages, write_competition, write_rows
from sklearn import metrics
from test_samples import rows_of

from pipeline.ensemble.contest import methods_that_fit
from pipeline.ensemble.weights import WEIGHTS
from pipeline.scoring.intervals import difference_interval, standard_error
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.names import UNWEIGHTED
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import decide

CASES = [
    (name, task)
    for name, metric in METRICS.items()
    for task in metric.tasks
    if name not in UNWEIGHTED
]


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_a_row_of_weight_2_is_the_row_twice_and_of_weight_0_none(metric, task):
    y, p = rows_of(task, 80)
    weights = np.random.default_rng(1).integers(0, 4, len(y)).astype(float)
    rows = np.repeat(np.arange(len(y)), weights.astype(int))
    weighted = Target.of(y, task, metric, weights=weights / 7)
    repeated = Target.of(y, task, metric)[rows]
    assert weighted.score(p) == pytest.approx(repeated.score(p[rows]), rel=1e-10)
    np.testing.assert_allclose(weighted.column_scores(p), repeated.column_scores(p[rows]))


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_equal_weights_change_nothing(metric, task):
    y, p = rows_of(task, 80)
    weighted = Target.of(y, task, metric, weights=np.full(len(y), 0.3))
    assert weighted.score(p) == pytest.approx(Target.of(y, task, metric).score(p), rel=1e-10)


def test_equal_predictions_have_no_correlation_whatever_the_rows_weigh():
    rng = np.random.default_rng(0)
    for weights in rng.random((20, 80)):
        target = Target.of(rng.integers(0, 2, 80), "binary", "mcc", weights=weights)
        assert target.score(np.full((80, 1), 0.9)) == 0


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_in_a_bootstrap_sample_a_row_takes_its_weight_with_it(metric, task):
    y, p = rows_of(task, 80)
    rng = np.random.default_rng(0)
    target = Target.of(y, task, metric, weights=rng.random(len(y)))
    counts = np.array([np.bincount(rng.integers(80, size=80), minlength=80) for _ in range(10)])
    rows = [np.repeat(np.arange(80), times) for times in counts]
    found = target.scorer(p)(counts.astype(float))
    np.testing.assert_allclose(found, [target[r].score(p[r]) for r in rows], rtol=1e-9, atol=1e-12)


SKLEARN = {
    "rmse": ("regression", metrics.root_mean_squared_error),
    "mae": ("regression", metrics.mean_absolute_error),
    "mape": ("regression", metrics.mean_absolute_percentage_error),
    "r2": ("regression", metrics.r2_score),
    "auc": ("binary", metrics.roc_auc_score),
    "logloss": ("binary", metrics.log_loss),
    "accuracy": ("multiclass", metrics.accuracy_score),
    "f1": ("binary", metrics.f1_score),
    "f1_macro": ("multiclass", lambda *a, **w: metrics.f1_score(*a, average="macro", **w)),
    "mcc": ("multiclass", metrics.matthews_corrcoef),
    "qwk": ("multiclass", lambda *a, **w: metrics.cohen_kappa_score(*a, weights="quadratic", **w)),
}


@pytest.mark.parametrize("metric", sorted(SKLEARN))
def test_the_value_is_that_of_scikit_learn_with_sample_weight(metric):
    task, expected = SKLEARN[metric]
    y, p = rows_of(task, 80)
    y, p = (y[:, [0]] + 1, p[:, [0]]) if task == "regression" else (y, p)
    weights = np.random.default_rng(2).random(len(y))
    given = decide(task, p) if METRICS[metric].decides else p[:, 0] if task == "binary" else p
    found = Target.of(y, task, metric, weights=weights).score(p)
    assert found == pytest.approx(expected(y, given, sample_weight=weights), rel=1e-9)


def test_pearson_is_that_of_the_weighted_covariance():
    y, p = rows_of("regression", 80)
    weights = np.random.default_rng(2).random(len(y))
    (a, c), (_, b) = np.cov(y[:, 0], p[:, 0], aweights=weights)
    found = Target.of(y[:, [0]], "regression", "pearson", weights=weights).score(p[:, [0]])
    assert found == pytest.approx(c / np.sqrt(a * b))


def test_the_constant_is_the_best_for_the_weighted_metric():
    y, weights = np.array([[0.0], [1.0], [8.0]]), np.array([1.0, 1.0, 3.0])
    best = {
        m: Target.of(y, "regression", m, weights=weights).constant(1, 1)[0, 0]
        for m in ("rmse", "mae")
    }
    assert best == {"rmse": 5, "mae": 8}


def test_weights_go_with_their_rows_columns_and_missing_cells():
    y = np.array([[1.0, np.nan], [2.0, 5.0], [3.0, 7.0]])
    target = Target.of(y, "regression", "mae", weights=np.array([1.0, 2.0, 3.0]))
    assert target[np.array([2, 0])].weights.tolist() == [3, 1]
    assert target.column(1).weights.tolist() == [2, 3]
    assert target.score(np.zeros((3, 2))) == pytest.approx((14 / 6 + 31 / 5) / 2)


@pytest.mark.parametrize(
    "metric",
    [
        *UNWEIGHTED,
        {"file": "m.py", "function": "score", "greater_is_better": True, "takes": "values"},
    ],
)
def test_a_metric_that_takes_no_weights_is_refused(metric):
    y, _ = rows_of("regression", 80)
    shown = metric if isinstance(metric, str) else "m.score"
    with pytest.raises(ValueError, match=rf"\b{shown}\b"):
        Target.of(y, "regression", metric, weights=np.ones(len(y)))


@pytest.mark.parametrize(
    ("task", "metric", "y"),
    [
        ("regression", "mae", [[1.0, np.nan], [2.0, np.nan], [2.0, 5.0]]),
        ("binary", "auc", [1, 1, 0]),
    ],
)
def test_a_target_without_values_to_tell_apart_on_rows_that_weigh_is_refused(task, metric, y):
    with pytest.raises(ValueError, match=r"data\.metric_weight"):
        Target.of(np.array(y), task, metric, weights=np.array([1.0, 1.0, 0.0]))
    Target.of(np.array(y), task, metric, weights=np.array([1.0, 0.0, 1.0]))


def test_a_row_of_weight_0_widens_no_interval():
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 1))
    a, b = y + rng.normal(0, 0.5, y.shape), y + rng.normal(0, 0.6, y.shape)
    a[100:] += 50
    weights = np.repeat([1.0, 0.0], 100)
    target = Target.of(y, "regression", "rmse", weights=weights)
    gain, low, high = difference_interval(target, a, b, seed=0)
    alone = Target.of(y[:100], "regression", "rmse")
    expected = difference_interval(alone, a[:100], b[:100], seed=0)
    assert gain == pytest.approx(expected[0])
    assert (low, high) == pytest.approx(expected[1:], abs=0.03)
    assert standard_error(target, a, rng) < 0.1


@pytest.mark.parametrize("metric", ["rmse", "mae", "pearson"])
def test_hill_climbing_takes_the_member_that_is_best_where_weight_is(metric):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 1))
    noise = np.repeat([[0.2, 2.0], [2.0, 0.2]], 100, axis=0)[:, :, None]
    preds = y[:, None] + noise * rng.normal(size=(200, 2, 1))
    for first, weights in [(True, [1.0, 0.01]), (False, [0.01, 1.0])]:
        target = Target.of(y, "regression", metric, weights=np.repeat(weights, 100))
        found = WEIGHTS["hill_climb"](preds, target, seed=0)
        assert (found[0] > 0.8) == first == (found[1] < 0.2)


@pytest.mark.parametrize("metric", ["rmse", "mae", "pearson"])
@pytest.mark.parametrize("n_weighed", [0, 3, 20])
def test_a_climb_without_rows_that_weigh_and_vary_keeps_equal_weights(metric, n_weighed):
    rng = np.random.default_rng(0)
    y, preds = rng.normal(size=(60, 1)), rng.normal(size=(60, 3, 1))
    weights = np.zeros(60)
    weights[:n_weighed], y[:n_weighed] = 1, 5
    target = replace(Target.of(y, "regression", metric), weights=weights)  # rows of some folds
    np.testing.assert_allclose(WEIGHTS["hill_climb"](preds, target, seed=0), 1 / 3)


def test_post_processing_that_counts_rows_alike_is_passed_over_with_a_note():
    y, _ = rows_of("binary", 80)
    folds = np.arange(len(y)) % 3
    for weights, names in [(None, ["threshold"]), (np.ones(len(y)), [])]:
        target = Target.of(y, "binary", "f1", weights=weights)
        methods = methods_that_fit(["mean"], ["all"], target, folds)
        assert list(methods.postprocessing) == names
        assert ["threshold" in note for note in methods.notes] == [True] * (not names)


def test_all_stages_weigh_the_metric_and_only_the_blends_follow_a_change(
    workplace, capsys, refusal
):
    settings = {
        "metric": "mae",
        "data": {"metric_weight": "w", "weight": "w", "transform": "log1p"},
        "members": [
            {"model": "tfidf_linear"},
            {"model": "tfidf_linear", "name": "b", "options": {"max_features": 20}},
        ],
        "blend": {"methods": ["mean", "hill_climb"]},
        "jobs": {"n_jobs": 1},
    }
    write_competition(workplace, "regression", settings=settings)
    path = workplace / "data/tiny/train.csv"
    header, rows = read_rows(path)
    rows = [[*row[:-1], str(9 + float(row[-1])), str(k % 4)] for k, row in enumerate(rows)]
    write_rows(path, [*header, "w"], rows)  # no target is below 0
    stages("prepare", "make_folds", "train", "predict", "blend", "submit", "report")
    train = pd.read_csv(path)
    oof = pd.read_csv(workplace / "oof/tiny/tfidf_linear/oof.csv").set_index("id").loc[train["id"]]
    expected = np.average(np.abs(oof["target"].values - train["target"]), weights=train["w"])
    board = pd.read_csv(workplace / "oof/tiny/leaderboard.csv").set_index("name")
    assert board.loc["tfidf_linear", "score"] == pytest.approx(expected)
    assert f"mae {expected:.4f}" in capsys.readouterr().out
    summary = json.loads((workplace / "reports/tiny/summary.json").read_text())
    assert summary["rows"]["metric_weight"] == "w"
    assert summary["run"]["training"] == [
        "trained on log1p of the target, which is shown as it is",
        "training rows weighed by w",
    ]
    for fold in range(3):
        run = json.loads(Path(f"models/tiny/b/fold{fold}/run.json").read_text())
        assert run["scaling"]["transform"] == "log1p"
        assert 0 < run["rows"]["training"] < 40  # of 40, without those of weight 0
    data = yaml.safe_load(CONFIG.read_text())["data"]
    for key, told in (("weight", "weights"), ("transform", r"data\.transform")):
        change_config(data={**data, key: None})
        for name in ("blend", "report"):
            said = rf"oof/tiny/tfidf_linear/oof\.csv: .*{told}\b.*\btrain\b"
            assert re.search(said, refusal(name))
    change_config(data={**data, "metric_weight": None})
    capsys.readouterr()
    stage("train")
    assert "0 of 6 units to train" in capsys.readouterr().out
    stage("blend")
    again = pd.read_csv(workplace / "oof/tiny/leaderboard.csv").set_index("name")
    assert again.loc["tfidf_linear", "score"] != pytest.approx(expected)
