"""The cells of a submission: each task with each form of sample, and errors."""

import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.competition import rows as of_competition
from pipeline.competition.labels import Form
from pipeline.competition.sample import Sample
from pipeline.competition.submission import constant_label, submission, submission_cells
from pipeline.scoring.metrics import METRICS
from pipeline.settings.data import Data

P = np.array([[0.2], [0.5], [0.9]])  # binary, or one label
PER_CLASS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.3, 0.4, 0.3]])
CLASSES = ("id", "money", "sport")
CODES = np.array([0, 1, 2, 2])
YES_NO = ("no", "yes")


def sample_of(*header, id_at=0):
    """A sample of three rows with these columns, the id among them."""
    return Sample(header, id_at, ("b1", "b2", "b3"), ("b1", "b2", "b3"))


def binary(metric, *header, form="auto", predictions=P, classes=YES_NO):
    return submission_cells(
        Form("binary", metric, form, sample_of(*header), classes),
        predictions,
        columns=["target"],
        y=np.array([0, 1]),
    )


def multiclass(metric, *header, form="auto", predictions=PER_CLASS, id_at=0):
    return submission_cells(
        Form("multiclass", metric, form, sample_of(*header, id_at=id_at), CLASSES),
        predictions,
        columns=CLASSES,
        y=CODES,
    )


def multilabel(
    metric, *header, form="auto", predictions=PER_CLASS, columns=("a", "b", "c"), y=None
):
    return submission_cells(
        Form("multilabel", metric, form, sample_of(*header), ()),
        predictions,
        columns=columns,
        y=np.eye(len(columns)) if y is None else y,
    )


def regression(metric, *header, form="auto", predictions=P, columns=("target",), y=None):
    return submission_cells(
        Form("regression", metric, form, sample_of(*header), ()),
        predictions,
        columns=columns,
        y=np.array([[1.0], [2.0], [4.0]]) if y is None else y,
    )


def metrics_of(task, decides):
    found = [name for name, m in METRICS.items() if task in m.tasks and m.decides == decides]
    assert found
    return found


# --- binary


@pytest.mark.parametrize("metric", metrics_of("binary", decides=True))
def test_one_binary_column_holds_labels_where_decisions_are_scored(metric):
    assert binary(metric, "id", "target") == {"target": ["no", "yes", "yes"]}


@pytest.mark.parametrize("metric", metrics_of("binary", decides=False))
def test_one_binary_column_holds_the_positive_probability_elsewhere(metric):
    assert binary(metric, "id", "prediction") == {"prediction": [0.2, 0.5, 0.9]}


@pytest.mark.parametrize("metric", ["auc", "accuracy"])
def test_both_classes_in_any_order_hold_their_probabilities(metric):
    for header in (("id", "no", "yes"), ("id", "yes", "no")):
        cells = binary(metric, *header)
        assert list(cells) == list(header[1:])
        assert cells["yes"] == [0.2, 0.5, 0.9]
        assert cells["no"] == pytest.approx([0.8, 0.5, 0.1])


def test_labels_are_spelled_as_in_the_training_file():
    assert binary("f1", "id", "t", classes=("00", "1.0")) == {"t": ["00", "1.0", "1.0"]}


def test_labels_are_spelled_as_the_sample_certainly_asks():
    sample = Sample(("id", "t"), 0, ("b1",), ("b1",), cells=frozenset({"0"}))
    settings = {"columns": ["t"], "y": np.eye(1)}
    made = submission_cells(Form("binary", "f1", "auto", sample, ("False", "True")), P, **settings)
    assert made == {"t": ["0", "1", "1"]}
    sample = Sample(("id", "t"), 0, ("b1",), ("b1",), cells=frozenset({"False"}))
    made = submission_cells(Form("multilabel", "f1", "auto", sample, ()), P, **settings)
    assert made == {"t": ["False", "True", "True"]}
    made = submission_cells(Form("multilabel", "auc", "auto", sample, ()), P, **settings)
    assert made == {"t": [0.2, 0.5, 0.9]}


# --- multiclass


@pytest.mark.parametrize("metric", metrics_of("multiclass", decides=True))
def test_one_multiclass_column_holds_the_likeliest_class(metric):
    assert multiclass(metric, "id", "topic") == {"topic": ["id", "sport", "money"]}


@pytest.mark.parametrize("metric", ["logloss", "accuracy"])
@pytest.mark.parametrize("id_at", [0, 2, 3])
def test_a_column_for_each_class_holds_its_probability_in_the_samples_order(metric, id_at):
    header = ["sport", "id", "money"]  # a class bears the name of the id
    header.insert(id_at, "id")
    cells = multiclass(metric, *header, id_at=id_at)
    assert list(cells) == ["sport", "id", "money"]
    assert cells["sport"] == PER_CLASS[:, 2].tolist()
    assert cells["id"] == PER_CLASS[:, 0].tolist()
    assert cells["money"] == PER_CLASS[:, 1].tolist()


def test_columns_that_are_the_classes_as_numbers_hold_their_probabilities():
    cells = submission_cells(
        Form(
            "multiclass", "logloss", "auto", sample_of("id", "3", "1", "2"), ["1.0", "2.0", "3.0"]
        ),
        PER_CLASS,
        columns=["1.0", "2.0", "3.0"],
        y=CODES,
    )
    assert cells["1"] == PER_CLASS[:, 0].tolist()
    assert cells["3"] == PER_CLASS[:, 2].tolist()


@pytest.mark.parametrize("metric", ["auc", "logloss"])
def test_one_column_cannot_hold_the_probabilities_of_three_classes(metric):
    message = rf"'topic'.*\b3\b.*\b{metric}\b.*submit\.as: labels"
    with pytest.raises(ValueError, match=message):
        multiclass(metric, "id", "topic")


def test_one_column_for_the_probability_of_two_classes_is_a_binary_task():
    with pytest.raises(ValueError, match="task: binary"):
        Form("multiclass", "logloss", "auto", sample_of("id", "spam"), ("0", "1"))


# --- multilabel


def test_several_labels_hold_probabilities_in_the_samples_order():
    cells = multilabel("auc", "id", "c", "a", "b")
    assert list(cells) == ["c", "a", "b"]
    assert cells["a"] == [0.7, 0.1, 0.3]
    assert cells["c"] == [0.1, 0.6, 0.3]


@pytest.mark.parametrize("metric", metrics_of("multilabel", decides=True))
def test_several_labels_are_decided_where_decisions_are_scored(metric):
    cells = multilabel(metric, "id", "c", "a", "b")
    assert cells == {"c": ["0", "1", "0"], "a": ["1", "0", "0"], "b": ["0", "0", "0"]}


def test_a_single_label_is_decided_where_decisions_are_scored():
    assert multilabel("f1", "id", "a", predictions=P, columns=("a",)) == {"a": ["0", "1", "1"]}
    assert multilabel("auc", "id", "a", predictions=P, columns=("a",)) == {"a": [0.2, 0.5, 0.9]}


# --- regression


def test_one_target_may_stand_under_any_name_and_several_under_theirs():
    assert regression("rmse", "id", "score") == {"score": [0.2, 0.5, 0.9]}
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    cells = regression("mcrmse", "id", "y", "x", predictions=values, columns=("x", "y"))
    assert cells == {"y": [10.0, 20.0, 30.0], "x": [1.0, 2.0, 3.0]}
    assert list(cells) == ["y", "x"]


def test_qwk_rounds_a_regression_to_the_nearest_training_label():
    values = np.array([[1.4], [1.6], [2.9], [3.1], [-7.0], [99.0]])  # of 1, 2 and 4
    cells = regression("qwk", "id", "grade", predictions=values)
    assert cells == {"grade": [1, 2, 2, 4, 1, 4]}
    assert all(isinstance(cell, int) for cell in cells["grade"])  # 1 and not 1.0


def test_labels_that_are_no_whole_numbers_stay_as_they_are():
    y = np.array([[0.0], [0.5], [1.0]])
    assert regression("qwk", "id", "grade", y=y) == {"grade": [0.0, 0.5, 1.0]}


def test_several_grades_are_rounded_each_to_its_own_labels():
    values = np.array([[1.4, 1.4], [2.6, 2.6]])
    y = np.array([[1.0, 0.0], [2.0, 3.0]])
    cells = regression("qwk", "id", "a", "b", predictions=values, columns=("a", "b"), y=y)
    assert cells == {"a": [1, 2], "b": [0, 3]}


# --- submit.as


def test_labels_on_demand_where_probabilities_would_be_scored():
    assert binary("auc", "id", "t", form="labels") == {"t": ["no", "yes", "yes"]}
    assert multiclass("logloss", "id", "t", form="labels") == {"t": ["id", "sport", "money"]}
    cells = multilabel("auc", "id", "a", "b", "c", form="labels")
    assert cells == {"a": ["1", "0", "0"], "b": ["0", "0", "0"], "c": ["0", "1", "0"]}
    assert regression("rmse", "id", "t", form="labels", predictions=P * 4) == {"t": [1, 2, 4]}


def test_probabilities_on_demand_where_labels_would_be_scored():
    assert binary("accuracy", "id", "t", form="probabilities") == {"t": [0.2, 0.5, 0.9]}
    assert regression("qwk", "id", "t", form="probabilities") == {"t": [0.2, 0.5, 0.9]}
    for metric in ("accuracy", "map_at_k"):
        with pytest.raises(ValueError, match=rf"'t'.*\b3\b.*\b{metric}\b.*submit\.as: auto"):
            multiclass(metric, "id", "t", form="probabilities")


def test_labels_do_not_fit_a_column_for_each_class():
    with pytest.raises(ValueError, match=r"submit\.as: .*\b2\b.*no, yes"):
        binary("auc", "id", "no", "yes", form="labels")
    with pytest.raises(ValueError, match=r"submit\.as: .*\b3\b.*id, money, sport"):
        multiclass("accuracy", "id", *CLASSES, form="labels")


def test_the_probability_of_one_class_is_not_written_under_the_others_name():
    with pytest.raises(ValueError, match=r"'no'.*'yes'.*data\.positive: 'no'"):
        binary("auc", "id", "no")
    for name in ("yes", "prediction"):
        assert binary("auc", "id", name) == {name: [0.2, 0.5, 0.9]}
    assert binary("accuracy", "id", "no") == {"no": ["no", "yes", "yes"]}  # labels say it all


# --- constants

SAME = np.full((10, 1), 0.5)
ONE_SAME = np.tile([[0.2, 0.5, 0.3], [0.3, 0.5, 0.2]], (5, 1))


def test_a_constant_continuous_column_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'t'.*\b0\.5\b"):
        binary("auc", "id", "t", predictions=SAME)
    with pytest.raises(ValueError, match=r"'t'.*\b0\.5\b"):
        regression("rmse", "id", "t", predictions=SAME)
    with pytest.raises(ValueError, match=r"'money'.*\b0\.5\b"):
        multiclass("accuracy", "id", *CLASSES, predictions=ONE_SAME)
    with pytest.raises(ValueError, match=r"'b'.*\b0\.5\b"):
        multilabel("auc", "id", "a", "b", "c", predictions=ONE_SAME)


def test_a_column_that_held_nothing_to_learn_may_be_constant():
    """A label without positives, a target that never changed."""
    y = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    cells = multilabel("auc", "id", "b", "a", "c", predictions=ONE_SAME, y=y)
    assert cells["b"] == [0.5] * 10
    with pytest.raises(ValueError, match=r"'b'.*\b0\.5\b"):
        multilabel("auc", "id", "b", "a", "c", predictions=ONE_SAME, y=np.eye(3)[:2])
    cells = regression("rmse", "id", "t", predictions=SAME, y=np.full((3, 1), 7.0))
    assert cells == {"t": [0.5] * 10}


def test_equal_test_texts_may_have_equal_predictions():
    """The placeholders of a code competition, but no rows whose texts or features differ."""
    ids = tuple("abcdefghij")
    form = Form("binary", "auc", "auto", Sample(("id", "t"), 0, ids, ids), YES_NO)
    data = Data(train="train.csv", test="test.csv", sample_submission="sample.csv")

    def submitted(texts, **features):
        test = of_competition.TestRows(
            ids[::-1], tuple((text,) for text in texts), ("text",), features
        )
        return submission(form, SAME, test, data, ["target"], np.array([0, 1]))

    table, notes = submitted("a" * 10)
    assert table["t"].tolist() == [0.5] * 10
    assert any(re.search("^warning: .*'0.5'", note) for note in notes)
    for rows in (lambda: submitted(ids), lambda: submitted("a" * 10, n=ids)):
        with pytest.raises(ValueError, match="'t'"):
            rows()


def test_nearly_constant_columns_and_few_equal_rows_are_fine():
    """A code competition shows three test rows or so, whose calibrated predictions may be equal."""
    binary("auc", "id", "t", predictions=np.append(SAME, [[0.5 + 1e-12]], axis=0))
    assert binary("auc", "id", "t", predictions=SAME[:9]) == {"t": [0.5] * 9}


@pytest.mark.parametrize("label", [1.0, 0.5])
def test_constant_labels_are_told_and_not_refused(label):
    y = np.array([[label], [7.0]])
    cells = regression("qwk", "id", "t", predictions=SAME, y=y)
    assert constant_label(cells) == f"{label:g}"
    assert constant_label(binary("accuracy", "id", "t", predictions=SAME)) == "yes"


def test_labels_that_differ_and_columns_of_probabilities_are_no_constant_label():
    assert constant_label(binary("accuracy", "id", "t")) is None
    assert constant_label(binary("auc", "id", "no", "yes")) is None
    assert constant_label(binary("accuracy", "id", "t", predictions=SAME[:1])) is None


def test_one_column_for_a_metric_of_ranks_lists_the_most_probable_labels():
    cells = multiclass({"name": "map_at_k", "k": 2}, "id", "label", form="auto")
    assert cells == {"label": ["id money", "sport money", "money id"]}
    with_all = multiclass({"name": "top_k_accuracy", "k": 9}, "id", "label")
    assert with_all["label"][0] == "id money sport"
    assert multiclass("map_at_k", "id", "label", form="labels")["label"] == ["id", "sport", "money"]
    assert set(multiclass("map_at_k", "id", *CLASSES)) == set(CLASSES)  # probabilities


def test_a_list_spells_labels_as_the_sample_does_and_takes_no_label_with_a_space():
    sample = replace(sample_of("id", "label"), cells=frozenset({"Id Money", "Sport"}))
    form = Form("multiclass", "map_at_k", "auto", sample, CLASSES)
    cells = submission_cells(form, PER_CLASS, columns=CLASSES, y=CODES)
    assert cells["label"][0] == "Id Money Sport"
    with pytest.raises(ValueError, match="'New York'"):
        Form("multiclass", "map_at_k", "auto", sample, ("New York", "Paris"))


def test_no_negative_number_is_submitted_for_a_logarithmic_error():
    p = np.array([[-0.2], [0.5], [0.9]])
    assert regression("rmsle", "id", "target", predictions=p) == {"target": [0, 0.5, 0.9]}
    assert regression("rmse", "id", "target", predictions=p) == {"target": [-0.2, 0.5, 0.9]}
