"""The arithmetic of the benchmarks."""

import math
from argparse import Namespace
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import write_competition, write_rows
from scored import score
from transformers import BertConfig, BertModel

from benchmarks.demo_scores import KNOWN, KnownScore, score_table, uploaded_predictions
from benchmarks.full_nesting import nested_blend, weighing_rows
from benchmarks.honesty import N_MEMBERS, claims, rows_of, summary
from benchmarks.near_copies import oof_of
from benchmarks.pooling_norms import BATCH, norms
from benchmarks.recipes import STUDIES, Arm, Rows, reference, run_study
from benchmarks.shared.judge import standard_error
from benchmarks.shared.measurement import Measurement, table_of
from benchmarks.train_speed import compare, encoder_weights
from pipeline.ensemble.blenders import BLENDERS
from pipeline.files.paths import leaderboard_path, predictor_dir, submission_path
from pipeline.members.bert.poolings import POOLINGS
from pipeline.members.bert.pretrained import read_config, read_model, read_tokenizer
from pipeline.members.bert.tokens import tokenize
from pipeline.predictors.predictions import write_predictions
from pipeline.scoring.target import Target
from pipeline.settings.command import load_config
from pipeline.settings.config import Folds


def test_encoder_weights_are_the_matrices_of_the_layers() -> None:
    config = BertConfig(
        vocab_size=30,
        hidden_size=4,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=6,
        max_position_embeddings=8,
    )
    # query, key, value and output of attention; up and down
    assert encoder_weights(BertModel(config)) == 2 * (4 * 4 * 4 + 2 * 4 * 6)


def measurements() -> list[Measurement]:
    """Two repeats of everything, 10 rows in 1 or 2 seconds, so that medians lie between."""
    return [
        Measurement("gemm, bf16", 0, 2, 1, 3000, 1.0, 2.0),
        Measurement("gemm, bf16", 1, 2, 1, 1000, 1.0, 2.0),
        Measurement("gemm all threads, bf16", 0, 1, 2, 1500, 1.0, 2.0),
        Measurement("notebook", 0, 1, 2, 10, 5.0, 10.0),
        Measurement("bare loop, bf16", 0, 2, 1, 20, 1.0, 2.0),
        Measurement("bare loop, bf16", 1, 2, 1, 20, 3.0, 6.0),
        Measurement("ours, bf16", 0, 2, 1, 20, 2.0, 4.0),
        Measurement("ours, bf16", 1, 2, 1, 20, 4.0, 8.0),
        Measurement("ours, fp32", 0, 2, 1, 20, 8.0, 16.0),
    ]


def test_arrangements_are_compared_by_medians() -> None:
    found = compare(measurements(), "bf16", n_weights=7, tokens_a_row=3.0)
    rows_a_second = (20 / 2 + 20 / 4) / 2
    assert found["GEMM peak"] == 2000
    assert found["ours over notebook, rows a second"] == pytest.approx(rows_a_second / (10 / 5))
    assert found["time of ours over bare loop"] == pytest.approx(3 / 2)
    assert found["share of the GEMM peak"] == pytest.approx(6 * 7 * rows_a_second * 3 / 2000)
    assert found["ours over ours in fp32"] == pytest.approx(rows_a_second / (20 / 8))


def test_a_gemm_has_no_rows_and_training_has_no_gflops() -> None:
    table = table_of(measurements(), tokens_a_row=3.0).set_index("arrangement")
    assert table.loc["notebook", ["rows/s", "tokens/s"]].tolist() == [2, 6]
    assert math.isnan(table.loc["notebook", "GFLOP/s"])
    assert table.loc["gemm all threads, bf16", "GFLOP/s"] == pytest.approx(1500 / 1e9)
    assert math.isnan(table.loc["gemm all threads, bf16", "tokens/s"])


@pytest.mark.parametrize("study", ["defaults", "kit"])
def test_every_arm_of_a_study_of_settings_changes_one_of_them(study: str) -> None:
    base, *arms = [asdict(arm) for arm in STUDIES[study].values()]
    assert [sum(arm[key] != base[key] for key in base) for arm in arms] == [1] * len(arms)


def test_a_gain_is_over_the_first_arm_or_where_there_is_one_over_mean() -> None:
    assert reference(("max", 1, "b"), ["a", "b"], ["mean", "max"]) == ("max", 1, "a")
    assert reference(("max", 1, "a"), ["a"], ["max", "mean"]) == ("mean", 1, "a")
    assert reference(("min", 0, "a"), ["a"], ["max", "min"]) == ("max", 0, "a")


def test_a_study_of_recipes_scores_each_arm_against_the_first(tiny_backbone: Path) -> None:
    texts = [("good",), ("bad " * 20,)] * 8
    tokens = tokenize(read_tokenizer(tiny_backbone), texts, 16)
    y, folds = np.arange(16) % 2, np.arange(16) // 2 % 2
    rows = Rows("tiny", "binary", "auc", tiny_backbone, tokens, y, 1, folds, None, texts, 16)
    assert rows.read_by(Arm(windows=9)).n_cut == 0 < tokens.n_cut
    base = Arm(epochs=1, batch_size=4)
    arms = {"base": base, "longer": replace(base, steps=5), "long texts": replace(base, windows=9)}
    asked = Namespace(poolings=["mean"], seeds=1, options={}, epochs=None, n_jobs=1)
    table = run_study(rows, arms, asked).set_index("arm")
    # whole epochs of 2 steps
    assert table["steps"].to_dict() == {"base": 2, "longer": 6, "long texts": 2}
    first = table.loc["base"]
    assert (first["gain"], first["gain_low"], first["gain_high"]) == (0, 0, 0)
    assert table.loc["longer", "gain"] == pytest.approx(table["score"].diff()["longer"])
    assert table[["task", "rows", "pooling", "seed"]].drop_duplicates().to_numpy().tolist() == [
        ["tiny", 16, "mean", 0]
    ]


def test_norms_of_poolings_are_those_of_their_vectors_in_every_batch(tiny_backbone: Path) -> None:
    tokens = tokenize(read_tokenizer(tiny_backbone), [("good",), ("bad film",)] * BATCH, 16)
    model = read_model(tiny_backbone, read_config(tiny_backbone)).eval()
    found = norms(SimpleNamespace(backbone=tiny_backbone, tokens=tokens), model)
    assert set(found) == set(POOLINGS)
    states = model(torch.tensor(tokens.of(1)[None])).last_hidden_state[0].detach()
    assert found["cls"][1::2] == pytest.approx(float(states[0].norm()), rel=1e-4)
    assert found["mean"][1::2] == pytest.approx(float(states.mean(0).norm()), rel=1e-4)


def test_near_copies_flatter_a_score_only_where_they_may_lie_in_two_folds() -> None:
    rng = np.random.default_rng(0)
    words = rng.choice([f"w{k}" for k in range(2000)], (60, 20))
    y = np.repeat(rng.integers(0, 2, 60), 2)  # nothing but the copy tells it
    copies = [(" ".join(row[:cut]),) for row in words for cut in (20, 19)]
    train = SimpleNamespace(texts=copies, y=y, columns=("y",), groups=None, times=None)
    configs = [
        SimpleNamespace(task="binary", folds=Folds(scheme="kfold", n=4, similar=share))
        for share in (None, 0.9)
    ]
    target = Target.of(y, "binary", "auc")
    scores = [target.score(oof_of(config, train)) for config in configs]
    assert scores[0] > 0.9 > 0.65 > scores[1]


def test_an_uploaded_label_is_a_probability_of_one() -> None:
    certain = uploaded_predictions(["c", "a"], "multiclass", ("a", "b", "c"))
    assert certain.tolist() == [[0, 0, 1], [1, 0, 0]]
    assert uploaded_predictions(["yes", "no"], "binary", ("no", "yes")).tolist() == [[1], [0]]
    assert uploaded_predictions(["0.25", "1"], "binary", ("no", "yes")).tolist() == [[0.25], [1]]
    assert uploaded_predictions(["-2.5"], "regression", ()).tolist() == [[-2.5]]


def test_standard_error_of_an_accuracy_is_that_of_a_share() -> None:
    y = np.array([1] * 300 + [0] * 100)
    predictions = np.ones((400, 1))
    error = standard_error(Target.of(y, "binary", "accuracy"), predictions)
    assert error == pytest.approx(math.sqrt(0.75 * 0.25 / 400), rel=0.1)
    # rows of one group come and go together, so 400 rows weigh as much as 40
    groups = [str(i // 10) for i in range(400)]
    grouped = standard_error(Target.of(y, "binary", "accuracy", groups), predictions)
    assert grouped == pytest.approx(math.sqrt(0.75 * 0.25 / 40), rel=0.1)


def test_a_competition_is_scored_by_id_and_ranked_with_what_is_known(workplace: Path) -> None:
    path = write_competition(workplace, "binary", settings={"metric": "accuracy"})
    config = load_config(path)
    ids = [f"b{k:03}" for k in range(20)]
    truth = np.arange(20) % 2
    spelled = ["yes" if positive else "no" for positive in truth]
    rows = [list(row) for row in zip(ids, spelled, strict=True)]
    write_rows(workplace / "data/tiny/solution.csv", ["id", "target"], rows[::-1])
    write_rows(workplace / submission_path("tiny", "submission"), ["id", "target"], rows)
    half_right = np.where(np.arange(20) < 10, truth, 1 - truth)
    for name, values in (("mean", half_right), ("blend_mean", truth)):
        predictions = values[:, None].astype(float)
        folder = predictor_dir("tiny", name)
        write_predictions(folder, "test", ids, "id", ["target"], predictions, {})
    board = pd.DataFrame(
        {
            "name": ["mean", "blend_mean"],
            "kind": ["member", "blend"],
            "score": [0.7, 0.8],
            "chosen": [False, True],
        }
    )
    board.to_csv(leaderboard_path("tiny"), index=False)

    known = [KnownScore("accuracy", 0.9, "somebody"), KnownScore("auc", 0.99, "another metric")]
    table = score_table(config, known)

    assert table["name"].tolist() == ["blend_mean", "submission.csv", "somebody", "mean"]
    assert table["test"].tolist() == [1, 1, 0.9, 0.5]
    assert table["chosen"].tolist() == ["*", "", "", ""]
    assert table["oof"].tolist()[::3] == [0.8, 0.7]
    assert table["se"].tolist()[0] == 0
    assert table["se"].tolist()[3] == pytest.approx(math.sqrt(0.25 / 20), rel=0.15)
    assert table["se"].isna().tolist() == [False, False, True, False]


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_scores_are_of_the_demos_metric_and_say_where_they_come_from(name: str) -> None:
    config = load_config(Path(__file__).parents[1] / "configs" / f"{name}.yaml")
    for known in KNOWN[name]:
        assert 0 < known.value < 1
        assert known.metric == config.metric
        assert known.source.endswith((")", "here", "published"))


def test_members_of_the_simulation_are_alike_and_stay_the_same() -> None:
    one, other = (rows_of("regression", 4000, np.random.default_rng(seed)) for seed in (0, 1))
    scales = []
    for preds, y in (one, other):
        errors = preds[:, :, 0] - y
        assert 0.8 < np.corrcoef(errors.T)[np.triu_indices(N_MEMBERS, 1)].mean() < 0.95
        scales.append(errors.std(axis=0))
    np.testing.assert_allclose(scales[0], scales[1], rtol=0.06)


def test_a_claim_of_the_honesty_benchmark_is_held_against_the_same_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("benchmarks.honesty.TASKS", {"regression": ("rmse", ("convex",))})
    fresh = rows_of("regression", 500, np.random.default_rng(0))
    found = claims("regression", 3, *fresh)
    assert [claim["method"] for claim in found] == ["convex", "choice"]
    # the mean of 5 blenders' gains on 500 rows, from the outside
    preds, y = rows_of("regression", 300, np.random.default_rng([3, 1]))
    folds = np.random.default_rng([3, 2]).permutation(np.arange(300) % 5)
    plain = score("rmse", "regression", fresh[1], fresh[0].mean(axis=1))
    gains = [
        plain
        - score(
            "rmse",
            "regression",
            fresh[1],
            BLENDERS["convex"]
            .fit(preds[folds != k], Target.of(y[folds != k], "regression", "rmse"), seed=3)
            .apply(fresh[0]),
        )
        for k in range(5)
    ]
    assert found[0]["fresh"] == pytest.approx(np.mean(gains))
    assert found[0]["in_sample_error"] > 0


def test_the_honesty_table_holds_biases_and_coverage() -> None:
    lines = [
        {"task": "t", "method": "m", "fresh": 0.1, "error": e, "in_sample_error": 2.0, "covered": c}
        for e, c in ((0.1, True), (0.3, False))
    ]
    table = summary(pd.DataFrame(lines).assign(covered_as_given=False))
    (line,) = table.to_dict("records")
    assert line["bias"] == pytest.approx(0.2)
    assert line["se"] == pytest.approx(0.1)
    assert line["ratio"] == pytest.approx(0.1)
    assert (line["coverage"], line["as_given"]) == (0.5, 0)


@pytest.mark.parametrize("n_folds", [3, 5])
def test_weights_come_from_members_that_saw_the_fold_or_did_not(n_folds: int) -> None:
    folds = np.arange(4 * n_folds) % n_folds
    # a prediction names the one fold that was left out beside the row's own
    inner = np.where(
        folds == np.arange(n_folds)[:, None], np.nan, np.arange(n_folds)[:, None]
    ).reshape(n_folds, -1, 1, 1)
    for fold in range(n_folds):
        own = folds[folds != fold]
        assert (weighing_rows(inner, folds, fold, seen=False) == fold).all()
        left_out = weighing_rows(inner, folds, fold, seen=True)[:, 0, 0]
        assert not (np.isnan(left_out) | (left_out == fold) | (left_out == own)).any()


def test_a_blender_without_weights_scores_the_same_fully_nested() -> None:
    rng = np.random.default_rng(0)
    folds, y = np.arange(30) % 3, rng.normal(size=(30, 1))
    preds, inner = rng.normal(size=(30, 2, 1)), rng.normal(size=(3, 30, 2, 1))
    target = Target.of(y, "regression", "rmse")
    for seen in (True, False):
        found = nested_blend(BLENDERS["mean"], preds, target, folds, inner, seen=seen)
        np.testing.assert_allclose(found, preds.mean(axis=1))


def test_weights_of_a_fully_nested_blend_are_those_of_the_members_trained_anew() -> None:
    rng = np.random.default_rng(0)
    folds, y = np.arange(60) % 3, rng.normal(size=(60, 1))
    preds = rng.normal(size=(60, 2, 1))
    inner = rng.normal(size=(3, 60, 2, 1))
    inner[:, :, 1] = y  # member 1 knew all where the weights come from
    target = Target.of(y, "regression", "rmse")
    found = nested_blend(BLENDERS["convex"], preds, target, folds, inner, seen=False)
    np.testing.assert_allclose(found, preds[:, 1], atol=1e-6)
