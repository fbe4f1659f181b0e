"""The train stage: a diverged member's files, messages, and calls."""

import re
from pathlib import Path

import pytest
from conftest import read_rows, stage, stages, write_competition, write_rows

from pipeline.files.messages import score_as_text
from pipeline.files.provenance import command_line
from pipeline.members.pieces import Failure, Piece
from pipeline.members.training import under_way
from pipeline.members.units import Unit, read_run


@pytest.fixture
def train(workplace, backbone_of):
    """Train these members on two folds."""

    def run(*members, n_jobs=1, task="regression", **training):
        of_all = {"epochs": 1, "batch_size": 16, "max_length": 32, "learning_rate": 1e-2}
        of_all |= {"head_learning_rate": 1e-2}
        training = {**of_all, **training}
        settings = {"folds": {"n": 2}, "members": list(members), "training": training}
        settings |= {"backbone": str(backbone_of("bert")), "jobs": {"n_jobs": n_jobs}}
        write_competition(workplace, task, settings=settings)
        stages("make_folds", "train")

    return run


def test_fp16_without_a_gpu_is_refused_in_one_line_before_anything_is_trained(train, capsys):
    with pytest.raises(SystemExit, match="^2$"):
        train({"pooling": "mean"}, {"pooling": "max", "precision": "fp16"})
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"error: member max: .*training\.precision.*\bfp16\b.*\bGPU\b", line)
    assert not list(Path("models/tiny").glob("*/fold*"))


def test_poolings_side_by_side_one_of_a_part_predict_from_their_files(train):
    options = {"idf": {"segment": 2, "layer": 1}}
    member = {"pooling": ["cls", "idf"], "options": options, "template": "{text}{sep}{text}"}
    train(member)
    assert read_run(Unit("tiny", "cls-idf", 0))["network"]["pooling"] == "cls+idf"
    stage("predict")  # which checks the reloaded units
    assert len(read_rows(Path("oof/tiny/cls-idf/test.csv"))[1]) == 20


def test_run_json_names_the_command_of_the_stage_and_not_of_the_worker(train):
    train({"pooling": "mean"}, n_jobs=2)
    for fold in (0, 1):
        command = read_run(Unit("tiny", "mean", fold))["command"]
        assert command == command_line()
        assert "loky" not in command


def test_only_fine_tuned_units_wait_for_a_gpu_and_read_the_backbone(train, monkeypatch):
    """Embeddings are made before; a worker that looked for GPUs here would see all of them."""
    needs = {}

    def kept(function, pieces, jobs, **_):
        needs.update({piece.label: (piece.needs_torch, len(piece.reads)) for piece in pieces})
        monkeypatch.setattr("pipeline.members.bert.finetune.best_device", None)
        return [
            Failure(piece.label, "", "") if piece.needs_torch else function(*piece.arguments)
            for piece in pieces
        ]

    monkeypatch.setattr("pipeline.members.training.run_all", kept)
    with pytest.raises(SystemExit, match=r"\b2\D+4\D.*\bmean fold 0\b"):
        train({"pooling": "mean"}, {"model": "embedding_svr"})
    assert needs == {
        **{f"mean fold {fold}": (True, 1) for fold in (0, 1)},
        **{f"embedding_svr fold {fold}": (False, 0) for fold in (0, 1)},
    }


def test_a_unit_that_cannot_move_predicts_the_shares_of_its_training_rows_and_says_so(
    train, capsys, monkeypatch
):
    monkeypatch.setattr("pipeline.members.bert.network.HEAD_SD", 1e-4)  # nearly the bias alone
    train({"pooling": "mean"}, task="multiclass", learning_rate=1e-12, head_learning_rate=1e-12)
    header, rows = read_rows(Path("data/tiny/train.csv"))
    columns, predicted = read_rows(Path("oof/tiny/mean/oof.csv"))
    truth = dict(zip([row[0] for row in rows], [row[-1] for row in rows], strict=True))
    for fold in (0, 1):
        held_out = {row[0] for row in read_rows(Path(f"models/tiny/mean/fold{fold}/oof.csv"))[1]}
        learned = [y for i, y in truth.items() if i not in held_out]
        for k, name in enumerate(columns[1:], start=1):
            share = (learned.count(name) + 0.5) / (len(learned) + 1.5)
            probabilities = [float(row[k]) for row in predicted if row[0] in held_out]
            assert probabilities == pytest.approx([share] * len(held_out), abs=0.001)
    warnings = [line for line in capsys.readouterr().out.splitlines() if "hardly learned" in line]
    assert [line.split(":")[1] for line in warnings] == [" mean fold 0", " mean fold 1"]


def test_a_warning_is_told_once_also_where_another_member_reads_the_same(
    train, capsys, monkeypatch
):
    monkeypatch.setattr("pipeline.members.classic.estimators.EmbeddingSvr.many_rows", 30)
    train({"model": "embedding_linear"}, {"model": "embedding_svr"}, {"pooling": "mean"})
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    (of_time,) = (line for line in lines if " about 4 times " in line)
    assert "embedding_svr" in of_time
    assert len(set(lines)) == len(lines)


def test_a_unit_that_learns_is_not_warned_about(train, capsys):
    train({"pooling": "mean"}, task="multiclass", epochs=8)
    assert "warning" not in capsys.readouterr().out


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_unit_says_its_score_as_it_ends_and_what_is_left(train, capsys, n_jobs):
    train({"pooling": "mean"}, {"model": "tfidf_linear"}, n_jobs=n_jobs)
    told, errors = capsys.readouterr()
    lines = [line for line in told.splitlines() if " fold " in line and "warning" not in line]
    for n_done, line in enumerate(lines, start=1):
        said = re.fullmatch(r"(\w+) fold (\d): rmse (\d\.\d{4}), \d+ s \((.*)\)", line)
        assert said[3] == f"{read_run(Unit('tiny', said[1], int(said[2])))['score']:.4f}"
        assert re.fullmatch(rf"{n_done} of 4(, about \d+ s left)?", said[4])
        assert ("left" in said[4]) == (n_done < 4)
    assert len(lines) == 4
    assert "\r" not in told + errors  # no terminal, no bar


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.98765, "0.9877"),
        (-0.25, "-0.2500"),
        (1234567.0, "1234567.0000"),
        (0.0, "0.0000"),
        (0.000012345, "1.234e-05"),  # an error of small targets, which looked like none
        (1e28, "1e+28"),
        (float("nan"), "undefined"),
        (None, "undefined"),
    ],
)
def test_a_score_is_told_in_a_few_digits_however_small(score, text):
    assert score_as_text(score) == text


def test_a_unit_that_decides_for_one_class_is_told_at_once(train, capsys):
    stuck = {"learning_rate": 1e-12, "head_learning_rate": 1e-12}
    train({"pooling": "mean"}, task="multiclass", **stuck)
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("mean fold 0: accuracy"))
    assert re.match(r"warning: mean fold 0: .*\bone class\b.*\b30 held-out rows", lines[at + 1])


def test_the_share_of_a_unit_under_way_is_read_from_its_log(workplace):
    unit = Unit("tiny", "mean", 0)
    logs = [
        unit.folder.with_name(".fold0.aa.tmp") / "train.log",
        unit.folder.with_name(".fold1.aa.tmp") / "train.log",
    ]
    for log in logs:
        log.parent.mkdir(parents=True)
        log.write_text('{"step": 1, "steps": 8}\n{"step": 3, "steps": 8}\n{"st')

    def share_of(*units):
        return under_way([Piece("", (), writes=unit.folder) for unit in units])

    assert share_of(unit) == 3 / 8
    assert share_of(unit, Unit("tiny", "mean", 1), Unit("tiny", "max", 0)) == 6 / 8
    logs[0].write_text('{"step"')
    assert share_of(unit) == 0


def test_a_unit_that_ends_between_a_look_at_its_log_and_a_read_is_passed_over(
    workplace, monkeypatch
):
    unit = Unit("tiny", "mean", 0)
    log = unit.folder.with_name(".fold0.aa.tmp") / "train.log"
    log.parent.mkdir(parents=True)
    log.write_text('{"step": 3, "steps": 8}\n')

    def gone(path, *_):
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "read_text", gone)
    assert under_way([Piece("", (), writes=unit.folder)]) == 0


def test_a_unit_whose_losses_are_not_logged_is_not_warned_about(train, capsys):
    train({"pooling": "mean", "trainer": {"logging_steps": 500}})
    assert read_run(Unit("tiny", "mean", 0))["last_loss"] is None
    assert "hardly learned" not in capsys.readouterr().out


def test_a_unit_of_smoothed_labels_is_not_compared_with_the_loss_of_certain_ones(train, capsys):
    train({"pooling": "mean", "trainer": {"label_smoothing_factor": 0.9}}, task="multiclass")
    assert "hardly learned" not in capsys.readouterr().out


def test_a_small_set_takes_smaller_batches_and_more_epochs_which_run_json_tells(train):
    train({"pooling": "mean"}, epochs=None, batch_size=None)  # 30 rows: 4 batches of 8
    run = read_run(Unit("tiny", "mean", 0))
    assert (run["batch_size"], run["epochs_trained"], run["steps"]) == (8, 40, 160)


def test_a_fold_in_which_the_metric_is_undefined_is_told_and_kept(workplace, capsys):
    settings = {"folds": {"n": 2}, "members": [{"model": "tfidf_linear"}], "jobs": {"n_jobs": 1}}
    write_competition(workplace, "binary", settings={**settings, "backbone": None})
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    cells = [[*row[:3], "no" if k else "yes"] for k, row in enumerate(rows)]  # auc needs both
    write_rows(workplace / "data/tiny/train.csv", header, cells)
    stages("make_folds", "train")
    assert len(re.findall("fold .: auc undefined", capsys.readouterr().out)) == 1
    assert len(read_rows(Path("oof/tiny/tfidf_linear/oof.csv"))[1]) == 60
