"""A metric of the user's own: what it gets, its errors, and what it is worth in all stages."""

import pickle
import re
from pathlib import Path

import conftest
import numpy as np
import pytest
from conftest import write_competition
from scipy.special import expit

from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.contest import N_CALLS, cost_of_own, hold_contest, methods_that_fit
from pipeline.ensemble.leaderboard import Entry
from pipeline.ensemble.postprocessing import POSTPROCESSING
from pipeline.files.stamp import read_stamp
from pipeline.reporting import contributions
from pipeline.scoring import intervals, trial
from pipeline.scoring.intervals import bootstrap_scores
from pipeline.scoring.own import OwnFunction
from pipeline.scoring.target import Target
from pipeline.scoring.tasks import TASKS
from pipeline.scoring.trial import try_metric

COST = """
def score(y, decided):
    return (10 * ((y == 1) & (decided == 0)).sum() + ((y == 0) & (decided == 1)).sum()) / len(y)
"""
COUNTED_COST = COST.replace("return", "calls.append(1)\n    return")
KAPPA = """
def score(y, p):
    by_chance = y.var(axis=0) + p.var(axis=0) + (y.mean(axis=0) - p.mean(axis=0)) ** 2
    return (1 - ((y - p) ** 2).mean(axis=0) / by_chance).mean()
"""
ERROR = "import numpy as np\ndef score(y, p): return np.sqrt(np.mean((y - p) ** 2))"


@pytest.fixture
def own(workplace):
    """Write a file with a metric; its setting."""

    def write(source, takes="labels", *, greater_is_better=False, function="score"):
        Path("my_metric.py").write_text(source)
        return {
            "file": "my_metric.py",
            "function": function,
            "greater_is_better": greater_is_better,
            "takes": takes,
        }

    return write


def rows_of(task, n=60, seed=0):
    """Targets of two columns or classes, and predictions."""
    rng = np.random.default_rng(seed)
    if task == "regression":
        y = rng.integers(0, 4, (n, 2)).astype(float)
        return y, y + rng.normal(size=y.shape)
    if task == "multilabel":
        y = rng.integers(0, 2, (n, 2)).astype(float)
        return y, 0.3 * y + 0.7 * rng.random(y.shape)
    if task == "binary":
        y = rng.integers(0, 2, n)
        return y, 0.3 * y[:, None] + 0.7 * rng.random((n, 1))
    y = rng.integers(0, 3, n)
    return y, (np.eye(3)[y] + rng.dirichlet(np.ones(3), n)) / 2


@pytest.mark.parametrize(
    ("task", "takes", "shapes"),
    [
        ("regression", "values", [(60, 2), (60, 2)]),
        ("regression", "labels", [(60, 2), (60, 2)]),
        ("binary", "probabilities", [(60,), (60,)]),
        ("binary", "labels", [(60,), (60,)]),
        ("multiclass", "probabilities", [(60,), (60, 3)]),
        ("multiclass", "labels", [(60,), (60,)]),
        ("multilabel", "probabilities", [(60, 2), (60, 2)]),
        ("multilabel", "labels", [(60, 2), (60, 2)]),
    ],
)
def test_the_function_gets_all_rows_in_the_shapes_of_its_task(own, task, takes, shapes):
    y, p = rows_of(task)
    source = "got = []\ndef score(y, p):\n    got[:] = [y, p]\n    y[:] = 0\n    return 1"
    target = Target.of(y, task, own(source, takes))
    before = y.copy(), p.copy()
    assert target.score(p) == 1
    got = target.metric.own._read.__globals__["got"]
    assert [a.shape for a in got] == shapes
    assert (y == before[0]).all()  # it got copies
    if takes == "labels":
        assert set(np.unique(got[1])) <= set(np.unique(y))


def test_another_process_reads_the_file_again(own):
    y, p = rows_of("binary")
    target = Target.of(y, "binary", own(COST))
    score = target.score(p)
    written = pickle.dumps(target.metric.own)
    assert b"own_metric_" not in written  # a module that only this process has
    assert pickle.loads(written)(y, (p[:, 0] >= 0.5).astype(int)) == score


def test_one_target_is_one_dimension(own):
    y, p = rows_of("regression")
    source = "def score(y, p): return y.ndim + p.ndim"
    assert Target.of(y[:, :1], "regression", own(source, "values")).score(p[:, :1]) == 2


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("def score(y, p): return None", "None"),
        ("def score(y, p): return float('inf')", "inf"),
        ("def score(y, p): return y * 0", "array"),
        ("import pandas\ndef score(y, p): return pandas.Series([1, 2])", "0 1 1 2"),
        ("def score(y, p): return '1'", "'1'"),
        ("def score(y, p):\n    return 1 / 0", "ZeroDivisionError in line 2"),
        ("def score(y): return 1", "TypeError"),
        ("def score(y, p) return 1", "SyntaxError in line 1"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("import sys\nsys.exit()", "SystemExit in line 2"),
        ("def score(y, p):\n    raise SystemExit(0)", "SystemExit in line 2"),
        ("def scores(y, p): return 1", "'score'.*'scores'"),
        ("from math import pi", "'score'.*[^ :]$"),  # of which no other can be offered
        ("def score(y, p): return float('nan')", "NaN"),
    ],
)
def test_a_function_that_gives_no_number_is_one_line_that_names_it(own, source, said):
    y, _ = rows_of("binary")
    with pytest.raises(ValueError, match=rf"my_metric.*{said}") as raised:
        try_metric(Target.of(y, "binary", own(source)), 1)
    assert "\n" not in str(raised.value)


def test_numbers_of_any_kind_and_undefined_parts_are_taken(own):
    y, p = rows_of("binary")
    for number in ("1", "np.float32(1)", "np.array(1.0)", "np.int64(1)"):
        setting = own(f"import numpy as np\ndef score(y, p): return {number}")
        assert Target.of(y, "binary", setting).score(p) == 1
    few = own("def score(y, p): return float('nan') if len(y) < 60 else 0.5")
    target = Target.of(y, "binary", few)
    assert try_metric(target, 1, [np.arange(20)]) is None
    fails = Target.of(y, "binary", own("def score(y, p): return 1 if len(y) == 60 else None"))
    with pytest.raises(ValueError, match="on 20 rows"):
        try_metric(fails, 1, [np.arange(20)])


def test_a_file_that_is_not_there_is_named(workplace):
    setting = {"file": "no.py", "function": "score", "greater_is_better": True, "takes": "labels"}
    y, p = rows_of("binary")
    with pytest.raises(ValueError, match=r"no\.py"):
        Target.of(y, "binary", setting).score(p)


def test_a_direction_that_favours_a_constant_is_doubted(own):
    y, _ = rows_of("regression")
    assert try_metric(Target.of(y, "regression", own(ERROR, "values")), 2) is None
    wrong = own(ERROR, "values", greater_is_better=True)
    assert "greater_is_better" in try_metric(Target.of(y, "regression", wrong), 2)


def test_samples_score_as_those_of_the_built_in_twin_but_there_are_fewer(own):
    y, p = rows_of("regression")
    y, p = y[:, :1], p[:, :1]
    twin, mine = (Target.of(y, "regression", m) for m in ("rmse", own(ERROR, "values")))
    counts = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), 5).astype(float)
    np.testing.assert_allclose(mine.scorer(p)(counts), twin.scorer(p)(counts))
    assert len(bootstrap_scores(mine, [p], seed=0)) == intervals.N_OF_OWN


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_thresholds_for_a_function_score_like_those_of_the_built_in_twin(own, task):
    twin = {"binary": "f1", "multiclass": "f1_macro", "multilabel": "f1_micro"}[task]
    of = {"binary": "binary", "multiclass": "macro", "multilabel": "micro"}[task]
    source = "from sklearn.metrics import f1_score\n"
    source += f"def score(y, p): return f1_score(y, p, average='{of}')"
    y, p = rows_of(task, 100)
    if task == "multiclass":  # the last class is hardly ever decided for
        p = (0.3 * p + 0.7 * np.random.default_rng(1).dirichlet(np.ones(3), 100)) * [1, 1, 0.4]
        p /= p.sum(axis=1, keepdims=True)
    else:
        p = p**3
    tuned = []
    for metric in (twin, own(source, greater_is_better=True)):
        target = Target.of(y, task, metric)
        fitted = POSTPROCESSING["threshold"].fit(p, target).apply(p)
        tuned.append(Target.of(y, task, twin).score(fitted))
    assert tuned[1] == pytest.approx(tuned[0], abs=0.02)  # it tries a sample of the cuts
    assert tuned[1] > Target.of(y, task, twin).score(p)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_thresholds_are_the_same_where_less_is_better(own, task):
    y, p = rows_of(task, 100)
    p = TASKS[task].to_prediction(TASKS[task].to_raw(p) - 2 * np.arange(p.shape[1], 0, -1))
    source = "from sklearn.metrics import f1_score\n"
    source += "def score(y, p): return {} * f1_score(y, p, average='macro')"
    greater, less = (
        POSTPROCESSING["threshold"].fit(p, Target.of(y, task, metric)).apply(p)
        for metric in (own(source.format(sign), greater_is_better=sign > 0) for sign in (1, -1))
    )
    np.testing.assert_array_equal(greater, less)
    assert (less != p).any()


@pytest.mark.parametrize("n_targets", [1, 2])
def test_cut_points_for_a_function_are_those_of_the_built_in_twin(own, n_targets):
    y, p = (values[:, :n_targets] for values in rows_of("regression"))
    p = 0.4 * p + 1
    twin, mine = (
        POSTPROCESSING["cut_points"].fit(p, Target.of(y, "regression", metric))
        for metric in ("qwk", own(KAPPA, greater_is_better=True))
    )
    assert mine.as_json(["a", "b"][:n_targets]) == twin.as_json(["a", "b"][:n_targets])
    assert (mine.apply(p) != p).any()


def test_many_rows_try_a_sample_of_the_cuts_within_the_calls_that_are_announced(own):
    """A grade too low costs three times one too high, so cuts lie below the middles."""
    source = "calls = []\ndef score(y, p):\n    calls.append(1)\n"
    source += "    return (3 * (y - p).clip(0) + (p - y).clip(0)).mean()"
    y, p = (values[:, :1] for values in rows_of("regression", 2000))
    target = Target.of(y, "regression", own(source))
    fitted = POSTPROCESSING["cut_points"].fit(p[:1000], target[:1000])
    calls = target.metric.own._read.__globals__["calls"]
    assert len(calls) <= N_CALLS["cut_points"]
    cuts = fitted.values["bends"][0]["cuts"]
    assert (cuts < [0.5, 1.5, 2.5]).all()
    assert target[1000:].score(fitted.apply(p[1000:])) < 0.9 * target[1000:].score(p[1000:])


def test_what_a_slow_function_takes_is_told_in_plain_digits(own, monkeypatch):
    times = iter([0.0, 5 * 1.2])
    monkeypatch.setattr(trial.time, "perf_counter", lambda: next(times))
    y, p = rows_of("binary")
    note = trial.cost_of_calls(Target.of(y, "binary", own(COST)), p, 100)
    assert "1200 ms" in note
    assert "about 2 min" in note


@pytest.mark.parametrize(
    ("task", "n_folds", "blender"),
    [("binary", 2, "mean"), ("binary", 3, "mean"), ("multilabel", 3, "mean")]
    + [("multilabel", 2, "hill_climb")],
)
def test_a_contest_calls_the_function_about_as_often_as_is_announced(own, task, n_folds, blender):
    y, p = rows_of(task)
    target = Target.of(y, task, own(f"calls = []{COUNTED_COST}"))
    preds = np.random.default_rng(1).random((60, 2, p.shape[1]))
    folds = np.arange(60) % n_folds
    methods = methods_that_fit([blender], ["all"], target, folds)
    note = cost_of_own(methods, preds, target, folds)
    announced = int(re.search(r"about ([\d,]+) times", note)[1].replace(",", ""))
    calls = target.metric.own._read.__globals__["calls"]
    calls.clear()
    singles = [Entry(f"m{i}", "member", preds[:, i]) for i in range(2)]
    hold_contest(methods, singles, preds[:9], target, folds, ["a", "b"][: p.shape[1]], seed=0)
    assert 0.7 * announced < len(calls) < 1.02 * announced  # scores without samples are not counted


def test_cut_points_are_for_ordered_labels_and_thresholds_for_classes(own):
    for task, name in [("regression", "cut_points"), ("multiclass", "threshold")]:
        target = Target.of(rows_of(task)[0], task, own(COST))
        methods = methods_that_fit(["mean"], ["all"], target, np.arange(60) % 3)
        assert list(methods.postprocessing) == [name]


@pytest.mark.parametrize("m", [2, 9, 13])
def test_contributions_call_the_function_about_as_often_as_is_announced(own, m, monkeypatch):
    monkeypatch.setattr(contributions, "N_DRAWS", 2)
    y, _ = rows_of("regression")
    preds = y[:, None] + np.random.default_rng(0).normal(size=(len(y), m, 2))
    source = "calls = []\ndef score(y, p):\n    calls.append(1)\n    return abs(y - p).mean()"
    target = Target.of(y, "regression", own(source, "values"))
    announced = contributions.n_scored(m)
    target.score(preds[:, 0])  # reads the file
    calls = target.metric.own._read.__globals__["calls"]
    calls.clear()
    contributions.contributions(preds, target, seed=0)
    assert announced == pytest.approx(len(calls), rel=0.35)


def test_a_hill_climb_follows_the_function(own, few_steps):
    rng = np.random.default_rng(0)
    y = rng.normal(size=(200, 1))
    preds = y[:, None] + rng.normal(size=(200, 3, 1))
    preds[:, 0] = y + 3  # perfect but for a shift, which this metric ignores
    spread = own("def score(y, p): return (y - p).std()", "values")
    weights = {
        str(metric): BLENDERS["hill_climb"]
        .fit(preds, Target.of(y, "regression", metric), seed=0)
        .values["weights"]
        for metric in ("rmse", spread)
    }
    of_rmse, of_spread = weights.values()
    assert of_spread[0] > 0.7 > 0.4 > of_rmse[0]


def test_the_choice_is_better_on_the_function_than_that_of_another_metric(own, few_steps):
    """A missed positive costs ten false alarms, so the best cut lies near 1/11."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=400)
    y = (rng.random(400) < expit(2 * signal - 1)).astype(int)
    preds = expit(2 * signal[:, None] - 1 + rng.normal(size=(400, 2)))[:, :, None]
    folds, cost = np.arange(400) % 3, own(COST)
    singles = [Entry(f"m{i}", "member", preds[:, i]) for i in range(2)]
    costs = {}
    for name, metric in (("accuracy", "accuracy"), ("own", cost)):
        target = Target.of(y, "binary", metric)
        methods = methods_that_fit(["mean", "hill_climb"], ["all"], target, folds)
        note = cost_of_own(methods, preds, target, folds)
        assert (note is None) == (name == "accuracy")
        contest = hold_contest(methods, singles, preds[:9], target, folds, ["y"], seed=0)
        chosen = contest.board.loc[contest.board["chosen"], "name"].item()
        (of_choice,) = [c for c in contest.candidates if c.entry.name == chosen]
        costs[name] = Target.of(y, "binary", cost).score(of_choice.entry.predictions)
    assert "threshold" in chosen
    assert contest.board.set_index("name").loc[chosen, "gain_low"] > 0
    assert costs["own"] < 0.7 * costs["accuracy"]


def test_all_stages_work_with_it_and_a_changed_file_blends_anew_but_trains_nothing(
    workplace, capsys, own, few_steps, monkeypatch, refusal
):
    metric = own(COST)
    members = [{"model": "tfidf_linear"}, {"model": "tfidf_linear", "name": "other"}]
    members[1]["options"] = {"max_features": 50}
    settings = {"members": members, "backbone": None, "jobs": {"n_jobs": 1}}
    settings["blend"] = {"methods": ["mean"]}
    config = write_competition(workplace, "binary", settings=settings)
    text = config.read_text().replace("metric: auc\n", f"metric: {metric}\n")
    config.write_text(text)

    def stage(name, *words):
        conftest.stage(name, *words)
        return capsys.readouterr().out

    for name in ("prepare", "make_folds", "train", "predict"):
        told = stage(name)
    assert "my_metric.score 0." in stage("train")
    assert "my_metric.score, lower is better" in stage("blend")
    board = Path("oof/tiny/leaderboard.csv")
    first = read_stamp(board)
    stage("submit")
    calls, call = [], OwnFunction.__call__
    with monkeypatch.context() as patch:
        patch.setattr(OwnFunction, "__call__", lambda *given: calls.append(1) or call(*given))
        told = stage("report")
    said = re.search(r"report: my_metric\.score .* called about ([\d,]+) times: about \d+ s", told)
    assert int(said[1].replace(",", "")) == pytest.approx(len(calls), rel=0.25)
    own(COST.replace("10", "20"))
    for name in ("submit", "report"):
        assert "blend again" in refusal(name)
    assert " 0 of 6 units" in stage("train")
    told = stage("blend")
    assert "about" in told
    assert read_stamp(board) != first
    Path("my_metric.py").unlink()
    stage("infer")  # needs no metric
    assert "my_metric.py" in refusal("prepare")
