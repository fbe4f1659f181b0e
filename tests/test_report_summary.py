"""The summary of a report: scores, correlations and their errors."""

import numpy as np
import pytest
from report_numbers import whole_evidence

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
