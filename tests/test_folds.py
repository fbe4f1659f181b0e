"""Folds on disk: matched by id, checked against config and training table, or an error."""

import re

import numpy as np
import pytest
from conftest import read_rows, write_rows

from pipeline.competition.folds import (
    origin_of,
    read_folds,
    read_own_folds,
    warnings_about,
    write_folds,
)
from pipeline.competition.rows import Train
from pipeline.settings.config import Folds

IDS = ("007", "7", "a,b", "x", "y", "z")
FOLDS = np.array([0, 1, 2, 2, 0, 1])  # no palindrome: another order of rows is another deal
PATH = "folds/tiny.csv"


@pytest.fixture
def written(workplace):
    write_folds("tiny", IDS, "id", FOLDS, {"scheme": "kfold", "n": 3})
    return workplace / PATH


def train_of(y=None, ids=IDS, texts=None, groups=None, classes=(), columns=("target",)):
    return Train(
        ids=tuple(ids),
        texts=texts or tuple((f"text {name}",) for name in ids),
        y=np.zeros((len(ids), 1)) if y is None else np.array(y),
        classes=classes,
        groups=groups,
        columns=columns,
    )


def test_folds_are_found_by_id_in_whatever_order(written):
    assert read_folds("tiny", IDS, {}).tolist() == FOLDS.tolist()
    assert read_folds("tiny", IDS, {}).dtype == np.int64
    order = [3, 5, 0, 1, 4, 2]
    assert read_folds("tiny", [IDS[k] for k in order], {}).tolist() == FOLDS[order].tolist()


def test_the_ids_keep_their_name_even_if_it_is_fold(workplace):
    write_folds("tiny", IDS, "fold", FOLDS, {})
    assert read_rows(workplace / PATH)[0] == ["fold", "fold"]
    assert read_folds("tiny", IDS, {}).tolist() == FOLDS.tolist()


def test_absent_folds_say_which_stage_makes_them(workplace):
    with pytest.raises(FileNotFoundError, match=rf"{PATH}: (?!.*tiny\.json).*make_folds"):
        read_folds("tiny", IDS, {})


def test_folds_that_make_folds_did_not_write_are_refused(workplace):
    write_rows(workplace / PATH, ["id", "fold"], [["7", "0"]])
    with pytest.raises(FileNotFoundError, match=rf"{PATH}: .*folds\.scheme: file"):
        read_folds("tiny", ["7"], {})


@pytest.mark.parametrize("key", ["id", "fold"])
def test_folds_that_were_changed_by_hand_are_refused(written, key):
    header, rows = read_rows(written)
    rows[0][header.index(key)] = "1"
    write_rows(written, header, rows)
    with pytest.raises(ValueError, match=rf"{PATH}: [^']*make_folds[^']*--overwrite"):
        read_folds("tiny", IDS, {})


@pytest.mark.parametrize(
    ("ids", "said"), [((*IDS, "new"), r"\b1\D+7\D.*'new'"), (IDS[1:], r"\b1\b.*'007'")]
)
def test_folds_of_other_rows_are_refused_with_what_to_do(written, ids, said):
    with pytest.raises(ValueError, match=rf"{PATH}: .*{said}.*make_folds.*--overwrite"):
        read_folds("tiny", ids, {})


# --- what folds are made from


ORIGIN = {"scheme": "stratified", "n": 5, "seed": 42}


@pytest.mark.parametrize(
    ("settings", "train", "said"),
    [
        ({"scheme": "kfold"}, {}, r"folds\.scheme.*\bstratified\b.*\bkfold\b"),
        ({"n": 3}, {}, r"folds\.n\b.*\b5\b.*\b3\b"),
        ({"seed": 1}, {}, r"folds\.seed\b.*\b42\b.*\b1\b"),
        ({}, {"ids": ("1", *IDS[1:])}, r"\bids\b"),
        ({}, {"texts": (("other",),) * 6}, r"\btexts\b"),
        ({}, {"y": [[1.0]] * 6}, r"\btargets\b"),
        ({}, {"groups": ("a",) * 6}, r"\bgroups\b"),
    ],
)
def test_folds_made_from_something_else_are_refused_with_what_changed(
    workplace, settings, train, said
):
    write_folds("tiny", IDS, "id", FOLDS, origin_of(Folds(), train_of()))
    assert read_folds("tiny", IDS, origin_of(Folds(), train_of())).tolist() == FOLDS.tolist()
    with pytest.raises(ValueError, match=rf"{PATH}: .*{said}.*--overwrite"):
        read_folds("tiny", IDS, origin_of(Folds(**settings), train_of(**train)))


def test_folds_from_a_file_depend_on_ids_alone():
    settings = Folds(scheme="file", path="own.csv")
    same = origin_of(settings, train_of(y=[[1.0]] * 6, texts=(("x",),) * 6))
    assert same == origin_of(settings, train_of())
    assert same != origin_of(settings, train_of(ids=("1", *IDS[1:])))
    assert same != origin_of(Folds(scheme="file", path="other.csv"), train_of())


# --- a file of one's own


@pytest.fixture
def own(workplace):
    """Write a folds file of one's own and read it."""

    def read(rows, header=("key", "kfold"), has_more_ids=False, path="own.csv"):
        write_rows(workplace / path, list(header), rows)
        return read_own_folds(path, IDS, has_more_ids)

    return read


def rows_of(folds=FOLDS, ids=IDS):
    return [[name, str(fold)] for name, fold in zip(ids, folds, strict=True)]


def test_a_fold_that_is_no_number_is_named_with_what_a_fold_is(own):
    with pytest.raises(ValueError, match=r"'x'.*with a fold from 0"):
        own([[IDS[0], "x"], *rows_of()[1:]])


def test_own_folds_have_two_columns_of_any_name_and_rows_in_any_order(own):
    assert own(rows_of()[::-1]).tolist() == FOLDS.tolist()
    assert own(rows_of(), header=("fold", "id")).tolist() == FOLDS.tolist()


def test_own_folds_may_hold_more_ids_where_train_rows_leaves_some_out(own):
    rows = [*rows_of(), ["other", "3"]]
    assert own(rows, has_more_ids=True).tolist() == FOLDS.tolist()
    with pytest.raises(ValueError, match=r"own\.csv: .*\b1\b.*'other'"):
        own(rows)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (rows_of()[1:], r".*\b1\D+6\D.*'007'"),
        ([*rows_of(), ["x", "1"]], r"\D*'x'"),
        (rows_of(["0", "1", "1.0", "0", "1", "0"]), r".*'1\.0'.*'a,b'"),
        (rows_of(["0", "1", "-1", "0", "1", "0"]), ".*'-1'.*'a,b'"),
        (rows_of(["0", "1", "", "0", "1", "0"]), ".*''.*'a,b'"),
        (rows_of(["0", "1", "9" * 5000, "0", "1", "0"]), ".*999'.*'a,b'"),
        (rows_of([1, 2, 3, 1, 2, 3]), ".*'1', '2', '3'.*0, 1"),
        (rows_of([0, 2, 0, 2, 0, 2]), ".*'0', '2'.*0, 1"),
        (rows_of([0] * 6), "[^']*'0'[^']*0, 1"),
    ],
)
def test_own_folds_that_do_not_fit_are_named(own, rows, said):
    with pytest.raises(ValueError, match=rf"own\.csv: {said}.*folds\.path"):
        own(rows)


@pytest.mark.parametrize("header", [["id"], ["id", "text", "fold"]])
def test_own_folds_with_more_or_fewer_columns_are_refused(own, header):
    said = rf"own\.csv: .*\b{len(header)}\b.*'id'.*folds\.path"
    with pytest.raises(ValueError, match=said):
        own([["1"] * len(header)], header)


# --- doubts


def test_classes_with_fewer_rows_than_folds_are_counted():
    train = train_of([0, 0, 0, 1, 1, 2], classes=("a", "b", "c", "d"))
    (line,) = warnings_about(FOLDS, train, "multiclass", "stratified")
    assert re.match(r"3\D+4\D.*\b3\b.*'b \(2\)', 'c \(1\)', 'd", line)
    assert warnings_about(FOLDS, train_of([0, 1] * 3, classes=("a", "b")), "binary", "kfold") == []


@pytest.mark.parametrize(
    ("y", "unseen"),
    [
        ([0, 1, 0, 1, 1, 1], None),
        ([1, 1, 0, 0, 1, 1], "'a'"),
        ([1, 1, 1, 0, 1, 0], "'a'"),  # the model of the last fold has seen it
        ([0, 0, 1, 1, 1, 1], "'b'"),
        ([0, 0, 0, 0, 0, 1], None),  # a single row, which is told as rare
    ],
)
def test_in_folds_by_time_a_class_is_unseen_in_its_first_fold_unless_it_is_in_the_first_block(
    y, unseen
):
    folds, train = np.array([-1, -1, 0, 0, 1, 1]), train_of(y, classes=("a", "b"))
    lines = warnings_about(folds, train, "binary", "time")
    said = [line for line in lines if "never seen" in line]
    assert len(said) == (unseen is not None)
    assert unseen is None or re.match(rf"1 of 2 classes\b.*: {unseen};", said[0])


def test_labels_with_fewer_positives_than_folds_are_counted():
    train = train_of([[1.0, 0]] * 3 + [[0, 1]] * 2 + [[0, 0]], columns=("p", "q"))
    (line,) = warnings_about(FOLDS, train, "multilabel", "stratified")
    assert re.match(r"1\D+2\D.*\b3\b.*'q \(2\)'", line)


def test_texts_and_groups_that_a_file_of_ones_own_tears_apart_are_counted():
    texts = (("a",), (" A",), ("b",), ("b",), ("c",), ("d",))
    (line,) = warnings_about(FOLDS, train_of(texts=texts), "regression", "file")
    assert re.match(r"1\b.*\btext", line)
    groups = ("g", "h", "i", "i", "i", "j")
    (line,) = warnings_about(FOLDS, train_of(texts=texts, groups=groups), "regression", "file")
    assert re.match(r"2\b.*\bgroup", line)
    assert warnings_about(FOLDS, train_of(), "regression", "file") == []


def test_a_fold_much_larger_than_the_others_is_told():
    folds = np.array([0, 1, 1, 1, 1, 2])
    (line,) = warnings_about(folds, train_of(), "regression", "kfold")
    assert re.fullmatch(r"fold 1\b\D+4\D+6\D+\btext\b.*\bgroup", line)
    for scheme, said in (("file", "rows$"), ("time", r"rows\b.*\btime$")):
        (line,) = warnings_about(folds, train_of(), "regression", scheme)
        assert re.search(said, line)
    assert warnings_about(np.array([0, 1, 1, 1, 2, 2]), train_of(), "regression", "kfold") == []
    ids, folds = list(map(str, range(15))), np.repeat([0, 1, 2], [8, 4, 3])  # 1.6 times the mean
    assert len(warnings_about(folds, train_of(ids=ids), "regression", "kfold")) == 1
