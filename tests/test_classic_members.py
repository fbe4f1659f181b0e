"""Classic members in all stages: settings, units, and libraries that they do not load."""

import json
import pickle
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import joblib
import numpy as np
import pytest
from conftest import change_config, read_rows, stages, write_competition, write_rows

from pipeline.competition.rows import Train
from pipeline.files.hashes import file_sha256
from pipeline.members.averaging import predict_unit
from pipeline.members.classic.estimators import ESTIMATORS, default_options
from pipeline.members.classic.shallow import Inputs
from pipeline.members.kinds import KINDS, kind_of_unit
from pipeline.members.training_table import TrainingTable
from pipeline.members.units import Encoding, Unit, encoding_of
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.settings.command import load_config
from pipeline.settings.members import EMBEDDING_MODELS, ClassicMember

ROOT = Path(__file__).parents[1]
OPTIONS = {"lightgbm_text": {"rounds": 10}}
MEMBERS = [
    {"model": n, **({"options": OPTIONS[n]} if n in OPTIONS else {})} for n in sorted(ESTIMATORS)
]
N_FOLDS = 2
N_UNITS = N_FOLDS * len(MEMBERS)
SETTINGS = {
    "folds": {"n": N_FOLDS},
    "members": MEMBERS,
    "blend": {"methods": ["mean", "convex"]},
    "jobs": {"n_jobs": 1},
}
UNIT = {"model.joblib", "run.json", "oof.csv", "reload_check.json"}


def units():
    return sorted(Path("models/tiny").glob("*/fold[0-9]"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, backbone_of):
    """The folder of a competition of a task that went through train, predict and blend."""
    folders = {}

    def folder_of(task):
        if task not in folders:
            folders[task] = tmp_path_factory.mktemp(task)
            settings = {**SETTINGS, "backbone": str(backbone_of("bert"))}
            write_competition(folders[task], task, settings=settings)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(folders[task])
                stages("prepare", "make_folds", "train", "predict", "blend", "submit")
        return folders[task]

    return folder_of


@pytest.fixture(params=["multiclass", "regression"])
def of_each_task(request, finished, monkeypatch):
    monkeypatch.chdir(finished(request.param))
    return request.param


# --- every task


def test_every_model_is_a_predictor_of_its_task_and_is_blended(of_each_task):
    for name in sorted(ESTIMATORS):
        for part, n in (("oof", 60), ("test", 20)):
            header, rows = read_rows(Path(f"oof/tiny/{name}/{part}.csv"))
            wanted, _ = read_rows(Path(f"oof/tiny/blend_mean/{part}.csv"))
            assert (header, len(rows)) == (wanted, n)
    assert Path("submissions/tiny/submission.csv").is_file()


def test_a_units_folder_is_that_of_any_member(of_each_task):
    assert len(units()) == 2 * len(ESTIMATORS)
    for unit in units():
        assert {path.name for path in unit.iterdir()} == UNIT
        run = json.loads((unit / "run.json").read_text())
        assert run["model"] == run["fingerprint"]["model"] == unit.parent.name
        for key in ("options", "seed", "seconds", "score", "versions", "weights_sha256", "device"):
            assert run[key] is not None


def test_a_second_run_leaves_everything_as_it_is(of_each_task, capsys):
    before = {path: path.stat().st_mtime_ns for path in Path("models").rglob("*.*")}
    stages("train", "predict")
    told = capsys.readouterr().out
    assert re.search(rf"\b0\D+{N_UNITS} units\b", told)
    assert re.search(rf"\b0\D+{len(MEMBERS)} members\b", told)
    assert {path: path.stat().st_mtime_ns for path in before} == before


# --- resumed, refused


def test_predict_needs_no_training_table_and_repeats_itself_to_the_digit(copy):
    before = {path: path.read_bytes() for path in Path("oof/tiny").glob("*[!e]/test.csv")}
    before = {path: data for path, data in before.items() if "blend_" not in str(path)}
    assert len(before) == len(ESTIMATORS)
    shutil.rmtree("oof")
    Path("data/tiny/train.csv").unlink()
    stages("predict")
    assert {path: path.read_bytes() for path in before} == before


def test_shared_training_settings_do_not_concern_a_classic_member(copy, capsys):
    stages("train", words=("--training.epochs", "9", "--training.max_length", "64"))
    assert re.search(rf"\b0\D+{N_UNITS} units\b", capsys.readouterr().out)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_an_option_that_changed_is_refused_by_name_and_overwrite_trains_again(name, copy, refusal):
    option = list(default_options(name))[0]
    change_config(members=[{"model": name, "options": {option: 12}}])
    line = refusal("train")
    assert re.search(rf"models/tiny/{name}/fold0: .*\boptions\b.*'{option}'", line)
    stages("train", words=("--overwrite",))
    run = json.loads(Path(f"models/tiny/{name}/fold1/run.json").read_text())
    assert run["options"][option] == 12


def test_only_a_missing_unit_is_trained_and_gives_the_same_predictions(copy, capsys):
    before = Path("oof/tiny/tfidf_linear/oof.csv").read_bytes()
    shutil.rmtree("models/tiny/tfidf_linear/fold1")
    shutil.rmtree("oof")
    stages("train")
    assert re.search(rf"\b1\D+{N_UNITS} units\b", capsys.readouterr().out)
    assert Path("oof/tiny/tfidf_linear/oof.csv").read_bytes() == before


class Trap:
    """What a file from elsewhere may do to those who open it."""

    def __reduce__(self):
        return Path.touch, (Path("sprung"),)


def test_a_model_file_that_is_not_the_trained_one_is_refused_without_being_opened(copy, refusal):
    shutil.rmtree("oof")
    joblib.dump(Trap(), "models/tiny/tfidf_linear/fold0/model.joblib")
    line = refusal("predict")
    assert "models/tiny/tfidf_linear/fold0/model.joblib: " in line
    assert not Path("sprung").exists()
    assert Path("oof/tiny/lightgbm_text/test.csv").is_file()


def test_a_model_file_that_another_version_wrote_says_what_to_do(copy, refusal):
    class Gone:
        def __reduce__(self):
            return getattr, (Path, "of_an_older_version")

    path = Path("models/tiny/tfidf_linear/fold0/model.joblib")
    joblib.dump(Gone(), path)
    run = json.loads(path.with_name("run.json").read_text())
    run["weights_sha256"] = file_sha256(path)
    path.with_name("run.json").write_text(json.dumps(run))
    Path("oof/tiny/tfidf_linear/test.csv").unlink()
    assert re.search(rf"{path}: .*of_an_older_version.*fold0\b", refusal("predict"))


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_unit_that_does_not_reproduce_its_own_predictions_is_refused(name, copy, refusal):
    shutil.rmtree("oof")
    path = Path(f"models/tiny/{name}/fold0/reload_check.json")
    kept = json.loads(path.read_text())
    kept["predictions"][3][0] += 0.05
    path.write_text(json.dumps(kept))
    line = refusal("predict", "--members", name)
    assert re.search(rf"models/tiny/{name}/fold0: .*\b0\.001\b", line)


def test_what_is_fitted_is_fitted_on_the_units_training_rows_only(copy):
    """Texts and targets of fold 0 become garbage: what its unit predicts elsewhere stays."""
    folds = {name: fold for name, fold in read_rows(Path("folds/tiny.csv"))[1]}
    header, rows = read_rows(Path("data/tiny/train.csv"))
    rng = np.random.default_rng(0)
    for row in rows:
        if folds[row[0]] == "0":
            row[2] = f"garbage {row[2]} garbage!!"
            row[-1] = f"{rng.normal(0, 1e3):.3f}"
    write_rows(Path("data/tiny/train.csv"), header, rows)
    before = [Path(f"models/tiny/{n}/fold0/run.json").read_text() for n in sorted(ESTIMATORS)]
    tests = [unit_predictions(name) for name in sorted(ESTIMATORS)]
    shutil.copy("folds/tiny.csv", "own.csv")
    change_config(folds={"scheme": "file", "path": "own.csv"})
    stages("make_folds", "train", words=("--overwrite",))
    after = [Path(f"models/tiny/{n}/fold0/run.json").read_text() for n in sorted(ESTIMATORS)]
    assert all(a != b for a, b in zip(after, before, strict=True))
    for name, was in zip(sorted(ESTIMATORS), tests, strict=True):
        np.testing.assert_allclose(unit_predictions(name), was, rtol=1e-6, atol=1e-6, err_msg=name)


def unit_predictions(name):
    """What the unit of fold 0 predicts for the test rows."""
    unit = Unit("tiny", name, 0)
    texts = [(row[2],) for row in read_rows(Path("data/tiny/test.csv"))[1]]
    return predict_unit(unit, kind_of_unit(unit).inputs(encoding_of(unit), texts, None))


# --- beside fine-tuned members, and without them


def test_fine_tuned_and_classic_members_are_trained_in_one_run(copy, backbone_of):
    training = {"epochs": 1, "batch_size": 16, "max_length": 32}
    change_config(members=[{"model": "tfidf_linear"}, {"pooling": "max"}], training=training)
    before = Path("models/tiny/tfidf_linear/fold0/run.json").stat().st_mtime_ns
    stages("prepare", "train", "predict", "blend")
    assert Path("models/tiny/tfidf_linear/fold0/run.json").stat().st_mtime_ns == before
    board = Path("oof/tiny/leaderboard.csv").read_text()
    assert "tfidf_linear" in board
    assert "\nmax," in board


def test_without_a_backbone_all_stages_run_and_none_imports_torch(tmp_path):
    members = [member for member in MEMBERS if member["model"] not in EMBEDDING_MODELS]
    settings = {**SETTINGS, "members": members, "backbone": None}
    write_competition(tmp_path, "multiclass", settings=settings)
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]\n"
    code += "from conftest import stages\n"
    code += "stages('prepare', 'make_folds', 'train', 'predict', 'blend', 'submit')\n"
    code += "print(*(m for m in ('torch', 'transformers') if m in sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == ""
    assert (tmp_path / "submissions/tiny/submission.csv").is_file()


def test_pairs_go_through_all_stages(workplace, backbone_of):
    settings = {**SETTINGS, "backbone": str(backbone_of("bert")), "data": {"text": ["text", "id"]}}
    settings["data"]["id"] = None
    write_competition(workplace, "binary", settings=settings)
    stages("make_folds", "train", "predict")
    assert len(units()) == N_UNITS


# --- settings


@pytest.fixture
def config_of(workplace):
    """Load a config of these members."""

    def load(*members, backbone="nobody/tiny"):
        settings = {"members": list(members), "backbone": backbone}
        return load_config(write_competition(workplace, "regression", settings=settings))

    return load


def test_a_classic_member_bears_its_models_name_and_has_a_seed_of_its_own(config_of):
    one, other = config_of({"model": "tfidf_linear"}, {"model": "lightgbm_text"}).members
    assert (one.name, other.name) == ("tfidf_linear", "lightgbm_text")
    assert one.seed != other.seed


def test_a_backbone_is_read_by_those_that_embed_only(config_of):
    one, other = config_of({"model": "tfidf_linear"}, {"model": "embedding_svr"}).members
    assert (one.backbone, other.backbone) == (None, "nobody/tiny")


def test_a_members_own_backbone_wins_over_the_shared_one(config_of):
    classic = {"model": "embedding_svr", "backbone": "nobody/own"}
    members = config_of(classic, {"pooling": "mean", "backbone": "nobody/own"}).members
    assert [member.backbone for member in members] == ["nobody/own", "nobody/own"]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"model": None}, r"\bmodel\b.*\bnull\b"),
        ({"model": ["a"]}, r"\bmodel\b.*\['a'\]"),
        ({"model": "tfidf_linear", "options": 5}, r"members\.0\.options: .*\b5\b"),
        ({"model": "tfidf_linear", "pooling": "mean"}, r"member mean\b.*\bpooling\b.*\bmodel\b"),
        ({"model": "tfidf_linear", "backbone": "x"}, r"\btfidf_linear\b.*\bbackbone\b"),
        ({"model": "tfidf_linear", "name": "blend_x"}, r"members\.0\.name: .*'blend_x'"),
        ({"model": "tfidf_linear", "optoins": {}}, r"'members\.0\.optoins'.*'members\.0\.options'"),
    ],
)
def test_a_wrong_setting_of_a_classic_member_is_named(member, said, config_of):
    with pytest.raises(ValueError, match=said):
        config_of(member)


@pytest.mark.parametrize("stage", ["prepare", "train"])
@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"model": "svm"}, "'svm'.*embedding_svr, lightgbm_text, t"),
        ({"model": "tfidf_linear", "options": {"c": 1}}, "tfidf_linear.*'c'.*max_features, "),
    ],
)
def test_what_only_its_model_knows_is_checked_before_anything_long_starts(
    member, said, stage, workplace, refusal
):
    write_competition(workplace, "regression", settings={"members": [member], "backbone": None})
    stages("make_folds")
    assert re.search(rf"^error: .*{said}", refusal(stage))
    assert units() == []


def test_the_options_that_a_model_has_by_default_are_on_record(of_each_task):
    """What a later version has by default is not what this unit was trained with."""
    for unit in units():
        name = unit.parent.name
        run = json.loads((unit / "run.json").read_text())
        options = {**default_options(name), **OPTIONS.get(name, {})}
        assert run["fingerprint"]["options"] == run["options"] == options


@pytest.mark.parametrize("key", ["epochs", "learning_rate", "max_length", "trainer"])
def test_a_training_setting_on_a_classic_member_is_refused_with_what_is_allowed(key, config_of):
    known = "name, seed, template, model, options, backbone"
    with pytest.raises(ValueError, match=rf"'members\.0\.{key}'.*{known}"):
        config_of({"model": "tfidf_linear", key: 1})


@pytest.mark.parametrize(
    ("member", "said"),
    [
        ({"model": "embedding_svr"}, r"\bembedding_svr\b.*\bbackbone\b"),
        ({"pooling": "mean"}, r"members\.0\.backbone\b"),
    ],
)
def test_who_needs_a_backbone_says_so(member, said, config_of):
    with pytest.raises(ValueError, match=said):
        config_of(member, backbone=None)


def test_the_separator_of_a_template_is_a_line_break_or_with_a_backbone_its_token(tiny_backbone):
    kind, texts = KINDS["classic"](), [("warm\0dull",), ("warm\ndull",)]
    assert kind.inputs(None, texts, None).texts == [("warm\ndull",)] * 2
    vectors = kind.inputs(Encoding(tiny_backbone, 16), texts, None).texts
    assert np.abs(vectors[0] - vectors[1]).max() > 0.01


def test_the_length_of_embedded_texts_is_the_option_of_the_member():
    kind = KINDS["classic"]()
    for options, length in (({}, 256), ({"max_length": 12}, 12)):
        member = ClassicMember(name="a", seed=0, model="embedding_svr", options=options)
        assert kind.encoding(member, Path("backbone")).max_length == length


def test_a_classic_unit_learns_standardised_targets_and_predicts_in_their_units(tmp_path):
    texts = [(word,) for word in ["dull", "warm", "bright"] * 20]
    y = np.array([1e4, 2e4, 3e4] * 20)[:, None]
    unit = table_of(texts, y).to_train(Unit("tiny", "a", 0), **FACTS)
    found = held_out_predictions(unit, texts, tmp_path)
    np.testing.assert_allclose(found, y[unit.held_out], atol=500)


def test_a_classic_unit_learns_from_the_weights_of_its_rows(tmp_path):
    """Of two targets of each text, the one with the greater weight is predicted."""
    texts = [(word,) for word in ["dull", "warm", "bright"] * 40]
    y = np.repeat([1.0, 2.0], 60)[:, None]
    for weights, low, high in ((np.repeat([9.0, 1.0], 60), 1.0, 1.2), (None, 1.4, 1.6)):
        table = table_of(texts, y)
        table = replace(table, train=replace(table.train, weights=weights))
        found = held_out_predictions(table.to_train(Unit("tiny", "a", 0), **FACTS), texts, tmp_path)
        assert low < found.mean() < high


MEMBER = ClassicMember(name="a", seed=0, model="tfidf_linear")
FACTS = {"member": MEMBER, "encoding": None, "fingerprint": {}, "provenance": {}}
FACTS |= {"overwrite": False}


def table_of(texts, y, transform=None):
    ids = [f"a{i:02}" for i in range(len(y))]
    train = Train(ids, texts, y, (), groups=None, columns=["target"])
    folds = np.arange(len(y)) % 4
    return TrainingTable("tiny", "regression", "mae", "id", train, folds, transform)


def held_out_predictions(unit, texts, folder):
    kind = KINDS["classic"]()
    return kind.fit(unit, kind.inputs(None, texts, None), folder)[0]


def test_a_unit_that_travels_to_a_worker_writes_the_same_bytes(tmp_path):
    """An attribute of scikit-learn's vectorizer is called as the task."""
    texts = [(word,) for word in ["dull", "warm", "bright"] * 20]
    table = replace(table_of(texts, np.arange(60) % 2), task="binary")
    unit, written = table.to_train(Unit("tiny", "a", 0), **FACTS), set()
    for same in (unit, pickle.loads(pickle.dumps(unit))):
        held_out_predictions(same, texts, tmp_path)
        written.add((tmp_path / "model.joblib").read_bytes())
    assert len(written) == 1


@pytest.mark.parametrize("is_skewed", [False, True])
def test_log1p_helps_a_skewed_target_in_its_own_units_and_a_normal_one_hardly(is_skewed, tmp_path):
    rng = np.random.default_rng(0)
    holds = rng.random((400, 12)) < 0.5
    words = np.array([f"word{k}" for k in range(12)])
    texts = [(" ".join(words[row]),) for row in holds]
    y = 10 + (holds @ rng.normal(size=12) + rng.normal(0, 0.2, 400))[:, None]
    y = np.exp(y - 10) if is_skewed else y
    predictions = {}
    for transform in (None, "log1p"):
        table = table_of(texts, y, transform)
        unit = table.to_train(Unit("tiny", "a", 0), **FACTS)
        predictions[transform] = held_out_predictions(unit, texts, tmp_path)
    held_out = Target.of(y, "regression", "mae")[unit.held_out]
    gain, low, _ = difference_interval(held_out, predictions["log1p"], predictions[None], seed=0)
    if is_skewed:
        assert low > 1
    else:
        assert abs(gain) < 0.02


def test_another_transform_is_another_fingerprint():
    tables = [table_of([("a",), ("b",)], np.ones((2, 1)), how) for how in (None, "log1p")]
    one, other = (table.fingerprint(MEMBER, {}) for table in tables)
    assert one != other


@pytest.mark.parametrize(("rows", "warned"), [(20_000, False), (100_000, True)])
def test_support_vectors_of_many_rows_warn_of_their_time(rows, warned):
    inputs = Inputs(np.empty((rows, 1, 0), dtype=np.float32), {})
    kind, told = KINDS["classic"](), {}
    for model in ESTIMATORS:
        member = ClassicMember(name="a", seed=0, model=model)
        told[model] = kind.warning(member, inputs)
    assert [model for model in told if told[model]] == ["embedding_svr"] * warned
    if warned:
        assert re.search(r"100,000.*\b25\b.*20,000", told["embedding_svr"])
