"""The submit stage on predictions written by hand: which predictor goes into which file."""

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import read_rows, write_rows
from report_cases import write_members

from pipeline import blend
from pipeline.files.stamp import written_with_stamp
from pipeline.predictors.submitted import _own_record, _weights

STAGE = "submit"
SUBMISSION = Path("submissions/tiny/submission.csv")


def sha256_of(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def predictions_of(path):
    return {name: float(value) for name, value in read_rows(Path(path))[1]}


def test_the_chosen_predictor_is_submitted_and_not_the_first_line(case, run):
    def spoil(name, oof, folds):
        if name != "mean":
            oof *= -1

    write_members(case, spoil)
    words = ("--blend.methods", "mean")
    blend.main([str(case), *words])
    header, lines = read_rows(Path("oof/tiny/leaderboard.csv"))
    first = dict(zip(header, lines[0], strict=True))
    assert (first["name"], first["chosen"]) == ("mean", "False")
    run(case, *words)
    assert predictions_of(SUBMISSION) == predictions_of("oof/tiny/blend_mean/test.csv")
    assert SUBMISSION.read_bytes() == SUBMISSION.with_name("blend_mean.csv").read_bytes()
    record = json.loads(SUBMISSION.with_suffix(".json").read_text(encoding="utf-8"))
    assert record["predictor"] == record["leaderboard"]["name"] == "blend_mean"
    assert record["leaderboard"]["chosen"] is True


def test_a_predictor_that_is_named_leaves_the_chosen_ones_file_alone(case, run):
    run(case)
    before = {path.name: path.read_bytes() for path in SUBMISSION.parent.iterdir()}
    told = run(case, "--predictor", "max")
    assert re.search(r"^submissions/tiny/max\.csv: .*\bfrom max$", told, re.MULTILINE)
    after = {path.name: path.read_bytes() for path in SUBMISSION.parent.iterdir()}
    assert after.keys() - before.keys() == {"max.csv", "max.json"}
    assert {name: after[name] for name in before} == before
    assert predictions_of("submissions/tiny/max.csv") == predictions_of("oof/tiny/max/test.csv")


def test_the_record_holds_the_weights_settings_and_files_behind_the_submission(case, run):
    run(case, "--predictor", "blend_convex")
    path = Path("submissions/tiny/blend_convex.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    header, rows = read_rows(Path("oof/tiny/blend_convex/weights.csv"))
    weights = {row[0]: float(row[header.index("weight")]) for row in rows}
    assert record["weights"] == weights
    tables = [f"data/tiny/{name}.csv" for name in ("train", "test", "sample_submission")]
    assert record["data"] == {table: sha256_of(table) for table in tables}
    assert set(record["members"]) == {"mean", "max", "min"}
    assert record["config"]["metric"] == "pearson"
    assert record["sha256"] == sha256_of(path.with_suffix(".csv"))
    run(case, "--predictor", "max")
    assert json.loads(path.with_name("max.json").read_text(encoding="utf-8"))["weights"] is None


def test_the_record_has_no_score_or_interval_that_other_settings_gave(case, run):
    for words in ((), ("--metric", "rmse"), ("--data.group", "document")):
        run(case, *words, "--predictor", "max")
        record = json.loads(Path("submissions/tiny/max.json").read_text(encoding="utf-8"))
        assert ("score" in record["leaderboard"]) == (not words)


def test_weights_of_a_record_are_by_target_where_targets_have_their_own(tmp_path):
    lines = [["mean", "a", "0.25"], ["max", "a", "0.75"], ["mean", "b", "1.0"], ["max", "b", "0.0"]]
    write_rows(tmp_path / "weights.csv", ["predictor", "target", "weight"], lines)
    weights = {"mean": {"a": 0.25, "b": 1.0}, "max": {"a": 0.75, "b": 0.0}}
    assert _weights(tmp_path / "weights.csv") == weights


def test_weights_of_another_tool_beside_an_external_predictor_are_none_of_ours(tmp_path):
    write_rows(tmp_path / "weights.csv", ["name", "share"], [["bert", "1"]])
    assert _own_record(tmp_path, {})["weights"] is None


def test_the_record_of_a_post_processed_blend_has_the_weights_of_the_blend(tmp_path):
    with written_with_stamp(tmp_path / "blend_convex/weights.csv", {}) as temporary:
        write_rows(temporary, ["predictor", "weight"], [["mean", "1.0"]])
    for name in ("blend_convex", "blend_convex.clip"):
        assert _own_record(tmp_path / name, {})["weights"] == {"mean": 1}


def test_several_predictors_are_submitted_as_their_weighted_mean(case, run):
    run(case)
    before = SUBMISSION.read_bytes()
    told = run(case, "--predictor", "max", "blend_convex", "--weights", "3", "1")
    path = Path("submissions/tiny/max@0.75+blend_convex@0.25.csv")
    assert re.search(rf"^{re.escape(str(path))}: ", told, re.MULTILINE)
    first, second = (predictions_of(f"oof/tiny/{n}/test.csv") for n in ("max", "blend_convex"))
    mean = {name: 0.75 * first[name] + 0.25 * second[name] for name in first}
    assert predictions_of(path) == pytest.approx(mean, rel=1e-12)
    assert SUBMISSION.read_bytes() == before
    record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert record["weights"] == {"max": 0.75, "blend_convex": 0.25}
    assert set(record["predictors"]["blend_convex"]["weights"]) == {"mean", "max", "min"}
    assert record["predictors"]["max"]["leaderboard"]["name"] == "max"
    assert set(record["made_from"]) == {"max", "blend_convex"}


def test_a_mean_is_scored_on_held_out_rows(case, run):
    told = run(case, "--predictor", "mean", "max", "min")  # with equal weights it is the plain mean
    header, lines = read_rows(Path("oof/tiny/leaderboard.csv"))
    board = {line[0]: dict(zip(header, line, strict=True)) for line in lines}
    score = f"{float(board['blend_mean']['score']):.4f}"
    assert re.search(rf"^pearson .*: {score}$", told, re.MULTILINE)
    assert Path("submissions/tiny/mean+max+min.csv").is_file()


def test_a_small_score_of_a_mean_is_told_with_its_digits(case, run):
    Path("own.py").write_text("def score(targets, predictions):\n    return 1.2e-5\n")
    metric = "{file: own.py, greater_is_better: true}"
    told = run(case, "--metric", metric, "--predictor", "mean", "max")
    assert re.search(r"held-out rows: 1\.2e-05$", told, re.MULTILINE)


@pytest.mark.parametrize("weight", ["0", "-.5", "nan", "inf", "x"])
def test_a_weight_that_is_not_greater_than_0_is_refused(case, refused, weight):
    line = refused(case, "--predictor", "mean", "max", "--weights", "1", weight)
    assert re.match(f"error: .*--weights: .*'{weight}'", line)


def test_a_member_without_a_part_is_told_the_stage_that_makes_it(case, refused):
    for part, stage in (("test", "predict"), ("oof", "train")):
        Path(f"oof/tiny/max/{part}.csv").unlink()
        line = refused(case, "--predictor", "max")
        assert re.search(rf"oof/tiny/max/{part}\.csv: .*\brun {stage}\b", line)


def test_an_unknown_predictor_among_several_is_refused(case, refused):
    shutil.copytree("oof/tiny", "oof/other")
    for name in ("../other/mean", "/tmp", "..", ".", "", "mean/", "a" * 300):
        assert f"'{name[:30]}" in refused(case, "--predictor", "max", name)
    line = refused(case, "--predictor", "max", "blend_convx")
    assert re.search(r"'blend_convx'.* 'blend_convex'\?", line)
    assert "?" not in refused(case, "--predictor", "xyz")
