"""The training and test tables: literal cells, checked rows, warnings."""

import re
import tracemalloc

import numpy as np
import pytest
from conftest import MAKERS, read_rows, write_competition, write_rows

from pipeline.competition.doubts import warnings_about
from pipeline.competition.rows import joined, joined_unordered, read_test, read_train
from pipeline.competition.spelling import text_key
from pipeline.files.reading import misread
from pipeline.settings.command import load_config
from pipeline.settings.data import Data

TASKS = sorted(MAKERS)


@pytest.fixture
def tables(workplace):
    """Write train and test; `read(part, ...)` then reads one of them."""

    def write(train, test=None, task="regression", **settings):
        (workplace / "train.csv").write_text(train, encoding="utf-8", newline="")
        (workplace / "test.csv").write_text(test or "id,text\nb1,x\n", encoding="utf-8", newline="")
        settings = {"sample_submission": "", **settings}
        data = Data(train="train.csv", test="test.csv", **settings)
        return read_train(data, task), read_test(data), data

    return write


def doubts(tables, train, test=None, task="regression", **settings):
    first, second, data = tables(train, test, task, **settings)
    return warnings_about(data, task, first, second)


@pytest.mark.parametrize("task", TASKS)
def test_a_competition_of_every_task_is_read_without_a_doubt(workplace, task):
    config = load_config(write_competition(workplace, task))
    train, test = read_train(config.data, task), read_test(config.data)
    assert (len(train.ids), len(test.ids)) == (60, 20)
    assert train.ids[:2] == ("a058", "a025")
    assert len(train.texts) == len(train.y) == 60
    assert (
        train.columns
        == {
            "regression": ("target",),
            "binary": ("target",),
            "multiclass": ("id", "money", "sport"),
            "multilabel": ("funny", "sad", "long"),
        }[task]
    )
    assert train.classes == {
        "binary": ("no", "yes"),
        "multiclass": ("id", "money", "sport"),
    }.get(task, ())
    assert train.groups is None
    assert warnings_about(config.data, task, train, test) == []


def test_ids_and_texts_stay_as_they_are_spelled(tables):
    train, test, _ = tables(
        '\ufeffid,text,target\r\n007,NA,1\r\n7,null,2\r\n1e3, "a,3\r\n',
        'text,id\n"two\nlines",1.0\nü,None\n',
    )
    assert train.ids == ("007", "7", "1e3")
    assert train.texts == (("NA",), ("null",), (' "a',))
    assert test.ids == ("1.0", "None")
    assert test.texts == (("two\nlines",), ("ü",))


def test_a_pair_of_texts_is_read_in_the_configs_order(tables):
    train, _, _ = tables("id,b,a,target\n1,x,y,0\n", "id,a,b\n2,v,w\n", text=["a", "b"])
    assert train.texts == (("y", "x"),)
    assert joined(train.texts) == ["y | x"]


def test_without_an_id_column_the_row_numbers_are_ids(tables):
    train, test, data = tables("text,target\nx,1\ny,2\n", "text\nz\n", id=None)
    assert train.ids == ("0", "1")
    assert test.ids == ("0",)
    assert data.id_name == "row"


def test_columns_may_be_called_anything(tables):
    train, test, _ = tables(
        "target,fold,text,id\nk1,hello,3,a\nk2,world,4,b\n",
        "target,fold\nk3,again\n",
        "binary",
        id="target",
        text="fold",
        target="id",
        group="text",
    )
    assert train.ids == ("k1", "k2")
    assert train.texts == (("hello",), ("world",))
    assert train.groups == ("3", "4")
    assert train.columns == ("id",)
    assert test.texts == (("again",),)


def test_unused_columns_may_be_anything(tables):
    train, _, _ = tables("id,text,target,,,x,x\n1,a,2,,,p,q\n")
    assert train.texts == (("a",),)


def test_a_group_may_be_a_column_that_has_another_use(tables):
    train, _, _ = tables("id,text,target\n1,a,2\n2,b,2\n", group="target")
    assert train.groups == ("2", "2")


# --- what is refused


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("ID,text,target", r"'id'.*data\.id.*'ID'.*'ID', 'text', 'target'"),
        ("id,texts,target", r"'text'.*data\.text.*'texts'.*'id', 'texts', 'target'"),
        ("id,xyz,target", r"'text'.*data\.text.*'id', 'xyz', 'target'"),
        ("id,text,id", r"\b2\b.*'id'"),
    ],
)
def test_a_missing_column_is_named_in_either_table(tables, part, header, said):
    files = {"train": "id,text,target\n1,a,2\n", "test": "id,text,target\n3,c,4\n"}
    files[part] = files[part].replace("id,text,target", header)
    with pytest.raises(ValueError, match=rf"{part}\.csv: .*{said}"):
        tables(**files)


@pytest.mark.parametrize(
    ("setting", "value"), [("target", ["target", "score"]), ("group", "document")]
)
def test_a_missing_target_or_group_column_is_named_with_its_setting(tables, setting, value):
    name = value if isinstance(value, str) else value[-1]
    with pytest.raises(ValueError, match=rf"train\.csv: .*'{name}'.*data\.{setting}"):
        tables("id,text,target\n1,a,2\n", **{setting: value})


@pytest.mark.parametrize("part", ["train", "test"])
@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["1", "2", "1", "2", "1"], r"\b2\b.*'1', '2'"),
        (["1", "", "2", " ", "3"], r"\b2\b.*'id'.*\b2\b"),
    ],
)
def test_ids_that_are_no_ids_are_named_in_either_table(tables, workplace, part, ids, said):
    tables("id,text,target\n1,a,2\n")
    write_rows(workplace / f"{part}.csv", ["id", "text", "target"], [[i, "a", "1"] for i in ids])
    files = {p: (workplace / f"{p}.csv").read_text() for p in ("train", "test")}
    with pytest.raises(ValueError, match=rf"{part}\.csv: .*{said}"):
        tables(**files)


def test_ids_that_differ_in_their_spelling_only_are_different(tables):
    assert tables("id,text,target\n1,a,2\n01,a,2\n1.0,a,2\n")[0].ids == ("1", "01", "1.0")


def test_an_absent_table_is_named_with_its_setting(workplace):
    data = Data(train="nowhere.csv", test="elsewhere.csv", sample_submission="")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv: .*data\.train"):
        read_train(data, "regression")
    with pytest.raises(FileNotFoundError, match=r"elsewhere\.csv: .*data\.test"):
        read_test(data)


def test_weights_follow_their_rows(tables):
    content = "id,text,target,w\na1,x,1,0.5\na2,y,2,0\na3,z,3,7\n"
    train, _, data = tables(content, weight="w")
    assert train.weights.tolist() == [0.5, 0, 7]
    few = read_train(data.model_copy(update={"train_rows": 2}), "regression")
    weight_of = dict(zip(train.ids, train.weights, strict=True))
    assert few.weights.tolist() == [weight_of[row_id] for row_id in few.ids]
    with pytest.raises(ValueError, match=r"train\.csv: .*'v'.*data\.weight"):
        tables(content, weight="v")


def test_columns_of_classes_are_their_probabilities_and_the_most_probable_one(tables):
    content = "id,text,b,a\na1,x,.75,.25\na2,y,0,1\n"
    train, _, _ = tables(content, task="multiclass", target=("b", "a"))
    assert (train.classes, train.columns) == (("a", "b"), ("a", "b"))
    assert train.y.tolist() == [1, 0]
    assert train.shares.tolist() == [[0.25, 0.75], [1, 0]]


def test_columns_of_0_and_1_are_a_column_of_classes(tables):
    one = tables("id,text,target\na1,x,b\na2,y,a\n", task="multiclass")[0]
    content = "id,text,b,a\na1,x,1,0\na2,y,0,1\n"
    other = tables(content, task="multiclass", target=("b", "a"))[0]
    assert other.shares is None
    assert (other.y.tolist(), other.y.dtype) == (one.y.tolist(), one.y.dtype)
    assert (other.classes, other.columns) == (one.classes, one.columns)


@pytest.mark.parametrize(
    ("task", "positive"), [("binary", None), ("binary", "spam"), ("multiclass", None)]
)
def test_a_single_class_is_an_error_that_names_it(tables, task, positive):
    with pytest.raises(ValueError, match=r"train\.csv: .*\b2\b.*'spam'"):
        tables("id,text,target\na1,x,spam\na2,y,spam\n", task=task, positive=positive)


def test_columns_of_classes_with_one_most_probable_class_are_refused(tables):
    with pytest.raises(ValueError, match=r"train\.csv: .*\b2\b.*'b'"):
        tables("id,text,b,a\na1,x,.7,.3\na2,y,1,0\n", task="multiclass", target=("b", "a"))


def test_a_target_below_0_is_refused_where_its_logarithm_is_learned(tables):
    with pytest.raises(ValueError, match=r"train\.csv: 1 .*-1\b.*'a2'"):
        tables("id,text,target\na1,x,0\na2,y,-1\n", transform="log1p")


def test_a_target_that_does_not_fit_is_named_with_its_id(tables):
    with pytest.raises(ValueError, match=r"train\.csv: .*'target'.*'high'.*'x7'"):
        tables("id,text,target\n1,a,2\nx7,b,high\n")


# --- train_rows


def test_train_rows_keeps_that_many_rows_in_the_order_of_the_file(workplace):
    path = write_competition(workplace, "regression")
    whole = load_config(path).data
    all_rows = read_train(whole, "regression")
    some = read_train(whole.model_copy(update={"train_rows": 20}), "regression")
    kept = [all_rows.ids.index(name) for name in some.ids]
    assert len(kept) == 20
    assert kept == sorted(kept)
    assert some.texts == tuple(all_rows.texts[row] for row in kept)
    assert np.array_equal(some.y, all_rows.y[kept])
    assert max(kept) > 40


def test_more_train_rows_keep_what_fewer_kept_wherever_the_rows_stand(workplace):
    data = load_config(write_competition(workplace, "regression")).data
    few = read_train(data.model_copy(update={"train_rows": 10}), "regression")
    many = read_train(data.model_copy(update={"train_rows": 30}), "regression")
    assert set(few.ids) < set(many.ids)
    header, rows = read_rows(workplace / data.train)
    write_rows(workplace / data.train, header, rows[::-1])
    again = read_train(data.model_copy(update={"train_rows": 10}), "regression")
    assert again.ids == few.ids[::-1]


def test_as_many_train_rows_as_there_are_keep_all(workplace):
    data = load_config(write_competition(workplace, "regression")).data
    for limit in (60, 1000):
        kept = read_train(data.model_copy(update={"train_rows": limit}), "regression")
        assert len(kept.ids) == 60


def test_classes_are_those_of_the_whole_table_whatever_train_rows_keeps(tables):
    rows = "".join(f"{k},a,{'rare' if k == 0 else 'xy'[k % 2]}\n" for k in range(200))
    train, _, _ = tables("id,text,target\n" + rows, task="multiclass", train_rows=30)
    assert train.classes == train.columns == ("rare", "x", "y")
    assert set(train.y) == {1, 2}


def test_train_rows_that_leave_one_class_are_refused(tables):
    rows = "".join(f"{k},a,{'rare' if k == 0 else 'often'}\n" for k in range(200))
    with pytest.raises(ValueError, match=r"train\.csv: .*\b2\b.*data\.train_rows.*'often'"):
        tables("id,text,target\n" + rows, task="binary", train_rows=2)


# --- doubts


def test_empty_texts_are_counted_in_both_tables(tables):
    lines = doubts(tables, "id,text,target\n1,a,2\n2,,2\n3,  ,2\n4,NA,2\n", "id,text\n9,\n")
    assert re.match(r"train\.csv: .*\b2\b.*\btext\b.*'2'", lines[0])
    assert re.match(r"test\.csv: .*\b1\b.*\btext\b.*'9'", lines[1])


def test_a_pair_with_one_empty_text_counts_as_empty(tables):
    (line,) = doubts(tables, "id,a,b,target\n1,x,,2\n2,x,y,2\n", "id,a,b\n9,p,q\n", text=["a", "b"])
    assert re.match(r"train\.csv: .*\b1\b.*\btext\b.*'1'", line)


@pytest.mark.parametrize(("cell", "n_lines"), [("NA", 1), ("nan", 1), ("none", 0)])
def test_a_class_that_reads_as_a_missing_target_is_told(tables, cell, n_lines):
    rows = f"id,text,target\n1,a,x\n2,b,{cell}\n3,c,{cell}\n4,d,x\n"
    lines = doubts(tables, rows, task="multiclass")
    assert len(lines) == n_lines
    assert all(re.match(r"train\.csv: 2\b.*\btarget\b.*'2'", line) for line in lines)


def test_equal_texts_with_different_targets_are_counted(tables):
    (line,) = doubts(tables, "id,text,target\n1,a,2\n2,B  c,3\n3,a,2\n4,b C,4\n5,b c,3\n")
    assert re.match(r"train\.csv: .*\b3\b.*\btarget\b.*'2'", line)


def test_equal_texts_with_equal_targets_are_no_doubt(tables):
    assert doubts(tables, "id,text,target\n1,a,2\n2,A,2\n") == []


def test_contradictions_are_found_in_every_column_of_a_multilabel_task(tables):
    (line,) = doubts(
        tables, "id,text,p,q\n1,a,1,0\n2,a,1,1\n3,b,0,1\n", task="multilabel", target=["p", "q"]
    )
    assert re.match(r"train\.csv: .*\b2\b.*\btarget\b.*'1'", line)


def test_test_texts_that_are_in_train_are_counted(tables):
    (line,) = doubts(tables, "id,text,target\n1,Hello  World,2\n", "id,text\n8,x\n9,hello world\n")
    assert re.match(r"test\.csv: .*\b1\b.*\btext\b.*\btrain\b.*'9'", line)


@pytest.mark.parametrize(("beginning", "n_lines"), [("Rate this product: ", 1), ("Rate: ", 0)])
def test_a_beginning_that_all_texts_share_is_told_with_its_length(tables, beginning, n_lines):
    train = f"id,text,target\na1,{beginning}bad one,1\na2,{beginning}better,2\n"
    lines = doubts(tables, train)
    assert len(lines) == n_lines
    assert all(re.match(r"train\.csv: .*'text'.*\b20\b.*'Rate this product: b'", x) for x in lines)


@pytest.mark.parametrize(("word", "n_lines"), [("café", 1), ("cafe", 0)])
def test_an_encoding_set_for_a_table_in_utf_8_is_told_by_a_word(tables, word, n_lines):
    train = f"id,text,target\na1,a {word} here,1\na2,better,2\n"
    lines = doubts(tables, train, encoding="cp1252")
    assert len(lines) == n_lines
    assert all(re.match(r"train\.csv: .*'cafÃ©'.*'café'.*\bcp1252\b", line) for line in lines)


def test_a_table_in_the_encoding_that_is_set_is_no_doubt():
    assert misread("a café here".encode("cp1252"), "cp1252") is None
    assert misread("a café here".encode(), "utf-8") is None
    assert misread("a café here".encode("utf-8-sig"), "cp1252") is None
    assert misread("naïve".encode(), "utf-16") is None  # without a NUL it is read as UTF-8


def test_a_class_of_a_single_row_is_named_with_its_id(tables):
    rows = "id,text,target\n1,a,x\n2,b,x\n3,c,rare\n4,d,y\n5,e,y\n"
    (line,) = doubts(tables, rows, task="multiclass")
    assert re.match(r"train\.csv: .*'rare'.*'3'", line)
    many = "id,text,target\n" + "".join(f"{k},t {k},c{k}\n" for k in range(30))
    assert doubts(tables, many, task="multiclass", train_rows=20) == []
    (line,) = doubts(tables, many, task="multiclass")
    assert re.match(r"train\.csv: 30\b.*'c0'.*'0'.*\b30 in all\b", line)


def test_classes_in_several_spellings_are_refused_unless_they_are_meant(tables):
    rows = "id,text,target\n1,a,Rail\n2,b,rail\n3,c,sea\n"
    with pytest.raises(ValueError, match=r"train\.csv: .*data\.classes: as_written"):
        tables(rows, task="multiclass")
    train, _, _ = tables(rows, task="multiclass", classes="as_written")
    assert train.classes == ("Rail", "rail", "sea")


# --- pairs


def test_a_pair_is_one_text_whichever_of_its_two_comes_first(tables):
    train, _, _ = tables(
        "id,a,b,target\n1,x,Y z,0\n2,y  Z,X,0\n3,x,w,0\n4,,x,0\n5,X,,0\n6,,,0\n",
        "id,a,b\n9,p,q\n",
        text=["a", "b"],
    )
    keys = [text_key(text) for text in joined_unordered(train.texts)]
    assert keys[0] == keys[1] != keys[2]
    assert keys[3] == keys[4] != keys[5] == ""
    assert train.texts[1] == ("y  Z", "X")  # the model still reads them as they stand


def test_a_swapped_pair_is_a_contradicting_copy_and_is_known_from_train(tables):
    first, second = doubts(
        tables,
        "id,a,b,target\n1,x,y,0\n2,y,X,1\n3,x,w,0\n",
        "id,a,b\n8,w,x\n9,w,y\n",
        text=["a", "b"],
    )
    assert re.match(r"train\.csv: .*\b2\b.*\btarget\b.*'1'", first)
    assert re.match(r"test\.csv: .*\b1\b.*\btrain\b.*'8'", second)


def questions(n_answers, test_from_train):
    """(train, test) of 20 questions; test asks the same ones, or its own."""
    train = "".join(
        f"{q}.{k},what is {q},answer {q} {k},{k % 2}\n" for q in range(20) for k in range(n_answers)
    )
    first = 0 if test_from_train else 50
    test = "".join(f"t{q},What is  {q},other answer {q}\n" for q in range(first, first + 20))
    return "id,question,answer,target\n" + train, "id,question,answer\n" + test


@pytest.mark.parametrize("text", [["question", "answer"], ["answer", "question"], ["answer"]])
def test_a_question_that_recurs_in_train_and_not_in_test_asks_for_a_group(tables, text):
    (line,) = doubts(tables, *questions(6, False), text=text)
    said = r"train\.csv: 120 of 120\b.*'question'.*\b0 of 20\b.*data\.group: question$"
    assert re.match(said, line)


@pytest.mark.parametrize(
    ("n_answers", "test_from_train", "settings"),
    [
        (6, True, {}),
        (1, False, {}),
        (6, False, {"group": "question"}),
    ],
)
def test_what_recurs_in_test_likewise_or_never_or_is_the_group_is_no_doubt(
    tables, n_answers, test_from_train, settings
):
    files = questions(n_answers, test_from_train)
    assert doubts(tables, *files, text=["question", "answer"], **settings) == []


@pytest.mark.parametrize(("first", "n_users", "n_lines"), [(50, 20, 1), (0, 20, 0), (50, 5, 0)])
def test_a_feature_that_recurs_in_train_and_not_in_test_asks_for_a_group(
    tables, first, n_users, n_lines
):
    train = "".join(f"{k},text {k},u{k % n_users},{k % 2}\n" for k in range(60))
    test = "".join(f"t{k},words {k},u{first + k % n_users}\n" for k in range(40))
    files = "id,text,user,target\n" + train, "id,text,user\n" + test
    lines = doubts(tables, *files, features=["user"])
    assert len(lines) == n_lines
    assert all(re.match(r".*'user'.*\b0 of 40\b.*data\.group: user$", line) for line in lines)


@pytest.mark.parametrize("missing", ["", "NA", "n/a"])
def test_a_feature_that_only_training_rows_may_lack_is_no_doubt(tables, missing):
    train = "".join(f"{k},text {k},{missing if k % 3 else k},{k % 2}\n" for k in range(60))
    test = "".join(f"t{k},words {k},{k + 100}\n" for k in range(40))
    files = "id,text,n,target\n" + train, "id,text,n\n" + test
    assert doubts(tables, *files, features=["n"]) == []


def test_a_lone_text_that_recurs_is_no_doubt(tables):
    train = "id,text,target\n" + "".join(f"{k},what is {k % 10},1\n" for k in range(60))
    assert doubts(tables, train, "id,text\nx,who is it\ny,where\n") == []


@pytest.mark.parametrize(("test_from_train", "n_lines"), [(False, 1), (True, 0)])
def test_texts_that_differ_in_punctuation_only_ask_for_a_group(tables, test_from_train, n_lines):
    train = "id,text,target\n" + "".join(
        f"r{k}{mark},Wait for no {k}{mark},1\n" for k in range(20) for mark in (".", "!!", "")
    )
    first = 0 if test_from_train else 50
    test = "id,text\n" + "".join(f"{k},wait for no {k}?!\n" for k in range(first, first + 20))
    lines = doubts(tables, train, test)
    assert len(lines) == n_lines
    assert all(re.match(r"train\.csv: 60 of 60\b.*'text'.*\b0 of 20\b", line) for line in lines)


def test_texts_of_different_marks_alone_are_no_copies(tables):
    train = "id,text,target\n" + "".join(f"{k},{'?' * k}{'!' * k},1\n" for k in range(1, 60))
    assert doubts(tables, train, "id,text\nx,who is it\ny,where\n") == []


def test_few_recurring_questions_are_no_doubt(tables):
    train, test = questions(1, False)
    train += "a,what is 0,another,1\n"
    train += "".join(f"b{k},why is {k},because {k},1\n" for k in range(40))
    assert doubts(tables, train, test, text=["question", "answer"]) == []


def test_a_text_that_recurs_on_the_other_side_asks_for_a_group_of_ones_own(tables):
    train = "".join(f"{k},text no {k},text no {k + 1},{k % 2}\n" for k in range(40))
    test = "".join(f"{k},text no {k},text no {k + 100},\n" for k in range(100, 120))
    train, test = "id,a,b,target\n" + train, "id,a,b,x\n" + test
    (line,) = doubts(tables, train, test, text=["a", "b"])
    assert re.match(r"train\.csv: 40 of 40\b.*'a' or 'b'.*\b0 of 20\b.*data\.group", line)


# --- ids


def test_each_table_may_have_its_own_name_for_the_ids(tables):
    names = {"train": "qid", "test": "test_id", "sample": "Id"}
    train, test, data = tables("qid,text,target\n1,a,2\n", "test_id,text\n9,x\n", id=names)
    assert (train.ids, test.ids, data.id_name) == (("1",), ("9",), "qid")


def test_ids_of_other_names_in_test_and_sample_are_found_by_their_values(tables, workplace):
    write_rows(workplace / "sample.csv", ["key", "target"], [["9", "0"], ["8", "0"]])
    said = r"test\.csv: .*data\.id: {train: id, test: test_id, sample: key}"
    with pytest.raises(ValueError, match=said):
        tables(
            "id,text,target\n1,a,2\n", "test_id,text\n8,x\n9,y\n", sample_submission="sample.csv"
        )


def test_a_training_table_without_ids_is_told_how_to_do_without(tables):
    with pytest.raises(ValueError, match=r"train\.csv: .*'id'.*\bnull\b"):
        tables("text,target\na,2\n")


@pytest.mark.parametrize("configured", ["id", "ID", "Id"])
def test_ids_that_differ_in_case_give_one_message_that_says_what_to_set(
    tables, workplace, configured
):
    write_rows(workplace / "sample.csv", ["Id", "target"], [["9", "0"]])
    files = "ID,text,target\n1,a,2\n", "id,text\n9,x\n"
    names = {"train": "ID", "test": "id", "sample": "Id"}
    said = rf"'{configured}'.*data\.id: {{train: ID, test: id, sample: Id}}"
    (workplace / "train.csv").write_text(files[0])
    (workplace / "test.csv").write_text(files[1])
    data = Data(train="train.csv", test="test.csv", sample_submission="sample.csv", id=configured)
    with pytest.raises(ValueError, match=said):
        read_train(data, "regression") if configured != "ID" else read_test(data)
    assert tables(*files, id=names)[1].ids == ("9",)


@pytest.mark.parametrize(
    ("name", "there"),
    [("Text", "text"), ("text", "text "), ("t\u00e9xt", "te\u0301xt"), ("te\u0301xt", "T\u00e9xt")],
)
def test_names_that_are_spellings_of_one_are_shown_apart_with_the_setting(tables, name, there):
    files = f"id,{name},target\n1,a,2\n", f"id,{there}\n9,x\n"
    with pytest.raises(ValueError, match=r"test\.csv: .*data\.text\b.*\brename\b") as caught:
        tables(*files, text=name)
    shown = [ascii(one) if not name.isascii() else repr(one) for one in (name, there)]
    assert all(one in str(caught.value) for one in shown)


def test_a_lookalike_of_another_alphabet_is_shown_by_its_code_points(tables):
    with pytest.raises(ValueError, match=r"'target'.*'t\\u0430rget'\? .*data\.target;"):
        tables("id,text,t\u0430rget\n1,a,2\n")


def test_a_line_that_is_one_cell_asks_for_the_separator(tables):
    with pytest.raises(ValueError, match=r"data\.separator.*'id:text:target'"):
        tables("id:text:target\n1:a:2\n")


def test_the_settings_of_a_file_hold_for_both_tables(tables):
    train, test, _ = tables(
        'id;text;target\n1;"a;2\n', 'id;text\n9;b"\n', separator=";", quoting="none"
    )
    assert (train.texts, test.texts) == ((('"a',),), (('b"',),))


def test_test_ids_that_are_in_train_are_counted(tables):
    (line,) = doubts(tables, "id,text,target\n1,a,2\n2,b,2\n", "id,text\n3,x\n2,y\n1,z\n")
    assert re.match(r"test\.csv: .*\b2\b.*\btrain\b.*'2'", line)


def test_ids_of_other_names_in_both_tables_are_no_doubt(tables):
    names = {"train": "id", "test": "test_id"}
    assert doubts(tables, "id,text,target\n1,a,2\n2,b,1\n", "test_id,text\n1,c\n", id=names) == []


def test_row_numbers_in_both_tables_are_no_doubt(tables):
    assert doubts(tables, "text,target\na,2\nb,2\n", "text\nc\nd\n", id=None) == []


def test_a_label_without_positives_is_named(tables):
    (line,) = doubts(
        tables, "id,text,p,q,r\n1,a,1,0,0\n2,b,0,0,1\n", task="multilabel", target=["p", "q", "r"]
    )
    assert re.match(r"train\.csv: .*'q'", line)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_a_target_of_one_value_is_named(tables, task):
    rows = "id,text,p,q\n1,a,1,1\n2,b,0,1\n3,c,0,\n"
    (line,) = doubts(tables, rows, task=task, target=["p", "q"])
    assert re.match(r"train\.csv: .*'q' is 1\b.*\bauc\b", line)


@pytest.mark.parametrize(("cell", "n_lines"), [("nan", 1), ("", 1), ("x", 0)])
@pytest.mark.parametrize(
    "settings", [{"features": ["body"]}, {"text": ["text", "body"], "template": "{text} {body}"}]
)
def test_a_column_that_only_training_rows_have_is_told(tables, cell, n_lines, settings):
    train = "id,text,body,target\n" + "".join(f"{k},a {k},x{k},{k % 2}\n" for k in range(8))
    test = "id,text,body\n" + "".join(f"b{k},c {k},{cell}\n" for k in range(5))
    lines = doubts(tables, train, test, **settings)
    assert len(lines) == n_lines
    assert all(re.match(r"test\.csv: 5 of 5\b.*'body'.*\b0 of 8\b", line) for line in lines)


def test_groups_in_several_spellings_are_told(tables):
    rows = "1,a,2,x1\n2,b,2,X1\n3,c,2,y\n4,d,2,y\n5,e,2,y \n"
    (line,) = doubts(tables, f"id,text,target,g\n{rows}", group="g")
    assert re.match(r"train\.csv: 2 groups of 'g'.*'x1' and 'X1'", line)


def test_an_id_that_spells_a_missing_cell_is_no_group(tables):
    assert doubts(tables, "id,text,target\nNA,a,2\nnone,b,1\n") == []


def test_one_long_text_does_not_make_memory_for_all_rows_as_long(tables):
    train, test = questions(50, False)
    train += f"x,{'a ' * 50_000},{'b ' * 50_000},1\n"
    rows, test_rows, data = tables(train, test, text=["question", "answer"])
    tracemalloc.start()
    try:
        (line,) = warnings_about(data, "regression", rows, test_rows)
        assert line.endswith("data.group: question")
        assert tracemalloc.get_traced_memory()[1] < 50_000_000  # 400 MB, if all cells were as wide
    finally:
        tracemalloc.stop()


def test_each_spelling_of_a_missing_group_is_told_to_be_a_group(tables):
    rows = "id,text,target,g\n1,a,2,NA\n2,b,2,\n3,c,2,x\n"
    (line,) = doubts(tables, rows, group="g")
    assert re.match(r"train\.csv: .*\b2\b.*'' or 'NA'.*'1'", line)


@pytest.mark.parametrize("empty", ["", " ", "nan", "NULL"])
def test_empty_groups_are_counted(tables, empty):
    rows = f"id,text,target,g\n1,a,2,x\n2,b,2,{empty}\n3,c,2,{empty}\n"
    (line,) = doubts(tables, rows, group="g")
    assert re.match(r"train\.csv: .*\b2\b.*'g'.*'2'", line)
