import warnings

import numpy as np
import pytest
from scipy import stats
from scored import column_scores, score
from sklearn import metrics as skl

from pipeline.scoring.formulas import rank_of_truth, ranked
from pipeline.scoring.metrics import METRICS, distinct_values, nearest_labels
from pipeline.scoring.tasks import TASKS

CASES = [(name, task) for name in sorted(METRICS) for task in METRICS[name].tasks]


def example(task, n=80, seed=0):
    """Targets, good predictions and useless ones."""
    rng = np.random.default_rng(seed)
    noise = rng.random((n, 3))
    if task == "regression":
        y = rng.integers(0, 5, (n, 2)).astype(float)
        y[:5] = np.arange(5)[:, None]  # qwk rounds to the labels that occur
        return y, y + rng.normal(size=y.shape), 5 * noise[:, :2]
    if task == "multiclass":
        y = rng.integers(0, 3, n)
        useless = noise / noise.sum(axis=1, keepdims=True)
        return y, (useless + np.eye(3)[y]) / 2, useless
    y = rng.integers(0, 2, (n, 2)).astype(float)
    good = np.round((y + noise[:, :2]) / 2, 2)  # with ties
    if task == "binary":
        return y[:, 0].astype(int), good[:, :1], noise[:, :1]
    return y, good, noise[:, :2]


def perfect(task, y):
    return {
        "regression": y,
        "multilabel": y,
        "binary": y.reshape(len(y), -1).astype(float),
        "multiclass": np.eye(3)[y] if y.ndim == 1 else y,
    }[task]


def one_against_rest(y, p):
    if p.ndim == 1:
        return skl.roc_auc_score(y, p)
    return np.mean([skl.roc_auc_score(y == k, p[:, k]) for k in np.unique(y)])


def kappa(y, p):
    return skl.cohen_kappa_score(y, p, labels=np.arange(9), weights="quadratic")


REFERENCES = {
    "rmse": skl.root_mean_squared_error,
    "mae": skl.mean_absolute_error,
    "mcrmse": skl.root_mean_squared_error,
    "r2": skl.r2_score,
    "pearson": lambda y, p: stats.pearsonr(y, p).statistic,
    "spearman": lambda y, p: stats.spearmanr(y, p).statistic,
    "accuracy": skl.accuracy_score,
    "f1": skl.f1_score,
    "f1_macro": lambda y, p: skl.f1_score(y, p, average="macro", labels=np.unique(y)),
    "auc": one_against_rest,
    "logloss": lambda y, p: skl.log_loss(y, p, labels=range(3) if p.ndim == 2 else [0, 1]),
    "mcc": skl.matthews_corrcoef,
    "qwk": kappa,
    "rmsle": lambda y, p: skl.root_mean_squared_log_error(y, np.maximum(p, 0)),
    "mape": skl.mean_absolute_percentage_error,
    "f1_micro": lambda y, p: skl.f1_score(y, p, average="micro"),
    "fbeta": lambda y, p: skl.fbeta_score(y, p, beta=2),
    "map_at_k": lambda y, p: np.mean(
        [
            sum(1 / r for r, k in enumerate(np.argsort(-q)[:3], 1) if k == c)
            for c, q in zip(y, p, strict=True)
        ]
    ),
    "top_k_accuracy": lambda y, p: skl.top_k_accuracy_score(y, p, k=2, labels=range(p.shape[1])),
}


@pytest.mark.parametrize(("name", "task"), CASES)
@pytest.mark.parametrize("n", [12, 200])
def test_values_are_those_of_scikit_learn_and_scipy(name, task, n):
    y, predictions, _ = example(task, n)
    p = predictions
    if METRICS[name].decides:
        p = {
            "regression": np.clip(np.ceil(p - 0.5), 0, 4),
            "multiclass": p.argmax(axis=1),
        }.get(task, (p >= 0.5).astype(int))
    p = p[:, 0] if task == "binary" else p
    by_column = y.ndim == 2 and not METRICS[name].joint
    pairs = list(zip(y.T, p.T, strict=True)) if by_column else [(y, p)]
    expected = [REFERENCES[name](*pair) for pair in pairs]
    np.testing.assert_allclose(column_scores(name, task, y, predictions), expected, rtol=1e-9)
    assert score(name, task, y, predictions) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(("name", "task"), CASES)
def test_good_predictions_score_better_than_useless_and_perfect_best(name, task):
    y, good, useless = example(task)
    sign = METRICS[name].sign
    scores = [sign * score(name, task, y, p) for p in (useless, good, perfect(task, y))]
    assert scores == sorted(scores)
    assert scores[0] < scores[1]
    best = 1 if METRICS[name].greater_is_better else 0
    assert sign * scores[2] == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("name", "task"), CASES)
def test_no_metric_warns_or_fails_on_one_row(name, task):
    y, good, _ = example(task)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        column_scores(name, task, y[:1], good[:1])


def test_every_metric_fits_known_tasks_and_every_task_has_one():
    fitted = {task for metric in METRICS.values() for task in metric.tasks}
    assert fitted == set(TASKS)


def test_errors_by_hand():
    y, p = np.array([[0.0], [2.0], [4.0]]), np.array([[0.0], [3.0], [6.0]])
    assert score("rmse", "regression", y, p) == pytest.approx(np.sqrt(5 / 3))
    assert score("mae", "regression", y, p) == pytest.approx(1)
    assert score("r2", "regression", y, p) == pytest.approx(1 - 5 / 8)
    assert score("pearson", "regression", y, p) == pytest.approx(1)


def test_relative_and_logarithmic_errors_by_hand():
    y, p = np.array([[1.0], [4.0]]), np.array([[2.0], [-1.0]])
    assert score("mape", "regression", y, p) == pytest.approx((1 + 5 / 4) / 2)
    of_zero = np.log(5)  # a prediction below 0 counts as 0
    expected = np.sqrt((np.log(3 / 2) ** 2 + of_zero**2) / 2)
    assert score("rmsle", "regression", y, p) == pytest.approx(expected)


def test_f_beta_by_hand_counts_recall_beta_squared_times():
    y = np.array([1, 1, 1, 0, 0])
    p = np.array([[0.9], [0.2], [0.1], [0.7], [0.1]])  # precision 1/2, recall 1/3
    for beta in (0.5, 2, 5):
        expected = (1 + beta**2) / 2 / 3 / (beta**2 / 2 + 1 / 3)
        assert score({"name": "fbeta", "beta": beta}, "binary", y, p) == pytest.approx(expected)
    assert score({"name": "fbeta", "beta": 1}, "binary", y, p) == score("f1", "binary", y, p)


def test_micro_f1_pools_the_labels_and_is_accuracy_with_one_class_a_row():
    y = np.array([[1.0, 0], [1, 0], [1, 1]])
    p = np.array([[0.9, 0.8], [0.1, 0.2], [0.6, 0.7]])  # 3 hits, 1 miss, 1 false alarm
    assert column_scores("f1_micro", "multilabel", y, p).tolist() == [6 / 8]
    y, good, _ = example("multiclass")
    assert score("f1_micro", "multiclass", y, good) == score("accuracy", "multiclass", y, good)


def test_the_rank_of_the_truth_by_hand():
    y = np.array([0, 1, 2, 2])
    p = np.array([[0.6, 0.3, 0.1], [0.5, 0.3, 0.2], [0.6, 0.3, 0.1], [0.4, 0.2, 0.4]])
    for k, precision, among in ((1, 1 / 4, 1 / 4), (2, 2 / 4, 3 / 4), (9, (2 + 1 / 3) / 4, 1)):
        of_map, of_top = ({"name": name, "k": k} for name in ("map_at_k", "top_k_accuracy"))
        assert score(of_map, "multiclass", y, p) == pytest.approx(precision)
        assert score(of_top, "multiclass", y, p) == pytest.approx(among)


def test_the_rank_of_the_truth_is_its_place_in_the_list_that_is_submitted():
    y = np.random.default_rng(0).integers(0, 4, 50)
    p = np.random.default_rng(1).integers(0, 3, (50, 4)) / 8  # many ties
    places = 1 + np.argmax(ranked(p) == y[:, None], axis=1)
    assert rank_of_truth(y, p).tolist() == places.tolist()


def test_columns_count_by_their_weights_and_undefined_ones_leave_the_mean():
    y, p, _ = example("regression")
    first, second = column_scores("r2", "regression", y, p)
    weighted = {"name": "r2", "column_weights": {"a": 2, "b": 1}}
    assert score(weighted, "regression", y, p) == pytest.approx((2 * first + second) / 3)
    y[:, 0] = 1
    assert score(weighted, "regression", y, p) == second


def test_mcrmse_is_the_mean_of_columns_not_the_root_of_a_mean():
    y = np.zeros((4, 2))
    assert score("mcrmse", "regression", y, np.tile([1.0, 3.0], (4, 1))) == pytest.approx(2)


def test_decisions_by_hand():
    y = np.array([1, 1, 0, 0, 0])
    p = np.array([[0.9], [0.2], [0.7], [0.1], [0.3]])  # one hit, one miss, one false alarm
    assert score("accuracy", "binary", y, p) == pytest.approx(3 / 5)
    assert score("f1", "binary", y, p) == pytest.approx(1 / 2)
    assert score("f1_macro", "binary", y, p) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert score("mcc", "binary", y, p) == pytest.approx((1 * 2 - 1 * 1) / 6)


def test_a_class_that_is_decided_but_absent_costs_the_others_only_their_precision():
    y, decided = np.array([0, 0, 1]), np.array([0, 2, 1])
    # class 0: 2 * 1 / (2 + 1); class 1: 1; class 2 has no rows, so it does not count as 0
    assert score("f1_macro", "multiclass", y, np.eye(3)[decided]) == pytest.approx(5 / 6)


def test_mcc_of_one_decision_for_all_rows_is_0():
    y, p = np.array([1, 0, 1]), np.full((3, 1), 0.9)
    assert score("mcc", "binary", y, p) == 0


def test_auc_by_hand_counts_a_tie_as_half():
    y = np.array([0, 0, 1, 1])
    p = np.array([[0.1], [0.4], [0.4], [0.8]])
    assert score("auc", "binary", y, p) == pytest.approx(3.5 / 4)


def test_log_loss_by_hand_and_finite_when_surely_wrong():
    y, p = np.array([1, 0]), np.array([[0.8], [0.5]])
    assert score("logloss", "binary", y, p) == pytest.approx(-(np.log(0.8) + np.log(0.5)) / 2)
    assert 30 < score("logloss", "binary", y, 1.0 - y[:, None]) < 40


def test_log_loss_of_classes_forgives_rows_written_with_few_digits():
    y, p = np.array([0, 2]), np.array([[0.8, 0.1, 0.1], [0.25, 0.25, 0.5]])
    assert score("logloss", "multiclass", y, p * 1.0005) == score("logloss", "multiclass", y, p)


def test_qwk_counts_the_steps_between_values_not_between_labels_that_occur():
    y = np.array([[0.0], [0.0], [2.0], [2.0], [5.0], [5.0]])
    p = np.array([[0.3], [1.2], [2.4], [4.9], [5.7], [1.1]])
    moved = np.array([0, 2, 2, 5, 5, 2])  # nearest of 0, 2, 5
    observed = np.mean((y[:, 0] - moved) ** 2)
    by_chance = np.mean([(a - b) ** 2 for a in y[:, 0] for b in moved])
    assert score("qwk", "regression", y, p) == pytest.approx(1 - observed / by_chance)
    as_steps = {0.0: 0, 2.0: 1, 5.0: 2}
    wrong = kappa([as_steps[v] for v in y[:, 0]], [as_steps[v] for v in moved])
    assert score("qwk", "regression", y, p) != pytest.approx(wrong, abs=0.01)


def test_qwk_rounds_to_the_labels_of_the_training_rows():
    y, p = np.array([[1.0], [3.0]]), np.array([[1.0], [2.1]])
    y_train = np.array([[1.0], [2.0], [3.0]])
    assert score("qwk", "regression", y, p) == pytest.approx(1)
    assert score("qwk", "regression", y, p, y_train) == pytest.approx(2 / 3)


def test_qwk_decides_for_the_lower_of_two_labels_that_are_equally_near():
    values = distinct_values(np.array([[4.0], [2.0], [1.0], [2.0], [np.nan]]))
    assert nearest_labels(np.array([[1.5], [3.0], [3.1]]), values).tolist() == [[1], [2], [4]]


def test_qwk_of_half_steps_is_that_of_whole_steps():
    y, good, _ = example("regression")
    assert score("qwk", "regression", y / 2, good / 2) == score("qwk", "regression", y, good)


@pytest.mark.parametrize("name", ["r2", "pearson", "spearman", "qwk"])
def test_a_constant_target_is_undefined_and_leaves_the_mean(name):
    y, good, _ = example("regression")
    y[:, 1] = 3.0
    found = column_scores(name, "regression", y, good)
    assert np.isnan(found).tolist() == [False, True]
    assert score(name, "regression", y, good) == found[0]
    assert np.isnan(score(name, "regression", y[:, 1:], good[:, 1:]))


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_constant_prediction_correlates_nothing_and_stays_in_the_mean(name):
    """Undefined, it would leave the mean to the other targets: filling one in would pay."""
    y, good, _ = example("regression")
    honest = column_scores(name, "regression", y, good)
    good[:, 0] = 0.1
    assert column_scores(name, "regression", y, good).tolist() == [0, honest[1]]
    assert score(name, "regression", y, good) == honest[1] / 2


@pytest.mark.parametrize("name", ["f1", "auc", "mcc"])
def test_a_label_that_nobody_has_is_undefined_but_one_row_is_enough(name):
    y, good, _ = example("multilabel")
    y[:, 0] = 0
    assert np.isnan(column_scores(name, "multilabel", y, good)).tolist() == [True, False]
    y[3, 0] = 1
    assert not np.isnan(column_scores(name, "multilabel", y, good)).any()


def test_a_class_that_the_rows_lack_leaves_auc_and_macro_f1():
    y, good, _ = example("multiclass")
    held = y != 2
    y, good = y[held], good[held]
    expected = np.mean([skl.roc_auc_score(y == k, good[:, k]) for k in (0, 1)])
    assert score("auc", "multiclass", y, good) == pytest.approx(expected)
    f1 = [skl.f1_score(y == k, good.argmax(axis=1) == k) for k in (0, 1)]
    assert score("f1_macro", "multiclass", y, good) == pytest.approx(np.mean(f1))


def test_correlations_keep_their_value_at_any_scale():
    y, good, _ = example("regression")
    expected = score("pearson", "regression", y, good)
    assert score("pearson", "regression", y * 1e150, good * 1e150) == pytest.approx(expected)
