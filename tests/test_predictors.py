"""Predictors: rows by id, columns by name, nothing but predictions of the task."""

import json
import re

import numpy as np
import pytest

from pipeline.predictors.predictions import (
    changed_settings,
    check_made_for,
    check_same_models,
    read_predictions,
    write_predictions,
)
from pipeline.scoring.tasks import TASKS

IDS = ["007", "7", "a,b", "x y"]
PREDICTIONS = {
    "regression": np.array([[1e6, -1.0], [0.1 + 0.2, 0.0], [3.0, 4.0], [-5.0, 1e-17]]),
    "binary": np.array([[0.0], [1.0], [0.25], [1 / 3]]),
    "multiclass": np.array([[0.2, 0.8], [1.0, 0.0], [1 / 3, 2 / 3], [0.5, 0.5]]),
    "multilabel": np.array([[0.2, 0.9], [1.0, 1.0], [0.0, 0.0], [0.5, 1 / 3]]),
}


def columns_of(task):
    return ["target"] if task == "binary" else ["id", "fold"]


def write(folder, task, predictions=None, ids=IDS, part="oof", columns=None, **source):
    predictions = PREDICTIONS[task] if predictions is None else predictions
    columns = columns or columns_of(task)
    write_predictions(folder, part, ids, "id", columns, predictions, source)


def change(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize("task", sorted(TASKS))
def test_shuffled_rows_and_columns_give_the_same_values(tmp_path, task):
    rows, back = [2, 0, 3, 1], list(reversed(columns_of(task)))
    write(tmp_path, task, PREDICTIONS[task][rows][:, ::-1], [IDS[k] for k in rows], columns=back)
    read = read_predictions(tmp_path, "oof", IDS, columns_of(task), task)
    assert np.array_equal(read, PREDICTIONS[task])


def test_a_prediction_column_may_bear_the_name_of_the_id(tmp_path):
    write(tmp_path, "multiclass")
    assert (tmp_path / "oof.csv").read_text().startswith("id,id,fold\n")
    read = read_predictions(tmp_path, "oof", IDS, ["id", "fold"], "multiclass")
    assert np.array_equal(read, PREDICTIONS["multiclass"])


def test_the_ids_column_may_have_any_name(tmp_path):
    (tmp_path / "oof.csv").write_text("whatever,target\n2,0.5\n1,0.25\n")
    read = read_predictions(tmp_path, "oof", ["1", "2"], ["target"], "binary")
    assert read.tolist() == [[0.25], [0.5]]


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"test\.csv: .*\.parquet"):
        read_predictions(tmp_path, "test", IDS, ["target"], "binary")


@pytest.mark.parametrize("wanted", [["id"], ["id", "fold", "more"], ["id", "Fold"]])
def test_other_columns_are_an_error_that_shows_both_lists(tmp_path, wanted):
    write(tmp_path, "regression")
    shown = ", ".join(wanted)
    with pytest.raises(ValueError, match=rf"oof\.csv: .*\[id, fold\].*\[{shown}\]"):
        read_predictions(tmp_path, "oof", IDS, wanted, "regression")


@pytest.mark.parametrize(
    ("task", "bad"),
    [
        ("regression", [np.nan, 0.0]),
        ("regression", [0.0, np.inf]),
        ("regression", [0.0, 1e200]),
        ("regression", [-1e31, 0.0]),
        ("binary", [1.001]),
        ("binary", [-1e-5]),
        ("multiclass", [0.5, 0.6]),
        ("multiclass", [1.5, -0.5]),
        ("multilabel", [0.5, 2.0]),
    ],
)
def test_a_row_that_is_no_prediction_is_an_error_that_names_its_id(tmp_path, task, bad):
    predictions = PREDICTIONS[task].copy()
    predictions[2] = bad
    write(tmp_path, task, predictions)
    farthest = int(np.argmax(np.abs(np.array(bad) - 0.5)))
    shown = re.escape(f"{columns_of(task)[farthest]} {bad[farthest]:g}")
    total = rf".*\b{sum(bad):g}\b" if task == "multiclass" else ""
    allowed = "finite" if task == "regression" else "from 0 to 1"
    said = rf"oof\.csv: .*\b1\b.*\b{task}\b.*\b{allowed}\b.*'a,b'.*{shown}{total}"
    with pytest.raises(ValueError, match=said):
        read_predictions(tmp_path, "oof", IDS, columns_of(task), task)


def test_of_many_labels_that_without_a_probability_is_shown_first(tmp_path):
    labels = [f"l{j}" for j in range(9)]
    write_predictions(tmp_path, "oof", ["1"], "id", labels, np.array([[0.5] * 8 + [1.5]]), {})
    with pytest.raises(ValueError, match=r"'1': l8 1\.5\b"):
        read_predictions(tmp_path, "oof", ["1"], labels, "multilabel")


def test_a_regression_far_from_0_and_probabilities_with_few_digits_are_fine(tmp_path):
    write(tmp_path, "regression", PREDICTIONS["regression"] * 1e9)
    assert read_predictions(tmp_path, "oof", IDS, ["id", "fold"], "regression").max() == 1e15
    write(tmp_path, "multiclass", PREDICTIONS["multiclass"].round(3))
    assert read_predictions(tmp_path, "oof", IDS, ["id", "fold"], "multiclass")[2, 0] == 0.333


def test_a_probability_beyond_1_by_rounding_is_1(tmp_path):
    total = np.cumsum(np.full(10, 0.1, np.float32))[-1]  # ten models that agree, added one by one
    assert total > 1
    write(tmp_path, "binary", np.array([[total], [1 - total], [0.25], [0.5]]))
    read = read_predictions(tmp_path, "oof", IDS, ["target"], "binary")
    assert read[:, 0].tolist() == [1, 0, 0.25, 0.5]


@pytest.mark.parametrize("cell", ["n/a", "0,5", "nan", "inf"])
def test_a_cell_that_is_no_number_is_an_error_that_shows_it(tmp_path, cell):
    (tmp_path / "oof.csv").write_text(f'id,target\n1,"{cell}"\n')
    with pytest.raises(ValueError, match=rf"oof\.csv: .*\b{cell}\b"):
        read_predictions(tmp_path, "oof", ["1"], ["target"], "regression")


def test_an_empty_cell_is_a_missing_prediction_of_its_id(tmp_path):
    (tmp_path / "oof.csv").write_text("id,target\n1,2.5\n2,\n")
    with pytest.raises(ValueError, match=r"oof\.csv: .*\bregression\b.*'2'.*\bnan\b"):
        read_predictions(tmp_path, "oof", ["1", "2"], ["target"], "regression")


def test_both_parts_from_the_same_models_pass(tmp_path):
    write(tmp_path, "binary", models="m1")
    write(tmp_path, "binary", part="test", models="m1")
    check_same_models(tmp_path)


def test_a_folder_from_elsewhere_passes(tmp_path):
    (tmp_path / "oof.csv").write_text("id,target\n1,0.5\n")
    (tmp_path / "test.csv").write_text("id,target\n2,0.5\n")
    check_same_models(tmp_path)


def test_predictions_of_other_test_rows_are_refused(tmp_path):
    made_from = {"test rows": "a" * 64}
    write(tmp_path, "binary", part="test", models="m1", **made_from)
    check_made_for(tmp_path, "test", made_from)
    with pytest.raises(ValueError, match="other test rows"):
        check_made_for(tmp_path, "test", {"test rows": "b" * 64})


@pytest.mark.parametrize("models", ["m2", None])
def test_parts_from_different_models_are_refused(tmp_path, models):
    write(tmp_path, "binary", models="m1")
    if models:
        write(tmp_path, "binary", part="test", models=models)
    with pytest.raises(ValueError, match=rf"{tmp_path.name}: .*\boof\.csv\b.*\btest\.csv\b"):
        check_same_models(tmp_path)


def test_a_part_that_was_changed_by_hand_is_refused(tmp_path):
    write(tmp_path, "binary", models="m1")
    write(tmp_path, "binary", part="test", models="m1")
    change(tmp_path / "test.csv", "0.25", "0.26")
    with pytest.raises(ValueError, match=r"test\.csv: .*\btest\.json\b"):
        check_same_models(tmp_path)


def test_what_predictions_come_from_stands_beside_them(tmp_path):
    write(tmp_path, "binary", models="m1", members=["mean"])
    beside = json.loads((tmp_path / "oof.json").read_text())
    assert beside["made_from"] == {"models": "m1", "members": ["mean"]}


def test_settings_that_differ_are_told_with_those_that_are_new(tmp_path):
    write(tmp_path, "binary", models="m1", settings={"epochs": 2, "seed": 7})
    assert changed_settings(tmp_path, {"epochs": 2, "seed": 7}) is None
    told = changed_settings(tmp_path, {"epochs": 3, "seed": 7, "warmup": 0.1})
    assert re.fullmatch(r"epochs 2\b.*\b3; warmup null\b.*\b0\.1", told)
