"""Targets: numbers, 0 and 1, or classes, and errors that name the first invalid cell."""

import re
from time import process_time

import numpy as np
import pytest

from pipeline.competition.targets import (
    TARGETS,
    as_number,
    check_metric_takes,
    check_transform,
    read_targets,
)
from pipeline.scoring.tasks import TASKS

WHERE = "data/c/train.csv"


def read(task, *columns, positive=None):
    ids = [f"i{k}" for k in range(len(columns[0]))]
    cells = {f"t{k}": list(column) for k, column in enumerate(columns)}
    return read_targets(task, WHERE, ids, cells, positive)


def test_there_is_a_reader_for_every_task():
    assert sorted(TARGETS) == sorted(TASKS)


@pytest.mark.parametrize(
    ("cell", "number"),
    [("1", 1), ("-0.5", -0.5), ("+.5", 0.5), ("5.", 5), ("1e-4", 1e-4), (" 7 ", 7), ("007", 7)],
)
def test_a_number_may_be_spelled_in_many_ways(cell, number):
    assert as_number(cell) == number


@pytest.mark.parametrize(
    "cell", ["", "nan", "inf", "-Infinity", "1e999", "1_000", "1,5", "١", "0x1", "1 2", "e5", "."]
)
def test_what_only_python_takes_for_a_number_is_none(cell):
    assert as_number(cell) is None


def test_a_long_text_of_digits_is_told_from_a_number_at_once():
    start = process_time()
    assert as_number("1" * 20_000 + "!") is None
    assert process_time() - start < 1


def test_regression_gives_a_column_of_floats_for_each_target():
    y, classes = read("regression", ["1", "2.5", "-3"], ["0", "1e6", "7"])
    assert y.dtype == np.float64
    assert y.tolist() == [[1, 0], [2.5, 1e6], [-3, 7]]
    assert y.flags["C_CONTIGUOUS"]
    assert classes == ()


def test_multilabel_gives_a_column_of_0_and_1_for_each_label():
    y, classes = read("multilabel", ["0", "1", "1.0"], ["1", "0.0", "1"])
    assert y.dtype == np.float64
    assert y.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert classes == ()


@pytest.mark.parametrize("task", ["multilabel", "multiclass"])
def test_a_label_or_a_certain_class_may_be_true_or_false_in_any_case(task):
    y, _ = read(task, ["True", "FALSE", "1"], [" false", "true", "0"])
    assert y.tolist() == [[1, 0], [0, 1], [1, 0]]


def test_classes_are_codes_in_the_order_of_the_words():
    y, classes = read("multiclass", ["pear", "Apple", "NA", "pear"])
    assert y.dtype == np.int64
    assert classes == ("Apple", "NA", "pear")
    assert y.tolist() == [2, 0, 1, 2]


def test_columns_of_classes_are_probabilities_in_the_order_of_the_classes():
    cells = {"10": ["0.25", "0", "1"], "9": ["0.75", "1", "0"]}
    shares, classes = read_targets("multiclass", WHERE, ["i0", "i1", "i2"], cells, None)
    assert classes == ("9", "10")
    assert shares.tolist() == [[0.75, 0.25], [1, 0], [0, 1]]


def test_probabilities_may_miss_1_by_rounding_only():
    read("multiclass", ["0.3333333", "1"], ["0.3333333", "0"], ["0.3333333", "0"])
    with pytest.raises(ValueError, match=rf"{WHERE}: 1 .*'i0'.*\b0\.999\b"):
        read("multiclass", ["0.333", "1"], ["0.333", "0"], ["0.333", "0"])


@pytest.mark.parametrize("cell", ["-0.5", "1.5", "yes", "nan"])
def test_a_probability_of_a_class_that_is_none_is_named_with_its_id(cell):
    with pytest.raises(ValueError, match=rf"{WHERE}: 1 .*'t1'.*'{cell}'.*'i0'"):
        read("multiclass", ["0.5", "1"], [cell, "0"])


def test_classes_that_are_numbers_go_in_numeric_order_as_they_are_spelled():
    y, classes = read("multiclass", ["10", "9", "-1", "2.50", "9"])
    assert classes == ("-1", "2.50", "9", "10")
    assert y.tolist() == [3, 2, 0, 1, 2]


def test_one_word_among_numbers_makes_all_of_them_words():
    assert read("multiclass", ["10", "9", "none"])[1] == ("10", "9", "none")
    assert read("multiclass", ["10", "9", "nan"])[1] == ("10", "9", "nan")


@pytest.mark.parametrize(
    "spellings",
    [
        ("1", "1.0"),
        ("1", " 1"),
        ("01", "1e0", "1"),
        ("rail", "Rail", "rail "),
        ("STRASSE", "stra\u00dfe"),
        ("caf\u00e9", "cafe\u0301"),
        ("rail", "rail\u00a0"),
        ("rail", "rail\u200b"),
        ("not a rail", "not  a rail"),
        ("1", "\uff11"),
    ],
)
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_one_class_in_several_spellings_is_an_error_with_counts_and_ids(task, spellings):
    cells = ["other", *spellings, *spellings]
    with pytest.raises(ValueError, match=rf"{WHERE}: 't0'.*data\.classes: as_written") as caught:
        read(task, cells)
    for k, spelled in enumerate(spellings, 1):
        shown = ascii(spelled) if spelled in ("cafe\u0301", "\uff11") else repr(spelled)
        assert f"{shown} (2 rows, first id 'i{k}')" in str(caught.value)
    assert str(caught.value).isprintable()


def test_spellings_of_many_classes_are_one_line():
    cells = [f"{k}{end}" for k in range(50) for end in ("", ".0", ".00", ".000", ".0000")]
    with pytest.raises(ValueError, match=r"'0'.*'0\.0'.*\b49 more\b") as caught:
        read("multiclass", cells)
    assert len(str(caught.value)) < 600


def test_classes_as_written_stay_apart():
    ids, cells = ["a", "b", "c"], {"t": ["1", "1.0", "01"]}
    classes = read_targets("multiclass", WHERE, ids, cells, None, as_written=True)[1]
    assert classes == ("01", "1", "1.0")


@pytest.mark.parametrize(
    "classes",
    [
        ("1", "1.5", "10", "-1"),
        ("rail", "rails", "r ail"),
        ("12345678901234567890", "12345678901234567891"),
        ("1", "one", "true"),
        ("e", "\u00e9"),
    ],
)
def test_classes_that_are_only_near_to_each_other_stay_apart(classes):
    assert set(read("multiclass", classes)[1]) == set(classes)


def test_the_last_class_is_the_positive_one_unless_the_config_says_otherwise():
    cells = ["yes", "no", "no"]
    for positive, codes, classes in [
        (None, [1, 0, 0], ("no", "yes")),
        ("yes", [1, 0, 0], ("no", "yes")),
        ("no", [0, 1, 1], ("yes", "no")),
    ]:
        y, found = read("binary", cells, positive=positive)
        assert y.tolist() == codes
        assert y.dtype == np.int64
        assert found == classes


def test_the_positive_one_of_two_numbers_is_the_greater():
    assert read("binary", ["9", "10", "9"])[1] == ("9", "10")


@pytest.mark.parametrize(
    ("no", "yes"),
    [("no", "yes"), ("No", "YES"), ("no", "Yes"), ("False", "true"), ("0", "1.0"), ("NO", "TRUE")],
)
def test_the_positive_one_of_a_yes_and_a_no_is_the_yes_in_any_case(no, yes):
    y, classes = read("binary", [yes, no, no])
    assert (y.tolist(), classes) == ([1, 0, 0], (no, yes))
    assert read("binary", [yes, no], positive=no)[1] == (yes, no)


@pytest.mark.parametrize("task", sorted(TASKS))
@pytest.mark.parametrize("empty", ["", "  "])
def test_a_missing_target_is_an_error_that_names_its_rows(task, empty):
    with pytest.raises(ValueError, match=rf"{WHERE}: .*\b2\b.*'t0'.*'i1', 'i3'"):
        read(task, ["1", empty, "0", empty])


@pytest.mark.parametrize("cell", ["high", "inf", "1,5", "1,000", "1e999", "1e200", "-1e31"])
def test_a_regression_target_that_is_no_finite_number_is_named_with_its_id(cell):
    said = rf"{WHERE}: .*\b1\b.*'t1'.*'{cell}'.*'i2'.*\bregression\b"
    with pytest.raises(ValueError, match=said):
        read("regression", ["1", "2", "3"], ["1", "2", cell])


def test_a_target_below_0_is_named_where_its_logarithm_is_learned():
    ids, y = ["i0", "i1"], np.array([[1, 0], [2, -0.5]])
    with pytest.raises(ValueError, match=rf"{WHERE}: 1 .*-0\.5\b.*'i1'.*\blog1p\b"):
        check_transform("log1p", WHERE, ids, y)
    check_transform("log1p", WHERE, ids, np.abs(y))


def test_large_numbers_that_can_still_be_squared_and_summed_are_targets():
    assert read("regression", ["1e30", "-1e9", "1e-300"])[0].ravel().tolist() == [
        1e30,
        -1e9,
        1e-300,
    ]


@pytest.mark.parametrize("cell", ["2", "-1", "0.5", "yes", "t", "['sea']", "sea|rail"])
def test_a_label_that_is_neither_0_nor_1_is_named_with_its_id(cell):
    said = rf"{WHERE}: .*\b2\b.*'t0'.*{re.escape(repr(cell))}.*'i0'.*\bmultilabel\b.*data\.target"
    with pytest.raises(ValueError, match=said):
        read("multilabel", [cell, cell, "1"])


def test_a_third_class_of_a_binary_task_is_an_error_that_names_all():
    with pytest.raises(ValueError, match=r"'t0'.*\b3\b.*'a', 'b', 'c'.*task: multiclass"):
        read("binary", ["c", "a", "b"])


def test_two_classes_in_several_spellings_may_be_spelled_in_one():
    with pytest.raises(ValueError, match="'0', '1', 'no', 'yes'.* in one way"):
        read("binary", ["0", "yes", "1", "no"])


@pytest.mark.parametrize(("cells", "n"), [(["0.1", "0.25", "1"], 1), (["0", "1", "maybe"], 0)])
def test_numbers_under_binary_may_be_a_regression(cells, n):
    with pytest.raises(ValueError, match=cells[1]) as error:
        read("binary", cells)
    assert str(error.value).count("regression") == n


def test_a_positive_class_that_does_not_occur_is_an_error_that_names_those_that_do():
    said = r"'t0'.*data\.positive.*'ham'.*: no, spam"
    with pytest.raises(ValueError, match=said):
        read("binary", ["spam", "no"], positive="ham")


def test_targets_that_a_metric_cannot_score_are_named():
    y = np.array([[0.0], [2.5], [4.0]])
    check_metric_takes("rmsle", WHERE, y, ())
    check_metric_takes("mape", WHERE, y + 1, ())
    check_metric_takes("rmse", WHERE, y - 1, ())
    with pytest.raises(ValueError, match="-1"):
        check_metric_takes("rmsle", WHERE, y - 1, ())
    with pytest.raises(ValueError, match=r"\b1 rows"):
        check_metric_takes("mape", WHERE, y, ())
    check_metric_takes("qwk", WHERE, np.array([0, 1]), ("no", "yes"))
    with pytest.raises(ValueError, match="'low'"):
        check_metric_takes("qwk", WHERE, np.array([0, 1, 2]), ("1", "2", "low"))
    with pytest.raises(ValueError, match=r"\bk is 3\b.*\b3 classes"):
        check_metric_takes({"name": "top_k_accuracy", "k": 3}, WHERE, y, ("a", "b", "c"))
    for known in ({"name": "top_k_accuracy", "k": 2}, {"name": "map_at_k", "k": 3}):
        check_metric_takes(known, WHERE, y, ("a", "b", "c"))
