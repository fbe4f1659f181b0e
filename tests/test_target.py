"""`Target`: targets with their task, metric, groups and labels."""

import numpy as np
import pytest

from pipeline.scoring.metrics import METRICS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS

RATINGS = np.array([[0.0], [1.0], [2.0], [3.0]])


def test_names_become_the_objects_of_the_registries():
    target = Target.of(RATINGS, "regression", "qwk", groups=["a", "a", "b", "c"])
    assert target.task is TASKS["regression"]
    assert target.metric is METRICS["qwk"]
    assert target.groups.tolist() == ["a", "a", "b", "c"]
    assert len(target) == 4


@pytest.mark.parametrize("rows", [np.array([True, False, True, False]), np.array([0, 2])])
def test_some_rows_keep_their_groups_and_the_labels_of_all_rows(rows):
    some = Target.of(RATINGS, "regression", "qwk", groups=["a", "b", "c", "d"])[rows]
    assert some.y[:, 0].tolist() == [0, 2]
    assert some.groups.tolist() == ["a", "c"]
    p = np.array([[0.0], [1.2]])  # the nearest label is 1, which these rows do not hold
    assert some.score(p) == pytest.approx(1 - 0.5 / (1 + 0.25 + 0.25))
    np.testing.assert_array_equal(some[1:].labels, RATINGS)


def test_one_long_group_does_not_make_memory_for_all_as_long():
    groups = [*"abcdefgh", "i" * 100_000, "j"]
    assert Target.of(np.zeros((10, 1)), "regression", "rmse", groups).groups.nbytes < 1000


def test_rows_alone_know_no_label_of_other_rows():
    alone = Target.of(RATINGS, "regression", "qwk")[np.array([0, 1, 2])].only(np.array([0, 2]))
    assert alone.labels is None
    assert alone.score(np.array([[0.0], [1.2]])) == 1  # 1.2 goes to 2


def test_a_column_of_labels_is_a_binary_target_and_one_of_values_a_regression():
    y = np.array([[0.0, 1.0], [1.0, 1.0]])
    label = Target.of(y, "multilabel", "auc").column(0)
    assert (label.task.name, label.y.tolist(), label.y.dtype.kind) == ("binary", [0, 1], "i")
    value = Target.of(y, "regression", "qwk", labels=np.array([[5.0, 6.0]])).column(1)
    assert (value.task.name, value.y.tolist()) == ("regression", [[1], [1]])
    assert value.labels.tolist() == [[6]]


@pytest.mark.parametrize(
    ("task", "y", "expected"),
    [
        ("regression", [[0.5], [2.0]], [[0.5], [2]]),
        ("binary", [1, 0], [[1], [0]]),
        ("multilabel", [[1.0, 0.0]], [[1, 0]]),
        ("multiclass", [2, 0], [[0, 0, 1], [1, 0, 0]]),
    ],
)
def test_targets_stand_beside_predictions_column_by_column(task, y, expected):
    columns = Target.of(np.array(y), task, "logloss").as_columns(len(expected[0]))
    assert columns.tolist() == expected


@pytest.mark.parametrize(
    ("task", "metric", "y", "expected"),
    [
        ("regression", "rmse", [[0.0, 1.0], [0.0, 2.0], [9.0, 3.0]], [3.0, 2.0]),
        ("regression", "mae", [[0.0, 1.0], [0.0, 2.0], [9.0, 3.0]], [0.0, 2.0]),
        ("binary", "auc", [1, 0, 0, 0], [0.25]),
        ("multiclass", "accuracy", [0, 2, 2, 2], [0.25, 0.0, 0.75]),
        ("multilabel", "logloss", [[1.0, 0.0], [1.0, 1.0]], [1.0, 0.5]),
    ],
)
def test_the_constant_is_the_median_for_mae_and_the_mean_or_the_shares_else(
    task, metric, y, expected
):
    constant = Target.of(np.array(y), task, metric).constant(len(expected), 5)
    assert constant.tolist() == [expected] * 5


@pytest.mark.parametrize(("metric", "score"), [("auc", 0.5), ("pearson", 0.0), ("mae", 3.0)])
def test_the_constant_scores_what_no_skill_scores(metric, score):
    y = np.array([0, 1, 1, 0]) if metric == "auc" else np.array([[0.0], [0.0], [9.0]])
    task = "binary" if metric == "auc" else "regression"
    target = Target.of(y, task, metric)
    assert target.score(target.constant(1, len(target))) == score
