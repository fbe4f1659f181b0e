"""Units: when a unit is finished, the content of its folder, and how a wrong unit is detected."""

import json
import math
import pickle
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from conftest import write_rows
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from tiny_backbones import TRAINING

from pipeline.competition import rows as of_competition
from pipeline.competition.rows import Train
from pipeline.files.hashes import file_sha256
from pipeline.files.lock import folder_lock
from pipeline.files.provenance import command_line, provenance
from pipeline.files.reading import read_json
from pipeline.files.writing import write_json
from pipeline.members import training
from pipeline.members.averaging import predict_members, predict_unit
from pipeline.members.backbones import keep_backbone
from pipeline.members.bert import encoder
from pipeline.members.kinds import KINDS
from pipeline.members.reload_check import check_reloaded
from pipeline.members.training import train_unit
from pipeline.members.training_table import TrainingTable, UnitToTrain
from pipeline.members.units import (
    NEEDED,
    Encoding,
    Unit,
    encoding_of,
    is_finished,
    models_hash,
    read_oof,
    read_run,
    units_of,
)
from pipeline.settings.config import Jobs
from pipeline.settings.fine_tuning import Lora
from pipeline.settings.members import Member

DATA = {
    "ids": ["a", "b"],
    "texts": [("one",), ("two",)],
    "y": np.array([[1.0], [2.0]]),
    "columns": ["target"],
    "folds": np.array([0, 1]),
}
SETTINGS = {"epochs": 2.0, "pooling": "mean", "options": {}, "seed": 7}
N = 90
BERT = KINDS["bert"]()


def table_of(ids, texts, y, columns, folds, task="regression") -> TrainingTable:
    train = Train(ids, texts, y, classes=(), groups=None, columns=columns)
    return TrainingTable("tiny", task, "rmse", "id", train, folds)


def fingerprint(settings: dict, **data: Any) -> dict:
    return {**settings, "backbone": "0123456789ab", **table_of(**data).hashes}


def finished(unit: Unit, found: dict, n_folds: int = 2, weights: str = "w") -> None:
    """A unit's folder with no more than its run.json."""
    unit.folder.mkdir(parents=True, exist_ok=True)
    own = {"fingerprint": found, "n_folds": n_folds, "weights_sha256": weights}
    (unit.folder / "run.json").write_text(json.dumps({**dict.fromkeys(NEEDED), **own}))


# --- finished or not


def test_a_unit_is_finished_once_it_stands_there_with_its_fingerprint(workplace):
    unit, wanted = Unit("tiny", "mean", 0), fingerprint(SETTINGS, **DATA)
    assert not is_finished(unit, wanted, overwrite=False)
    finished(unit, wanted)
    assert is_finished(unit, wanted, overwrite=False)
    assert is_finished(unit, wanted, overwrite=True)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", 3.0), ("pooling", "max"), ("options", {"layer_start": 1}), ("seed", 8)],
)
def test_another_setting_is_refused_by_its_name_and_both_values(setting, value, workplace):
    unit = Unit("tiny", "mean", 0)
    finished(unit, fingerprint(SETTINGS, **DATA))
    wanted = fingerprint({**SETTINGS, setting: value}, **DATA)
    wanted = json.loads(json.dumps(wanted))
    values = f"{re.escape(repr(SETTINGS[setting]))}.*{re.escape(repr(value))}"
    said = rf"models/tiny/mean/fold0: .*\b{setting}\b.*{values}.*--overwrite"
    with pytest.raises(ValueError, match=said):
        is_finished(unit, wanted, overwrite=False)
    assert not is_finished(unit, wanted, overwrite=True)


@pytest.mark.parametrize(
    ("part", "value", "name"),
    [
        ("ids", ["a", "c"], "ids"),
        ("texts", [("one",), ("two ",)], "texts"),
        ("y", np.array([[1.0], [2.5]]), "targets"),
        ("folds", np.array([1, 0]), "folds"),
        ("task", "multilabel", "task"),
        ("columns", ["other"], "columns"),
    ],
)
def test_changed_data_is_refused_by_its_name_without_hashes(part, value, name, workplace):
    unit = Unit("tiny", "mean", 0)
    finished(unit, fingerprint(SETTINGS, **DATA))
    wanted = fingerprint(SETTINGS, **{**DATA, part: value})
    said = rf"^models/tiny/mean/fold0: (?!.*[0-9a-f]{{12}}).*\b{name}\b.*--overwrite"
    with pytest.raises(ValueError, match=said):
        is_finished(unit, wanted, overwrite=False)


def test_every_setting_of_a_member_but_its_name_is_in_its_fingerprint(in_folder_of):
    member, table = in_folder_of.to_train.member, in_folder_of.to_train.table
    changes = {"loss": "mae", "class_weights": "balanced", "template": None}
    of = [
        table.fingerprint(other, {"tiny": in_folder_of.backbone})
        for other in (member, *(member.model_copy(update={k: v}) for k, v in changes.items()))
    ]
    assert {*Member.model_fields} - {"name"} <= {*of[0]}
    assert [fingerprint != of[0] for fingerprint in of[1:]] == [True, True, False]


def tensors_of(trained, folder, *, texts=None, task=None, settings=None, **rows):
    """Hash of the tensors that a unit learns from changed rows or settings."""
    to_train, table = trained.to_train, trained.to_train.table
    table = replace(table, task=task or table.task, train=replace(table.train, **rows))
    member = to_train.member.model_copy(update=settings or {})
    inputs = BERT.inputs(to_train.encoding, texts, None) if texts else trained.inputs
    folder.mkdir()
    _, facts = BERT.fit(replace(to_train, table=table, member=member), inputs, folder)
    return facts["weights_sha256"]


def test_a_row_of_weight_0_changes_no_tensor(in_folder_of, tmp_path):
    """Row 1 is of the other fold; with a weight its text and its target change the tensors."""
    hashes = []
    for run, (weight, word, value) in enumerate(
        [(0.0, "dull", 50.0), (0.0, "bright", 500.0), (1.0, "bright", 500.0)]
    ):
        y, weights = in_folder_of.to_train.table.train.y.copy(), np.ones(N)
        y[1], weights[1] = value, weight
        texts = [("warm goes",)] + [(word,)] + [("the train",), ("dull driver",)] * (N // 2 - 1)
        folder = tmp_path / f"run{run}"
        hashes.append(tensors_of(in_folder_of, folder, texts=texts, y=y, weights=weights))
    assert hashes[0] == hashes[1] != hashes[2]


def test_a_unit_learns_from_weights_of_rows_and_of_classes_and_from_probabilities(
    in_folder_of, tmp_path
):
    y, names = np.arange(N) % 3, ("a", "b", "c")
    rows = {"task": "multiclass", "y": y, "classes": names, "columns": names}
    settings = {"loss": "cross_entropy"}
    changes = [
        {},
        {"weights": 1.0 + (np.arange(N) % 4 == 1)},
        {"settings": {**settings, "class_weights": {"b": 2.0}}},
        {"shares": 0.7 * np.eye(3)[y] + 0.1},
    ]
    hashes = [
        tensors_of(in_folder_of, tmp_path / f"run{run}", **{"settings": settings, **rows, **change})
        for run, change in enumerate(changes)
    ]
    assert len(set(hashes)) == len(changes)


def test_a_setting_that_is_new_is_refused_too(workplace):
    unit = Unit("tiny", "mean", 0)
    finished(unit, fingerprint(SETTINGS, **DATA))
    wanted = fingerprint({**SETTINGS, "warmup": 0.2}, **DATA)
    with pytest.raises(ValueError, match=r"fold0: .*\bwarmup\b.*\bnull\b.*\b0\.2\b"):
        is_finished(unit, wanted, overwrite=False)


@pytest.mark.parametrize("content", [None, "{", '{"n_folds": 2}'])
def test_a_unit_of_another_version_or_damaged_is_trained_again_if_it_may_be(content, workplace):
    unit, wanted = Unit("tiny", "mean", 0), fingerprint(SETTINGS, **DATA)
    finished(unit, wanted)
    run = unit.folder / "run.json"
    run.write_text(content) if content else run.unlink()
    with pytest.raises((FileNotFoundError, ValueError), match=r"models/tiny/mean/fold0\b"):
        is_finished(unit, wanted, overwrite=False)
    assert not is_finished(unit, wanted, overwrite=True)


def test_where_one_text_ends_and_the_next_begins_counts():
    pairs = [[("ab", "c"), ("d", "e")], [("a", "bc"), ("d", "e")]]
    hashes = {fingerprint(SETTINGS, **{**DATA, "texts": texts})["texts"] for texts in pairs}
    assert len(hashes) == 2


@pytest.mark.parametrize(
    "settings",
    [{}, {"lora": Lora(targets=("query",))}, {"trainer": {"max_grad_norm": math.inf}}],
    ids=["usual", "a list", "infinity"],
)
def test_a_fingerprint_is_the_same_once_it_went_through_its_file(settings, tmp_path):
    of_member = {"name": "mean", "pooling": "mean", "seed": 7, "backbone": "tiny"}
    member = Member(**{**TRAINING.model_dump(), **of_member, **settings})
    found = fingerprint(member.settings, **DATA)
    write_json(tmp_path / "run.json", found)
    assert read_json(tmp_path / "run.json") == found


# --- locks


def test_a_locked_unit_is_locked_for_everybody_else_until_it_is_left(workplace):
    unit = Unit("tiny", "mean", 0)
    other = FileLock("models/tiny/mean/.fold0.lock")
    with folder_lock(unit.folder), pytest.raises(Timeout, match=r"fold0\.lock"):
        other.acquire(timeout=0)
    other.acquire(timeout=0)
    other.release()


def test_units_of_one_member_do_not_wait_for_each_other(workplace):
    with folder_lock(Unit("tiny", "mean", 0).folder), folder_lock(Unit("tiny", "mean", 1).folder):
        pass


# --- a member's units


def test_a_members_units_are_as_many_as_the_first_says(workplace):
    units = [Unit("tiny", "mean", fold) for fold in range(3)]
    for unit in units:
        finished(unit, fingerprint(SETTINGS, **DATA), n_folds=3)
    assert units_of("tiny", "mean") == units


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_fold_is_named(missing, workplace):
    for fold in {0, 1, 2} - {missing}:
        finished(Unit("tiny", "mean", fold), fingerprint(SETTINGS, **DATA), n_folds=3)
    with pytest.raises(FileNotFoundError, match=f"models/tiny/mean/fold{missing}: "):
        units_of("tiny", "mean")


def test_a_prediction_column_may_bear_the_name_of_the_id(workplace):
    unit = Unit("tiny", "mean", 0)
    path = unit.folder / "oof.csv"
    write_rows(path, ["id", "id", "money"], [["a", "0.25", "0.75"]])
    run = {**dict.fromkeys(NEEDED), "oof_sha256": file_sha256(path)}
    write_json(unit.folder / "run.json", run)
    ids, predictions = read_oof([unit], ["money", "id"])
    assert ids == ["a"]
    assert predictions.tolist() == [[0.75, 0.25]]


def test_the_hash_of_the_models_is_that_of_all_their_weights_and_of_what_they_are_for(workplace):
    """Equal weights may stand for rows with other ids, or for classes with other names."""
    units = [Unit("tiny", "mean", fold) for fold in range(2)]

    def hashed(weights: str, **data: Any) -> str:
        for unit, sha in zip(units, weights, strict=True):
            finished(unit, fingerprint(SETTINGS, **{**DATA, **data}), weights=sha)
        return models_hash(units)

    cases = [("ab", {}), ("ac", {}), ("ba", {}), ("ab", {"ids": DATA["ids"][::-1]})]
    cases += [("ab", {"columns": ["other"]})]
    hashes = [hashed(weights, **data) for weights, data in cases]
    assert len(set(hashes)) == len(cases)
    assert hashed("ab") == hashes[0]


def test_folds_of_different_settings_are_no_member(workplace):
    units = [Unit("tiny", "mean", fold) for fold in range(2)]
    finished(units[0], fingerprint(SETTINGS, **DATA))
    finished(units[1], fingerprint({**SETTINGS, "epochs": 9.0}, **DATA))
    with pytest.raises(ValueError, match=r"fold1: .*\bepochs\b"):
        models_hash(units)


def test_a_fold_from_before_a_setting_was_there_says_which(workplace):
    units = [Unit("tiny", "mean", fold) for fold in range(2)]
    finished(units[0], fingerprint(SETTINGS, **DATA))
    finished(units[1], fingerprint({**SETTINGS, "precision": "bf16"}, **DATA))
    with pytest.raises(ValueError, match=r"fold1: .*\bprecision\b"):
        models_hash(units)


# --- a trained unit


class Trained(NamedTuple):
    """A unit and what it was trained with."""

    unit: Unit
    to_train: UnitToTrain
    inputs: Any

    @property
    def backbone(self) -> Path:
        return self.to_train.encoding.backbone

    def again(self, *, seed: int, overwrite: bool) -> None:
        """Train it with a fingerprint of this seed."""
        wanted = {**self.to_train.fingerprint, "seed": seed}
        to_train = replace(self.to_train, fingerprint=wanted, overwrite=overwrite)
        train_unit(to_train, self.inputs)

    def check(self, **settings: Any) -> None:
        """What is said of its member with some settings changed, before anything is trained."""
        BERT.check(self.to_train.member.model_copy(update=settings), self.backbone)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, backbone_of):
    """A folder with one trained unit, and what it was trained with."""
    folder = tmp_path_factory.mktemp("unit")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        copy = keep_backbone(str(backbone_of("bert")), "tiny")
        rng = np.random.default_rng(0)
        words = np.array(["dull", "warm", "bright", "train", "driver", "goes"])
        texts = [(" ".join(rng.choice(words, rng.integers(1, 12))),) for _ in range(N)]
        fold = np.arange(N) % 2 == 0
        ids = [f"a{i:02}" for i in range(N)]
        table = table_of(ids, texts, rng.normal(50, 20, (N, 1)), ["target"], np.where(fold, 0, 1))
        how = {"epochs": 1, "batch_size": 16, "learning_rate": 1e-3, "max_length": 16}
        how["loss"] = "mse"
        of_member = {"name": "mean", "pooling": "mean", "seed": 7, "backbone": "tiny"}
        unit, encoding = Unit("tiny", "mean", 0), Encoding(copy, 16)
        to_train = table.to_train(
            unit,
            member=Member(**{**TRAINING.model_dump(), **how, **of_member}),
            encoding=encoding,
            fingerprint=fingerprint(SETTINGS, **DATA),
            provenance=provenance(),
            overwrite=False,
        )
        inputs = BERT.inputs(encoding, texts, None)
        train_unit(to_train, inputs)
    return folder, Trained(unit, to_train, inputs)


@pytest.fixture
def in_folder_of(trained, tmp_path, monkeypatch):
    """A copy of that folder, as the current one."""
    shutil.copytree(trained[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return trained[1]


def alter(path: Path, name: str, change) -> None:
    weights = load_file(path)
    save_file({**weights, name: change(weights[name])}, path)
    _record(path)


def _record(weights: Path) -> None:
    """Take changed weights for those that were trained."""
    run = weights.with_name("run.json")
    write_json(run, {**read_json(run), "weights_sha256": file_sha256(weights)})


def weights_path(unit: Unit) -> Path:
    return unit.folder / "weights.safetensors"


def bytes_of(weights: Path) -> int:
    return sum(tensor.nbytes for tensor in load_file(weights).values())


def test_weights_saved_in_half_precision_take_half_the_space_and_give_the_oof(
    in_folder_of, tmp_path
):
    unit, to_train = in_folder_of.unit, in_folder_of.to_train
    size, oof = bytes_of(weights_path(unit)), (unit.folder / "oof.csv").read_bytes()
    half = replace(to_train, member=to_train.member.model_copy(update={"save": "fp16"}))
    shutil.rmtree(unit.folder)
    train_unit(half, in_folder_of.inputs)
    assert bytes_of(weights_path(unit)) == size / 2
    assert (unit.folder / "oof.csv").read_bytes() != oof
    ids, predictions = read_oof([unit], ["target"])
    held_out = BERT.inputs(to_train.encoding, to_train.texts, None)
    again = BERT.load(unit)(held_out)  # checked against reload_check.json by predict_unit, too
    np.testing.assert_allclose(again, predictions, atol=1e-6)
    assert ids == to_train.ids


def test_a_units_folder_holds_just_what_it_should(in_folder_of):
    unit = in_folder_of.unit
    names = {path.name for path in unit.folder.iterdir()}
    assert names == {"weights.safetensors", "run.json", "oof.csv", "reload_check.json", "train.log"}
    assert {path.name for path in unit.folder.parent.iterdir()} == {"fold0", ".fold0.lock"}


def test_run_json_says_what_was_trained_how_and_with_what_result(in_folder_of):
    unit, wanted = in_folder_of.unit, in_folder_of.to_train.fingerprint
    run = read_run(unit)
    assert run["fingerprint"] == wanted
    assert run["rows"] == {"training": 45, "held_out": 45}
    assert run["steps"] == 3
    assert run["command"] == command_line()
    assert run["score"] > 0
    for key in ("versions", "command", "git_commit", "seconds", "tokens_per_second", "metric"):
        assert run[key] is not None or key == "git_commit"
    y = in_folder_of.to_train.table.train.y[1::2]  # of the training rows alone
    assert run["scaling"]["mean"] == pytest.approx(y.mean())
    assert run["scaling"]["sd"] == pytest.approx(y.std())


def test_held_out_predictions_stand_under_their_ids(in_folder_of):
    unit, rows, tokens = in_folder_of.unit, in_folder_of.to_train, in_folder_of.inputs
    ids, predictions = read_oof([unit], ["target"])
    assert ids == rows.ids
    again = predict_unit(unit, tokens.take(rows.held_out))
    np.testing.assert_array_equal(predictions, again)


def test_the_texts_of_the_reload_check_are_spread_over_the_fold(in_folder_of):
    unit, rows = in_folder_of.unit, in_folder_of.to_train
    kept = json.loads((unit.folder / "reload_check.json").read_text())
    assert len(kept["texts"]) == len(kept["predictions"]) == 32
    known = [list(text) for text in rows.texts]
    assert kept["texts"][0] == known[0]
    assert kept["texts"][-1] == known[-1]


def test_a_reloaded_unit_predicts_any_number_of_other_texts(in_folder_of):
    unit, encoding = in_folder_of.unit, in_folder_of.to_train.encoding
    for texts in ([], [("dull",)], [("warm train",)] * 70):
        tokens = BERT.inputs(encoding, texts, None)
        assert predict_unit(unit, tokens).shape == (len(texts), 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("head.weight", lambda tensor: -tensor),
        ("head.bias", lambda tensor: tensor + 0.01),
        ("head.bias", lambda tensor: tensor * torch.nan),
        ("backbone.encoder.layer.0.output.dense.weight", lambda tensor: tensor.flip(0)),
    ],
    ids=["sign", "a hundredth of a deviation", "nan", "rows"],
)
def test_weights_that_were_changed_do_not_predict(name, change, in_folder_of):
    unit, tokens = in_folder_of.unit, in_folder_of.inputs
    alter(weights_path(unit), name, change)
    with pytest.raises(ValueError, match=r"models/tiny/mean/fold0: .*\b0\.001\b"):
        predict_unit(unit, tokens)


def test_weights_that_differ_by_rounding_do(in_folder_of):
    unit, tokens = in_folder_of.unit, in_folder_of.inputs
    alter(weights_path(unit), "head.bias", lambda tensor: tensor + 1e-5)
    predict_unit(unit, tokens)


def test_a_backbone_that_was_changed_does_not_predict(in_folder_of):
    unit, tokens = in_folder_of.unit, in_folder_of.inputs
    path = in_folder_of.backbone / "model.safetensors"
    weights = load_file(path)
    name = "embeddings.word_embeddings.weight"
    save_file({**weights, name: weights[name].flip(0).contiguous()}, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"models/tiny/mean/fold0: .*\b0\.001\b"):
        predict_unit(unit, tokens)


def test_weights_that_lack_a_tensor_are_named(in_folder_of):
    unit, tokens = in_folder_of.unit, in_folder_of.inputs
    weights = load_file(weights_path(unit))
    del weights["head.bias"]
    save_file(weights, weights_path(unit))
    _record(weights_path(unit))
    with pytest.raises(ValueError, match=rf"\.safetensors: .*'head\.bias'.*remove {unit.folder} "):
        predict_unit(unit, tokens)


def test_weights_and_held_out_predictions_are_used_only_as_they_were_written(in_folder_of):
    unit, weights = in_folder_of.unit, load_file(weights_path(in_folder_of.unit))
    weights["head.bias"] += 1e-6  # too little for the reload check
    save_file(weights, weights_path(unit))
    with pytest.raises(ValueError, match=r"fold0/weights\.safetensors: .*run train again"):
        predict_unit(unit, in_folder_of.inputs)
    path = unit.folder / "oof.csv"
    cells = path.read_text().splitlines()
    path.write_text("\n".join([*cells[:-1], cells[-1] + "1"]) + "\n")
    with pytest.raises(ValueError, match=r"fold0/oof\.csv: .*run train again"):
        read_oof([unit], ["target"])


def test_a_backbone_that_was_changed_is_named_before_any_unit_predicts(in_folder_of, monkeypatch):
    unit, copy = in_folder_of.unit, in_folder_of.backbone
    monkeypatch.setattr("pipeline.members.averaging.run_all", None)  # nothing may run
    path = copy / "model.safetensors"
    save_file({k: v / 2 for k, v in load_file(path).items()}, path, {"format": "pt"})
    test = of_competition.TestRows(("b",), (("dull",),))
    with pytest.raises(ValueError, match=rf"{copy}: .*run train again"):
        predict_members({"mean": [unit]}, test, Jobs(), lambda *_: None)


def test_another_device_may_differ_more(in_folder_of):
    unit = in_folder_of.unit
    written = np.array(json.loads((unit.folder / "reload_check.json").read_text())["predictions"])
    sd = read_run(unit)["scaling"]["sd"][0]
    check_reloaded(unit, lambda *_: written + 0.0009 * sd, "cpu")
    with pytest.raises(ValueError, match=r"\b0\.0011\b.*\b0\.001\b"):
        check_reloaded(unit, lambda *_: written + 0.0011 * sd, "cpu")
    check_reloaded(unit, lambda *_: written + 0.019 * sd, "cuda")
    with pytest.raises(ValueError, match=r"\b0\.021\b.*\b0\.02\b"):
        check_reloaded(unit, lambda *_: written + 0.021 * sd, "cuda")


def test_one_prediction_that_differs_is_enough(in_folder_of):
    unit = in_folder_of.unit
    written = np.array(json.loads((unit.folder / "reload_check.json").read_text())["predictions"])
    written[5] += 0.0011 * read_run(unit)["scaling"]["sd"][0]
    with pytest.raises(ValueError, match=r"\b0\.0011\b.*\b0\.001\b"):
        check_reloaded(unit, lambda *_: written, "cpu")


@pytest.mark.parametrize(
    ("n_cut", "truncation", "told"),
    [
        (0, "head", None),
        (9, "head", r"^9\D+90\D+10\.0%.*\btraining\.max_length 16\b.*\bend; .*training\.windows\b"),
        (9, "head_tail", r"\bmiddle;"),
    ],
)
def test_texts_that_are_cut_are_a_warning_with_their_share(n_cut, truncation, told, in_folder_of):
    inputs = replace(in_folder_of.inputs, n_cut=n_cut)
    member = in_folder_of.to_train.member.model_copy(update={"truncation": truncation})
    warning = BERT.warning(member, inputs)
    assert warning is None if told is None else re.search(told, warning)


def test_a_unit_that_another_run_finished_meanwhile_is_left_alone(in_folder_of):
    before = {path: path.stat().st_mtime_ns for path in in_folder_of.unit.folder.iterdir()}
    in_folder_of.again(seed=SETTINGS["seed"], overwrite=True)
    assert {path: path.stat().st_mtime_ns for path in in_folder_of.unit.folder.iterdir()} == before


def test_a_unit_of_another_fingerprint_is_replaced_whole(in_folder_of):
    unit = in_folder_of.unit
    (unit.folder / "old").touch()
    left = unit.folder.with_name(".fold0.12345678.tmp")  # of a run that was killed
    left.mkdir()
    (left / "run.json").touch()
    with pytest.raises(ValueError, match=r"fold0: .*\bseed\b.*\b7\b.*\b9\b"):
        in_folder_of.again(seed=9, overwrite=False)
    assert (unit.folder / "old").exists()
    in_folder_of.again(seed=9, overwrite=True)
    assert read_run(unit)["fingerprint"]["seed"] == 9
    assert not (unit.folder / "old").exists()
    assert {path.name for path in unit.folder.parent.iterdir()} == {"fold0", ".fold0.lock"}


def test_a_unit_that_fails_leaves_the_old_one_and_nothing_else(in_folder_of, monkeypatch):
    unit = in_folder_of.unit
    before = (unit.folder / "run.json").read_bytes()
    monkeypatch.setattr("pipeline.members.bert.encoder.predict", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        in_folder_of.again(seed=9, overwrite=True)
    assert (unit.folder / "run.json").read_bytes() == before
    assert {path.name for path in unit.folder.parent.iterdir()} == {"fold0", ".fold0.lock"}


def predictions_with(trained_unit, folder, **settings):
    """Held-out predictions of the unit's member, trained anew with some settings changed."""
    folder.mkdir(exist_ok=True)
    to_train = trained_unit.to_train
    member = to_train.member.model_copy(update=settings)
    return BERT.fit(replace(to_train, member=member), trained_unit.inputs, folder)[0]


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 0.5},
        {"freeze_embeddings": False},
        {"freeze_layers": 1},
        {"layer_decay": 0.1},
        {"loss": "mae"},
    ],
    ids=str,
)
def test_a_setting_of_the_network_reaches_the_training(settings, in_folder_of, tmp_path):
    as_set, as_usual = (
        predictions_with(in_folder_of, tmp_path / name, **how)
        for name, how in (("a", settings), ("b", {}))
    )
    assert np.abs(as_set - as_usual).max() > 1e-3


def test_a_unit_starts_from_the_pretrained_weights(in_folder_of, tmp_path):
    still = {"learning_rate": 1e-12, "head_learning_rate": 1e-12}
    predictions_with(in_folder_of, tmp_path / "a", **still)
    pretrained = load_file(in_folder_of.backbone / "model.safetensors")
    saved = load_file(tmp_path / "a" / "weights.safetensors")
    started = {
        name.removeprefix("backbone."): tensor
        for name, tensor in saved.items()
        if name.startswith("backbone.")
    }
    assert "encoder.layer.0.attention.self.query.weight" in started
    for name, tensor in started.items():
        torch.testing.assert_close(tensor, pretrained[name], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("of_the_backbone", "by_hand"),
    [
        (
            dict.fromkeys(("learning_rate", "head_learning_rate", "dropout")),
            {"learning_rate": 1e-4, "head_learning_rate": 2e-3, "dropout": 0.0},
        ),
        ({"dropout": "pretrained"}, {"dropout": 0.1}),
    ],
    ids=["null", "pretrained"],
)
def test_rates_and_dropout_that_the_backbone_decides_are_as_if_set_by_hand(
    of_the_backbone, by_hand, in_folder_of, tmp_path
):
    one, other = (
        predictions_with(in_folder_of, tmp_path / name, **how)
        for name, how in (("a", of_the_backbone), ("b", by_hand))
    )
    np.testing.assert_array_equal(one, other)


def test_the_texts_of_a_unit_are_cut_as_its_member_says(in_folder_of):
    how = {"max_length": 9, "truncation": "tail", "windows": 2, "window_overlap": 0.5}
    member = in_folder_of.to_train.member.model_copy(update=how)
    found = BERT.encoding(member, in_folder_of.backbone)
    assert found == Encoding(in_folder_of.backbone, 9, "tail", 2, 0.5)


def test_the_task_of_a_unit_decides_whether_vectors_are_normalised(in_folder_of):
    run = in_folder_of.unit.folder / "run.json"
    write_json(run, {**read_json(run), "task": "multiclass"})
    with pytest.raises(ValueError, match=r"\b2\b.*'norm\.bias'"):
        BERT.load(in_folder_of.unit)


def test_a_reloaded_unit_reads_long_texts_in_windows_and_has_its_frozen_and_new_layers(
    in_folder_of,
):
    how = {"max_length": 6, "windows": 3, "freeze_layers": 1}
    unit, member = in_folder_of.unit, in_folder_of.to_train.member.model_copy(update=how)
    encoding = BERT.encoding(member, in_folder_of.backbone)
    texts = [("warm train " * (k % 7),) for k in range(N)]
    inputs = BERT.inputs(encoding, texts, None)
    assert inputs.lengths.max() == 3 * 6
    held_out = in_folder_of.to_train.held_out
    of_unit = {"member": member, "encoding": encoding, "texts": [texts[k] for k in held_out]}
    shutil.rmtree(unit.folder)
    train_unit(replace(in_folder_of.to_train, **of_unit), inputs)
    assert read_run(unit)["network"]["windows"] == [6, member.batch_size]
    _, written = read_oof([unit], ["target"])
    np.testing.assert_array_equal(predict_unit(unit, inputs.take(held_out)), written)


@pytest.mark.parametrize("alike", ["head", "order"])
def test_the_seed_is_that_of_the_head_and_that_of_the_order(
    alike, in_folder_of, tmp_path, monkeypatch
):
    """Units of two seeds differ with heads that are alike, and with orders that are alike."""
    fit, set_seed = encoder.fit, encoder.set_seed
    if alike == "order":
        monkeypatch.setattr(encoder, "fit", lambda *a, seed, log: fit(*a, seed=1, log=log))
    else:
        monkeypatch.setattr(encoder, "set_seed", lambda seed: set_seed(1))
    one, same, other = (
        predictions_with(in_folder_of, tmp_path / "a", seed=seed) for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 1e-3


def test_a_unit_learns_from_its_training_rows_and_predicts_in_the_targets_units(
    in_folder_of, tmp_path
):
    """The targets of the held-out rows are those of the others turned around."""
    texts = [(f"the {word} film goes on",) for word in ["dull", "warm", "bright"] * 30]
    truth = np.array([20.0, 50.0, 80.0] * 30)[:, None]
    to_train = in_folder_of.to_train
    y = truth.copy()
    y[to_train.held_out] = 100 - truth[to_train.held_out]
    table = replace(to_train.table, train=replace(to_train.table.train, y=y))
    how = {"epochs": 8, "batch_size": 8, "learning_rate": 1e-2}
    member = to_train.member.model_copy(update=how)
    inputs = BERT.inputs(to_train.encoding, texts, None)
    found, _ = BERT.fit(replace(to_train, member=member, table=table), inputs, tmp_path)
    np.testing.assert_allclose(found, truth[to_train.held_out], atol=5)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_unit_with_a_prediction_that_is_not_finite_is_not_kept(value, in_folder_of, monkeypatch):
    """It would count as finished for ever, and hide all other members behind its empty cells."""
    unit = in_folder_of.unit
    shutil.rmtree(unit.folder)
    predictions = np.zeros((len(in_folder_of.to_train.ids), 1))
    predictions[3:5] = value

    class Diverging:
        def fit(self, *_):
            return predictions, {}

    monkeypatch.setattr(training, "kind_of", lambda member: Diverging())
    said = r"models/tiny/mean/fold0: .*\b2\D+45\D.*learning_rate"
    with pytest.raises(ValueError, match=said):
        train_unit(in_folder_of.to_train, in_folder_of.inputs)
    assert {path.name for path in unit.folder.parent.iterdir()} == {".fold0.lock"}


# --- what cannot be built


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"lr_scheduler_type": "nonsense"}, r"\bnonsense\b"),
        ({"optim": "adamm"}, r"\badamm\b"),
        ({"logging_steps": 0}, "--logging_steps"),
        ({"logging_steps": "often"}, "'str'.*'int'"),
        ({"max_grad_nrm": 1}, "'max_grad_nrm'"),
    ],
)
def test_a_wrong_value_of_the_trainer_is_refused_before_training_in_one_line(
    trainer, message, in_folder_of
):
    before = sorted(Path().rglob("*"))
    with pytest.raises(ValueError, match=rf"^training\.trainer: .*{message}[^\n]*$"):
        in_folder_of.check(trainer=trainer)
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(
    "trainer", [{}, {"max_grad_norm": float("inf")}, {"lr_scheduler_kwargs": {"a": [1, "b"]}}]
)
def test_what_the_trainer_takes_is_let_through_and_makes_no_folder(trainer, in_folder_of):
    before = sorted(Path().rglob("*"))
    in_folder_of.check(trainer=trainer)
    assert sorted(Path().rglob("*")) == before


def test_a_unit_is_loaded_by_what_it_says_of_itself_whatever_its_fingerprint_says(in_folder_of):
    unit, path = in_folder_of.unit, in_folder_of.unit.folder / "run.json"
    wanted = predict_unit(unit, in_folder_of.inputs)
    path.write_text(json.dumps({**read_run(unit), "fingerprint": {}}))
    np.testing.assert_array_equal(predict_unit(unit, in_folder_of.inputs), wanted)


def test_a_unit_reads_new_texts_as_it_read_those_it_was_trained_on(in_folder_of):
    to_train = replace(
        in_folder_of.to_train,
        encoding=in_folder_of.to_train.encoding._replace(max_length=6, truncation="tail"),
    )
    shutil.rmtree(to_train.unit.folder)
    train_unit(to_train, in_folder_of.inputs)
    assert encoding_of(to_train.unit) == to_train.encoding


@pytest.mark.parametrize(
    ("name", "reader"),
    [
        ("weights.safetensors", predict_unit),
        ("reload_check.json", predict_unit),
        ("run.json", lambda unit, _: read_run(unit)),
        ("oof.csv", lambda unit, _: read_oof([unit], ["target"])),
    ],
)
def test_a_unit_that_lacks_a_file_says_what_to_do(name, reader, in_folder_of):
    unit = in_folder_of.unit
    (unit.folder / name).unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=rf"{name}: .*remove {unit.folder} "):
        reader(unit, in_folder_of.inputs)


def test_a_unit_of_an_older_version_says_what_to_do(in_folder_of):
    path = in_folder_of.unit.folder / "run.json"
    run = read_run(in_folder_of.unit)
    del run["kind"], run["encoding"]
    path.write_text(json.dumps(run))
    test = of_competition.TestRows(("b",), (("dull",),))
    with pytest.raises(ValueError, match=r"models/tiny/mean/fold0: .*'encoding'.*--overwrite"):
        predict_members({"mean": [in_folder_of.unit]}, test, Jobs(), lambda *_: None)


@pytest.mark.parametrize(
    ("pooling", "options", "message"),
    [
        ("meen", {}, "'meen'"),
        ("mean", {"layer_start": 1}, "'mean'.*'layer_start'"),
        ("mean+meen", {}, "'meen'"),
        ("mean+max", {"max": {"layer": 3}}, r"'max'.*\[0, 2\].*\b3\b"),
        ("mean+max", {"max": {"segment": 3}}, r"\bsegment\b.*1 to 2\b.* 3;"),
        ("weighted_layer", {"layer_start": 9}, r"'weighted_layer'.*\[0, 2\].*\b9\b"),
    ],
)
def test_a_pooling_that_cannot_be_built_is_refused_before_training(
    pooling, options, message, in_folder_of
):
    with pytest.raises(ValueError, match=message):
        in_folder_of.check(pooling=pooling, options=options)


def test_a_part_of_texts_whose_separators_move_is_refused(in_folder_of):
    pair = {"options": {"segment": 2}}
    in_folder_of.check(**pair)
    in_folder_of.check(**pair, truncation="tail")
    for settings in ({"windows": 2}, {"truncation": "tail", "template": "{a}{sep}{b}"}):
        with pytest.raises(ValueError, match=rf"\b2\b.*training\.{next(iter(settings))}\b"):
            in_folder_of.check(**pair, **settings)


def test_all_that_a_worker_is_given_travels_unchanged(in_folder_of):
    to_train, inputs = pickle.loads(pickle.dumps((in_folder_of.to_train, in_folder_of.inputs)))
    assert to_train.member == in_folder_of.to_train.member
    assert to_train.encoding == in_folder_of.to_train.encoding
    assert np.array_equal(inputs.ids, in_folder_of.inputs.ids)
    assert np.array_equal(inputs.starts, in_folder_of.inputs.starts)
