"""The right name for the name that was typed, and none where none is close."""

import pytest

from pipeline.ensemble.blenders import BLENDERS
from pipeline.files.suggestions import OTHERS, SYNONYMS, choices, folded, meant_by
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.classic.estimators import ESTIMATORS
from pipeline.scoring.names import TASKS_OF_METRIC
from pipeline.settings.fine_tuning import TASKS_OF_LOSS
from pipeline.settings.listing import settings_by_section

REGISTRIES = (TASKS_OF_METRIC, TASKS_OF_LOSS, POOLINGS, ESTIMATORS, BLENDERS)
KEYS = [key for settings in settings_by_section().values() for key in settings]


def test_every_synonym_stands_for_a_name_that_exists():
    assert set(SYNONYMS) <= {*KEYS, "members"}.union(*REGISTRIES)


@pytest.mark.parametrize("registry", [*REGISTRIES, KEYS])
def test_no_synonym_is_a_name_of_the_same_kind(registry):
    for our in set(SYNONYMS) & set(registry):
        assert set(map(folded, SYNONYMS[our].split())).isdisjoint(map(folded, registry))


@pytest.mark.parametrize(
    ("registry", "typed", "meant"),
    [
        (TASKS_OF_METRIC, "roc_auc", "auc"),
        (TASKS_OF_METRIC, "roc_auc_score", "auc"),
        (TASKS_OF_METRIC, "neg_log_loss", "logloss"),
        (TASKS_OF_METRIC, "neg_root_mean_squared_error", "rmse"),
        (TASKS_OF_METRIC, "quadratic_weighted_kappa", "qwk"),
        (TASKS_OF_METRIC, "Quadratic Weighted Kappa", "qwk"),
        (TASKS_OF_METRIC, "Mean Columnwise Root Mean Squared Error", "mcrmse"),
        (TASKS_OF_METRIC, "matthews_corrcoef", "mcc"),
        (TASKS_OF_METRIC, "acuracy", "accuracy"),
        (TASKS_OF_METRIC, "neg_root_mean_squared_log_error", "rmsle"),
        (TASKS_OF_METRIC, "neg_mean_absolute_percentage_error", "mape"),
        (TASKS_OF_METRIC, "fbeta_score", "fbeta"),
        (TASKS_OF_METRIC, "micro_f1", "f1_micro"),
        (TASKS_OF_METRIC, "top_k_accuracy_score", "top_k_accuracy"),
        (TASKS_OF_METRIC, "map@3", "map_at_k"),
        (TASKS_OF_METRIC, "MAP@25", "map_at_k"),
        (TASKS_OF_METRIC, "top_10_accuracy", "top_k_accuracy"),
        (TASKS_OF_METRIC, "f2", "fbeta"),
        (TASKS_OF_LOSS, "huber", "smooth_l1"),
        (POOLINGS, "MeanPooling", "mean"),
        (POOLINGS, "average", "mean"),
        (POOLINGS, "GeMPooling", "gem"),
        (POOLINGS, "weighted-layer", "weighted_layer"),
        (ESTIMATORS, "lgbm", "lightgbm_text"),
        (BLENDERS, "lgbm", "lightgbm"),
        (BLENDERS, "hillclimbing", "hill_climb"),
    ],
)
def test_what_other_tools_call_it_is_answered_with_our_name(registry, typed, meant):
    assert meant_by(typed, registry) == [meant]


@pytest.mark.parametrize(
    ("registry", "typed"),
    [
        *((TASKS_OF_METRIC, name) for name in OTHERS.split()),
        (TASKS_OF_METRIC, "balanced_accuracy"),
        (TASKS_OF_METRIC, ""),
        (TASKS_OF_METRIC, "score"),
        (POOLINGS, "gru"),
        (POOLINGS, "svm"),
        (BLENDERS, "stacking"),
    ],
)
def test_a_name_of_something_else_is_answered_with_no_name(registry, typed):
    assert meant_by(typed, registry) == []


def test_a_message_ends_with_all_that_may_be_chosen():
    assert choices("roc", ["auc", "mcc"]) == "did you mean 'auc'? choose one of: auc, mcc"
    assert choices(3, ["auc", "mcc"]) == "choose one of: auc, mcc"


def test_only_settings_have_a_section_before_the_dot():
    """The positive class "1.0" is not the class 0."""
    assert choices("1.0", ["0", "1"]) == "choose one of: 0, 1"
    assert choices("a.1", ["b.1", "c"]) == "choose one of: b.1, c"
    blends = ["blend_mean.threshold", "blend_convex.threshold"]
    assert "did you mean 'blend_convex.threshold'? " in choices("blend_convx.threshold", blends)


def test_a_name_that_looks_like_the_one_that_was_typed_is_shown_by_its_code_points():
    typed, known = "a\u0308u\u00dferung", "\u00e4u\u00dferung"
    assert r"'\xe4u\xdferung'" in choices(typed, [known])
    assert r"'a\u0308u\xdferung'" in choices(known, [typed])
    assert "'mean'" in choices("meen", ["mean"])
