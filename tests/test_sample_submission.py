"""The sample submission: its columns, order and ids, and errors if they do not fit."""

import re

import pytest
from conftest import write_rows

from pipeline.competition.sample import read_sample
from pipeline.settings.data import Data

IDS = ("b1", "b2", "b3")
CLASSES = ("money", "sport")
PATH = "sample.csv"


@pytest.fixture
def sample_of(workplace):
    """Write a sample submission and read it."""

    def read(header, rows, task="regression", columns=("target",), classes=(), name="id", ids=IDS):
        write_rows(workplace / PATH, header, rows)
        write_rows(workplace / "test.csv", ["t"], [["text"] for _ in ids])
        data = Data(train="", test="test.csv", sample_submission=PATH, id=name, text="t")
        return read_sample(data, ids, task, columns, classes)

    return read


def rows(*ids, cells=("0",)):
    return [[name, *cells] for name in ids]


def test_ids_and_names_come_in_the_samples_order(sample_of):
    sample = sample_of(["id", "target"], rows("b3", "b1", "b2"))
    assert sample.header == ("id", "target")
    assert sample.columns == ("target",)
    assert sample.ids == sample.id_cells == ("b3", "b1", "b2")
    assert sample.id_at == 0


def test_what_stands_in_its_cells_is_read(sample_of):
    cells = [["b1", "1", " x "], ["b2", "", "1"], ["b3", "1", "0.5"]]
    assert sample_of(["id", "a", "b"], cells, columns=("a", "b")).cells == {"1", "x", "0.5"}


def test_the_id_may_stand_in_any_column(sample_of):
    sample = sample_of(["b", "id", "a"], [["0", name, "0"] for name in IDS], columns=("a", "b"))
    assert sample.id_at == 1
    assert sample.ids == IDS
    assert sample.columns == ("b", "a")


def test_a_class_may_bear_the_name_of_the_id(sample_of):
    header = ["id", "sport", "id"]
    sample = sample_of(
        header, rows(*IDS, cells=("0", "0")), "multiclass", ("id", "sport"), ("id", "sport")
    )
    assert sample.ids == IDS
    assert sample.columns == ("sport", "id")


def test_a_single_column_may_bear_any_name(sample_of):
    assert sample_of(["id", "score"], rows(*IDS)).columns == ("score",)
    for task, columns in [("binary", ("target",)), ("multiclass", CLASSES)]:
        assert sample_of(["id", "answer"], rows(*IDS), task, columns, CLASSES).columns == (
            "answer",
        )


@pytest.mark.parametrize(("task", "columns"), [("binary", ("target",)), ("multiclass", CLASSES)])
def test_several_columns_may_be_the_classes_in_any_order(sample_of, task, columns):
    cells = rows(*IDS, cells=("0", "0"))
    sample = sample_of(["id", "sport", "money"], cells, task, columns, CLASSES)
    assert sample.columns == ("sport", "money")


# --- the test table has no ids


def test_a_column_like_usage_is_to_be_removed_and_another_spelling_to_be_renamed(sample_of):
    with pytest.raises(ValueError, match="'Usage'.*remove columns that are not predicted"):
        sample_of(["id", "target", "Usage"], rows(*IDS, cells=("0", "Public")))
    with pytest.raises(ValueError, match="'B'.*rename the column"):
        sample_of(["id", "a", "B"], rows(*IDS, cells=("0", "0")), columns=("a", "b"))


def test_without_ids_rows_go_by_their_order(sample_of):
    sample = sample_of(["target"], [["0"]] * 3, name=None)
    assert sample.id_at is None
    assert sample.id_cells == ()
    assert sample.ids == IDS
    assert sample.columns == ("target",)


@pytest.mark.parametrize("first", ["", "row", "id"])
def test_without_ids_a_first_column_that_is_not_predicted_is_copied(sample_of, first):
    sample = sample_of([first, "answer"], rows("10", "20", "20"), name=None)
    assert sample.id_at == 0
    assert sample.id_cells == ("10", "20", "20")
    assert sample.ids == IDS
    assert sample.columns == ("answer",)


def test_without_ids_a_first_column_that_is_predicted_is_no_id(sample_of):
    cells = rows("0", "0", "0")
    sample = sample_of(["sport", "money"], cells, "multiclass", CLASSES, CLASSES, name=None)
    assert sample.id_at is None
    assert sample.columns == ("sport", "money")


def test_without_ids_another_number_of_rows_is_an_error_with_both_numbers(sample_of):
    with pytest.raises(ValueError, match=rf"{PATH}: .*\b2\b.*test\.csv.*\b3\b"):
        sample_of(["target"], [["0"]] * 2, name=None)


@pytest.fixture
def without_ids(workplace):
    """Write a test table and a sample submission; read the sample with data.id: null."""

    def read(test, sample):
        (workplace / "test.csv").write_text(test)
        (workplace / PATH).write_text(sample)
        data = Data(train="", test="test.csv", sample_submission=PATH, id=None)
        return read_sample(data, ("0", "1", "2"), "regression", ("target",), ())

    return read


@pytest.mark.parametrize(
    ("test", "sample"),
    [
        ("id,text\nb1,x\nb2,y\nb3,z\n", "Id,target\nb3,0\nb1,0\nb2,0\n"),
        ("text,no\nx,1.0\ny,2.0\nz,3.0\n", "target,key\n0,3\n0,1\n0,2\n"),
        ("n,id,text\n3,1,x\n1,2,y\n2,3,z\n", "id,target\n3,0\n1,0\n2,0\n"),  # two would do
    ],
)
def test_without_ids_a_column_that_permutes_one_of_the_test_table_matches_rows(
    without_ids, test, sample
):
    read = without_ids(test, sample)
    assert read.ids == ("2", "0", "1")
    assert read.columns == ("target",)
    assert read.note is not None
    assert PATH in read.note
    assert "test.csv" in read.note


@pytest.mark.parametrize(
    "sample",
    [
        "id,target\nb2,0\nb1,0\nb1,0\n",
        "ID,target\nb1,0\nb3,0\nb4,0\n",
        "key,target\nb2,0\nb1,0\nb4,0\n",
    ],
)
def test_without_ids_rows_that_are_not_the_test_tables_are_refused(without_ids, sample):
    with pytest.raises(ValueError, match=rf"{PATH}: row [12]\b.*'id'.*data\.id"):
        without_ids("id,text\nb1,x\nb2,y\nb2,z\n", sample)


@pytest.mark.parametrize("sample", ["row,target\n0,0\n1,0\n2,0\n", "target\n0\n0\n0\n"])
def test_without_ids_row_numbers_and_equal_orders_go_by_position(without_ids, sample):
    for test in ("text\nx\ny\nz\n", "id,text,row\n7,x,a\n7,y,b\n9,z,c\n"):
        read = without_ids(test, sample)
        assert read.ids == ("0", "1", "2")
        assert read.note is None
    assert without_ids("id,text\n7,x\n7,y\n9,z\n", "id,target\n7,0\n7,0\n9,0\n").note is None


def test_without_ids_the_test_tables_own_targets_are_not_compared_with_the_samples(without_ids):
    read = without_ids("text,target\nx,1\ny,0\nz,1\n", "target\n0\n0\n0\n")
    assert read.ids == ("0", "1", "2")


@pytest.mark.parametrize("first", [0, 1])
def test_without_ids_row_numbers_in_another_order_match_rows(without_ids, first):
    cells = [f"{first + row}" for row in (2, 0, 1)]
    read = without_ids("text\nx\ny\nz\n", "row,target\n" + "".join(f"{c},0\n" for c in cells))
    assert (read.ids, read.id_cells) == (("2", "0", "1"), tuple(cells))
    assert "'row'" in (read.note or "")


def test_without_ids_a_column_of_unknown_values_is_told_to_go_by_position(without_ids):
    read = without_ids("id,text\nb1,x\nb2,y\nb3,z\n", "key,target\n30,0\n10,0\n20,0\n")
    assert read.ids == ("0", "1", "2")
    assert "'key'" in (read.note or "")


def test_a_sample_without_ids_is_told_how_to_do_without(sample_of):
    with pytest.raises(ValueError, match=r"'id' .*set it to null"):
        sample_of(["target"], [["0"]] * 3)


# --- the tables call their ids otherwise


def test_a_sample_may_have_its_own_name_for_the_ids(sample_of):
    names = {"train": "id", "test": "test_id", "sample": "Id"}
    sample = sample_of(["Id", "target"], rows("b3", "b1", "b2"), name=names)
    assert sample.ids == sample.id_cells == ("b3", "b1", "b2")
    assert sample.header == ("Id", "target")


@pytest.mark.parametrize("name", ["Id", "key"])
def test_the_complaint_about_another_name_says_what_to_set(workplace, name):
    write_rows(workplace / "train.csv", ["ID", "text"], [["a1", "x"]])
    write_rows(workplace / "test.csv", ["id", "text"], [["b1", "x"], ["b2", "y"]])
    write_rows(workplace / PATH, [name, "target"], [["b2", "0"], ["b1", "0"]])
    names = {"train": "ID", "test": "id", "sample": "id"}
    data = Data(train="train.csv", test="test.csv", sample_submission=PATH, id=names)
    said = rf"{PATH}: .*'id'.*data\.id: {{train: ID, test: id, sample: {name}}}.*'{name}', 'target'"
    with pytest.raises(ValueError, match=said):
        read_sample(data, ("b1", "b2"), "regression", ["target"], ())


def test_ids_that_are_the_same_numbers_are_matched_and_keep_the_samples_spelling(sample_of):
    for cells in (("1002.0", "1000.0", "1001.0"), ("1002", "1e3", "01001")):
        sample = sample_of(["id", "target"], rows(*cells), ids=("1000", "1001", "1002"))
        assert sample.ids == ("1002", "1000", "1001")
        assert sample.id_cells == cells
        assert re.search(rf"{PATH}: .*'{cells[0]}'.*'1002'", sample.note or "")


@pytest.mark.parametrize("cells", [("1000.0", "1003.0"), ("1000.0", "1000", "1001")])
def test_ids_of_which_only_some_are_the_same_numbers_are_refused(sample_of, cells):
    with pytest.raises(ValueError, match=rf"{PATH}: .*'{cells[0]}'"):
        sample_of(["id", "target"], rows(*cells), ids=("1000", "1001", "1002")[: len(cells)])


# --- what does not fit


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (("b1", "b2"), r".*\b1\D+3\D.*'b3'"),
        (("b1", "b2", "b3", "b4"), r".*\b1\b.*'b4'"),
        (("b1", "b2", "B3"), r".*\b1\D+3\D.*'b3'.*'B3'"),
        (("b1", "b2", "b3", "b3"), r"\D*'b3'"),
    ],
)
def test_ids_that_are_not_the_test_ids_are_named(sample_of, found, said):
    with pytest.raises(ValueError, match=rf"{PATH}: {said}.*data\.sample_submission"):
        sample_of(["id", "target"], rows(*found))


def test_ids_that_are_hashes_are_no_numbers(sample_of):
    ids = ("1e" + "9" * 25, "7e" + "1" * 25, "b3")
    assert sample_of(["id", "target"], rows(*ids[::-1]), ids=ids).ids == ids[::-1]
    with pytest.raises(ValueError, match=ids[0]):
        sample_of(["id", "target"], rows("x", *ids[1:]), ids=ids)


def test_an_id_of_another_name_is_an_error_that_says_what_is_expected(sample_of):
    said = rf"{PATH}: .*'id'.*data\.id.*'key', 'target'"
    with pytest.raises(ValueError, match=said):
        sample_of(["key", "target"], rows(*IDS))


@pytest.mark.parametrize(
    ("task", "columns", "classes", "header", "wanted"),
    [
        ("regression", ("a", "b"), (), ["a", "c"], "'a', 'b'"),
        ("regression", ("a", "b"), (), ["a"], "'a', 'b'"),
        ("regression", ("a",), (), ["a", "b"], r"\bone\b[^']*'a'"),
        ("multilabel", ("a", "b"), (), ["a", "b", "c"], "'a', 'b'"),
        ("binary", ("target",), CLASSES, ["money", "Sport"], r"\bone\b[^']*'money', 'sport'"),
        ("multiclass", CLASSES, CLASSES, ["money", "money"], r"\bone\b[^']*'money', 'sport'"),
        ("multiclass", CLASSES, CLASSES, [], r"\bone\b[^']*'money', 'sport'"),
    ],
)
def test_columns_that_are_not_predicted_are_an_error_that_shows_both_lists(
    sample_of, task, columns, classes, header, wanted
):
    found = ", ".join(f"'{name}'" for name in header) or "none"
    with pytest.raises(ValueError, match=f"{PATH}: [^']*{found}[^']*{wanted}"):
        sample_of(["id", *header], rows(*IDS, cells=["0"] * len(header)), task, columns, classes)


def test_the_test_table_is_no_sample(sample_of):
    with pytest.raises(ValueError, match=rf"{PATH}: column 't' .*data\.sample_submission"):
        sample_of(["id", "t"], rows(*IDS))


@pytest.mark.parametrize("header", [["target", ""], ["", "target"], ["Unnamed: 0", "target"]])
def test_a_column_without_a_name_is_to_be_removed(sample_of, header):
    with pytest.raises(ValueError, match=rf"{PATH}: .*\bremove the column\b"):
        sample_of(["id", *header], rows(*IDS, cells=("0", "0")))


def test_columns_that_are_the_classes_as_numbers_fit(sample_of):
    cells = rows(*IDS, cells=("0", "0"))
    names = ("1.0", "2.0")
    assert sample_of(["id", "2", "1"], cells, "multiclass", names, names).columns == ("2", "1")
    with pytest.raises(ValueError, match="'2', '3', should be"):
        sample_of(["id", "2", "3"], cells, "multiclass", names, names)


@pytest.mark.parametrize(
    ("there", "ours"), [("Sport", "sport"), ("sport ", "sport"), ("caf\u00e9", "cafe\u0301")]
)
def test_a_column_that_is_another_spelling_of_ours_is_shown_apart(sample_of, there, ours):
    cells = rows(*IDS, cells=("0", "0"))
    names = ("money", ours)
    shown = " is ".join(repr(n) if n.isascii() else ascii(n) for n in (there, ours))
    with pytest.raises(ValueError, match=rf"{PATH}: .*; {re.escape(shown)}.*\brename\b"):
        sample_of(["id", "money", there], cells, "multilabel", names)


def test_an_absent_sample_is_named_with_its_setting(sample_of, workplace):
    data = Data(train="", test="", sample_submission="nowhere.csv")
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv: .* data\.sample_submission"):
        read_sample(data, IDS, "regression", ["target"], ())
