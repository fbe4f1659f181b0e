"""The report's numbers on decisions, counted row by row."""

from dataclasses import replace

import numpy as np
import pytest
from report_numbers import evidence, whole_evidence
from scipy.special import logit
from sklearn.metrics import f1_score

from pipeline.reporting.classification import (
    by_threshold,
    classification,
    ranking,
    score_of_targets,
)
from pipeline.scoring.tasks import decide

KINDS = [("several", "mcrmse"), ("multilabel", "accuracy")]


def of_class(truth, decided):
    """Precision, recall, F1 and rows of a class, from whether each row is and is called so."""
    hits = sum(t and d for t, d in zip(truth, decided, strict=True))
    n_decided, n = sum(decided), sum(truth)
    return [hits / n_decided, hits / n, 2 * hits / (n_decided + n), n]


def columns_of(lines):
    return [[line[key] for key in ("precision", "recall", "f1", "rows")] for line in lines]


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_classes_are_scored_and_confused_as_their_rows_are(kind):
    of = whole_evidence(kind=kind, metric="f1_macro")
    found, y = classification(of), of.train.y.tolist()
    decided = decide(kind, of.chosen_oof).tolist()
    codes = range(len(of.train.classes))
    assert [line["name"] for line in found["classes"]] == list(of.train.classes)
    expected = [of_class([t == k for t in y], [d == k for d in decided]) for k in codes]
    assert columns_of(found["classes"]) == [pytest.approx(line) for line in expected]
    pairs = list(zip(y, decided, strict=True))
    assert found["matrix"].tolist() == [[pairs.count((i, j)) for j in codes] for i in codes]
    assert found["confusions"] == []


def test_a_label_is_scored_for_itself():
    of = whole_evidence(kind="multilabel", metric="auc")
    found = classification(of)
    truth, decided = of.train.y == 1, of.chosen_oof >= 0.5
    expected = [of_class(*columns) for columns in zip(truth.T, decided.T, strict=True)]
    assert columns_of(found["classes"]) == [pytest.approx(line) for line in expected]
    assert found["matrix"] is None


def test_a_single_label_is_scored_for_its_presence():
    y, p = np.array([1.0, 1.0, 0.0, 0.0, 0.0])[:, None], np.array([0.9, 0.2, 0.6, 0.1, 0.1])
    (line,) = classification(evidence("multilabel", y, p[:, None, None], metric="auc"))["classes"]
    assert line == {"name": "t0", "precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 2}


def test_of_many_classes_the_largest_confusions_come_first():
    y = np.repeat(np.arange(13), 10)
    decided = y.copy()
    decided[:3], decided[10:15], decided[20] = 7, 3, 5
    p = np.eye(13)[decided][:, None]
    names = tuple(f"c{k}" for k in range(13))
    found = classification(evidence("multiclass", y, p, metric="accuracy", classes=names))
    assert found["matrix"] is None
    assert [tuple(line.values()) for line in found["confusions"]] == [
        ("c1", "c3", 5, 0.5),
        ("c0", "c7", 3, 0.3),
        ("c2", "c5", 1, 0.1),
    ]


def test_a_class_that_is_never_decided_for_has_no_precision():
    p = np.array([[[0.9, 0.1]], [[0.8, 0.2]]])
    of = evidence("multiclass", np.array([0, 1]), p, metric="accuracy", classes=("a", "b"))
    a, b = classification(of)["classes"]
    assert (a["precision"], a["recall"]) == (0.5, 1)
    assert np.isnan(b["precision"])
    assert (b["recall"], b["f1"], b["rows"]) == (0, 0, 1)


def test_a_regression_decides_for_grades_only_where_its_metric_does():
    y = np.array([1.0, 2.0, 4.0, 4.0])[:, None]
    p = np.array([1.4, 1.6, 2.9, 9.0])[:, None, None]
    assert classification(evidence("regression", y, p)) is None
    found = classification(evidence("regression", y, p, metric="qwk"))
    assert [line["name"] for line in found["classes"]] == ["1", "2", "4"]
    assert found["matrix"].tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    two = (np.hstack([y, y]), np.concatenate([p, p], axis=2))
    assert classification(evidence("regression", *two, metric="qwk")) is None
    grades = np.arange(101.0)[:, None]
    assert classification(evidence("regression", grades, grades[:, None], metric="qwk")) is None
    assert classification(evidence("regression", grades[1:], grades[1:, None], metric="qwk"))


@pytest.mark.parametrize(("kind", "metric"), KINDS)
def test_a_target_has_the_score_of_its_column_and_the_best_predictor_of_it(kind, metric):
    of = whole_evidence(kind=kind, metric=metric)

    def score(j, p):
        y, p = of.train.y[:, j], p[:, j]
        return np.sqrt(np.mean((y - p) ** 2)) if kind == "several" else np.mean((p >= 0.5) == y)

    best = min if kind == "several" else max
    for j, line in enumerate(score_of_targets(of)):
        singles = {name: score(j, of.stack.oof[:, i]) for i, name in enumerate(of.stack.names)}
        assert line["name"] == of.train.columns[j]
        assert line["score"] == pytest.approx(score(j, of.chosen_oof))
        assert line["best"] == best(singles, key=singles.get)
        assert line["best_score"] == pytest.approx(singles[line["best"]])
    assert j == len(of.train.columns) - 1


def test_a_target_has_all_rows_and_a_label_those_with_it():
    several, labels = (whole_evidence(kind=kind, metric=metric) for kind, metric in KINDS)
    assert {line["rows"] for line in score_of_targets(several)} == {len(several.train.y)}
    found = [line["rows"] for line in score_of_targets(labels)]
    assert found == labels.train.y.sum(axis=0).tolist()


@pytest.mark.parametrize("weights", [None, np.arange(120.0)])
@pytest.mark.parametrize(
    ("kind", "metric"),
    [("multiclass", "logloss"), ("multiclass", "map_at_k"), ("binary", "logloss")],
)
def test_a_class_has_the_score_of_its_rows(kind, metric, weights):
    of = whole_evidence(kind=kind, metric=metric)
    of.target = replace(of.target, weights=weights)
    scores = [line["score"] for line in classification(of)["classes"]]
    weight_of_classes = np.bincount(of.train.y, weights)
    total = np.average(scores, weights=weight_of_classes)
    assert total == pytest.approx(of.target.score(of.chosen_oof))
    first = of.train.y == 0
    assert scores[0] == pytest.approx(of.target[first].score(of.chosen_oof[first]))


def test_the_auc_of_a_class_is_against_the_rest_and_decisions_have_no_more_than_recall():
    of = whole_evidence(kind="multiclass", metric="auc")
    for weights in (None, np.arange(120.0)):
        of.target = replace(of.target, weights=weights)
        scores = [line["score"] for line in classification(of)["classes"]]
        assert np.mean(scores) == pytest.approx(of.target.score(of.chosen_oof))
    for kind, metric in (("multiclass", "f1_macro"), ("binary", "auc")):
        of = whole_evidence(kind=kind, metric=metric)
        assert all("score" not in line for line in classification(of)["classes"])


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_a_single_target_has_no_scores_of_its_own(kind):
    assert score_of_targets(whole_evidence(kind=kind)) == []


def test_points_of_the_ranking_are_shares_of_rows_above_a_threshold(monkeypatch):
    of = whole_evidence(kind="binary", metric="auc")
    y, p = of.train.y == 1, of.chosen_oof[:, 0]
    known = {"roc": {(0.0, 0.0)}, "precision_recall": {(0.0, 1.0)}}
    for threshold in p:
        above = p >= threshold
        recall = (above & y).sum() / y.sum()
        known["roc"].add(((above & ~y).sum() / (~y).sum(), recall))
        known["precision_recall"].add((recall, (above & y).sum() / above.sum()))
    for n in (150, 20):
        monkeypatch.setattr("pipeline.reporting.classification.N_POINTS", n)
        found = ranking(of)
        for name, points in known.items():
            shown = set(zip(found[name]["x"], found[name]["y"], strict=True))
            assert shown <= points
            assert 15 < len(shown) <= n
        assert {(0.0, 0.0), (1.0, 1.0)} <= set(
            zip(found["roc"]["x"], found["roc"]["y"], strict=True)
        )
    above = p[y][:, None] > p[~y]
    assert found["roc"]["area"] == pytest.approx(above.mean())
    order = np.argsort(-p)
    precision = np.cumsum(y[order]) / np.arange(1, len(y) + 1)
    assert found["precision_recall"]["area"] == pytest.approx(precision[y[order]].mean())
    assert found["precision_recall"]["share"] == pytest.approx(y.mean())
    assert ranking(whole_evidence(kind="multiclass")) is None


def test_a_score_by_threshold_is_that_of_the_rows_from_it_on():
    of = whole_evidence(kind="binary", metric="f1")
    found, p = by_threshold(of), of.chosen_oof[:, 0]
    assert found["cut"] == 0.5
    assert min(found["thresholds"]) == 0
    assert max(found["thresholds"]) == 1
    expected = [f1_score(of.train.y, p >= t) for t in found["thresholds"]]
    assert found["scores"] == pytest.approx(expected)


def test_thresholds_are_those_of_the_blend_before_its_cut_was_moved():
    of = whole_evidence(kind="binary", metric="f1")
    of.postprocessing = {"name": "threshold", "shift": [-logit(0.3)]}
    of.chosen_name, of.chosen_oof = "blend_convex.threshold", of.chosen_oof**2
    found = by_threshold(of)
    assert found["of"] == "blend_convex"
    assert found["cut"] == pytest.approx(0.3)
    at = found["thresholds"].tolist().index(found["cut"])
    expected = f1_score(of.train.y, of.blends["blend_convex"][:, 0] >= 0.3)
    assert found["scores"][at] == pytest.approx(expected)


@pytest.mark.parametrize(("kind", "metric"), [("binary", "auc"), ("multiclass", "accuracy")])
def test_there_are_no_thresholds_where_nothing_is_cut(kind, metric):
    assert by_threshold(whole_evidence(kind=kind, metric=metric)) is None


@pytest.mark.filterwarnings("error")
def test_rows_of_one_class_have_no_curves():
    p = np.linspace(0.1, 0.9, 9)[:, None, None]
    assert ranking(evidence("binary", np.zeros(9, dtype=int), p, metric="f1")) is None
