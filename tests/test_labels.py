"""The form of a submission: how labels are spelled, and messages about the sample's cells."""

import re

import pytest

from pipeline.competition.labels import Form, check_positive, labels_as_sampled, lines_about
from pipeline.competition.sample import Sample

TOPICS = ("rail", "sea")


def sample_of(*cells, columns=("answer",)):
    return Sample(("id", *columns), 0, ("b1",), ("b1",), cells=frozenset(cells))


@pytest.mark.parametrize(
    ("classes", "cells", "spelled"),
    [
        (TOPICS, ["sea"], TOPICS),
        (TOPICS, [], TOPICS),
        (("1.0", "2.0"), ["1"], ("1", "2")),
        (("1", "2"), ["2.0"], ("1.0", "2.0")),
        (("01", "2"), ["1", "2"], ("1", "2")),
        (("False", "True"), ["0"], ("0", "1")),
        (("0", "1"), ["True"], ("False", "True")),
        (("0", "1"), ["FALSE", "TRUE"], ("FALSE", "TRUE")),
        (("0.0", "1.0"), ["no"], ("no", "yes")),
        (("true", "false"), ["0", "1"], ("1", "0")),  # data.positive: false
        (TOPICS, ["Sea"], ("Rail", "Sea")),
        (("rail ", "sea"), ["rail"], TOPICS),
        (("caf\u00e9", "sea"), ["cafe\u0301"], ("cafe\u0301", "sea")),
        (("cafe\u0301", "sea"), ["caf\u00e9"], ("caf\u00e9", "sea")),
    ],
)
def test_labels_are_spelled_as_in_the_sample_where_one_rule_gives_all_its_cells(
    classes, cells, spelled
):
    assert labels_as_sampled(frozenset(cells), classes) == spelled


@pytest.mark.parametrize(
    ("classes", "cells"),
    [
        (TOPICS, ["0"]),
        (TOPICS, ["sea", "Rail"]),
        (TOPICS, ["sea", "forest"]),
        (("0", "1"), ["0.5"]),
        (("0", "1"), ["0", "0.5"]),
        (("0", "1"), ["positive"]),
        (("negative", "positive"), ["0"]),
        (("1", "2"), ["0", "1"]),
        (("-1", "1"), ["0"]),
        (("caf\u00e9", "sea"), ["cafe"]),
        (("1.0", "2.5"), ["1"]),
        (("1", "2"), ["True"]),
        (("Rail", "rail"), ["RAIL"]),  # as_written
    ],
)
def test_cells_that_are_no_certain_spelling_are_said_beside_what_we_write(classes, cells):
    sample = sample_of(*cells)
    assert labels_as_sampled(sample.cells, classes) is None
    (line,) = lines_about(Form("multiclass", "accuracy", "auto", sample, classes), "s.csv")
    assert line.startswith("warning: s.csv: holds ")
    assert all(repr(one) in line for one in (*cells, *classes))


def test_a_spelling_that_is_taken_over_is_told():
    (line,) = lines_about(
        Form("multiclass", "accuracy", "auto", sample_of("1"), ("1.0", "2.0")), "s.csv"
    )
    assert "'1' for '1.0', '2' for '2.0'" in line
    assert (
        lines_about(Form("multiclass", "accuracy", "auto", sample_of("1"), ("1", "2")), "s.csv")
        == []
    )


@pytest.mark.parametrize(
    ("task", "metric", "form", "cells", "said"),
    [
        ("binary", "auc", "auto", ["fake"], r"'fake'.*probabilities.*submit\.as: labels"),
        ("binary", "auc", "auto", ["0", "0.5", "1"], None),
        ("binary", "accuracy", "probabilities", ["0.5"], None),
        ("binary", "accuracy", "labels", ["0.5"], r"'0\.5'.*submit\.as: probabilities"),
        ("multilabel", "f1", "auto", ["0", "1"], None),
        ("multilabel", "f1", "auto", ["0.5"], r"'0\.5'"),
        ("multilabel", "auc", "auto", ["0.5", "2"], r"'2'.*probabilities"),
        ("regression", "rmse", "auto", ["0", "-7.5"], None),
        ("regression", "rmse", "auto", ["low"], "'low'.*numbers"),
    ],
)
def test_cells_of_another_kind_than_ours_are_one_line(task, metric, form, cells, said):
    classes = ("fake", "real") if task == "binary" else ()
    lines = lines_about(Form(task, metric, form, sample_of(*cells), classes), "s.csv")
    doubts = [line for line in lines if line.startswith("warning: s.csv: ")]
    assert len(doubts) == (said is not None)
    assert said is None or re.search(said, doubts[0])


def test_whose_probability_it_is_is_told():
    (line,) = lines_about(
        Form("binary", "auc", "auto", sample_of("0.5"), ("fake", "real")), "s.csv"
    )
    assert line.startswith("answer: P(real)")
    line = lines_about(Form("binary", "f1", "auto", sample_of("fake"), ("fake", "real")), "s.csv")[
        0
    ]
    assert "'real', the positive class" in line
    both = sample_of("0.5", columns=("fake", "real"))
    assert lines_about(Form("binary", "auc", "auto", both, ("fake", "real")), "s.csv") == []


@pytest.mark.parametrize(
    ("metric", "column", "classes"),
    [
        *(
            (metric, "prediction", classes)
            for metric in ("auc", "logloss", "f1")
            for classes in (("fake", "real"), ("n", "y"), ("0", "yellow"), ("faux", "réel"))
        ),
        ("f1", "fake", ("fake", "real")),
    ],
)
def test_which_of_two_words_is_positive_is_asked_for(metric, column, classes):
    first, second = classes
    said = rf"'{first}' and '{second}'.*\.positive: '?{first}\b.*\.positive: {second}\b"
    sample = sample_of(columns=(column,))
    with pytest.raises(ValueError, match=said):
        check_positive(None, Form("binary", metric, "auto", sample, classes))
    check_positive(second, Form("binary", metric, "auto", sample, classes))


def test_which_class_is_positive_is_asked_for_where_a_metric_of_ones_own_scores_its_probability():
    own = {"file": "m.py", "function": "score", "takes": "probabilities", "greater_is_better": True}
    form = Form("binary", own, "labels", sample_of(columns=("label",)), ("fake", "real"))
    with pytest.raises(ValueError, match=r"data\.positive: fake\b"):
        check_positive(None, form)


@pytest.mark.parametrize(
    ("metric", "columns", "classes"),
    [
        ("auc", ["prediction"], ("0", "1")),
        ("auc", ["prediction"], ("1", "2")),
        ("auc", ["prediction"], ("-1", "1.0")),
        ("f1", ["prediction"], ("No", "YES")),
        ("auc", ["prediction"], ("False", "True")),
        ("auc", ["real"], ("fake", "real")),
        ("f1", ["Real"], ("fake", "real")),
        ("logloss", ["fake", "real"], ("fake", "real")),
        ("accuracy", ["prediction"], ("fake", "real")),
    ],
)
def test_where_it_is_known_or_does_not_count_it_is_not_asked_for(metric, columns, classes):
    check_positive(None, Form("binary", metric, "auto", sample_of(columns=columns), classes))


@pytest.mark.parametrize(("column", "classes"), [("no", ("No", "Yes")), ("0.0", ("0", "1"))])
def test_a_column_of_the_negative_class_is_refused_however_it_is_spelled(column, classes):
    with pytest.raises(ValueError, match=rf"'{column}'.*data\.positive: '{classes[0]}'$"):
        Form("binary", "auc", "auto", sample_of(columns=(column,)), classes)


def test_a_column_is_the_class_that_it_spells_exactly():
    form = Form("binary", "auc", "auto", sample_of(columns=("rail",)), ("Rail", "rail"))
    check_positive(None, form)  # as_written: Rail is the other class
