"""Classic models: one contract for every model on every task, then the strength of each model."""

import os
import pickle
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from conftest import MAKERS
from scipy.special import expit
from scored import score

from pipeline.files.messages import short
from pipeline.members.classic import estimators
from pipeline.members.classic.estimators import ESTIMATORS, check_options, default_options
from pipeline.members.classic.tfidf import Tfidf
from pipeline.scoring.tasks import TASKS, out_of_range
from pipeline.settings.members import EMBEDDING_MODELS, SEEDLESS_MODELS

ROOT = Path(__file__).parents[1]
EACH = [(name, task) for name in sorted(ESTIMATORS) for task in TASKS]
FIT, NEW = slice(0, 80), slice(80, 120)
LABELS = {"binary": ["no", "yes"], "multiclass": ["id", "money", "sport"]}


@pytest.fixture(autouse=True, scope="module")
def few_trees():
    """Boosting as it is, but ten times faster."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimators.LightgbmText.__init__, "__kwdefaults__", QUICK)
        yield


QUICK = {"directions": 10, "rounds": 100, "max_features": 2_000}


def example(name, task, n_texts=1, n=120):
    """Inputs as the model takes them and targets as it gets them, which the inputs tell."""
    rng = np.random.default_rng(0)
    made = [MAKERS[task](rng) for _ in range(n)]
    texts = [(text,) * n_texts for text, _ in made]
    if task in LABELS:
        y = np.array([LABELS[task].index(cells[0]) for _, cells in made])
    else:
        y = np.array([[float(cell) for cell in cells] for _, cells in made])
    if task == "regression":
        y = np.hstack([y, -y])
        y = (y - y.mean(axis=0)) / y.std(axis=0)
    if name not in EMBEDDING_MODELS:
        return texts, y
    columns = np.eye(3)[y] if y.ndim == 1 else y
    vectors = columns @ rng.normal(size=(columns.shape[1], 12)) + rng.normal(0, 0.5, (n, 12))
    return np.stack([vectors] * n_texts, axis=1).astype(np.float32), y


def n_columns(task, y):
    return {"binary": 1, "multiclass": 3}.get(task, y.shape[-1])


def fitted(name, task, inputs, y, seed=0, columns=None, **options):
    model = ESTIMATORS[name](
        task=task, n_columns=columns or n_columns(task, y), seed=seed, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a solver that did not converge would say so
        model.fit(inputs, y)
    return model


def predicted(model, inputs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return model.predict(inputs)


def assert_valid(found, n, columns, task):
    assert found.shape == (n, columns)
    assert found.dtype == np.float64
    assert not out_of_range(task, found).any()


# --- every model, every task


@pytest.mark.parametrize(("name", "task"), EACH)
def test_it_predicts_new_rows_validly_and_better_than_chance(name, task):
    inputs, y = example(name, task)
    found = predicted(fitted(name, task, inputs[FIT], y[FIT]), inputs[NEW])
    assert_valid(found, 40, n_columns(task, y), task)
    if task == "regression":
        assert score("pearson", task, y[NEW], found) > 0.3
    else:
        assert score("auc", task, y[NEW], found) > 0.75


@pytest.mark.parametrize(("name", "task"), EACH)
def test_the_same_seed_gives_the_same_numbers_and_so_does_the_reloaded_model(name, task):
    inputs, y = example(name, task)
    model = fitted(name, task, inputs[FIT], y[FIT], seed=3)
    wanted = predicted(model, inputs[NEW])
    again = fitted(name, task, inputs[FIT], y[FIT], seed=3)
    np.testing.assert_array_equal(predicted(again, inputs[NEW]), wanted)
    reloaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(predicted(reloaded, inputs[NEW]), wanted)


@pytest.mark.parametrize(("name", "task"), EACH)
def test_another_seed_gives_a_copy_of_the_models_that_refuse_one(name, task):
    inputs, y = example(name, task)
    of_seeds = [
        predicted(fitted(name, task, inputs[FIT], y[FIT], seed=seed), inputs[NEW]).ravel()
        for seed in (3, 4)
    ]
    assert (np.corrcoef(of_seeds)[0, 1] > 0.9999) == (name in SEEDLESS_MODELS)


@pytest.mark.parametrize(("name", "task"), EACH)
def test_a_rows_prediction_does_not_depend_on_the_other_new_rows(name, task):
    inputs, y = example(name, task)
    model = fitted(name, task, inputs[FIT], y[FIT])
    together = predicted(model, inputs[NEW])
    for row in (0, 7):
        alone = predicted(model, inputs[80 + row : 81 + row])
        np.testing.assert_allclose(alone[0], together[row], atol=1e-9)


@pytest.mark.parametrize(("name", "task"), EACH)
def test_it_takes_pairs(name, task):
    inputs, y = example(name, task, n_texts=2)
    found = predicted(fitted(name, task, inputs[FIT], y[FIT]), inputs[NEW])
    assert_valid(found, 40, n_columns(task, y), task)


# --- rows that teach little


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
@pytest.mark.parametrize("n_rare", [0, 1, 2, 3])
def test_a_class_with_hardly_a_row_keeps_its_column_and_is_never_impossible(name, n_rare):
    inputs, y = example(name, "multiclass")
    rare = np.flatnonzero(y == 1)
    kept = np.sort(np.concatenate([rare[:n_rare], np.flatnonzero(y != 1)]))
    rows = inputs[kept] if isinstance(inputs, np.ndarray) else [inputs[k] for k in kept]
    found = predicted(fitted(name, "multiclass", rows, y[kept]), inputs)
    assert_valid(found, 120, 3, "multiclass")
    assert (found > 0).all()
    if n_rare == 0:
        np.testing.assert_allclose(found[:, 1], 1 / (len(kept) + 3))  # Laplace's
    assert (found[kept].argmax(axis=1) == y[kept]).mean() > 0.6  # the others are in place


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_label_that_is_constant_or_borne_once_does_not_disturb_the_others(name):
    inputs, y = example(name, "multilabel")
    wanted = predicted(fitted(name, "multilabel", inputs[FIT], y[FIT]), inputs[NEW])[:, 0]
    for rare in ([], [5]):
        y[:, 1], y[rare, 1], y[:, 2] = 0, 1, 1
        found = predicted(fitted(name, "multilabel", inputs[FIT], y[FIT]), inputs[NEW])
        assert_valid(found, 40, 3, "multilabel")
        np.testing.assert_allclose(found[:, 0], wanted, atol=1e-12)
        assert found[:, 1].mean() < 0.1
        np.testing.assert_allclose(found[:, 2], 81 / 82)  # Laplace's: 80 of 80 rows


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_binary_unit_of_one_class_says_so_with_the_doubt_of_its_number_of_rows(name):
    inputs, _ = example(name, "binary")
    ones = np.ones(80, dtype=int)
    found = predicted(fitted(name, "binary", inputs[FIT], ones), inputs[NEW])
    np.testing.assert_allclose(found, 81 / 82)


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_a_target_that_is_constant_is_predicted(name):
    inputs, y = example(name, "regression")
    y[:, 1] = 0  # standardised
    found = predicted(fitted(name, "regression", inputs[FIT], y[FIT]), inputs[NEW])
    np.testing.assert_allclose(found[:, 1], 0, atol=1e-9)
    assert score("pearson", "regression", y[NEW][:, :1], found[:, :1]) > 0.3


@pytest.mark.parametrize("name", [n for n in sorted(ESTIMATORS) if n not in EMBEDDING_MODELS])
@pytest.mark.parametrize("text", ["", " \n", "😀", "\ud800", "a" * 50_000])
def test_texts_without_a_word_are_taken_in_training_and_in_prediction(name, text):
    _, y = example(name, "regression", n=30)
    alike = fitted(name, "regression", [(text,)] * 30, y)
    np.testing.assert_allclose(predicted(alike, [(text,), ("warm",)]), 0, atol=0.1)
    texts, _ = example(name, "regression", n=30)
    model = fitted(name, "regression", texts, y)
    assert_valid(predicted(model, [(text,)] * 2), 2, 2, "regression")


def test_nothing_is_learnt_from_the_words_of_other_rows_than_those_it_is_fitted_on():
    model = fitted("tfidf_linear", "regression", *example("tfidf_linear", "regression", n=30))
    before = [len(v.vocabulary_) for v in model.tfidf.vectorizers]
    predicted(model, [("zyzzyva zyzzyva",)] * 3)
    assert [len(v.vocabulary_) for v in model.tfidf.vectorizers] == before
    np.testing.assert_allclose(
        predicted(model, [("qqq",)]), predicted(model, [("xxxxx",)]), atol=1e-12
    )


def test_the_options_of_each_model_reach_what_it_fits():
    texts, y = example("tfidf_linear", "binary")
    options = {"max_features": 7, "inverse_penalty": 0.3}
    linear = fitted("tfidf_linear", "binary", texts, y, **options)
    assert [len(v.vocabulary_) for v in linear.tfidf.vectorizers] == [7, 7]
    assert [head.C for head in linear.heads] == [0.3]

    options = {"max_features": 9, "rounds": 4, "directions": 3}
    boosted = fitted("lightgbm_text", "binary", texts, y, **options)
    assert [len(v.vocabulary_) for v in boosted.tfidf.vectorizers] == [9, 9]
    assert [head.n_estimators_ for head in boosted.heads] == [4]
    assert [head.min_child_samples for head in boosted.heads] == [6]  # of 120 rows
    assert boosted.basis.shape[1] == 3

    vectors, y = example("embedding_svr", "regression")
    machines = fitted("embedding_svr", "regression", vectors, y, inverse_penalty=0.2).heads
    assert [machine.C for machine in machines] == [0.2, 0.2]
    vectors, y = example("embedding_svr", "binary")
    (head,) = fitted("embedding_svr", "binary", vectors, y, inverse_penalty=0.2).heads
    assert head.estimator.C == 0.2
    (head,) = fitted("embedding_linear", "binary", vectors, y, inverse_penalty=0.2).heads
    assert head.C == 0.2


@pytest.mark.parametrize(("n_rare", "seen"), [(2, [0, 2]), (3, [0, 1, 2])])
def test_support_vectors_learn_a_class_with_a_row_for_each_inner_fold(n_rare, seen):
    vectors, y = example("embedding_svr", "multiclass")
    kept = np.concatenate([np.flatnonzero(y == 1)[:n_rare], np.flatnonzero(y != 1)])
    model = fitted("embedding_svr", "multiclass", vectors[kept], y[kept])
    assert model.heads[0].classes_.tolist() == seen


def test_a_pair_of_vectors_is_both_their_distance_and_their_product():
    vectors, y = example("embedding_svr", "regression", n_texts=2)
    vectors[:, 1] = np.random.default_rng(1).normal(size=vectors[:, 1].shape)
    model = fitted("embedding_svr", "regression", vectors, y)
    first, second = vectors.astype(np.float64).transpose(1, 0, 2)
    features = [first, second, np.abs(first - second), first * second]
    np.testing.assert_allclose(model.scaler.mean_, np.hstack(features).mean(axis=0))


def test_another_seed_makes_other_directions_and_other_trees():
    texts, y = example("lightgbm_text", "regression")
    one, same, other = (fitted("lightgbm_text", "regression", texts, y, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.basis, same.basis)
    assert not np.array_equal(one.basis, other.basis)
    assert [head.random_state for head in other.heads] == [2, 2]


# --- what each is for


def test_ridge_shrinks_where_the_target_is_noise_and_trusts_where_it_is_not():
    texts, y = example("tfidf_linear", "regression")
    noise = np.random.default_rng(1).normal(size=(120, 1))
    model = fitted("tfidf_linear", "regression", texts, np.hstack([y[:, :1], noise]))
    clear, vague = (head.alpha for head in model.heads)
    assert clear < vague == max(estimators.PENALTIES)


def test_probabilities_of_support_vectors_are_calibrated():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(1200, 1, 4)).astype(np.float32)
    chance = expit(2 * vectors[:, 0, 0] - 1)
    y = (rng.random(1200) < chance).astype(int)
    model = fitted("embedding_svr", "binary", vectors[:600], y[:600])
    found = predicted(model, vectors[600:])[:, 0]
    assert np.abs(found - chance[600:]).mean() < 0.12
    for low, high in ((0, 0.2), (0.2, 0.5), (0.5, 1)):
        there = (found >= low) & (found < high)
        assert abs(found[there].mean() - chance[600:][there].mean()) < 0.15


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_whether_two_texts_say_the_same_is_seen(name):
    rng = np.random.default_rng(0)
    words = np.array([f"word{k}" for k in range(40)])
    one = rng.integers(0, 40, (400, 6))
    same = rng.random(400) < 0.5
    other = np.where(same[:, None], one[:, ::-1], rng.integers(0, 40, (400, 6)))
    if name in EMBEDDING_MODELS:
        lookup = rng.normal(size=(40, 16))
        bags = [np.eye(40)[rows].sum(axis=1) @ lookup for rows in (one, other)]
        inputs = np.stack(bags, axis=1).astype(np.float32)
    else:
        inputs = [(" ".join(words[a]), " ".join(words[b])) for a, b in zip(one, other, strict=True)]
    model = fitted(name, "binary", inputs[:300], same[:300].astype(int))
    assert score("auc", "binary", same[300:].astype(int), predicted(model, inputs[300:])) > 0.9


def test_boosting_sees_what_no_word_says():
    """How long a text is, and how much of it is shouted."""
    rng = np.random.default_rng(0)
    lengths, shouted = rng.integers(3, 40, 300), rng.random(300) < 0.5
    texts = [
        (" ".join(("WARM" if loud else "warm") for _ in range(n)),)
        for n, loud in zip(lengths, shouted, strict=True)
    ]
    y = np.column_stack([lengths, shouted]).astype(float)
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    model = fitted("lightgbm_text", "regression", texts[:200], y[:200])
    found = predicted(model, texts[200:])
    assert np.corrcoef(found[:, 0], y[200:, 0])[0, 1] > 0.95
    assert np.corrcoef(found[:, 1], y[200:, 1])[0, 1] > 0.95


def test_a_word_late_in_a_text_without_spaces_is_seen():
    rng = np.random.default_rng(0)
    made = rng.integers(0x4E00, 0x4E00 + 500, (600, 200))
    y = rng.integers(0, 2, 600)
    made[y == 1, 150:152] = ord("雨"), ord("伞")
    texts = [("".join(map(chr, row)),) for row in made]
    model = fitted("tfidf_linear", "binary", texts[:400], y[:400], max_features=5_000)
    assert score("auc", "binary", y[400:], predicted(model, texts[400:])) > 0.9


@pytest.mark.parametrize("n_texts", [1, 2])
def test_a_text_is_weighed_in_training_as_later(n_texts):
    texts, _ = example("tfidf_linear", "binary", n=40)
    texts = [(row[0], other[0])[:n_texts] for row, other in zip(texts, texts[1:], strict=False)]
    features = Tfidf(max_features=500)
    found = features.fit_transform(texts)
    np.testing.assert_allclose(
        found.toarray(), features.transform(texts).toarray(), rtol=0, atol=1e-12
    )


# --- options


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_every_option_has_a_default_that_it_takes(name):
    check_options(name, {})
    check_options(name, default_options(name))


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=f"'svm'.*{', '.join(sorted(ESTIMATORS))}"):
        check_options("svm", {})


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_an_unknown_option_is_refused_with_the_known_ones(name):
    known = ", ".join(default_options(name))
    with pytest.raises(ValueError, match=rf"\b{name}\b.*'depth'.*{known}"):
        check_options(name, {"depth": 3})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("max_features", 0),
        ("max_features", 1.5),
        ("max_features", True),
        ("inverse_penalty", "10"),
        ("inverse_penalty", float("inf")),
        ("inverse_penalty", float("nan")),
        ("max_features", 1_000_001),
        ("max_features", 10**12),
    ],
)
def test_a_value_that_is_no_positive_number_within_reason_is_refused(option, value):
    shown = re.escape(short(value))
    with pytest.raises(ValueError, match=rf"\b{option}\b.*\btfidf_linear\b.* {shown}"):
        check_options("tfidf_linear", {option: value})


def test_a_whole_number_does_where_a_number_is_wanted():
    check_options("tfidf_linear", {"inverse_penalty": 3, "max_features": 1_000_000})


# --- files

FITTED_AND_DUMPED = """
import sys, joblib, test_estimators as cases
for name in cases.ESTIMATORS:
    fitted = cases.fitted(name, "binary", *cases.example(name, "binary"), **cases.small(name))
    joblib.dump(fitted, f"{sys.argv[1]}/{name}", compress=3)
"""


def small(name):
    return {"directions": 5, "rounds": 5} if name == "lightgbm_text" else {}


@pytest.fixture(scope="module")
def folders_of_two_processes(tmp_path_factory):
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    for seed, folder in enumerate(folders):
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
        environment["PYTHONHASHSEED"] = str(seed)
        command = [sys.executable, "-c", FITTED_AND_DUMPED, str(folder)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folders


@pytest.mark.parametrize("name", sorted(ESTIMATORS))
def test_equal_fits_in_two_processes_are_equal_files(name, folders_of_two_processes):
    """Else a trained unit could not be told from another one by the hash of its file."""
    one, other = (folder / name for folder in folders_of_two_processes)
    assert one.read_bytes() == other.read_bytes()
