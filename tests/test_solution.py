import pytest
from conftest import write_rows

from pipeline.competition.solution import read_solution
from pipeline.settings.data import Data

CLASSES = ("b", "c", "a")


def data_of(*targets):
    return Data(train="train.csv", test="test.csv", sample_submission="s.csv", target=targets)


def test_targets_come_in_the_order_of_the_ids_and_classes_as_codes(workplace):
    rows = [["2", "a", "0.5"], ["1", "b", "-1"]]
    write_rows(workplace / "solution.csv", ["id", "kind", "value"], rows)
    codes = read_solution(data_of("kind"), "multiclass", ["1", "2"], CLASSES)
    assert codes is not None
    assert codes.tolist() == [0, 2]
    values = read_solution(data_of("value"), "regression", ["1", "2"], ())
    assert values is not None
    assert values.tolist() == [[-1], [0.5]]


def test_probabilities_of_classes_are_codes_of_the_most_probable(workplace):
    rows = [["2", "0.5", "0.25", "0.25"], ["1", "0", "0", "1"]]
    write_rows(workplace / "solution.csv", ["id", "b", "c", "a"], rows)
    found = read_solution(data_of("b", "c", "a"), "multiclass", ["1", "2"], ("a", "b", "c"))
    assert found is not None
    assert found.tolist() == [0, 1]


def test_ids_may_have_the_name_that_the_test_table_gives_them(workplace):
    write_rows(workplace / "solution.csv", ["test_id", "value"], [["2", "5"], ["1", "4"]])
    names = {"train": "id", "test": "test_id", "sample": "Id"}
    data = data_of("value").model_copy(update={"id": names})
    assert read_solution(data, "regression", ["1", "2"], ()).tolist() == [[4], [5]]


def test_without_ids_rows_are_matched_by_a_column_of_the_test_table(workplace):
    write_rows(workplace / "test.csv", ["key", "text"], [["a", "x"], ["b", "y"]])
    write_rows(workplace / "solution.csv", ["key", "value"], [["b", "5"], ["a", "4"]])
    data = data_of("value").model_copy(update={"id": None})
    assert read_solution(data, "regression", ["0", "1"], ()).tolist() == [[4], [5]]


def test_without_ids_row_numbers_match_rows_and_another_order_is_refused(workplace):
    write_rows(workplace / "test.csv", ["key", "text"], [["a", "x"], ["b", "y"]])
    data = data_of("value").model_copy(update={"id": None})
    write_rows(workplace / "solution.csv", ["row", "value"], [["1", "5"], ["0", "4"]])
    assert read_solution(data, "regression", ["0", "1"], ()).tolist() == [[4], [5]]
    write_rows(workplace / "solution.csv", ["key", "value"], [["b", "5"], ["b", "4"]])
    with pytest.raises(ValueError, match=r"solution\.csv: row 1\b.*'b'.*'a'.*data\.id"):
        read_solution(data, "regression", ["0", "1"], ())
    write_rows(workplace / "solution.csv", ["key", "value"], [["b", "5"]])
    with pytest.raises(ValueError, match=r"solution\.csv: 1 rows\b"):
        read_solution(data, "regression", ["0", "1"], ())


def test_the_test_table_with_the_targets_beside_it_is_a_solution(workplace):
    """Columns that it shares with the test table are compared with those of their name only."""
    header, rows = ["text", "start", "end"], [["x", "1", "2"], ["x", "2", "1"], ["y", "2", "1"]]
    write_rows(workplace / "test.csv", header, rows)
    with_targets = [[*row, value] for row, value in zip(rows, "456", strict=True)]
    write_rows(workplace / "solution.csv", [*header, "value"], with_targets)
    data = data_of("value").model_copy(update={"id": None})
    assert read_solution(data, "regression", ["0", "1", "2"], ()).tolist() == [[4], [5], [6]]


def test_a_class_may_be_spelled_otherwise_where_it_is_certain(workplace):
    write_rows(workplace / "solution.csv", ["id", "kind"], [["1", "1"], ["2", "B"]])
    codes = read_solution(data_of("kind"), "multiclass", ["1", "2"], ("1.0", "b", "c"))
    assert codes is not None
    assert codes.tolist() == [0, 1]


def test_a_class_that_was_never_trained_on_is_an_error(workplace):
    write_rows(workplace / "solution.csv", ["id", "kind"], [["1", "d"]])
    with pytest.raises(ValueError, match=r"solution\.csv: .*'d'.*data\.train"):
        read_solution(data_of("kind"), "multiclass", ["1"], CLASSES)


@pytest.mark.parametrize(("task", "cell"), [("regression", "nan"), ("multilabel", "-1")])
def test_a_cell_that_no_training_table_may_hold_is_an_error(task, cell, workplace):
    """Some competitions mark rows that they do not score with -1."""
    write_rows(workplace / "solution.csv", ["id", "value"], [["1", "1"], ["2", cell]])
    with pytest.raises(ValueError, match=rf"solution\.csv: .*'{cell}'.*'2'.*\b{task}\b"):
        read_solution(data_of("value"), task, ["1", "2"], ())


def test_no_file_is_no_solution(workplace):
    assert read_solution(data_of("kind"), "multiclass", ["1"], CLASSES) is None
