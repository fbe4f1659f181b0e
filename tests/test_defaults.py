"""Training settings that are null: rates and dropout by backbone and task, steps by rows."""

import json
import re

import numpy as np
import pytest
from conftest import write_competition

from pipeline.competition.rows import Train
from pipeline.members.defaults import (
    LEAST_STEPS,
    for_backbone,
    rates_of_members,
    scheduled,
    steps_an_epoch,
)
from pipeline.members.training_table import TrainingTable
from pipeline.settings.command import load_config
from pipeline.settings.fine_tuning import Training
from pipeline.settings.members import Member


@pytest.fixture
def backbone_of(tmp_path):
    """Writes a backbone's config.json."""

    def write(**config):
        folder = tmp_path / "-".join(f"{key}{value}" for key, value in config.items())
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
        return folder

    return write


@pytest.mark.parametrize(
    ("width", "rate", "dropout"),
    [(384, 1e-4, 0.0), (768, 2e-5, "pretrained"), (1024, 1e-5, "pretrained")],
    ids=["MiniLM", "base", "large"],
)
@pytest.mark.parametrize("key", ["hidden_size", "d_model", "dim", "n_embd"])  # the last: GPT-2's
def test_wider_backbones_learn_more_slowly_and_keep_their_dropout(
    key, width, rate, dropout, backbone_of
):
    fitted = for_backbone(Training(), backbone_of(**{key: width}), "binary")
    assert (fitted.learning_rate, fitted.dropout) == (rate, dropout)


def test_a_backbone_that_does_not_say_its_width_is_treated_as_a_base_model(backbone_of):
    assert for_backbone(Training(), backbone_of(model_type="new"), "binary").learning_rate == 2e-5


@pytest.mark.parametrize(("task", "times"), [("regression", 20), ("multiclass", 50)])
def test_the_rate_of_the_head_follows_that_of_the_backbone(task, times, backbone_of):
    narrow = backbone_of(hidden_size=384)
    assert for_backbone(Training(), narrow, task).head_learning_rate == pytest.approx(times * 1e-4)
    fitted = for_backbone(Training(learning_rate=3e-5), narrow, task)
    assert fitted.head_learning_rate == pytest.approx(times * 3e-5)


def test_what_is_set_stays(backbone_of):
    settings = Training(learning_rate=3e-5, head_learning_rate=7e-5, dropout="pretrained")
    assert for_backbone(settings, backbone_of(hidden_size=384), "regression") == settings


def test_members_that_share_their_rates_share_a_line(backbone_of, workplace):
    members = [{"pooling": "mean"}, {"pooling": "max"}, {"pooling": "min", "learning_rate": 3e-5}]
    members += [{"pooling": "cls", "backbone": "nobody/base"}, {"model": "tfidf_linear"}]
    members += [{"pooling": "idf", "lora": {}}]
    settings = {"backbone": "minilm", "members": members}
    config = load_config(write_competition(workplace, "regression", settings=settings))
    folders = {"minilm": backbone_of(dim=384)}
    shared, own, lora = rates_of_members(config.members, folders, "regression")
    assert re.search(r"0\.0001, 0\.002 .*dropout 0\.0, .*minilm, 384 wide: mean, max$", shared)
    assert re.search(r"3e-05, 0\.0006 .*: min$", own)
    assert re.search(r"0\.001, 0\.002 .*, for adapters of minilm, 384 wide: idf$", lora)


def test_a_fingerprint_holds_the_rates_that_were_taken(backbone_of):
    train = Train(("a", "b"), (("one",), ("two",)), np.zeros((2, 1)), (), None, ("y",))
    table = TrainingTable("tiny", "regression", "rmse", "id", train, np.array([0, 1]))
    shared = {"name": "mean", "pooling": "mean", "backbone": "x", "seed": 7}
    set_by_hand = {"learning_rate": 1e-4, "head_learning_rate": 2e-3, "dropout": 0.0}
    one, other = (
        table.fingerprint(Member(**shared, **rates), {"x": backbone_of(hidden_size=384)})
        for rates in ({}, set_by_hand)
    )
    assert one == other


# --- steps


def schedule(n_rows, **settings):
    found = scheduled(Training(**settings), n_rows)
    return found.epochs, found.batch_size


def test_an_epoch_takes_the_last_rows_in_a_batch_of_their_own():
    assert [steps_an_epoch(rows, 32) for rows in (1, 32, 33, 64)] == [1, 1, 2, 2]


def test_three_epochs_in_batches_of_32_are_for_sets_that_take_enough_steps_so():
    first = 32 * 53 + 1  # its 54 batches are 162 steps in three epochs
    assert (schedule(first), schedule(first - 1)) == ((3, 32), (3, 8))


def test_a_hundred_rows_take_13_epochs_of_13_batches():
    assert schedule(100) == (13, 8)


@pytest.mark.parametrize("batches_a_step", [1, 4])
@pytest.mark.parametrize("settings", [{}, {"batch_size": 32}, {"batch_size": 5}])
@pytest.mark.parametrize("n_rows", [1, 31, 32, 33, 100, 700, 1500, 1697, 5000])
def test_a_set_takes_the_least_epochs_from_three_that_give_the_least_steps(
    n_rows, settings, batches_a_step
):
    trainer = {"gradient_accumulation_steps": batches_a_step}
    epochs, batch_size = schedule(n_rows, **settings, trainer=trainer)
    an_epoch = steps_an_epoch(n_rows, batch_size * batches_a_step)
    assert epochs * an_epoch >= LEAST_STEPS
    assert epochs == 3 or (epochs - 1) * an_epoch < LEAST_STEPS


@pytest.mark.parametrize("epochs", [0.5, 1.0, 20.0])
def test_what_is_set_is_taken_as_it_is(epochs):
    assert schedule(10, epochs=epochs, batch_size=3) == (epochs, 3)
