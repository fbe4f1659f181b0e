"""The blend stage on predictions written by hand: its files, its messages and its errors."""

import re
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import change_config, read_rows, write_competition, write_rows
from sklearn.metrics import roc_auc_score

from pipeline import make_folds, submit
from pipeline.competition.folds import read_folds
from pipeline.competition.rows import read_train
from pipeline.ensemble.blenders import BLENDERS
from pipeline.ensemble.choice import score_of_choice
from pipeline.ensemble.crossfit import cross_fit_pairs, of_own_fold
from pipeline.files.reading import read_json
from pipeline.files.writing import write_json
from pipeline.predictors import saved_blends
from pipeline.predictors.board import read_board
from pipeline.scoring.intervals import difference_interval, estimate_fit_variance
from pipeline.scoring.target import Target
from pipeline.settings.command import load_config

STAGE = "blend"
METRICS = {"regression": "rmse", "binary": "f1"}
POSTPROCESSING = {"regression": "clip", "binary": "threshold"}
OOF = Path("oof/tiny")


@pytest.fixture
def prepared(workplace, capsys):
    """A competition of 90 rows with the predictions of two members; its YAML."""

    def prepare(task, n_folds=3, spoilt=1.0, **blend):
        settings = {
            "metric": METRICS[task],
            "folds": {"scheme": "file", "path": "own.csv"},
            "blend": {"methods": ["convex", "ridge", "logistic"], **blend},
        }
        config = write_competition(workplace, task, n_rows=90, settings={"folds": None})
        change_config(**settings)
        _, rows = read_rows(Path("data/tiny/train.csv"))
        own = [[row[0], str(k % n_folds)] for k, row in enumerate(rows)]
        write_rows(Path("own.csv"), ["id", "fold"], own)
        make_folds.main([str(config)])
        _, test = read_rows(Path("data/tiny/test.csv"))
        rng = np.random.default_rng(1)
        truth = [{"yes": 0.45, "no": 0.21}.get(row[-1]) or float(row[-1]) for row in rows]
        for member, noise in (("mean", 0.1), ("max", 0.2)):
            oof = np.array(truth) + spoilt * rng.uniform(-noise, noise, len(truth))
            for part, ids, values in (("oof", rows, oof), ("test", test, rng.random(len(test)))):
                lines = [[row[0], str(value)] for row, value in zip(ids, values, strict=True)]
                write_rows(OOF / member / f"{part}.csv", ["id", "target"], lines)
        capsys.readouterr()
        return config

    return prepare


def board():
    return pd.read_csv(OOF / "leaderboard.csv").set_index("name")


def oof_of(name, ids):
    """(n, 1) the column of a predictor's oof.csv, by id."""
    rows = dict(read_rows(OOF / name / "oof.csv")[1])
    return np.array([[float(rows[i])] for i in ids])


def test_the_chosen_threshold_is_told_wherever_its_probabilities_are(prepared, run):
    config = prepared("binary", methods=["mean"])
    told = " ".join(run(config).split())
    kept = read_json(OOF / "blend_mean.threshold/postprocessing.json")
    cut = 1 / (1 + np.exp(kept["shift"][0]))
    assert re.search(rf"blend_mean\.threshold: .*\btarget {cut:.4g}\b.* 0\.5,", told)
    assert kept["meaning"] in told
    assert not (OOF / "blend_mean/postprocessing.json").exists()
    for predictor, expected in (("blend_mean.threshold", kept), ("blend_mean", None)):
        submit.main([str(config), "--predictor", predictor])
        record = read_json(Path(f"submissions/tiny/{predictor}.json"))
        assert record["postprocessing"] == expected


@pytest.mark.parametrize("task", METRICS)
def test_a_decided_blend_is_a_predictor_of_its_own(task, prepared, run):
    run(prepared(task))
    decided = ["mean", "convex", *(["ridge"] if task == "regression" else [])]
    plain = [*decided, *(["logistic"] if task == "binary" else [])]  # calibrated: cut at .5 already
    blends = [f"blend_{m}" for m in plain] + [f"blend_{m}.{POSTPROCESSING[task]}" for m in decided]
    assert sorted(board().index) == sorted(["constant", "max", "mean", *blends])
    for name in blends:
        for part, n in (("oof", 90), ("test", 20)):
            assert len(read_rows(OOF / name / f"{part}.csv")[1]) == n
    assert not (OOF / "blend_convex.clip/weights.csv").exists()


@pytest.mark.parametrize("task", METRICS)
def test_every_score_is_the_metric_of_the_oof_beside_it(task, prepared, run):
    config = load_config(prepared(task))
    run(Path("configs/tiny.yaml"))
    train = read_train(config.data, task)
    target = Target.of(train.y, task, METRICS[task])
    folds = read_folds("tiny", train.ids, {})
    for name, line in board().drop("constant").iterrows():
        oof = oof_of(name, train.ids)
        assert line["score"] == pytest.approx(target.score(oof), rel=1e-12), name
        by_fold = [target[folds == k].score(oof[folds == k]) for k in range(3)]
        assert line["fold_mean"] == pytest.approx(np.mean(by_fold), rel=1e-12), name
    fitted = board().loc[["blend_convex", f"blend_convex.{POSTPROCESSING[task]}"]]
    assert (fitted["optimism"] != 0).all()  # the score in-sample is another


def test_intervals_draw_whole_groups_and_hold_the_variance_of_fits(prepared, run):
    """Also those of the choice, and of its gain over the constant."""
    config = prepared("regression", methods=["mean", "convex", "ridge"], postprocessing=[])
    run(config, "--data.group", "document", "--seed", "3")
    settings = load_config(config, {"data.group": "document"})
    train = read_train(settings.data, "regression")
    target = Target.of(train.y, "regression", "rmse", train.groups)
    folds = read_folds("tiny", train.ids, {})
    oof = np.stack([oof_of(name, train.ids) for name in ("mean", "max")], axis=1)
    methods = ("mean", "convex", "ridge")
    pairs = {
        f"blend_{m}": cross_fit_pairs(BLENDERS[m], oof, target, folds, seed=3) for m in methods
    }
    variances = {m: estimate_fit_variance(target, p, folds, seed=3) for m, p in pairs.items()}
    plain = of_own_fold(pairs["blend_mean"], folds)
    found = board()
    for name in ("mean", "max", *pairs):
        settings = {"seed": 3, "fit_variance": variances.get(name, 0.0)}
        expected = difference_interval(target, oof_of(name, train.ids), plain, **settings)
        ends = found.loc[name, ["gain", "gain_low", "gain_high"]].tolist()
        assert ends == pytest.approx(expected, abs=1e-9), name
    assert variances["blend_ridge"] > 0
    stamp = read_json(OOF / "leaderboard.json")
    single = oof_of("mean", train.ids)
    choice = score_of_choice(pairs, target, folds, single=single, fit_variance=variances, seed=3)
    assert stamp["expected"]["chosen"] == choice.pop("chosen")
    assert {name: stamp["expected"][name] for name in choice} == pytest.approx(choice, abs=1e-9)
    (chosen,) = found.index[found["chosen"]]
    constant = np.full_like(plain, train.y.mean())
    settings = {"seed": 3, "fit_variance": variances[chosen]}
    expected = difference_interval(target, oof_of(chosen, train.ids), constant, **settings)
    assert stamp["over_constant"] == pytest.approx(expected, abs=1e-9)


def test_post_processing_is_what_is_named(prepared, run):
    config = prepared("binary")
    run(config, "--blend.postprocessing", "isotonic", "--metric", "logloss")
    assert {name.partition(".")[2] for name in board().index} == {"", "isotonic"}
    run(config, "--blend.postprocessing", "clip", "--metric", "logloss")  # which fits no log loss
    assert {name.partition(".")[2] for name in board().index} == {""}


def test_what_the_choice_scores_is_kept_and_told(prepared, run):
    told = run(prepared("regression"))
    expected = read_json(OOF / "leaderboard.json")["expected"]
    assert len(expected["chosen"]) == 3
    assert set(expected["chosen"]) <= set(board().index)
    assert expected["gain_low"] <= expected["gain"] <= expected["gain_high"]
    assert re.search(rf"^\w.*\b{expected['score']:.4f}\b", told, re.MULTILINE)


def test_every_new_contest_is_a_line_of_the_history(prepared, run):
    config, path = prepared("regression"), OOF / "history.csv"
    run(config)
    first = path.read_bytes()
    run(config)  # all is current
    assert path.read_bytes() == first
    run(config, "--members", "mean", "--blend.methods", "convex", "linear")
    assert path.read_bytes().startswith(first)
    one, other = pd.read_csv(path).to_dict("records")
    chosen = board().query("chosen").iloc[0]
    for key in ("score", "gain", "gain_low", "gain_high"):
        assert other[key] == chosen[key]
    assert other["chosen"] == chosen.name
    assert other["expected"] == read_json(OOF / "leaderboard.json")["expected"]["score"]
    assert (one["predictors"], one["methods"]) == ("mean max", "convex ridge logistic")
    assert (other["predictors"], other["methods"]) == ("mean", "convex linear")
    assert datetime.fromisoformat(one["time"]) <= datetime.fromisoformat(other["time"])


def test_a_history_that_is_no_table_does_not_stop_a_blend(prepared, run):
    (OOF / "history.csv").parent.mkdir(parents=True)
    (OOF / "history.csv").write_bytes(b"\xff")
    run(prepared("regression"), "--blend.methods", "mean")
    before, added = (OOF / "history.csv").read_bytes().split(b"\n", 1)
    assert before == b"\xff"
    assert b"blend_mean" in added


def test_weights_tell_how_stable_they_are(prepared, run):
    run(prepared("regression"))
    table = pd.read_csv(OOF / "blend_convex/weights.csv")
    assert table.columns.tolist() == ["predictor", "weight", "mean", "sd", "selected"]
    assert table["predictor"].tolist() == ["mean", "max"]
    assert table["weight"].sum() == pytest.approx(1)


def test_a_second_run_tells_the_same_and_writes_nothing(prepared, run):
    config = prepared("regression")
    first = run(config)
    before = {path: path.stat().st_mtime_ns for path in OOF.rglob("*.*")}
    assert run(config).partition("\n\n")[2] == first.partition("\n\n")[2] != ""
    assert {path: path.stat().st_mtime_ns for path in OOF.rglob("*.*")} == before
    run(config, "--blend.postprocessing", "threshold")
    assert (OOF / "leaderboard.csv").stat().st_mtime_ns != before[OOF / "leaderboard.csv"]


def test_two_folds_are_too_few_for_post_processing_and_for_the_choice(prepared, run):
    told = run(prepared("regression", n_folds=2))
    assert re.search(r"^blend: .*\b3 folds\b.*\bclip\b", told, re.MULTILINE)
    assert re.search(r"^blend: .*\bintervals\b.*\b3\b.*\b20,000\b", told, re.MULTILINE)
    assert read_json(OOF / "leaderboard.json")["expected"] is None
    assert not [name for name in board().index if "." in name]


def test_blends_of_one_member_say_that_they_are_that_member(prepared, run):
    told = run(prepared("regression", methods=["convex"], postprocessing=[]), "--members", "mean")
    assert board()["alone"].to_dict() == {
        "blend_mean": "mean",
        "blend_convex": "mean",
        "mean": pytest.approx(np.nan, nan_ok=True),
        "constant": pytest.approx(np.nan, nan_ok=True),
    }
    assert re.search(r"^\* .*\bblend_mean\b.*\bmean alone\b", told, re.MULTILINE)


def test_a_constant_stands_on_the_leaderboard_and_a_choice_that_loses_to_it_is_warned_about(
    prepared, run, refusal
):
    config = prepared("regression")
    told = run(config)
    assert "not surely better than predicting a constant" not in told
    truth = [float(row[-1]) for row in read_rows(Path("data/tiny/train.csv"))[1]]
    constant = board().loc["constant"]
    assert constant["kind"] == "constant"
    assert constant["score"] == pytest.approx(np.std(truth))  # the rmse of the mean

    refusal("submit", "--predictor", "constant")  # it is a line to beat, no predictor

    told = run(prepared("regression", spoilt=200.0), "--blend.methods", "mean")
    assert re.search(r"^warning: blend_\S+ .*constant: gain [+-]\d", told, re.MULTILINE)


def test_a_copy_of_a_member_is_told_and_no_other_member_is(prepared, run):
    config = prepared("regression", methods=["mean"], postprocessing=[])
    assert "warning" not in run(config)
    shutil.copytree(OOF / "mean", OOF / "max", dirs_exist_ok=True)
    assert re.search(r"^warning: mean and max\b.*\b1\.0000", run(config), re.MULTILINE)


def test_the_plain_mean_alone_leaves_nothing_to_choose(prepared, run):
    told = run(prepared("regression", methods=["mean"], postprocessing=[]))
    *_, of_the_choice, _ = told.rstrip().splitlines()
    assert of_the_choice.startswith("* ")
    assert "mean" not in of_the_choice
    assert read_json(OOF / "leaderboard.json")["expected"] is None


def test_no_blend_and_no_post_processing_of_a_fold_depends_on_that_folds_targets(prepared, run):
    config = prepared("regression")
    folds = dict(read_rows(Path("folds/tiny.csv"))[1])
    run(config)
    blends = [name for name in board().index if name.startswith("blend_")]
    before = {name: read_rows(OOF / name / "oof.csv")[1] for name in blends}
    header, rows = read_rows(Path("data/tiny/train.csv"))
    garbage = np.random.default_rng(0).normal(0, 1e3, len(rows))
    for row, value in zip(rows, garbage, strict=True):
        if folds[row[0]] == "0":
            row[-1] = f"{value:.3f}"
    write_rows(Path("data/tiny/train.csv"), header, rows)
    run(config)
    assert set(blends) < set(board().index)  # or what stands in a folder would be of before
    for name, was in before.items():
        now = read_rows(OOF / name / "oof.csv")[1]
        moved = {folds[old[0]] for old, new in zip(was, now, strict=True) if old != new}
        assert "0" not in moved, name
        if "ridge" in name:  # the garbage does reach the blends of the other folds
            assert moved == {"1", "2"}


def test_unknown_post_processing_is_refused(prepared, refused):
    line = refused(
        prepared("regression"), "--blend.postprocessing", "clop", before=r"blend: 2\D+90\D+20\D+\n"
    )
    assert re.search(r"blend\.postprocessing: .*'clop'.*\bclip, ", line)


def test_a_run_that_was_killed_leaves_no_leaderboard_of_older_blends(
    prepared, run, monkeypatch, refusal
):
    config = prepared("regression")
    run(config)

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.predictors.saved_blends.save_csv", killed)  # among the blends
        with pytest.raises(SystemExit, match="^130$"):
            run(config, "--seed", "7")
    told = refusal("submit", "--seed", "7")
    assert re.search(r"leaderboard\.csv: (?!.*\bseed\b).*\brun blend\b", told)


@pytest.mark.parametrize("words", [(), ("--predictor", "blend_convex")])
def test_a_blend_that_the_leaderboard_is_not_about_is_not_submitted(prepared, run, refusal, words):
    config = prepared("regression", methods=["mean", "convex"], postprocessing=[])
    run(config)
    board = {path: path.read_bytes() for path in OOF.glob("leaderboard.*")}
    run(config, "--seed", "7")
    for path, content in board.items():  # as if another run had put its blends beside ours
        path.write_bytes(content)
    told = refusal("submit", *words)
    assert re.search(r"oof/tiny/blend_\w+/oof\.csv: .*\bseed\b.*\b7\b.*\b42\b.*\brun blend\b", told)
    assert not Path("submissions").exists()


def changed_in_a_digit(path: Path) -> bytes:
    """Change the last digit of a file; its content before."""
    before = path.read_bytes()
    at = max(before.rfind(digit) for digit in b"0123456789")
    path.write_bytes(before[:at] + b"%d" % (9 - before[at] + 48) + before[at + 1 :])
    return before


def test_a_stamp_vouches_for_what_was_written_and_not_for_what_lies_there(
    prepared, run, monkeypatch, refusal
):
    """Another process may replace a file as soon as it has its name."""

    def replaced(path, content):
        written = write_json(path, content)
        path.write_text("{}")
        return written

    monkeypatch.setattr(saved_blends, "write_json", replaced)
    run(prepared("binary", methods=["mean"]))
    line = refusal("submit", "--predictor", "blend_mean.threshold")
    assert "blend_mean.threshold/postprocessing.json" in line


@pytest.mark.parametrize("change", [changed_in_a_digit, Path.unlink])
def test_a_post_processing_that_was_changed_is_refused_and_made_again(
    change, prepared, run, refusal
):
    config = prepared("binary", methods=["mean"])
    run(config)
    path = OOF / "blend_mean.threshold/postprocessing.json"
    before = path.read_bytes()
    change(path)
    for words in (("submit", "--predictor", "blend_mean.threshold"), ("report",)):
        assert re.search(rf"{path}: .*\bagain\b", refusal(*words))
    run(config)
    assert path.read_bytes() == before


@pytest.mark.parametrize("file", ["oof.csv", "test.csv", "weights.csv"])
def test_a_file_of_a_blend_that_was_changed_is_refused_and_made_again(file, prepared, run, refusal):
    config = prepared("regression", methods=["mean", "convex"], postprocessing=[])
    run(config)
    path = OOF / "blend_convex" / file
    before = changed_in_a_digit(path)
    for words in (("submit", "--predictor", "blend_convex"), ("report",)):
        assert re.search(rf"oof/tiny/blend_convex(/{file})?: .*\bagain\b", refusal(*words))
    run(config)
    assert path.read_bytes() == before


def test_a_report_of_blends_of_other_targets_or_folds_is_refused(prepared, run, refusal):
    """Members of other people have no stamp that tells."""
    config = prepared("regression", methods=["mean"], postprocessing=[])
    run(config)
    train = Path("data/tiny/train.csv")
    header, rows = read_rows(train)
    write_rows(train, header, [[*row[:-1], f"{float(row[-1]) + 1}"] for row in rows])
    assert re.search(r"blend_mean/oof\.csv: .*\btargets\b", refusal("report"))
    write_rows(train, header, rows)
    write_rows(
        Path("own.csv"), ["id", "fold"], [[row[0], str(k // 30)] for k, row in enumerate(rows)]
    )
    make_folds.main([str(config), "--overwrite"])
    assert re.search(r"blend_mean/oof\.csv: .*\bfolds\b", refusal("report"))


def test_another_version_of_ours_makes_the_leaderboard_again(prepared, run, monkeypatch):
    config = prepared("regression")
    run(config)
    written = (OOF / "leaderboard.json").read_bytes()
    monkeypatch.setattr("pipeline.files.stamp.__version__", "0.0.1")
    run(config)
    assert (OOF / "leaderboard.json").read_bytes() != written


@pytest.mark.parametrize("name", ["blend_mean", "blend_convex", "blend_ridge.clip"])
def test_a_folder_that_bears_the_name_of_a_blend_is_refused(name, prepared, refused):
    told = refused(prepared("regression"), "--blend.external", f"theirs/{name}")
    assert re.search(rf"blend\.external: .*theirs/{name}\b", told)


def test_a_member_may_bear_the_name_of_a_missing_value(tmp_path):
    (tmp_path / "leaderboard.csv").write_text("name,alone,gain\nnan,,\nblend_mean,nan,0.5\n")
    board = read_board(tmp_path / "leaderboard.csv")
    assert board["name"].tolist() == ["nan", "blend_mean"]
    assert board["alone"].iloc[1] == "nan"
    assert board.iloc[0].isna().tolist() == [False, True, True]


def test_each_target_has_its_own_column_of_scores(reported):
    folder = reported("multilabel")
    lines = pd.read_csv(folder / OOF / "leaderboard.csv").set_index("name")
    truth = pd.read_csv(folder / "data/tiny/train.csv").set_index("id")
    for name in lines.index.drop("constant"):
        oof = pd.read_csv(folder / OOF / name / "oof.csv").set_index("id").loc[truth.index]
        for label in ("funny", "sad", "long"):
            expected = roc_auc_score(truth[label], oof[label])
            assert lines.loc[name, f"auc of {label}"] == pytest.approx(expected)
