"""Losses and weights that do not fit the targets are refused by the member and the first value."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import write_competition

from pipeline.competition.learnable import check_learnable
from pipeline.competition.rows import read_train
from pipeline.settings.command import load_config


@pytest.fixture
def check(workplace):
    """Check a competition of three classes, or of classes with these probabilities."""

    def run(training, shares=None):
        path = write_competition(workplace, "multiclass", settings={"training": training})
        config = load_config(path)
        train = read_train(config.data, "multiclass")
        check_learnable(config, replace(train, shares=shares))

    return run


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_targets_of_which_none_varies_are_refused(workplace, task):
    config = load_config(write_competition(workplace, task))
    train = read_train(config.data, task)
    y = np.ones_like(train.y)
    with pytest.raises(ValueError, match=rf"train\.csv: .*'{train.columns[0]}' is 1\b.*\b60\b"):
        check_learnable(config, replace(train, y=y))
    y[7, -1] = 0
    check_learnable(config, replace(train, y=y))


def test_words_have_no_order(check):
    with pytest.raises(ValueError, match=r"train\.csv: .*\bordinal\b.*\bmean\b.*'id'"):
        check({"loss": "ordinal"})


@pytest.mark.parametrize("weights", ["balanced", {"sport": 2}])
def test_weights_of_classes_that_there_are_fit(check, weights):
    check({"class_weights": weights})


def test_a_weight_of_a_class_that_is_not_there_is_refused_with_those_that_are(check):
    with pytest.raises(ValueError, match=r"\bmean\b.*train\.csv.*'sprot'.*'sport'"):
        check({"class_weights": {"sport": 2, "sprot": 1}})


@pytest.mark.parametrize(
    ("training", "said"),
    [
        ({"loss": "focal"}, r"\bfocal\b"),
        ({"trainer": {"label_smoothing_factor": 0.1}}, r"label_smoothing_factor\b"),
    ],
)
def test_a_loss_that_takes_one_class_a_row_is_refused_for_probabilities(check, training, said):
    check(training)
    with pytest.raises(ValueError, match=rf"train\.csv: .*{said}.*\bmean\b"):
        check(training, np.full((60, 3), 1 / 3))
