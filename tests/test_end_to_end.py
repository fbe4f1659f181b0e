"""All stages through their command lines, on a tiny backbone: files and errors.

A finished competition of each task is made once; tests that change something work on a copy.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import (
    CONFIG,
    METRICS,
    change_config,
    read_rows,
    stage,
    stages,
    write_competition,
    write_rows,
)
from scipy.special import expit, logit

ROOT = Path(__file__).parents[1]
STAGES = ("prepare", "make_folds", "train", "predict", "blend", "submit")
METHODS = ["mean", "rank_mean", "convex", "hill_climb", "ridge", "logistic", "lightgbm"]
SETTINGS = {
    "folds": {"n": 2},
    "training": {"epochs": 1, "batch_size": 16, "max_length": 32, "learning_rate": 1e-2}
    | {"head_learning_rate": 5e-2},
    "members": [{"pooling": "mean"}, {"pooling": "idf"}],
    "blend": {"methods": ["mean", "convex"]},
    "jobs": {"n_jobs": 1},
}
MEMBERS = ("mean", "idf")


def run_all(*overrides):
    stages(*STAGES, words=overrides)


def table(path):
    """{id: cells} of a CSV, in its order."""
    _, rows = read_rows(Path(path))
    assert len({name for name, *_ in rows}) == len(rows)
    return {name: cells for name, *cells in rows}


def numbers(path):
    return {name: [float(cell) for cell in cells] for name, cells in table(path).items()}


def units_of_members():
    return sorted(Path("models/tiny").glob("*/fold*"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory, backbone_of):
    """The folder of a competition of a task that went through all stages; only to be read."""
    folders = {}

    def folder_of(task):
        if task not in folders:
            folder = tmp_path_factory.mktemp(task)
            settings = {**SETTINGS, "backbone": str(backbone_of("bert"))}
            write_competition(folder, task, settings=settings)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folder)
                run_all()
            folders[task] = folder
        return folders[task]

    return folder_of


@pytest.fixture(params=sorted(METRICS))
def of_each_task(request, finished, monkeypatch):
    monkeypatch.chdir(finished(request.param))
    return request.param


# --- every task


def test_the_submission_has_the_samples_columns_order_and_ids(of_each_task):
    header, rows = read_rows(Path("submissions/tiny/submission.csv"))
    wanted, sample = read_rows(Path("data/tiny/sample_submission.csv"))
    assert header == wanted
    assert [row[0] for row in rows] == [row[0] for row in sample]
    assert all(
        0 <= float(cell) <= 1 or of_each_task == "regression" for row in rows for cell in row[1:]
    )


def test_the_submission_says_what_the_chosen_blend_predicts_for_each_id(of_each_task):
    board, lines = read_rows(Path("oof/tiny/leaderboard.csv"))
    entries = [dict(zip(board, line, strict=True)) for line in lines]
    (chosen,) = [entry for entry in entries if entry["chosen"] == "True"]
    origin = json.loads(Path("submissions/tiny/submission.json").read_text())
    assert origin["predictor"] == chosen["name"]
    assert origin["leaderboard"]["score"] == float(chosen["score"])
    header, _ = read_rows(Path("submissions/tiny/submission.csv"))
    columns, _ = read_rows(Path(f"oof/tiny/{chosen['name']}/test.csv"))
    predictions = table(f"oof/tiny/{chosen['name']}/test.csv")
    order = [columns[1:].index(name) for name in header[1:]]
    for name, cells in table("submissions/tiny/submission.csv").items():
        assert cells == [predictions[name][j] for j in order]


def test_each_held_out_row_is_predicted_by_the_unit_that_did_not_see_it(of_each_task):
    folds = {name: int(fold) for name, (fold,) in table("folds/tiny.csv").items()}
    assert set(folds.values()) == {0, 1}
    for member in MEMBERS:
        oof = table(f"oof/tiny/{member}/oof.csv")
        assert list(oof) == list(table("data/tiny/train.csv"))
        by_unit = [table(f"models/tiny/{member}/fold{k}/oof.csv") for k in range(2)]
        assert by_unit[0].keys().isdisjoint(by_unit[1])
        for name, cells in oof.items():
            assert cells == by_unit[folds[name]][name]


def test_predictors_have_the_columns_of_their_task(of_each_task):
    wanted = {
        "regression": ["target"],
        "binary": ["target"],
        "multiclass": ["id", "money", "sport"],
        "multilabel": ["funny", "sad", "long"],
    }[of_each_task]
    for predictor in (*MEMBERS, "blend_mean", "blend_convex"):
        for part, n in (("oof", 60), ("test", 20)):
            header, rows = read_rows(Path(f"oof/tiny/{predictor}/{part}.csv"))
            assert header == ["id", *wanted]
            assert len(rows) == n


def test_a_second_run_trains_nothing_writes_nothing_and_imports_no_torch(of_each_task):
    before = {path: path.stat().st_mtime_ns for path in Path("oof").rglob("*.csv")}
    before |= {path: path.stat().st_mtime_ns for path in Path("models").rglob("*.*")}
    if of_each_task != "regression":  # the imports are the same
        run_all()
    else:
        code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
        code += "from test_end_to_end import run_all; run_all()\n"
        code += "print(*(m for m in ('torch', 'transformers', 'lightgbm') if m in sys.modules))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == ""
    assert {path: path.stat().st_mtime_ns for path in before} == before


# --- predict


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_test_predictions_are_the_mean_of_the_folds_and_for_classes_of_their_log_odds(
    task, finished, monkeypatch
):
    from pipeline.members.averaging import predict_unit
    from pipeline.members.kinds import kind_of_unit
    from pipeline.members.units import encoding_of, units_of

    monkeypatch.chdir(finished(task))
    rows = table("data/tiny/test.csv")
    units = units_of("tiny", "idf")
    texts = [(text,) for _, text in rows.values()]
    inputs = kind_of_unit(units[0]).inputs(encoding_of(units[0]), texts, None)
    one, other = (predict_unit(unit, inputs)[:, 0] for unit in units)
    mean = (one + other) / 2 if task == "regression" else expit((logit(one) + logit(other)) / 2)
    found = numbers("oof/tiny/idf/test.csv")
    np.testing.assert_allclose([found[name][0] for name in rows], mean, rtol=1e-12)
    assert np.abs(one - other).max() > 1e-2
    if task == "binary":
        assert np.abs(mean - (one + other) / 2).max() > 1e-6


def test_a_hidden_test_set_of_another_length_is_predicted_blended_and_submitted(copy):
    header, rows = read_rows(Path("data/tiny/test.csv"))
    known = rows[3]
    hidden = [known, *([f"h{k:03}", "h", f"splendid train number {k}"] for k in range(47))]
    write_rows(Path("hidden/test.csv"), header, hidden)
    write_rows(Path("hidden/sample.csv"), ["id", "target"], [[row[0], "0"] for row in hidden[::-1]])
    before = numbers("oof/tiny/mean/test.csv")[known[0]]
    train = Path("data/tiny/train.csv")
    train.rename("train.csv")
    where = ("--data.test", "hidden/test.csv", "--data.sample_submission", "hidden/sample.csv")
    stage("predict", *where)
    Path("train.csv").rename(train)
    stages("blend", "submit", words=where)
    found = numbers("submissions/tiny/submission.csv")
    assert list(found) == [row[0] for row in hidden[::-1]]
    assert numbers("oof/tiny/mean/test.csv")[known[0]] == pytest.approx(before, abs=1e-5)
    stages("predict", "blend", "submit")  # and back to the one that was there
    assert list(numbers("submissions/tiny/submission.csv"))[::-1] == [row[0] for row in rows]


def test_predict_without_models_says_what_to_run(copy, refusal):
    shutil.rmtree("models/tiny/idf/fold1")
    assert re.search(r"models/tiny/idf/fold1: .*\brun train\b", refusal("predict"))
    shutil.rmtree("models/tiny/idf")
    assert re.search(r"models/tiny/idf/fold0: .*\brun train\b", refusal("predict"))


def test_a_unit_that_cannot_be_read_is_named_and_the_other_members_are_predicted(copy, refusal):
    shutil.rmtree("oof")
    weights = Path("models/tiny/mean/fold1/weights.safetensors")
    weights.write_bytes(weights.read_bytes()[:500])
    assert "mean fold 1" in refusal("predict")
    assert Path("oof/tiny/idf/test.csv").is_file()
    assert not Path("oof/tiny/mean/test.csv").exists()


def test_a_member_that_is_predicted_stands_whatever_happens_to_the_next(copy, monkeypatch):
    shutil.rmtree("oof")

    def ends_early(function, pieces, jobs, *, on_result, **_):
        for i, piece in enumerate(pieces[:3]):  # mean whole, idf by half
            on_result(i, function(*piece.arguments))
        raise KeyboardInterrupt  # after three units

    monkeypatch.setattr("pipeline.members.averaging.run_all", ends_early)
    with pytest.raises(SystemExit, match="^130$"):
        stage("predict")
    assert Path("oof/tiny/mean/test.csv").is_file()
    assert not Path("oof/tiny/idf/test.csv").exists()


# --- train


def test_members_can_be_trained_one_at_a_time(copy, finished):
    shutil.rmtree("models")
    shutil.rmtree("oof")
    stage("train", "--members", "idf")
    assert [path.parent.name for path in units_of_members()] == ["idf", "idf"]
    assert not Path("oof/tiny/mean").exists()
    stage("train")
    for member in MEMBERS:  # alone or together makes no difference
        was = finished("regression") / f"oof/tiny/{member}/oof.csv"
        assert Path(f"oof/tiny/{member}/oof.csv").read_bytes() == was.read_bytes()


def test_a_changed_setting_is_refused_by_name_and_overwrite_trains_again(copy, refusal):
    again = ("--training.epochs", "2", "--members", "mean")
    line = refusal("train", *again)
    assert re.search(r"models/tiny/mean/fold0: .*\bepochs\b.*\b1\.0\b.*\b2\.0\b", line)
    old = numbers("oof/tiny/mean/oof.csv")
    stage("train", *again, "--overwrite")
    new = numbers("oof/tiny/mean/oof.csv")
    assert all(old[name] != new[name] for name in old)
    # the other member still stands, and the old test predictions do not go with the new models
    line = refusal("blend")
    assert re.search(r"oof/tiny/mean: .*\boof\.csv\b.*\btest\.csv\b", line)
    stage("predict")
    stage("blend")


def test_a_failing_member_is_named_and_the_others_stand(copy):
    shutil.rmtree("models")
    shutil.rmtree("oof")
    bad = {"pooling": "idf", "learning_rate": 1e30}
    change_config(members=[bad, {"pooling": "mean"}])
    with pytest.raises(SystemExit) as end:
        stage("train")
    message = str(end.value.code)  # a text: Python prints it and exits with 1
    assert re.match(r"2\D+4\D.*\bidf fold 0\b", message)
    assert re.search(r"models/tiny/idf/fold0: .*training\.learning_rate", message)
    assert [path.parent.name for path in units_of_members()] == ["mean", "mean"]
    assert not [path for path in Path("models").rglob("*.tmp")]
    assert [path.parent.name for path in Path("oof").rglob("oof.csv")] == ["mean"]
    change_config(members=SETTINGS["members"])
    before = Path("models/tiny/mean/fold0/run.json").stat().st_mtime_ns
    stage("train")
    assert len(units_of_members()) == 4
    assert Path("models/tiny/mean/fold0/run.json").stat().st_mtime_ns == before


def test_a_seed_of_its_own_makes_a_member_of_the_same_pooling_another_model(copy):
    members = [{"pooling": "mean"}, {"pooling": "mean", "name": "mean-s7", "seed": 7}]
    change_config(members=members)
    stage("train")
    one, other = (numbers(f"oof/tiny/{name}/oof.csv") for name in ("mean", "mean-s7"))
    assert np.corrcoef(list(one.values()), list(other.values()), rowvar=False)[0, 1] < 0.999


# --- blend


def foreign(folder, change=None):
    """A predictor from elsewhere: nearly the truth, in another order of rows."""
    _, rows = read_rows(Path("data/tiny/train.csv"))
    rng = np.random.default_rng(0)
    oof = [[row[0], f"{float(row[-1]) + rng.normal(0, 0.05):.4f}"] for row in rows]
    test = [[name, f"{rng.normal():.4f}"] for name in table("data/tiny/test.csv")]
    if change:
        change(oof)
    write_rows(Path(folder, "oof.csv"), ["id", "target"], oof[::-1])
    write_rows(Path(folder, "test.csv"), ["id", "target"], test[::-1])


def test_a_predictor_from_elsewhere_is_blended_and_submitted(copy):
    foreign("elsewhere/notebook-7")
    change_config(blend={"methods": ["convex"], "external": ["elsewhere/notebook-7"]})
    stages("prepare", "train", "predict", "blend", "submit")
    header, lines = read_rows(Path("oof/tiny/leaderboard.csv"))
    board = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    assert board["notebook-7"]["kind"] == "external, folds unknown"
    assert board["blend_convex"]["chosen"] == "True"
    weights = {name: w for name, (w, *_) in numbers("oof/tiny/blend_convex/weights.csv").items()}
    assert weights["notebook-7"] > 0.9
    assert sum(weights.values()) == pytest.approx(1)
    origin = json.loads(Path("submissions/tiny/submission.json").read_text())
    assert origin["weights"] == pytest.approx(weights)
    stage("submit", "--predictor", "notebook-7")
    theirs = numbers("elsewhere/notebook-7/test.csv")
    assert numbers("submissions/tiny/notebook-7.csv") == theirs


def test_the_report_knows_what_the_units_cost_and_how_they_learned(copy):
    stage("report")
    told = json.loads(Path("reports/tiny/summary.json").read_text(encoding="utf-8"))
    assert {name: len(units) for name, units in told["learning"].items()} == {"mean": 2, "idf": 2}
    minutes = {line["name"]: line["minutes"] for line in told["leaderboard"]}
    assert all(minutes[member] > 0 for member in MEMBERS)


def test_any_predictor_can_be_submitted(copy, refusal):
    stage("submit", "--predictor", "idf")
    assert numbers("submissions/tiny/idf.csv") == numbers("oof/tiny/idf/test.csv")
    told = Path("submissions/tiny/idf.json")
    assert json.loads(told.read_text(encoding="utf-8"))["leaderboard"]["name"] == "idf"
    line = refusal("submit", "--predictor", "idff")
    assert re.search(r"--predictor: .*'idff'.*\bidf\b", line)


# --- odd tables


def test_odd_ids_texts_and_names_come_through_untouched(workplace, backbone_of):
    """Ids with zeros, the text NA, pairs, groups, a TSV, a sample in an order of its own."""
    settings = {
        **SETTINGS,
        "backbone": str(backbone_of("roberta")),
        "data": {
            "train": "data/tiny/train.tsv",
            "id": "Row Id",
            "text": ["text", "document"],
            "group": "group",
        },
        "folds": {"n": 2, "scheme": "group"},
        "members": [{"pooling": "max"}, {"pooling": "idf"}],
    }
    write_competition(workplace, "regression", settings=settings)
    data = workplace / "data/tiny"
    _, rows = read_rows(data / "train.csv")
    ids = ["007", "7", "07", "NA", "1e3", "0x1F", "None", *(f"{k:05}" for k in range(53))]
    for k, (row, name) in enumerate(zip(rows, ids, strict=True)):
        row[0] = name
        row.insert(3, f"g{k // 5}")
    rows[0][2], rows[1][2], rows[2][2] = "NA", "null", 'two\nlines, "quoted"'
    header = ["Row Id", "document", "text", "group", "target"]
    lines = ["\t".join('"' + c.replace('"', '""') + '"' for c in row) for row in [header, *rows]]
    (data / "train.tsv").write_text("\ufeff" + "\n".join(lines) + "\n", encoding="utf-8")
    (data / "train.csv").unlink()
    _, test = read_rows(data / "test.csv")
    test[0][0], test[1][0] = "0001", "1"
    write_rows(data / "test.csv", ["Row Id", "document", "text"], test)
    sample = [["0", row[0]] for row in sorted(test, key=lambda row: row[2])]
    write_rows(data / "sample_submission.csv", ["prediction", "Row Id"], sample)
    run_all()
    assert list(table("oof/tiny/idf/oof.csv")) == ids
    header, found = read_rows(Path("submissions/tiny/submission.csv"))
    assert header == ["prediction", "Row Id"]
    assert [name for _, name in found] == [name for _, name in sample]
    folds = {name: fold for name, (fold,) in table("folds/tiny.csv").items()}
    of_group = {}
    for row in rows:
        of_group.setdefault(row[3], set()).add(folds[row[0]])
    assert all(len(found) == 1 for found in of_group.values())
    kept = json.loads(Path("models/tiny/max/fold0/reload_check.json").read_text())
    assert all(len(pair) == 2 for pair in kept["texts"])


def test_a_competition_without_ids_goes_by_row_numbers(workplace, backbone_of):
    settings = {**SETTINGS, "backbone": str(backbone_of("bert")), "data": {"id": None}}
    write_competition(workplace, "binary", settings=settings)
    data = workplace / "data/tiny"
    for name in ("train", "test"):
        header, rows = read_rows(data / f"{name}.csv")
        write_rows(data / f"{name}.csv", header[1:], [row[1:] for row in rows])
    write_rows(data / "sample_submission.csv", ["target"], [["0.5"]] * 20)
    run_all()
    header, rows = read_rows(Path("submissions/tiny/submission.csv"))
    assert header == ["target"]
    predictions = numbers("oof/tiny/blend_mean/test.csv")
    assert list(predictions) == [str(k) for k in range(20)]
    origin = json.loads(Path("submissions/tiny/submission.json").read_text())
    if origin["predictor"] == "blend_mean":
        assert [[float(cell)] for (cell,) in rows] == list(predictions.values())


# --- what no longer fits is refused


@pytest.fixture
def copy_of(finished, workplace):
    """A copy of the finished competition of a task, as the current folder."""

    def copied(task):
        shutil.copytree(finished(task), workplace, dirs_exist_ok=True)

    return copied


def test_predictions_of_the_other_class_are_not_submitted(copy_of, refusal):
    copy_of("binary")
    _, rows = read_rows(Path("data/tiny/train.csv"))
    negative = sorted({row[-1] for row in rows})[0]
    line = refusal("submit", "--data.positive", negative)
    assert re.search(r"oof/tiny/\w+/oof\.csv: .*\btargets\b", line)


def test_a_run_with_other_settings_does_not_replace_what_another_run_just_trained(
    copy, monkeypatch
):
    before = Path("models/tiny/mean/fold0/run.json").read_bytes()
    # as if the unit had not been there when this run looked
    monkeypatch.setattr("pipeline.train.is_finished", lambda *_, **__: False)
    with pytest.raises(SystemExit, match=r"mean/fold0: .*\bepochs\b.*\b1\.0\b.*\b2\.0\b"):
        stage("train", "--training.epochs", "2")
    assert Path("models/tiny/mean/fold0/run.json").read_bytes() == before


def test_members_of_other_settings_are_blended_with_a_word_and_submitted_as_they_were(copy, capsys):
    backbone = yaml.safe_load(CONFIG.read_text())["backbone"]
    for flag, value, said in (
        ("--training.learning_rate", "0.01", None),  # as trained
        ("--training.learning_rate", "0.02", r"\blearning_rate\b.*\b0\.01\b.*\b0\.02\b"),
        ("--backbone", "other", rf"\bbackbone\b.*'{re.escape(backbone)}'.*'other'"),
    ):
        stage("blend", flag, value)
        told = [x for x in capsys.readouterr().out.splitlines() if x.startswith("warning: oof/")]
        assert len(told) == (len(MEMBERS) if said else 0)
        for name, line in zip(MEMBERS, told, strict=False):
            assert re.match(rf"warning: oof/tiny/{name}: .*{said}", line)
    stage("submit", "--training.learning_rate", "0.02")
    origin = json.loads(Path("submissions/tiny/submission.json").read_text())
    assert {name: of["learning_rate"] for name, of in origin["members"].items()} == {
        "mean": 0.01,
        "idf": 0.01,
    }


def test_what_can_never_be_submitted_is_refused_before_anything_is_trained(copy_of, refusal):
    copy_of("multiclass")
    assert "submit.as: labels" in refusal("prepare", "--submit.as", "labels")
    line = refusal("prepare", "--metric", "qwk")
    assert re.search(r"train\.csv: .*\bqwk\b.*'id'", line)
    for name in ("prepare", "train"):
        line = refusal(name, "--training.loss", "ordinal")
        assert re.search(r"train\.csv: .*\bordinal\b.*'id'", line)
        line = refusal(name, "--training.class_weights", "{sprot: 2}")
        assert re.search(r"class_weights.*train\.csv.*'sprot'.*'sport'", line)


def test_fields_of_the_trainer_that_reach_into_the_model_work(copy_of):
    copy_of("multiclass")
    reach = "{label_smoothing_factor: 0.1, gradient_checkpointing: true}"
    stage("train", "--overwrite", "--members", "mean", "--training.trainer", reach)
    run = json.loads(Path("models/tiny/mean/fold0/run.json").read_text())
    assert run["fingerprint"]["trainer"]["gradient_checkpointing"] is True


def test_smoothed_labels_are_refused_where_there_are_no_classes(copy, refusal):
    line = refusal("train", "--training.trainer", "{label_smoothing_factor: 0.1}")
    assert re.search(r"label_smoothing_factor\b.*\bmulticlass\b.*\bregression\b", line)
