"""Missing cells of several targets or labels: each column is learned and scored on its own rows."""

import json
import re

import numpy as np
import pytest
import torch
from conftest import CONFIG, read_rows, stage, stages, write_competition, write_rows

from pipeline.competition.deal import quantile_bins, stratified
from pipeline.competition.rows import read_train
from pipeline.competition.solution import solution_target
from pipeline.competition.targets import lines_about_missing, read_targets
from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.postprocessing import POSTPROCESSING
from pipeline.members.bert.finetune import labels_for_loss, weights_for_loss
from pipeline.members.bert.losses import LOSSES
from pipeline.members.classic.estimators import ESTIMATORS
from pipeline.members.label_weights import label_weights
from pipeline.reporting.contributions import contributions
from pipeline.reporting.diversity import ambiguity, error_correlation, pairwise
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.metrics import METRICS
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import Scaling
from pipeline.settings.command import load_config

NAN = np.nan
SEVERAL = ("regression", "multilabel")
CASES = [
    (metric.name, task)
    for metric in METRICS.values()
    for task in SEVERAL
    if task in metric.tasks and not metric.joint
]


def example(task, n=90, n_members=3):
    """(n, m, 2) predictions and (n, 2) targets, a third of the second missing."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, (n, 2)) + 1.0
    if task == "multilabel":
        y = (y > 3).astype(float)
    preds = y[:, None] + rng.normal(0, 1, (n, n_members, 2))
    y[rng.permutation(n)[: n // 3], 1] = NAN
    return (1 / (1 + np.exp(-preds)) if task == "multilabel" else preds), y


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_the_score_is_the_mean_of_the_columns_each_on_its_rows(metric, task):
    preds, y = example(task)
    target, p, has = Target.of(y, task, metric), preds[:, 0], ~np.isnan(y[:, 1])
    first = Target.of(y[:, [0]], task, metric).score(p[:, [0]])
    second = Target.of(y[has][:, [1]], task, metric).score(p[has][:, [1]])
    assert target.score(p) == pytest.approx((first + second) / 2)
    assert target.column_scores(p).tolist() == pytest.approx([first, second])


@pytest.mark.parametrize(("metric", "task"), CASES)
def test_a_bootstrap_sample_scores_as_its_rows_do(metric, task):
    preds, y = example(task, n=40)
    target, p = Target.of(y, task, metric), preds[:, 0]
    rng = np.random.default_rng(0)
    counts = np.array([np.bincount(rng.integers(40, size=40), minlength=40) for _ in range(20)])
    counts[0, ~np.isnan(y[:, 1])] = 0  # no row of the second column is drawn
    rows = [np.repeat(np.arange(40), times) for times in counts]
    expected = [target[r].score(p[r]) for r in rows]
    found = target.scorer(p)(counts.astype(float))
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    assert np.isfinite(found[0])


def test_a_metric_of_all_targets_at_once_is_refused():
    _, y = example("multilabel")
    with pytest.raises(ValueError, match="f1_micro"):
        Target.of(y, "multilabel", "f1_micro")
    Target.of(np.nan_to_num(y), "multilabel", "f1_micro")


@pytest.mark.parametrize("task", SEVERAL)
@pytest.mark.parametrize("name", sorted(set(BLENDERS) - {"rank_mean"}))
def test_a_blend_of_a_column_is_fitted_on_its_rows(name, task, few_steps):
    preds, y = example(task)
    if task not in BLENDERS[name].tasks:
        return
    target = Target.of(y, task, "rmse" if task == "regression" else "auc")
    blend = BLENDERS[name].fit(preds, target, seed=0).apply(preds)
    for j in range(2):
        has = ~np.isnan(y[:, j])
        alone = Target.of(y[has][:, [j]], task, target.metric.name)
        of_column = BLENDERS[name].fit(preds[has][:, :, [j]], alone, seed=0)
        np.testing.assert_allclose(blend[:, [j]], of_column.apply(preds[:, :, [j]]))


@pytest.mark.parametrize("name", sorted(BLENDERS))
def test_a_blend_survives_a_column_with_a_single_row(name, few_steps):
    for task in SEVERAL:
        preds, y = example(task)
        y[:, 1] = NAN
        y[3, 1] = 1.0
        target = Target.of(y, task, "rmse" if task == "regression" else "auc")
        if task in BLENDERS[name].tasks:
            blend = BLENDERS[name].fit(preds, target, seed=0).apply(preds)
            assert np.isfinite(blend).all()


FITTING = [
    (name, task, metric)
    for name, step in sorted(POSTPROCESSING.items())
    for task in SEVERAL
    for metric in [
        next((m for m in step.metrics if step.fits(task, METRICS.get(m, METRICS["f1"]))), None)
    ]
    if metric in METRICS
]


@pytest.mark.parametrize(("name", "task", "metric"), FITTING)
def test_a_post_processing_of_a_column_is_fitted_on_its_rows(name, task, metric):
    preds, y = example(task)
    p = preds.mean(axis=1)
    fitted = POSTPROCESSING[name].fit(p, Target.of(y, task, metric))
    has = ~np.isnan(y[:, 1])
    alone = POSTPROCESSING[name].fit(p[has][:, [1]], Target.of(y[has][:, [1]], task, metric))
    np.testing.assert_allclose(fitted.apply(p)[:, [1]], alone.apply(p[:, [1]]))
    assert fitted.as_json(["a", "b"])["meaning"]


def test_the_loss_skips_missing_cells():
    y = np.array([[1.0, NAN], [3.0, 0.0], [5.0, 4.0]])
    scaling = Scaling.of(y)
    assert (scaling.mean, scaling.sd) == ([3, 2], [pytest.approx(np.sqrt(8 / 3)), 2])
    labels = labels_for_loss("regression", y, scaling)
    weights = weights_for_loss("regression", label_weights(y, None, None, ("a", "b")))
    assert weights.tolist() == [[1, 0], [1, 1], [1, 1]]
    outputs = torch.tensor([[0.0, 99.0], [0.0, 0.0], [0.0, 0.0]], requires_grad=True)
    loss = LOSSES["mse"](outputs, labels, weights)
    # standardised: -1.22 0 1.22, and -1 1; the 99 of the missing cell counts nothing
    assert loss.item() == pytest.approx((1.5 + 1.5 + 1 + 1) / 6)
    loss.backward()
    assert outputs.grad[0, 1] == 0
    assert LOSSES["mae"].constant(labels, 2, weights)[1] in (-1, 1)


@pytest.mark.parametrize("name", ["bce", "focal"])
def test_the_head_starts_from_the_labels_that_are_there(name):
    y = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 0.0], [0.0, NAN], [1.0, NAN]])
    labels = labels_for_loss("multilabel", y, None)
    weights = weights_for_loss("multilabel", label_weights(y, None, None, ("a", "b")))
    alone = LOSSES[name].constant(labels[:3], 2)
    assert LOSSES[name].constant(labels, 2, weights)[1] == pytest.approx(alone[1].item(), abs=1e-4)


def test_balanced_weights_count_the_labels_that_are_there():
    y = np.array([[1.0, 1.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0], [0.0, NAN]])
    weights = label_weights(y, None, "balanced", ("a", "b"))
    np.testing.assert_allclose(weights[:, 1], np.array([3, 1, 1, 1, 0]) / 1.5)
    np.testing.assert_allclose(weights.sum(axis=0), [5, 4])


def test_without_missing_cells_there_are_no_weights_and_no_copies():
    y = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert label_weights(y, None, None, ("a", "b")) is None
    target = Target.of(y, "regression", "rmse")
    assert target.rows == [slice(None)] * 2
    assert np.shares_memory(target.scored_columns(y)[1][0], y)


def test_missing_targets_are_a_bin_of_their_own():
    target = np.append(np.arange(50.0), np.full(20, NAN))
    bins = quantile_bins(target)
    assert set(bins[50:]).isdisjoint(bins[:50])
    folds = stratified(
        np.column_stack([target, target]), np.arange(70), task="regression", n=5, seed=0
    )
    assert np.bincount(folds[50:]).tolist() == [4] * 5


TEXTS = np.array(["rail", "road", "boat", "goal", "match", "bank", "loan", "sea"])


@pytest.mark.parametrize("name", ["tfidf_linear", "lightgbm_text"])
@pytest.mark.parametrize("task", SEVERAL)
def test_a_head_is_fitted_on_the_rows_that_have_its_target(name, task):
    rng = np.random.default_rng(0)
    texts = [(" ".join(rng.choice(TEXTS, 6)),) for _ in range(60)]
    y = np.array([[text.count("rail"), text.count("goal")] for (text,) in texts], dtype=float)
    y = np.minimum(y, 1) if task == "multilabel" else y
    y[40:, 1] = NAN
    options = {"rounds": 20} if name == "lightgbm_text" else {}
    model = ESTIMATORS[name](task=task, n_columns=2, seed=0, **options)
    model.fit(texts, y)
    found = model.predict(texts[40:])
    truth = [text.count("goal") > 0 for (text,) in texts[40:]]
    assert np.isfinite(found).all()
    assert np.corrcoef(found[:, 1], truth)[0, 1] > 0.5


def test_rows_that_lack_a_target_teach_the_other():
    rng = np.random.default_rng(0)
    words = [f"w{k}" for k in range(60)]
    values = rng.normal(size=(60, 2))
    picks = [rng.permutation(60)[:6] for _ in range(240)]
    texts = [(" ".join(words[k] for k in picked),) for picked in picks]
    y = np.array([values[picked].sum(axis=0) for picked in picks])
    y[rng.random(240) < 0.3, 1] = NAN
    target, folds = Target.of(y, "regression", "rmse"), np.arange(240) % 3

    def oof(rows_to_learn):
        predictions = np.empty_like(y)
        for fold in range(3):
            rows = np.flatnonzero((folds != fold) & rows_to_learn)
            model = ESTIMATORS["tfidf_linear"](task="regression", n_columns=2, seed=0)
            model.fit([texts[k] for k in rows], y[rows])
            predictions[folds == fold] = model.predict(
                [texts[k] for k in np.flatnonzero(folds == fold)]
            )
        return predictions

    every, complete = oof(np.ones(240, dtype=bool)), oof(~np.isnan(y[:, 1]))
    _, low, _ = difference_interval(target, every, complete, seed=0)
    assert low > 0


@pytest.mark.parametrize("task", SEVERAL)
def test_the_reports_measures_leave_missing_cells_out(task):
    preds, y = example(task, n_members=4)
    has = ~np.isnan(y).any(axis=1)
    losses = ambiguity(preds, y, task)
    assert losses.combined == pytest.approx(losses.of_members - losses.diversity)
    assert np.isfinite(error_correlation(preds, y, task)).all()
    if task == "multilabel":
        right = (preds > 0.5) == y[:, None]
        there = np.append(right[:, :, 0], right[has][:, :, 1], axis=0)
        expected = (there[:, 0] != there[:, 1]).mean()
        assert pairwise(preds, y, task)["disagreement"][0, 1] == pytest.approx(expected)
    target = Target.of(y, task, "rmse" if task == "regression" else "auc")
    measured = contributions(preds, target, seed=0)
    gain = target.score(preds.mean(axis=1)) - target.score(target.constant(2, len(y)))
    assert measured.whole == pytest.approx(target.metric.sign * gain)


def read(task, *columns):
    ids = [f"i{k}" for k in range(len(columns[0]))]
    cells = {f"t{k}": list(column) for k, column in enumerate(columns)}
    return read_targets(task, "train.csv", ids, cells, None)[0]


@pytest.mark.parametrize("cell", ["", " ", "NA", "n/a", "NaN", "null", "None"])
@pytest.mark.parametrize("task", SEVERAL)
def test_a_cell_may_be_missing_in_the_spellings_of_a_feature(task, cell):
    y = read(task, ["1", cell, "0"], ["0", "1", "1"])
    np.testing.assert_array_equal(y, [[1, 0], [NAN, 1], [0, 1]])
    assert lines_about_missing(y, ["a", "b"])[0].startswith("target 'a': 1 of 3 missing")


@pytest.mark.parametrize("task", SEVERAL)
def test_a_row_without_any_target_is_an_error_that_names_it(task):
    with pytest.raises(ValueError, match="i1"):
        read(task, ["1", "NA", "0"], ["0", "", "1"])


def test_a_single_target_and_shares_of_classes_lack_nothing():
    with pytest.raises(ValueError, match="'NA'"):
        read("regression", ["1", "NA"])
    with pytest.raises(ValueError, match="'t1'.*i0"):
        read("multiclass", ["1", "0"], ["", "1"])


def write_case(folder, task, settings, spoil):
    """A competition of two targets or three labels; `spoil(k, row)` gives cells to take out."""
    write_competition(folder, task, n_rows=60, settings=settings)
    for name in ("train.csv", "sample_submission.csv"):
        header, rows = read_rows(folder / "data/tiny" / name)
        if task == "regression":
            header.append("other")
            rows = [[*row, f"{float(row[-1]) ** 2:.2f}"] for row in rows]
        for k, row in enumerate(rows if name == "train.csv" else []):
            for column in spoil(k):
                row[header.index(column)] = ["", "NA"][k % 2]
        write_rows(folder / "data/tiny" / name, header, rows)


MODELS = [{"model": "tfidf_linear"}, {"model": "lightgbm_text", "options": {"rounds": 5}}]
CHAIN = {
    "regression": {
        "metric": "qwk",
        "data": {"target": ["target", "other"]},
        "members": [*MODELS, {"pooling": "mean"}],
        "training": {"epochs": 1, "max_length": 32},
        "blend": {"methods": ["mean", "convex", "ridge"]},
    },
    "multilabel": {
        "metric": "f1",
        "training": {"class_weights": "balanced"},
        "members": MODELS,
        "blend": {"methods": ["mean", "hill_climb"]},
    },
}


@pytest.mark.parametrize("task", SEVERAL)
def test_all_stages_take_a_table_with_missing_cells(
    task, workplace, few_steps, tiny_backbone, capsys
):
    last = {"regression": "other", "multilabel": "sad"}[task]
    settings = {**CHAIN[task], "backbone": str(tiny_backbone), "jobs": {"n_jobs": 1}}
    write_case(workplace, task, settings, lambda k: [last] if k % 3 == 0 else [])
    stages("prepare", "make_folds", "train", "predict", "blend", "submit", "report")
    assert f"target '{last}': 20 of 60 missing" in capsys.readouterr().out
    header, rows = read_rows(workplace / "submissions/tiny/submission.csv")
    assert last in header
    assert len(rows) == 20
    assert np.isfinite([[float(cell) for cell in row[1:]] for row in rows]).all()
    summary = json.loads((workplace / "reports/tiny/summary.json").read_text())
    present = {line["name"]: line["present"] for line in summary["targets"]}
    assert present.pop(last) == 40
    assert set(present.values()) == {60}
    assert not _nulls(summary["leaderboard"], "score")
    stages("infer")
    if task == "multilabel":  # the report tells how members were trained, not how they would be
        stage("report", "--training.class_weights", "null")
        summary = json.loads((workplace / "reports/tiny/summary.json").read_text())
        weighed = "classes weighed (balanced) in tfidf_linear, lightgbm_text"
        assert summary["run"]["training"] == [weighed]


def _nulls(lines, key):
    return [line for line in lines if line[key] is None]


@pytest.mark.parametrize(
    ("keep", "said"), [(0, "'other'"), (1, r"'other'.*\b1 of 3\b"), (2, r"'other'.*\b2 of 3\b")]
)
def test_a_target_with_too_few_values_is_refused_before_anything_is_trained(
    workplace, refusal, keep, said
):
    write_case(
        workplace, "regression", CHAIN["regression"], lambda k: ["other"] if k >= keep else []
    )
    assert re.search(said, refusal("make_folds"))


def test_a_solution_lacks_cells_where_the_metric_can_leave_them_out(workplace):
    write_competition(workplace, "multilabel")
    header, rows = read_rows(workplace / "data/tiny/sample_submission.csv")
    for k, row in enumerate(rows):
        row[1:] = ["" if k == j else str((k + j) % 2) for j in range(3)]
    write_rows(workplace / "data/tiny/solution.csv", header, rows)
    of_f1, of_all = (load_config(CONFIG, {"metric": name}) for name in ("f1", "f1_micro"))
    train, ids = read_train(of_f1.data, "multilabel"), [row[0] for row in rows]
    target = solution_target(of_f1, train, ids)
    assert target.score(np.nan_to_num(target.y)) == 1
    with pytest.raises(ValueError, match=r"solution\.csv: .*\bf1_micro\b.*\b3\b"):
        solution_target(of_all, train, ids)


def test_a_solution_that_does_not_fit_is_to_be_corrected_or_removed(workplace):
    config = load_config(write_competition(workplace, "regression"))
    train = read_train(config.data, "regression")
    for header in (["key", "target"], ["id", "score"]):
        write_rows(workplace / "data/tiny/solution.csv", header, [["b001", "0"]])
        with pytest.raises(ValueError, match=r"solution\.csv: .*'(id|target)'.*\bremove it\b"):
            solution_target(config, train, ["b001"])


def test_a_solution_holds_values_that_the_metric_can_score(workplace):
    write_competition(workplace, "regression")
    header, rows = read_rows(workplace / "data/tiny/sample_submission.csv")
    write_rows(workplace / "data/tiny/solution.csv", header, [[row[0], "0"] for row in rows])
    config = load_config(CONFIG, {"metric": "mape"})
    train = read_train(config.data, "regression")
    with pytest.raises(ValueError, match=r"solution\.csv: .*\bmape\b"):
        solution_target(config, train, [row[0] for row in rows])
