"""The summary of a report: scores, correlations and their errors."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
from conftest import METRICS, read_rows
from report_numbers import whole_evidence
from scipy.stats import ks_2samp

from pipeline.reporting.summary import summarise
from pipeline.scoring.intervals import standard_error


@pytest.mark.parametrize(("metric", "sign"), [("rmse", -1), ("pearson", 1)])
def test_the_in_sample_score_is_better_than_the_honest_one_by_the_optimism(metric, sign):
    of = whole_evidence(metric=metric)
    found = {line["name"]: line for line in summarise(of)["leaderboard"]}
    for name in ("blend_convex", "blend_mean"):
        score, optimism = of.board.set_index("name").loc[name, ["score", "optimism"]]
        assert found[name]["in_sample"] == score + sign * optimism
    assert found["m0"]["in_sample"] is None


def test_the_names_of_correlated_errors_stand_in_the_order_of_the_cells():
    of = whole_evidence()
    found = summarise(of)["diversity"]
    at = [of.stack.names.index(name) for name in found["order"]]
    assert at != sorted(at)
    off = (of.stack.oof - of.train.y[:, None])[:, at, 0]
    assert np.array(found["error_correlation"]) == pytest.approx(np.corrcoef(off.T))


def test_five_copies_of_a_row_as_a_group_hold_the_evidence_of_one():
    """Whatever is drawn: sqrt(5) times the width of five rows for themselves."""
    alone, together = (whole_evidence(copies=5, grouped=grouped) for grouped in (False, True))
    brought = [summarise(of)["contributions"]["predictors"] for of in (alone, together)]
    for key in ("shapley", "leave_one_out"):
        narrow, wide = (np.array([line[key] for line in lines]) for lines in brought)
        assert narrow[:, 0] == pytest.approx(wide[:, 0])
        widths = [np.diff(of[:, 1:]).mean() for of in (narrow, wide)]
        assert widths[1] / widths[0] == pytest.approx(np.sqrt(5), rel=0.15)
    rows, rng = slice(0, 200), np.random.default_rng(0)
    errors = [
        np.mean([standard_error(of.target[rows], of.chosen_oof[rows], rng) for _ in range(20)])
        for of in (alone, together)
    ]
    assert errors[1] / errors[0] == pytest.approx(np.sqrt(5), rel=0.15)


def test_the_combined_loss_is_that_of_the_mean_and_the_members_mean_loss_is_theirs():
    of = whole_evidence()
    found, sd = summarise(of)["diversity"], of.train.y.std()
    off = (of.stack.oof - of.train.y[:, None])[:, :, 0] / sd
    assert found["mean_member_loss"] == pytest.approx((off**2).mean())
    assert found["combined_loss"] == pytest.approx((off.mean(axis=1) ** 2).mean())
    assert found["diversity"] == pytest.approx(off.var(axis=1).mean())
    cells = np.corrcoef(off.T)[np.triu_indices(5, 1)]
    assert found["mean_correlation"] == pytest.approx(cells.mean())


def test_a_score_of_a_fold_is_that_of_its_rows():
    of = whole_evidence()
    of.folds = np.random.default_rng(0).choice(3, size=120, p=[0.6, 0.3, 0.1])
    known = {**of.blends, **dict(zip(of.stack.names, of.stack.oof.swapaxes(0, 1), strict=True))}
    folds = summarise(of)["folds"]
    assert list(folds) == of.board["name"].tolist()
    for name, cells in folds.items():
        off = (known[name] - of.train.y)[:, 0]
        for k, cell in enumerate(cells):
            assert cell["fold"] == k
            assert cell["score"] == pytest.approx(np.sqrt(np.mean(off[of.folds == k] ** 2)))


def test_a_fold_is_marked_where_it_is_three_standard_errors_off():
    of = whole_evidence()
    worse = np.array([1.35, 1.4, 1.8, 2.5, 0.8])[:, None]  # by so much, on the rows of fold 0
    off = of.stack.oof - of.train.y[:, None]
    of.stack.oof = of.train.y[:, None] + off * np.where(of.folds[:, None, None] == 0, worse, 1)
    distances, marks = [], []
    for cells in summarise(of)["folds"].values():
        median = np.median([cell["score"] for cell in cells])
        distances += [abs(cell["score"] - median) / cell["se"] for cell in cells]
        marks += [cell["outlying"] for cell in cells]
    assert marks == [distance > 3 for distance in distances]
    assert [sum(low < d < low + 1 for d in distances) > 0 for low in (2, 3)] == [True, True]


def test_a_fold_of_a_few_groups_is_not_marked_and_has_no_standard_error():
    """A bootstrap of two groups has three samples, so scores seem to vary little."""
    of = whole_evidence()
    groups = np.where(of.folds == 0, np.arange(120), np.arange(120) % 2)
    of.target = replace(of.target, groups=groups)
    for cells in summarise(of)["folds"].values():
        assert [cell["se"] is not None for cell in cells] == [True, *[False] * (len(cells) - 1)]
        assert not any(cell["outlying"] for cell in cells)


def test_measures_of_a_pair_are_those_of_its_two_predictors():
    of = whole_evidence(kind="binary", metric="auc")
    off = of.stack.oof[:, :, 0] - of.train.y[:, None]
    pairs = summarise(of)["diversity"]["pairs"]
    for pair in pairs:
        of_pair = off[:, [of.stack.names.index(pair[key]) for key in ("first", "second")]]
        a, b = (np.abs(of_pair) > 0.5).T  # wrong
        assert pair["double_fault"] == pytest.approx((a & b).mean())
        assert pair["disagreement"] == pytest.approx((a ^ b).mean())
        assert pair["correlation"] == pytest.approx(np.corrcoef(of_pair.T)[0, 1])
    assert len({pair["double_fault"] for pair in pairs}) > 4


# --- against the files


@pytest.fixture(params=sorted(METRICS))
def files(request, reported):
    """Of a task: its name, the summary, and the columns of its CSVs by id."""
    folder = reported(request.param)

    def table(path):
        header, rows = read_rows(folder / path)
        return {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}

    path = folder / "reports/tiny/summary.json"
    return request.param, json.loads(path.read_text(encoding="utf-8")), table


def as_told(task, cells):
    """A prediction as an example shows it, from the cells of its CSV."""
    values = {name: float(cell) for name, cell in cells.items()}
    if task == "multiclass":
        top = max(values, key=values.get)
        return f"{top} {values[top]:.2f}"
    if task == "binary":
        return f"yes {values['target']:.2f}"
    texts = {name: f"{value:z.3g}".replace("-", "−") for name, value in values.items()}
    return texts.get("target") or ", ".join(" ".join(pair) for pair in texts.items())


def test_an_example_holds_the_text_truth_and_predictions_of_its_id(files):
    task, summary, table = files
    rows, names = table("data/tiny/train.csv"), ["mean", "max", "min"]
    oof = {name: table(f"oof/tiny/{name}/oof.csv") for name in names}
    chosen = table(f"oof/tiny/{summary['chosen']['name']}/oof.csv")
    for example in [*summary["examples"]["worst"], *summary["examples"]["disagreement"]]:
        row = rows[example["id"]]
        assert row["text"].startswith(example["text"])
        targets = {name: cell for name, cell in row.items() if name not in ("document", "text")}
        number = task in ("regression", "multilabel")
        assert example["truth"] == (as_told(task, targets) if number else row["target"])
        assert example["predicted"] == as_told(task, chosen[example["id"]])
        members = {name: as_told(task, oof[name][example["id"]]) for name in names}
        assert example["members"] == members


def test_rows_and_hashes_are_those_of_the_files(files, reported):
    task, summary, table = files
    assert (summary["rows"]["train"], summary["rows"]["test"]) == (90, 40)
    folds = {row["fold"] for row in table("folds/tiny.csv").values()}
    assert summary["rows"]["folds"] == len(folds)
    for member in summary["run"]["members"]:
        for part in ("oof", "test"):
            content = (reported(task) / f"oof/tiny/{member['name']}/{part}.csv").read_bytes()
            assert member[f"{part}_sha256"] == hashlib.sha256(content).hexdigest()
    board = (reported(task) / "oof/tiny/leaderboard.csv").with_suffix(".json")
    stamp = json.loads(board.read_text(encoding="utf-8"))
    for name in ("folds", "targets"):
        assert summary["run"][f"{name}_sha256"] == stamp["made_from"][name]
    assert summary["run"]["leaderboard_sha256"] == stamp["sha256"]
    assert summary["run"]["better"] == "higher"  # pearson, auc and accuracy


def test_the_gap_of_lengths_and_of_predictions_is_that_of_the_files(files):
    _, summary, table = files
    lengths = [
        [len(r["text"]) for r in table(f"data/tiny/{t}.csv").values()] for t in ("train", "test")
    ]
    assert summary["drift"]["length_ks"] == pytest.approx(ks_2samp(*lengths).statistic)
    assert summary["drift"]["length_ks"] > 0
    for line in summary["drift"]["predictors"]:
        parts = [table(f"oof/tiny/{line['name']}/{part}.csv").values() for part in ("oof", "test")]
        gaps = {
            name: ks_2samp(*([float(row[name]) for row in part] for part in parts)).statistic
            for name in summary["rows"]["columns"]
        }
        assert line["ks"] == pytest.approx(max(gaps.values()))
        assert gaps[line["column"]] == max(gaps.values())
