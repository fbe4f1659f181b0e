"""The YAML and the command line: every setting is checked first, every error is one line."""

import argparse
import io
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from pipeline.files.paths import submission_path
from pipeline.scoring.metrics import METRICS, metric_of
from pipeline.scoring.names import PARAMETERS
from pipeline.scoring.tasks import TASKS
from pipeline.settings.command import FLAGS, load_config, one_line_errors, parse
from pipeline.settings.fine_tuning import TRAINER_KEYS, Training
from pipeline.settings.listing import default_of, settings_by_section
from pipeline.settings.members import KINDS, derived_seed
from pipeline.settings.section import TAKEN

ROOT = Path(__file__).parents[1]

BASE = """\
competition: tiny
task: regression
metric: rmse
data: {train: train.csv, test: test.csv, sample_submission: sample.csv}
backbone: minilm
members:
  - {pooling: mean}
  - {pooling: max, epochs: 3}
"""
OWN = {"file": "a.py", "greater_is_better": True}  # it is read later


@pytest.fixture
def config_of(tmp_path):
    """Load the base config with some of its lines replaced or added; None removes a key."""

    def load(text="", *, overrides=None, **settings):
        merged = yaml.safe_load(BASE)
        for key, value in {**(yaml.safe_load(text) or {}), **settings}.items():
            if isinstance(merged.get(key), dict) and isinstance(value, dict):
                merged[key] |= value
            elif value is None:
                merged.pop(key)
            else:
                merged[key] = value
        path = tmp_path / "tiny.yaml"
        path.write_text(yaml.safe_dump(merged), encoding="utf-8")
        return load_config(path, overrides)

    return load


@pytest.fixture
def raw(tmp_path):
    """Write text as a YAML; its path."""

    def write(text):
        path = tmp_path / "tiny.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def command(raw):
    """Parse a command line on the base config."""
    path = raw(BASE)
    return lambda *words, flags=(): parse("A stage.", [str(path), *words], *flags)


def settings_of():
    """(dotted key, field) of every setting but the members'."""
    for settings in settings_by_section().values():
        yield from settings.items()


# --- what is read


def test_paths_and_columns_are_all_that_must_be_given(config_of):
    config = config_of()
    assert config.data.id == "id"
    assert config.data.text == ("text",)
    assert config.folds.n == 5
    assert config.training.warmup == 0.1
    assert [m.name for m in config.members] == ["mean", "max"]


@pytest.mark.parametrize("spelled", ["1e-4", "1E-4", "1.0e-4", "0.0001", "1.e-4", "+1e-4"])
def test_a_number_may_be_spelled_as_people_spell_it(raw, spelled):
    config = load_config(raw(BASE + f"training: {{learning_rate: {spelled}}}\n"))
    assert config.training.learning_rate == 1e-4


@pytest.mark.parametrize("spelled", ["yes", "no", "on", "off", "true", "False"])
def test_a_class_that_yaml_takes_for_a_truth_value_has_to_be_quoted(raw, spelled):
    task = BASE.replace("regression", "binary").replace("rmse", "auc")
    with pytest.raises(ValueError, match=r"data\.positive: .*\b(True|False)\b"):
        load_config(raw(task.replace("data: {", f"data: {{positive: {spelled}, ")))
    quoted = load_config(raw(task.replace("data: {", f"data: {{positive: '{spelled}', ")))
    assert quoted.data.positive == spelled


def test_a_class_that_is_a_whole_number_needs_no_quotes(config_of):
    config = config_of("{task: binary, metric: auc, data: {positive: 1}}")
    assert config.data.positive == "1"


@pytest.mark.parametrize("setting", ["data.id", "data.text", "data.target"])
def test_a_column_that_is_read_as_a_float_has_to_be_quoted(config_of, setting):
    key = setting.partition(".")[2]
    with pytest.raises(ValueError, match=rf"{setting}\b.*\b1\.5\b"):
        config_of(data={key: 1.5 if key == "id" else [1.5]})


@pytest.mark.parametrize("name", ["1.50", "2024-01-31", "2024-01-31 12:00:00", "on"])
@pytest.mark.parametrize("key", ["id", "text", "group"])
def test_a_lone_column_that_yaml_does_not_read_as_text_has_to_be_quoted(raw, key, name):
    with pytest.raises(ValueError, match=rf"data\.{key}\b.*\b(1\.5|2024-01-31|True)\b.*quotes"):
        load_config(raw(BASE.replace("data: {", f"data: {{{key}: {name}, ")))


@pytest.mark.parametrize("setting", ["epochs", "batch_size", "learning_rate", "max_length"])
def test_a_truth_value_is_no_number(config_of, setting):
    with pytest.raises(ValueError, match=rf"training\.{setting}: \D*$"):
        config_of(training={setting: True})


def test_one_column_may_stand_without_a_list(config_of):
    config = config_of(data={"text": "tweet", "target": 7})
    assert config.data.text == ("tweet",)
    assert config.data.target == ("7",)


def test_members_inherit_training_and_override_it(config_of):
    config = config_of("{training: {epochs: 1, batch_size: 8}}")
    mean, highest = config.members
    assert (mean.epochs, mean.batch_size, mean.backbone) == (1, 8, "minilm")
    assert (highest.epochs, highest.batch_size) == (3, 8)


@pytest.mark.parametrize(
    ("task", "metric", "loss"),
    [
        ("regression", "rmse", "mse"),
        ("regression", "mae", "mae"),
        ("regression", {"name": "mae", "column_weights": {"target": 2}}, "mae"),
        ("binary", "auc", "bce"),
        ("multiclass", "accuracy", "cross_entropy"),
        ("multilabel", "auc", "bce"),
    ],
)
def test_the_loss_is_that_of_the_task_and_of_the_metric_mae(task, metric, loss, config_of):
    config = config_of(task=task, metric=metric)
    assert [m.settings["loss"] for m in config.members] == [loss, loss]


def test_a_loss_may_be_set_for_all_members_and_for_one(config_of):
    members = [{"pooling": "mean"}, {"pooling": "max", "loss": "smooth_l1"}]
    config = config_of(members=members, training={"loss": "mae"})
    assert [m.settings["loss"] for m in config.members] == ["mae", "smooth_l1"]


@pytest.mark.parametrize(
    ("task", "metric", "loss", "fitting"),
    [
        ("regression", "rmse", "bce", "mse, mae, smooth_l1"),
        ("regression", "rmse", "ordinal", "mse, mae, smooth_l1"),
        ("binary", "auc", "cross_entropy", "bce, focal"),
        ("multiclass", "accuracy", "huber", "cross_entropy, focal, ordinal"),
    ],
)
def test_a_loss_that_does_not_fit_the_task_is_refused_with_those_that_do(
    task, metric, loss, fitting, config_of
):
    with pytest.raises(ValueError, match=rf"\bmean\b.*training\.loss '{loss}'.*{task}.*{fitting}"):
        config_of(task=task, metric=metric, training={"loss": loss})


def test_smoothed_labels_and_another_loss_than_cross_entropy_are_refused(config_of):
    training = {"loss": "focal", "trainer": {"label_smoothing_factor": 0.1}}
    with pytest.raises(ValueError, match=r"label_smoothing_factor.*\bfocal\b"):
        config_of(task="multiclass", metric="accuracy", training=training)


def test_class_weights_are_those_of_all_members_or_of_one(config_of):
    members = [{"pooling": "mean"}, {"model": "tfidf_linear"}]
    members += [{"model": "lightgbm_text", "class_weights": {1: 3}}]
    about = {"members": members, "task": "binary", "metric": "auc"}
    config = config_of(**about, training={"class_weights": "balanced"})
    assert [m.settings["class_weights"] for m in config.members] == ["balanced"] * 2 + [{"1": 3}]


@pytest.mark.parametrize(
    ("weights", "shown"),
    [("even", "'even'"), (2, "2"), ({"a": 0}, "0"), ({"a": True}, "true"), ({}, "{}")],
)
def test_class_weights_that_are_none_are_refused(weights, shown, config_of):
    with pytest.raises(ValueError, match=rf"training\.class_weights: .*{shown}"):
        config_of(task="binary", metric="auc", training={"class_weights": weights})


@pytest.mark.parametrize("key", ["class_weights", "lora"])
def test_the_example_in_the_meaning_of_a_map_may_be_typed(command, key):
    example = re.search(r"such as (\{.*?\})", Training.model_fields[key].description)[1]
    assert command("--task", "binary", "--metric", "auc", f"--training.{key}", example)


def test_class_weights_of_a_regression_are_refused(config_of):
    with pytest.raises(ValueError, match=r"class_weights 'balanced'.*\bregression\b"):
        config_of(training={"class_weights": "balanced"})


def test_smoothed_labels_and_weights_are_refused(config_of):
    training = {"trainer": {"label_smoothing_factor": 0.1}}
    about = {"task": "multiclass", "metric": "accuracy", "training": training}
    with pytest.raises(ValueError, match=r"label_smoothing_factor.*data\.weight 'w'"):
        config_of(**about, data={"weight": "w"})


def test_a_weight_is_a_column_of_its_own(config_of):
    with pytest.raises(ValueError, match=r"'text'"):
        config_of(data={"weight": "text"})


def test_a_transform_of_classes_is_refused(config_of):
    with pytest.raises(ValueError, match=r"data\.transform: log1p\b.*\bbinary\b"):
        config_of(task="binary", metric="auc", data={"transform": "log1p"})


def test_an_unknown_transform_is_refused(config_of):
    with pytest.raises(ValueError, match=r"data\.transform: .*'log'.*'log1p'"):
        config_of(data={"transform": "log"})


def test_a_member_may_have_a_backbone_a_seed_and_a_name_of_its_own(config_of):
    config = config_of(
        members=[{"pooling": "mean"}, {"pooling": "mean", "name": "b", "backbone": "x", "seed": 7}]
    )
    assert config.members[1].model_dump(include={"name", "backbone", "seed"}) == {
        "name": "b",
        "backbone": "x",
        "seed": 7,
    }


def test_seeds_differ_by_name_and_by_the_competitions_seed(config_of):
    seeds = [m.seed for seed in (1, 2) for m in config_of(seed=seed).members]
    assert len(set(seeds)) == 4
    assert seeds[0] == derived_seed(1, "mean")
    assert all(0 <= seed < 2**32 for seed in seeds)


def test_an_entry_with_seeds_is_so_many_members_of_seeds_of_their_own(config_of):
    members = config_of(
        members=[
            {"pooling": "mean", "seeds": 3, "epochs": 2},
            {"model": "lightgbm_text", "name": "trees", "seeds": 1},
        ]
    ).members
    assert [m.name for m in members] == ["mean-s1", "mean-s2", "mean-s3", "trees-s1"]
    assert [m.seed for m in members] == [derived_seed(42, m.name) for m in members]
    assert [(m.pooling, m.epochs) for m in members[:3]] == [("mean", 2)] * 3


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"seeds": 0}, r"\b0\b"),
        ({"seeds": 101}, r"\b101\b"),
        ({"seeds": True}, "true"),
        ({"seeds": "3"}, "'3'"),
        ({"seeds": 2.0}, r"2\.0"),
        ({"seeds": 2, "seed": 7}, "not both"),
    ],
)
def test_a_number_of_seeds_that_makes_no_sense_is_refused(config_of, entry, said):
    with pytest.raises(ValueError, match=said):
        config_of(members=[{"pooling": "mean", **entry}])


@pytest.mark.parametrize("key", ["task", "data.train", "training.epochs", "seed", "backbone"])
def test_a_wrong_setting_is_told_before_the_seeds_of_members_that_inherit_it(config_of, key):
    members = {"members": [{"pooling": "mean", "seeds": 2}]}
    with pytest.raises(ValueError, match=rf"{key}: .*\['x'\]"):
        config_of(overrides={key: ["x"]}, **members)


@pytest.mark.parametrize("entry", [{"seed": 7}, {"seeds": 2}])
def test_a_seed_of_a_model_that_hardly_uses_one_is_refused(config_of, entry):
    with pytest.raises(ValueError, match=r"member twin: seeds? .*tfidf_linear.*other options"):
        config_of(members=[{"model": "tfidf_linear", "name": "twin", **entry}])


def test_a_derived_seed_is_the_same_on_every_machine():
    assert derived_seed(42, "mean") == 1219365091


def test_a_config_is_frozen(config_of):
    with pytest.raises(ValidationError, match="frozen"):
        config_of().seed = 1


@pytest.mark.parametrize("path", sorted(Path(__file__).parent.parent.glob("configs/*.yaml")))
def test_every_config_of_the_repository_is_valid_and_bears_its_files_name(path):
    assert load_config(path).competition == path.stem


# --- what is refused


@pytest.mark.parametrize(
    ("where", "typo", "near"),
    [
        ({"metrik": "rmse"}, "metrik", "metric"),
        ({"data": {"txt": ["a"]}}, "data.txt", "text"),
        ({"folds": {"sceme": "kfold"}}, "folds.sceme", "scheme"),
        ({"training": {"epoch": 1}}, "training.epoch", "epochs"),
        ({"members": [{"pooling": "mean", "poling": "x"}]}, "members.0.poling", "pooling"),
        ({"members": [{"pooling": "mean", "lerning_rate": 1}]}, "rning_rate", "learning_rate"),
        ({"submit": {"ass": "labels"}}, "submit.ass", "as"),
        ({"jobs": {"njobs": 2}}, "jobs.njobs", "n_jobs"),
        ({"training": {"lr": 1}}, "training.lr", "learning_rate"),
        ({"training": {"max_grad_norm": 1}}, "training.max_grad_norm", "trainer"),
        ({"training": {"bf16": True}}, "training.bf16", "precision"),
        ({"training": {"num_epochs": 1}}, "training.num_epochs", "epochs"),
        ({"training": {"max_len": 64}}, "training.max_len", "max_length"),
        ({"members": [{"pooling": "mean", "batch": 8}]}, "members.0.batch", "batch_size"),
        ({"folds": {"n_splits": 5}}, "folds.n_splits", "n"),
        ({"folds": {"random_state": 5}}, "folds.random_state", "seed"),
        ({"n_folds": 5}, "n_folds", "folds.n"),
        ({"lr": 5}, "lr", "training.learning_rate"),
        ({"data": {"label": "y"}}, "data.label", "target"),
    ],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest(config_of, where, typo, near):
    with pytest.raises(ValueError, match=rf"'[^']*{typo}'.*[.']{near}'"):
        config_of(**where)


def test_a_key_with_the_dot_of_the_command_line_is_told_as_a_yaml_has_it(config_of):
    with pytest.raises(ValueError, match=r"'training\.epochs'.*training: \{epochs: "):
        config_of(**{"training.epochs": 3})


@pytest.mark.parametrize("key", ["xyz", "own"])  # own is a tag in pydantic's places
def test_an_unknown_key_that_is_like_no_other_is_shown_what_is_known(config_of, key):
    with pytest.raises(ValueError, match=rf"'folds\.{key}'.*\bscheme, n, seed\b"):
        config_of(folds={key: 1})


@pytest.mark.parametrize("key", ["competition", "task", "metric", "data", "members", "data.train"])
def test_a_missing_setting_is_named(config_of, raw, key):
    settings = yaml.safe_load(BASE)
    section = settings["data"] if "." in key else settings
    del section[key.rpartition(".")[2]]
    with pytest.raises(ValueError, match=rf"tiny\.yaml: {key}\b(?!\.)"):
        load_config(raw(yaml.safe_dump(settings)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            "{task: regresion}",
            r"task: .*'regresion'.*: regression, binary, multiclass, multilabel$",
        ),
        ("{competition: My Tweets}", "competition: .*'My Tweets'"),
        ("{competition: ..}", r"competition: .*'\.\.'"),
        ("{seed: -1}", r"seed: .*\b0\b.* -1\b"),
        ("{seed: 1.5}", r"seed: .*\b1\.5\b"),
        ("{folds: {n: 1}}", r"folds\.n: .*\b2\b.*\b1\b"),
        ("{folds: {n: .nan}}", r"folds\.n: .*\bnan\b"),
        ("{folds: 5}", r"folds: .*\b5\b"),
        ("{folds: {scheme: file}}", r"folds: .*\bpath\b.*scheme: file"),
        ("{folds: {path: f.csv}}", r"folds: .*\bpath\b.*scheme: file"),
        ("{folds: {scheme: file, path: f.csv, n: 5}}", r"folds: .*\bn\b"),
        ("{folds: {scheme: group}}", r"folds\.scheme.*\bgroup\b.*data\.group"),
        (
            "{folds: {scheme: stratified_group}}",
            r"folds\.scheme.*\bstratified_group\b.*data\.group",
        ),
        ("{training: {warmup: 1.5}}", r"training\.warmup: .*\b1\b.*\b1\.5\b"),
        ("{training: {dropout: 1}}", r"training\.dropout: .*\bpretrained\b.*\b1;"),
        ("{training: {dropout: pretraind}}", r"training\.dropout: .*\bpretrained\b.*'pretraind'"),
        ("{training: {dropout: false}}", r"training\.dropout: .*\bfalse\b"),
        (
            "{members: [{pooling: mean, dropout: [.1]}]}",
            r"members\.0\.dropout: .*\bpretrained\b.*\[0\.1\]",
        ),
        ("{training: {learning_rate: .inf}}", r"training\.learning_rate: .*\binf\b"),
        ("{training: {freeze_embeddings: maybe}}", r"training\.freeze_embeddings: .*'maybe'"),
        ("{data: {text: [a, b, c]}}", r"data\.text\b.*\b3\b.*\bmean\b"),
        ("{data: {text: []}}", r"data: .*\btext\b.*\b0\b"),
        ("{data: {target: []}}", r"data: .*\btarget\b"),
        ("{data: {target: text}}", "data: .*'text'"),
        ("{data: {text: id}}", "data: .*'id'"),
        ("{data: {train_rows: 1}}", r"data\.train_rows: .*\b2\b.*\b1\b"),
        ("{data: {positive: a}}", r"data\.positive.*\bbinary\b.*\bregression\b"),
        ("{data: {train: 5}}", r"data\.train: .*\b5\b"),
        ("{members: []}", r"members: .*\[\]"),
        ("{members: mean}", "members: .*'mean'"),
        ("{members: [mean]}", r"members\.0: .*'mean'"),
        ("{members: [{name: a}]}", r"members\.0\.pooling\b"),
        ("{members: [{}]}", r"members\.0\.pooling\b"),
        ("{members: [{pooling: }]}", r"members\.0\.pooling: .*\bnull\b"),
        ("{members: [{pooling: {a: 1}}]}", r"members\.0\.pooling: .*\{'a': 1\}"),
        ("{members: [{pooling: [mean, {max: 1}]}]}", r"members: .*\bpooling\b.*\{'max': 1\}"),
        ("{members: [{pooling: [], name: a}]}", r"members\.0\.pooling: .*\[\]"),
        ("{members: [{pooling: mean, name: blend_a}]}", r"members\.0\.name: .*'blend_a'"),
        ("{members: [{pooling: mean, name: A}]}", r"members\.0\.name: .*'A'"),
        ("{members: [{pooling: mean, seed: 4294967296}]}", r"members\.0\.seed: .*4294967296"),
        ("{submit: {as: classes}}", r"submit\.as: .*'classes'"),
        ("{jobs: {n_jobs: 0}}", r"jobs\.n_jobs: .*\b1\b.*\b0\b"),
        ("{training: {epochs: 1000001}}", r"training\.epochs: .*\b1000000\b.*\b1000001\b"),
        ("{jobs: {threads: 1025}}", r"jobs\.threads: .*\b1024\b.*\b1025\b"),
        *(
            (f"{{{section}: {{{key}: 1{'0' * 30}}}}}", rf"{section}\.{key}: .*\b10{{30}}\b")
            for section, key in [
                ("jobs", "threads"),
                ("jobs", "n_jobs"),
                ("folds", "seed"),
                ("training", "batch_size"),
                ("training", "max_length"),
            ]
        ),
        (f"{{competition: {'a' * 201}}}", "competition: .*200.*'a{20}"),
        (f"{{members: [{{pooling: mean, name: {'a' * 243}}}]}}", r"members\.0\.name: .*'a{20}"),
        (f"{{blend: {{external: [my/{'a' * 201}]}}}}", r"blend\.external: .*'my/a{20}.*200"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_place(config_of, settings, said):
    with pytest.raises(ValueError, match=rf"tiny\.yaml: {said}"):
        config_of(settings)


def test_the_longest_names_and_the_greatest_seeds_are_fine(config_of):
    config = config_of(
        competition="a" * 200,
        members=[{"pooling": "mean", "name": "b" * 200, "seed": 2**32 - 1}],
        seed=2**32 - 1,
        folds={"seed": 2**32 - 1},
        jobs={"threads": 1024},
        blend={"external": ["my/" + "c" * 200]},
    )
    path = submission_path(config.competition, config.members[0].name)
    assert len(f".{path.name}.01234567.tmp") <= 255  # as it is written


@pytest.mark.parametrize("name", TAKEN)
def test_a_name_that_would_cover_one_of_our_files_is_refused(config_of, name):
    with pytest.raises(ValueError, match=rf"members\.0\.name: .*'{name}'"):
        config_of(members=[{"pooling": "mean", "name": name}])
    with pytest.raises(ValueError, match=rf"tiny\.yaml: .*'{name}'"):
        config_of(blend={"external": [f"oof/other/{name}"]})
    with pytest.raises(ValueError, match=rf"competition: .*'{name}'"):
        config_of(competition=name)


def test_a_list_of_poolings_is_one_name_and_its_member_another(config_of):
    lists = [["mean", "max"], ["min", "gem"]]
    entries = [{"pooling": lists[0]}, {"pooling": lists[1], "seeds": 2}, {"pooling": "cls+last"}]
    members = config_of(members=entries).members
    named = [(member.pooling, member.name) for member in members]
    expected = [("min+gem", "min-gem-s1"), ("min+gem", "min-gem-s2"), ("cls+last", "cls-last")]
    assert named == [("mean+max", "mean-max"), *expected]


@pytest.mark.parametrize("options", [{"segment": 2}, {"mean": {"segment": 2}, "max": {}}])
def test_a_segment_needs_texts_of_several_parts(config_of, options):
    members = [{"pooling": "mean", "options": options}]
    with pytest.raises(ValueError, match=r"member mean: .*\bsegment\b.*'text'"):
        config_of(members=members)
    assert config_of(members=members, data={"text": ["a", "b"]})
    assert config_of(members=members, data={"template": "{text}{sep}{text}"})


def test_two_members_of_one_pooling_must_be_named_and_a_name_is_proposed(config_of):
    twice = [{"pooling": "mean"}, {"pooling": "mean"}]
    with pytest.raises(ValueError, match="'mean'.*'mean-2'.*seed: 7"):
        config_of(members=twice)
    config = config_of(members=[*twice[:1], {"pooling": "mean", "name": "mean-s7", "seed": 7}])
    assert len(config.members) == 2


def test_a_second_classic_member_is_proposed_other_options_for_a_seed_makes_a_copy(config_of):
    with pytest.raises(ValueError, match=r"'tfidf_linear'.*'tfidf_linear-2'.*options(?!.*seed)"):
        config_of(members=[{"model": "tfidf_linear"}, {"model": "tfidf_linear"}])


@pytest.mark.parametrize("folder", ["oof/other/mean", "elsewhere/blend_convex"])
def test_an_external_predictor_may_not_bear_the_name_of_one_of_ours(config_of, folder):
    with pytest.raises(ValueError, match=rf"blend\.external: .*{folder}\b"):
        config_of(blend={"external": [folder]})


def test_two_foreign_predictors_of_one_name_are_refused(config_of):
    with pytest.raises(ValueError, match=r"blend\.external: .*\bb/tfidf\b"):
        config_of(blend={"external": ["a/tfidf", "b/tfidf"]})
    assert len(config_of(blend={"external": ["a/tfidf", "b/svm/"]}).blend.external) == 2


def test_a_foreign_predictor_needs_a_name_that_every_file_system_can_bear(config_of):
    with pytest.raises(ValueError, match=r"blend\.external: .*'my/My Model'"):
        config_of(blend={"external": ["my/My Model"]})


def test_predictors_of_all_rows_do_not_go_with_a_part_of_them(config_of):
    some = {"train_rows": 800}
    assert config_of(data=some).blend.external == ()
    with pytest.raises(ValueError, match=r"blend\.external.*data\.train_rows"):
        config_of(data=some, blend={"external": ["a/tfidf"]})


def test_a_foreign_predictor_is_aligned_by_id_unless_the_config_says_otherwise(config_of):
    trusted = {"folder": "b/svm", "align": "position"}
    blend = config_of(blend={"external": ["a/tfidf", trusted]}).blend
    assert [(one.name, one.align) for one in blend.external] == [
        ("tfidf", "id"),
        ("svm", "position"),
    ]
    assert blend.by_position == {"svm"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"folder": "a", "align": "order"}, r"blend\.external\.0\.align: .*'order'"),
        ({"folder": "a", "aling": "id"}, r"'.*aling'.*'blend\.external\.0\.align'"),
        ({"align": "id"}, r"blend\.external\.0\.folder\b"),
        (7, r"blend\.external\.0: .*\b7\b"),
    ],
)
def test_what_is_no_foreign_predictor_is_named(config_of, entry, said):
    with pytest.raises(ValueError, match=said):
        config_of(blend={"external": [entry]})


@pytest.mark.parametrize("task", sorted(TASKS))
def test_just_the_metrics_of_a_task_fit_it(config_of, task):
    for name, metric in METRICS.items():
        given = {"name": name, **PARAMETERS.get(name, {})}
        if task in metric.tasks:
            assert metric_of(config_of(task=task, metric=given).metric).name == name
        else:
            with pytest.raises(ValueError, match=rf"tiny\.yaml: .*'{name}'.*\b{task}\b"):
                config_of(task=task, metric=given)


def test_a_metric_with_parameters_is_a_map_and_one_without_stays_a_name(config_of):
    def metric(given, **others):
        return config_of(task="regression", metric=given, **others).metric

    assert metric({"name": "RMSE"}) == "rmse"
    two = {"target": ["a", "b"]}
    weighted = {"name": "rmse", "column_weights": {"b": 1, "a": 2}}
    assert list(metric(weighted, data=two)["column_weights"].items()) == [("a", 2), ("b", 1)]
    fbeta = config_of(task="binary", metric={"name": "F-beta", "beta": 5}).metric
    assert fbeta == {"name": "fbeta", "beta": 5}
    assert metric_of(fbeta).label == "fbeta(beta=5)"


@pytest.mark.parametrize(
    ("task", "metric", "said"),
    [
        ("binary", "fbeta", "beta"),
        ("binary", {"name": "fbeta"}, "beta"),
        ("binary", {"name": "fbeta", "beta": 0}, r"metric\.beta\b.*\b0\b"),
        ("binary", {"name": "fbeta", "beta": True}, r"metric\.beta\b.*\btrue\b"),
        ("binary", {"name": "fbeta", "bata": 2}, r"'metric\.bata'.*'metric\.beta'"),
        ("binary", {"name": "f1", "beta": 2}, r"\bbeta\b.*'f1'"),
        ("multiclass", {"name": "map_at_k", "k": 2.5}, r"metric\.k\b.*2\.5"),
        ("multiclass", {"name": "map_at_k", "beta": 2}, r"\bbeta\b.*'map_at_k'"),
        ("multiclass", {"k": 2}, r"metric\.name\b"),
        ("regression", {"name": "rmse", "column_weights": {"a": 1}}, "'target'|'a'"),
        ("regression", {"name": "rmse", "column_weights": {"target": 0}}, r"\b0\b"),
        ("regression", {"name": "rmse", "column_weights": {"target": -1}}, "-1"),
        ("binary", {"name": "auc", "column_weights": {"target": 1}}, "column_weights.*auc"),
        ("multilabel", {"name": "f1_micro", "column_weights": {"target": 1}}, "column_weights.*f1"),
        ("regression", ["rmse"], r"metric\b.*\['rmse'\]"),
        ("regression", {}, r"metric\.name\b"),
        ("regression", {**OWN, "name": "rmse"}, r"'metric\.name'; choose"),
        ("regression", {**OWN, "k": 2}, r"'metric\.k'"),
        ("regression", {"name": "rmse", "takes": "values"}, r"'metric\.takes'"),
        ("regression", {"file": "a.py"}, "greater_is_better"),
        ("regression", {**OWN, "takes": "probabilities"}, r"metric\.takes: probabilities"),
        ("binary", {**OWN, "takes": "values"}, r"metric\.takes: values"),
        ("binary", {**OWN, "takes": "label"}, "'label'"),
        ("binary", {**OWN, "greater_is_better": "maybe"}, "'maybe'"),
    ],
)
def test_a_wrong_parameter_of_a_metric_is_one_line(config_of, task, metric, said):
    with pytest.raises(ValueError, match=said):
        config_of(task=task, metric=metric)


@pytest.mark.parametrize(("task", "takes"), [("regression", "values"), ("binary", "probabilities")])
def test_a_function_takes_what_members_predict_unless_it_says_otherwise(config_of, task, takes):
    metric = config_of(task=task, metric=OWN).metric
    assert metric == {**OWN, "function": "score", "takes": takes}
    assert config_of(task=task, metric={**OWN, "takes": "labels"}).metric["takes"] == "labels"


def test_a_metric_with_parameters_can_be_typed(command):
    config, _ = command("--task", "binary", "--metric", "{name: fbeta, beta: 3}")
    assert config.metric == {"name": "fbeta", "beta": 3}


@pytest.mark.parametrize(
    ("typed", "metric"),
    [("F1-Macro", "f1_macro"), ("AUC", "auc"), ("log_loss", "logloss"), ("Log-Loss", "logloss")],
)
def test_a_metric_may_be_spelled_with_other_case_and_hyphens(config_of, typed, metric):
    assert config_of(task="binary", metric=typed).metric == metric


def test_a_metric_by_another_tools_name_is_answered_with_ours(config_of):
    with pytest.raises(ValueError, match=r"'roc_auc'.*did you mean 'auc'\? choose one of: acc"):
        config_of(task="binary", metric="roc_auc")
    with pytest.raises(ValueError, match=r"'roc_auc' (?!.*did you mean)"):  # of no use there
        config_of(metric="roc_auc")


def test_a_binary_task_has_one_target_and_classes_may_have_columns(config_of):
    with pytest.raises(ValueError, match=r"data\.target.*\b2\b.*\bbinary\b"):
        config_of(task="binary", metric="accuracy", data={"target": ["a", "b"]})
    config_of(task="multiclass", metric="accuracy", data={"target": ["a", "b"]})


@pytest.mark.parametrize("key", sorted(TRAINER_KEYS))
def test_a_trainer_key_that_we_set_is_refused_and_ours_is_named(config_of, key):
    ours = re.escape(TRAINER_KEYS[key])
    with pytest.raises(ValueError, match=rf"training\.trainer: .*\b{key}\b.*{ours}"):
        config_of(training={"trainer": {key: 1}})
    with pytest.raises(ValueError, match=rf"members\.0\.trainer: .*\b{key}\b.*{ours}"):
        config_of(members=[{"pooling": "mean", "trainer": {key: 1}}])


def test_any_other_trainer_key_is_left_to_transformers(config_of):
    others = {"max_grad_norm": 0.5, "gradient_accumulation_steps": 2}
    assert config_of(training={"trainer": others}).members[0].trainer == others


@pytest.mark.parametrize(
    ("n", "shown"),
    [(0, "0"), (-1, "-1"), (2.5, "2.5"), ("2", "'2'"), (True, "true"), (None, "null")],
)
def test_batches_of_a_step_are_a_whole_number(n, shown, config_of):
    with pytest.raises(ValueError, match=rf"\.trainer: gradient_accumulation_steps\b.* {shown};"):
        config_of(training={"trainer": {"gradient_accumulation_steps": n}})


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("run_name", date(2026, 1, 2), r"datetime\.date\(2026, 1, 2\)"),
        ("optim_args", {1: 2}, r"\{1: 2\}"),
        ("max_grad_norm", float("nan"), "nan"),
    ],
)
def test_a_value_that_run_json_cannot_hold_is_refused(key, value, shown, config_of):
    with pytest.raises(ValueError, match=rf"training\.trainer\.{key}: .*{shown}"):
        config_of(training={"trainer": {key: value}})
    with pytest.raises(ValueError, match=rf"members\.0\.options\.{key}: .*{shown}"):
        config_of(members=[{"pooling": "mean", "options": {key: value}}])
    config_of(training={"trainer": {key: [float("inf"), {"a": None}]}})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r".*\bnull\b"),
        ("- a\n- b\n", r".*\['a', 'b'\]"),
        ("just words", ".*'just words'"),
        ("data: [1, 2", r".*YAML.*\bline 1\b"),
        ("a: 1\n\tb: 2", r".*YAML.*\bline 2\b.*'\\t'"),
        (BASE + "seed: 1\nseed: 2\n", r".*YAML.*\bline 10\b.*'seed'"),
        (BASE.replace("test:", "train:"), r".*YAML.*\bline 4\b.*'train'"),
        (BASE + "seed: *nowhere\n", r".*YAML.*\bline 9\b.*'nowhere'"),
        (BASE + "seed: 2020-99-99\n", r".*YAML.*\bmonth\b"),
        (BASE + "[a]: 2\n", r".*YAML.*\bline 9\b"),
        (
            BASE + "seed: !!python/object:os.system x\n",
            r".*YAML.*\bline 9\b.*python/object:os\.system",
        ),
        (b"competition: caf\xe9\n", r".*UTF-8.*\b16\b"),
        (b"competition: a\0b\n", r".*YAML.*#x0000"),
        (BASE + "1: 2\n", r"1: .*\b1\b"),
        (BASE.encode("utf-16"), r".*UTF-8.*\b0\b"),
    ],
)
def test_a_file_that_is_no_config_says_why(raw, text, said):
    with pytest.raises(ValueError, match=rf"tiny\.yaml: {said}") as caught:
        load_config(raw(text))
    assert "\n" not in str(caught.value)


def test_an_absent_config_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml: "):
        load_config(tmp_path / "nowhere.yaml")


def test_a_byte_order_mark_is_no_part_of_a_config(raw):
    assert load_config(raw(b"\xef\xbb\xbf" + BASE.encode())).competition == "tiny"


# --- the command line


def test_any_value_can_be_overridden(command):
    config, _ = command(
        *["--training.epochs", "0.5", "--folds.n", "3", "--data.text", "a", "b", "--data.id"],
        *["null", "--submit.as", "labels", "--seed=7", "--blend.methods", "mean"],
    )
    assert config.training.epochs == 0.5
    assert config.folds.n == 3
    assert config.data.text == ("a", "b")
    assert config.data.id is None
    assert config.submit.as_ == "labels"
    assert config.seed == 7
    assert config.blend.methods == ("mean",)


def test_a_setting_that_has_keys_is_typed_as_a_map(command):
    config, _ = command(
        *["--training.lora", "{rank: 8}", "--training.dropout", ".2", "--blend.external"],
        *["theirs/a", "{folder: theirs/b, align: position}"],
    )
    assert config.training.lora.rank == config.members[0].lora.rank == 8
    assert config.training.dropout == 0.2
    assert [(e.folder, e.align) for e in config.blend.external] == [
        ("theirs/a", "id"),
        ("theirs/b", "position"),
    ]
    assert command("--training.lora", "null")[0].training.lora is None


def test_an_overridden_default_reaches_the_members_that_do_not_set_it(command):
    config, _ = command("--training.epochs", "5", "--backbone", "other/bert")
    assert [m.epochs for m in config.members] == [5, 3]
    assert {m.backbone for m in config.members} == {"other/bert"}


def test_an_overridden_seed_changes_every_derived_seed(command):
    before, after = command()[0], command("--seed", "1")[0]
    assert all(a.seed != b.seed for a, b in zip(before.members, after.members, strict=True))


@pytest.mark.parametrize("key", [key for key, _ in settings_of()])
def test_every_setting_is_a_flag_and_its_own_value_changes_nothing(command, key):
    config = command()[0]
    value = config.model_dump(by_alias=True)
    for part in key.split("."):
        value = value[part]
    words = value if isinstance(value, tuple) else ["null" if value is None else str(value)]
    assert command(f"--{key}", *words)[0] == config


def test_members_keeps_those_that_are_named_in_the_configs_order(command):
    config, _ = command("--members", "max")
    assert [m.name for m in config.members] == ["max"]
    config, _ = command("--members", "max", "mean")
    assert [m.name for m in config.members] == ["mean", "max"]


def test_a_member_keeps_its_seed_when_others_are_left_out(command):
    assert command("--members", "max")[0].members[0] == command()[0].members[1]


def test_an_unknown_member_is_named_with_those_there_are(command):
    with pytest.raises(ValueError, match="--members: .*'men'.*mean, max"):
        command("--members", "men")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--training.epoch", "3"], r"'--training\.epoch'.*--training\.epochs\b"),
        (["--training.epoch=3"], r"'--training\.epoch'.*--training\.epochs\b"),
        (["--lr", "1e-5"], r"'--lr'; did you mean --training\.learning_rate\?$"),
        (["--epochs", "3"], r"'--epochs'; did you mean --training\.epochs\?$"),
        (["--n_splits", "3"], r"'--n_splits'; did you mean --folds\.n\?$"),
        (["--random_state", "3"], r"'--random_state'; did you mean --seed\?$"),
        (["--folds.sed", "3"], r"'--folds\.sed'; did you mean --folds\.seed\?$"),
        (["--xyz"], "'--xyz'.*--help"),
        (["--train", "x"], "'--train'"),
        (["extra"], "'extra'"),
        (["--overwrite"], r"'--overwrite'.*python -m pipeline\."),
    ],
)
def test_an_unknown_argument_is_an_error_that_names_the_nearest(command, words, said):
    with pytest.raises(ValueError, match=said):
        command(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed"], r"--seed: (?!.*')"),
        (["--members"], r"--members: (?!.*')"),
        (["--seed", "x"], "seed: .*'x'"),
        (["--folds.n", "two"], r"folds\.n: .*'two'"),
        (["--training.freeze_embeddings", "2"], r"training\.freeze_embeddings: .*'2'"),
        (["--training.trainer", "{a"], r"--training\.trainer: .*'\{a'"),
        (["--training.trainer", "5"], r"training\.trainer: .*\b5\b"),
        (["--data.text"], r"data: .*\btext\b.*\b0\b"),
    ],
)
def test_an_override_that_does_not_fit_is_named(command, words, said):
    with pytest.raises(ValueError, match=said):
        command(*words)


@pytest.mark.parametrize(("word", "value"), [("true", True), ("False", False), ("no", False)])
def test_a_truth_value_on_the_command_line_is_read_as_one(command, word, value):
    config, _ = command("--training.freeze_embeddings", word)
    assert config.training.freeze_embeddings is value


@pytest.mark.parametrize(
    ("word", "value"),
    [("none", "none"), ("None", "None"), *((n, None) for n in ("null", "Null", "NULL", "~"))],
)
def test_a_word_on_the_command_line_is_nothing_just_if_it_is_in_yaml(command, raw, word, value):
    binary = BASE.replace("regression", "binary").replace("rmse", "auc")
    in_yaml = load_config(raw(binary.replace("data: {", f"data: {{positive: {word}, ")))
    config, _ = command("--task", "binary", "--metric", "auc", "--data.positive", word)
    assert in_yaml.data.positive == config.data.positive == value


def test_a_setting_of_a_section_that_is_none_is_an_error_of_the_section(raw):
    path = raw(BASE + "folds: 5\n")
    with pytest.raises(ValueError, match=r"folds: .*\b5\b"):
        parse(None, [str(path), "--folds.n", "3"])


def test_without_a_config_the_command_line_says_what_is_needed():
    with pytest.raises(ValueError, match=r"\bconfig\b.*--help"):
        parse(None, [])


def test_a_stage_has_just_the_flags_that_it_asks_for(command):
    assert vars(command(flags=["overwrite"])[1]) == {"overwrite": False}
    assert command("--overwrite", flags=["overwrite"])[1].overwrite is True
    assert command("--predictor", "max", flags=["predictor"])[1].predictor == ["max"]


def test_help_lists_every_setting_with_its_meaning_and_default(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    with pytest.raises(SystemExit, match="^0$"):
        command("--help", flags=sorted(FLAGS))
    told = " ".join(capsys.readouterr().out.split())
    for key, field in settings_of():
        default = default_of(field)
        default = default if default == "needed" else f"default {default}"
        assert f" --{key} " in told
        assert field.description, key
        assert f" {field.description} ({default})" in told
    for default in ("null", "true", "[text]", "[]", "{}", "0.1"):
        assert f" (default {default})" in told
    for flag in FLAGS:
        assert f" --{flag} " in told
    assert " --members " in told
    assert " --training.precision fp32|bf16|fp16 " in told
    assert " --training.dropout VALUE " in told  # a word, or a number
    assert " A stage. " in told


def test_the_usage_is_the_command_as_it_is_typed():
    words = [sys.executable, "-m", "pipeline.blend", "--help"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    usage = "usage: python -m pipeline.blend configs/COMPETITION.yaml [--SETTING VALUE ...]"
    assert told.splitlines()[0] == usage


@pytest.mark.parametrize("before", [["--members", "max"], ["--blend.external"], ["--quick"]])
def test_the_config_may_stand_anywhere(raw, before):
    path = str(raw(BASE))
    config, _ = parse(None, [*before, path, "--seed", "7"])
    assert config.seed == 7
    assert config == parse(None, [path, "--seed", "7", *before])[0]


def test_two_configs_are_one_too_many(raw):
    with pytest.raises(ValueError, match=r"'a\.yaml'.*'b\.yml'"):
        parse(None, ["a.yaml", "--members", "b.yml"])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("metrik: rmse", "'metrik'.*'metric'"),
        ("trainig: {epochs: 1}\nfolds: 5", "'trainig'.*'training'"),
        ("data2: {train: x}", "'data2'.*'data'"),
    ],
)
def test_an_unknown_key_at_the_top_is_told_before_what_follows_from_it(raw, where, said):
    key = {"metrik": "metric", "data2": "data"}.get(where.partition(":")[0])
    kept = [line for line in BASE.splitlines() if not line.startswith(f"{key}:")]
    with pytest.raises(ValueError, match=rf"tiny\.yaml: unknown key {said}"):
        load_config(raw("\n".join([*kept, where])))


def test_an_unknown_key_in_a_section_is_told_before_the_one_that_lacks(config_of):
    data = {"train": None, "trian": "train.csv"}
    with pytest.raises(ValueError, match=r"unknown key 'data\.trian'.*'data\.train'"):
        config_of(data=data)


def test_a_value_that_does_not_fit_is_told_with_what_to_do(config_of):
    with pytest.raises(ValueError, match=r"folds\.n: .*\b2\b.*\b1; correct it.* default 5$"):
        config_of(folds={"n": 1})
    with pytest.raises(ValueError, match=r"data\.train: .*\[\]; correct it$"):
        config_of(data={"train": []})
    with pytest.raises(ValueError, match=r"task is missing; add it: regression, binary"):
        config_of(task=None)


def test_every_setting_of_a_member_has_a_meaning():
    for kind in KINDS.values():
        assert all(field.description for field in kind.model_fields.values())


# --- errors of a stage


@pytest.mark.parametrize("error", [ValueError, FileNotFoundError, PermissionError])
def test_a_complaint_is_one_line_on_stderr_and_exit_code_2(capsys, error):
    with pytest.raises(SystemExit, match="^2$"), one_line_errors():
        raise error("train.csv: no column 'a\nb'")
    told = capsys.readouterr()
    assert told.err == "error: train.csv: no column 'a\\nb'\n"
    assert told.out == ""


def test_characters_that_the_terminal_lacks_are_printed_as_escapes(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(written, "cp1252", write_through=True))
    with one_line_errors():
        print("gain −0.5 … über 日本")
    assert written.getvalue().decode("cp1252") == "gain \\u22120.5 … über \\u65e5\\u672c\n"


@pytest.mark.parametrize(
    ("section", "key", "said"),
    [
        ({"train": "a.csv"}, "train", "data.train"),
        ({"data": {"epochs": 3}}, "data.epochs", "training.epochs"),
        ({"DATA": {}}, "DATA", "data"),
        ({"folds": {"N": 3}}, "folds.N", "folds.n"),
    ],
)
def test_a_key_of_another_section_or_case_is_told_where_it_belongs(config_of, section, key, said):
    with pytest.raises(ValueError, match=rf"'{re.escape(key)}'.*'{re.escape(said)}'\?$"):
        config_of(**section)


def test_names_of_ids_may_be_typed_and_the_samples_is_that_of_the_test_table(command):
    config, _ = command("--data.id", "{train: id, test: test_id}")
    assert config.data.id == {"train": "id", "test": "test_id", "sample": "test_id"}
    assert command("--data.id", "key")[0].data.id == "key"
    assert command("--data.id", "null")[0].data.id is None


@pytest.mark.parametrize("key", ["test", "sample_submission"])
def test_the_three_tables_are_three_files(config_of, key):
    with pytest.raises(ValueError, match=r"'train\.csv'.*'train\.csv'"):
        config_of(data={"train": "train.csv", key: "train.csv"})


def test_a_bug_of_ours_keeps_its_traceback():
    with pytest.raises(KeyError, match="oops"), one_line_errors():
        raise KeyError("oops")


def test_nothing_but_what_is_asked_for_is_in_the_flags(command):
    assert command()[1] == argparse.Namespace()
