"""A submission from `models/` and two tables alone."""

import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import read_rows, stage, stages, write_competition, write_rows

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.postprocessing import POSTPROCESSING
from pipeline.members import averaging

CASES = [
    ("regression", "rmse"),
    ("regression", "qwk"),
    ("binary", "f1"),
    ("multiclass", "logloss"),
    ("multilabel", "logloss"),
]
MEMBERS = [
    {"model": "tfidf_linear"},
    {"model": "tfidf_linear", "name": "few", "options": {"max_features": 12}},
]

pytestmark = pytest.mark.usefixtures("few_steps")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a competition that went through all stages; only to be read."""
    folders = {}

    def folder_of(task, metric):
        if (task, metric) not in folders:
            folder = tmp_path_factory.mktemp(f"{task}-{metric}")
            settings = {"metric": metric, "members": MEMBERS, "jobs": {"n_jobs": 1}}
            write_competition(folder, task, settings=settings | {"backbone": None})
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                stages("make_folds", "train", "predict", "blend", "submit")
            folders[task, metric] = folder
        return folders[task, metric]

    return folder_of


@pytest.fixture
def models_only(finished, workplace):
    """What a code competition has of a finished one: the YAML, `models/` and two tables."""

    def copy(task, metric):
        made = finished(task, metric)
        for part in ("configs", "models"):
            shutil.copytree(made / part, part)
        Path("data/tiny").mkdir(parents=True)
        for name in ("test.csv", "sample_submission.csv"):
            shutil.copy(made / "data" / "tiny" / name, Path("data/tiny") / name)
        return made

    return copy


def infer(*words):
    stage("infer", *words)


def _predict_each_member_once(monkeypatch):
    """Let further runs take the members' predictions of the first, which are the same."""
    predict, predictions = averaging.predict_members, {}

    def remembered(members, test, jobs, on_member):
        todo = {name: units for name, units in members.items() if name not in predictions}
        if todo:
            predict(todo, test, jobs, predictions.__setitem__)
        for name in members:
            on_member(name, predictions[name])

    monkeypatch.setattr("pipeline.infer.predict_members", remembered)


def submission(name="submission"):
    return Path(f"submissions/tiny/{name}.csv")


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_old_test_rows_get_the_same_bytes_as_from_submit(models_only, task, metric, monkeypatch):
    made, here = models_only(task, metric), Path.cwd()
    board = pd.read_csv(made / "oof/tiny/leaderboard.csv")
    infer()
    assert submission().read_bytes() == (made / submission()).read_bytes()
    _predict_each_member_once(monkeypatch)
    for name in board.loc[board["kind"] != "constant", "name"]:
        infer("--predictor", name)
        with monkeypatch.context() as patch:
            patch.chdir(made)
            stage("submit", "--predictor", name)
        assert submission(name).read_bytes() == (made / submission(name)).read_bytes()
    assert {path.parent.name for path in here.glob("*/[!.]*")} == {
        "configs",
        "data",
        "models",
        "submissions",
    }


def test_the_cases_hold_every_blender_and_every_post_processing(finished):
    methods = set()
    for case in CASES:
        board = pd.read_csv(finished(*case) / "oof/tiny/leaderboard.csv")
        for name in board.loc[board["kind"] == "blend", "name"]:
            methods |= set(name.removeprefix("blend_").split("."))
    assert methods == {*BLENDERS, *POSTPROCESSING}


def test_hidden_rows_of_another_number_and_order_are_predicted_by_id(models_only):
    models_only("regression", "rmse")
    infer()
    before = pd.read_csv(submission(), dtype=str).set_index("id")["target"]
    test = pd.read_csv("data/tiny/test.csv", dtype=str)
    hidden = pd.concat([test[::-1], test.assign(id="new" + test["id"])]).iloc[3:]
    write_rows(Path("hidden.csv"), list(hidden), hidden.to_numpy().tolist())
    write_rows(Path("sample.csv"), ["id", "target"], [[name, "0"] for name in sorted(hidden["id"])])
    infer("--data.test", "hidden.csv", "--data.sample_submission", "sample.csv")
    after = pd.read_csv(submission(), dtype=str).set_index("id")["target"]
    assert list(after.index) == sorted(hidden["id"])
    for name, value in after.items():
        assert value == before[name.removeprefix("new")]


def test_members_without_a_weight_are_not_predicted(models_only, monkeypatch):
    made = models_only("regression", "rmse")
    from pipeline.predictors import saved_blends

    read = saved_blends.load_fitted

    def one_sided(path):
        blend = read(path)
        blend.values["weights"] = np.array([0.0, 1.0])
        return blend

    monkeypatch.setattr(saved_blends, "load_fitted", one_sided)
    shutil.rmtree("models/tiny/tfidf_linear")
    infer("--predictor", "blend_convex")
    assert submission("blend_convex").read_bytes() == (made / submission("few")).read_bytes()


@pytest.fixture
def with_external(workplace):
    """A finished competition with an external predictor, the best of all."""
    settings = {"members": MEMBERS, "jobs": {"n_jobs": 1}, "backbone": None}
    write_competition(workplace, "regression", settings=settings)
    stages("make_folds", "train", "predict")
    truth = pd.read_csv("data/tiny/train.csv")[["id", "target"]]
    member = pd.read_csv("oof/tiny/few/oof.csv").merge(truth, on="id", suffixes=("", "_true"))
    mates = Path("mates")
    mates.mkdir()
    member.assign(target=0.1 * member["target"] + 0.9 * member["target_true"])[
        ["id", "target"]
    ].to_csv(mates / "oof.csv", index=False)
    shutil.copy("oof/tiny/few/test.csv", mates / "test.csv")
    stage("blend", "--blend.external", "mates")


def test_an_external_predictor_is_named_with_the_best_that_does_without(
    with_external, refusal, monkeypatch
):
    monkeypatch.setattr("pipeline.infer.predict_members", None)  # nothing may run
    board = pd.read_csv("oof/tiny/leaderboard.csv")
    ours = board[board["kind"] == "member"]["name"].iloc[0]
    line = refusal("infer")
    assert "mates" in line
    assert line.endswith(f"--predictor {ours}")


def test_a_member_is_inferred_where_an_external_predictor_was_blended(with_external):
    infer("--predictor", "few")
    stage_words = ("--blend.external", "mates", "--predictor", "few")
    by_infer = submission("few").read_bytes()
    stage("submit", *stage_words)
    assert submission("few").read_bytes() == by_infer


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda: shutil.rmtree("models/tiny/blend"), "models/tiny/blend/leaderboard.csv"),
        (lambda: Path("models/tiny/blend/mean.safetensors").write_bytes(b"x"), "mean.safetensors"),
        (lambda: Path("models/tiny/blend/leaderboard.csv").write_bytes(b"x"), "leaderboard.csv"),
        (lambda: shutil.rmtree("models/tiny/few/fold1"), "models/tiny/few/fold1"),
    ],
)
def test_what_is_missing_or_changed_is_named(models_only, refusal, spoil, said):
    models_only("regression", "rmse")
    spoil()
    assert said in refusal("infer", "--predictor", "blend_mean")
    assert not submission("blend_mean").exists()


def test_a_saved_blend_that_the_leaderboard_is_not_about_is_refused(models_only, refusal):
    made = models_only("regression", "rmse")
    shutil.copytree(made, ".", dirs_exist_ok=True)
    board = {path: path.read_bytes() for path in Path("models/tiny/blend").glob("leaderboard.*")}
    stage("blend", "--seed", "7")
    for path, content in board.items():
        path.write_bytes(content)
    line = refusal("infer", "--predictor", "blend_mean")
    assert re.search(r"mean\.safetensors: .*\bseed\b.*\b7\b.*\b42\b", line)


def test_members_trained_again_since_they_were_blended_are_refused(models_only, refusal):
    made = models_only("regression", "rmse")
    for part in ("data", "folds"):
        shutil.copytree(made / part, part, dirs_exist_ok=True)
    few = [{"model": "tfidf_linear", "name": "few", "options": {"max_features": 11}}]
    write_competition(
        Path.cwd(), "regression", settings={"members": few, "backbone": None, "jobs": {"n_jobs": 1}}
    )
    stage("train", "--overwrite")
    assert "models/tiny/few" in refusal("infer", "--predictor", "few")


def test_members_trained_again_to_the_same_predictions_are_inferred_once_blended(
    finished, workplace
):
    shutil.copytree(finished("regression", "rmse"), workplace, dirs_exist_ok=True)
    again = ("--data.template", "{text}")  # another setting, but the same texts
    stage("train", "--overwrite", *again)
    stages("predict", "blend", "infer", words=again)
    assert submission().read_bytes() == (finished("regression", "rmse") / submission()).read_bytes()


def test_classes_that_are_spelled_anew_are_inferred_as_submit_writes_them(finished, workplace):
    shutil.copytree(finished("binary", "f1"), workplace, dirs_exist_ok=True)
    header, rows = read_rows(Path("data/tiny/train.csv"))
    write_rows(Path("data/tiny/train.csv"), header, [[*row, y.title()] for *row, y in rows])
    stages("train", "predict", "blend", "submit")
    submitted = submission().read_bytes()
    assert b"Yes" in submitted
    infer()
    assert submission().read_bytes() == submitted


@pytest.mark.parametrize("columns", [["document"], ["text", "document"]])
def test_other_columns_of_texts_than_were_blended_are_refused(models_only, refusal, columns):
    models_only("regression", "rmse")
    line = refusal("infer", "--data.text", *columns)
    assert re.search(rf"leaderboard\.csv: .*\['text'\].*{re.escape(str(columns))}", line)


def test_predictions_of_another_column_of_texts_are_not_submitted(finished, workplace, refusal):
    shutil.copytree(finished("regression", "rmse"), workplace, dirs_exist_ok=True)
    other = ("--data.text", "document")
    stage("predict", *other)
    line = refusal("submit", *other, "--predictor", "few")
    assert re.search(r"oof/tiny/few/oof\.csv: .*\btexts\b", line)


@pytest.mark.parametrize("words", [("blend",), ("submit", "--predictor", "few")])
def test_predictions_of_another_task_with_the_same_targets_are_refused(
    words, finished, workplace, refusal
):
    shutil.copytree(finished("multilabel", "logloss"), workplace, dirs_exist_ok=True)
    line = refusal(*words, "--task", "regression", "--metric", "mcrmse")
    assert re.search(r"oof/tiny/\w+/oof\.csv: .*\btask\b.*'multilabel'.*'regression'", line)


def test_a_column_of_texts_that_is_renamed_trains_nothing_and_is_inferred(
    finished, workplace, capsys
):
    shutil.copytree(finished("regression", "rmse"), workplace, dirs_exist_ok=True)
    for path in (Path("data/tiny/train.csv"), Path("data/tiny/test.csv")):
        header, rows = read_rows(path)
        write_rows(path, ["body" if name == "text" else name for name in header], rows)
    for name in ("train", "predict", "blend", "infer"):
        stage(name, "--data.text", "body")
    assert re.search(r"\b0 of 6 units", capsys.readouterr().out)


def test_another_metric_or_an_unknown_predictor_is_refused(models_only, refusal):
    models_only("regression", "rmse")
    assert "'rmse'" in refusal("infer", "--metric", "mae")
    assert "'blend_men'" in refusal("infer", "--predictor", "blend_men")


def test_another_positive_class_than_that_of_the_blend_is_refused(models_only, refusal):
    models_only("binary", "f1")
    stage("infer", "--data.positive", "yes")
    assert re.search(r"data\.positive: no\b.*'yes'", refusal("infer", "--data.positive", "no"))


def test_blend_saves_its_blends_again_where_they_are_gone(finished, workplace):
    made = finished("regression", "rmse")
    shutil.copytree(made, workplace, dirs_exist_ok=True)
    saved = Path("models/tiny/blend/ridge.safetensors")
    saved.unlink()
    stage("blend")
    assert saved.read_bytes() == (made / saved).read_bytes()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("--predictor", "few", "blend_ridge"), "few+blend_ridge"),
        (("--predictor", "tfidf_linear", "--submit.as", "labels"), "tfidf_linear"),
    ],
)
def test_a_mean_of_several_and_labels_on_demand_are_those_of_submit(
    words, name, finished, models_only, monkeypatch
):
    made = finished("regression", "rmse")
    with monkeypatch.context() as patch:
        patch.chdir(made)
        stage("submit", *words)
    models_only("regression", "rmse")
    infer(*words)
    path = submission(name)
    assert path.read_bytes() == (made / path).read_bytes()
