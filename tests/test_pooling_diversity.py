"""The arithmetic of the pooling study on grids with known answers."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import write_competition, write_rows

from benchmarks.pictures import gains, largest_of_all
from benchmarks.pooling_cost import table_of
from benchmarks.pooling_diversity import study
from benchmarks.shared.arm_scores import Grid, drawn_scores, error_correlations, score_lines
from benchmarks.shared.arms import ARMS, Subset, all_arms, seed_weights
from benchmarks.shared.grid import Limits
from pipeline.scoring.target import Target

POOLINGS = ["mean", "max", "min"]


def grid_of(errors: np.ndarray) -> Grid:
    """A regression whose cells err by (P, S, n) `errors`."""
    y = np.random.default_rng(1).normal(size=(errors.shape[2], 1))
    return Grid(y + errors[..., None], Target.of(y, "regression", "rmse"))


def scored(grid: Grid, n_draws: int = 40) -> dict[tuple[str, str, int], tuple[float, float, float]]:
    n_poolings, n_seeds = grid.preds.shape[:2]
    arms = all_arms(POOLINGS[:n_poolings], n_seeds, best=0)
    drawn = {subset for subsets in arms.values() for subset in subsets}
    blends = {s: np.mean([grid.preds[cell] for cell in s], axis=0) for s in drawn}
    scores = drawn_scores(grid, arms, blends, n_draws)
    lines = score_lines(
        scores, grid.target.metric, "mean", {arm: len(s) for arm, s in arms.items()}
    )
    return {
        (line["arm"], line["minus"], line["size"]): (line["value"], line["low"], line["high"])
        for line in lines
    }


def test_arms_of_two_in_a_grid_of_three_poolings_and_two_seeds() -> None:
    assert len(ARMS["poolings"](3, 2, 2)) == 3 * 2
    assert ARMS["seeds"](3, 2, 2) == [((p, 0), (p, 1)) for p in range(3)]
    assert len(ARMS["both"](3, 2, 2)) == 3 * 2


@pytest.mark.parametrize("size", [1, 2, 3])
def test_an_arm_shares_what_it_says_and_nothing_else(size: int) -> None:
    def n_different(subset: Subset) -> tuple[int, int]:
        poolings, seeds = zip(*subset, strict=True)
        return len(set(poolings)), len(set(seeds))

    assert {n_different(s) for s in ARMS["poolings"](3, 4, size)} == {(size, 1)}
    assert {n_different(s) for s in ARMS["seeds"](3, 4, size)} == {(1, size)}
    assert {n_different(s) for s in ARMS["both"](3, 4, size)} == {(size, size)}


def test_an_arm_that_wants_more_seeds_than_there_are_is_left_out() -> None:
    arms = all_arms(POOLINGS, 2, best=1)
    assert ("poolings", 3) in arms
    assert ("seeds", 3) not in arms
    assert arms["seeds of best", 2] == arms["seeds of max", 2] == [((1, 0), (1, 1))]


def test_a_seed_drawn_twice_counts_twice_and_a_pair_needs_both() -> None:
    one, two = ((0, 0), (1, 0)), ((0, 0), (0, 1))
    assert seed_weights([one, two], np.array([2.0, 3.0, 0.0])).tolist() == [2, 6]
    assert seed_weights([one, two], np.array([2.0, 0.0, 1.0])).tolist() == [2, 0]


def test_ensembles_of_all_seeds_are_not_drawn_from() -> None:
    assert seed_weights([((0, 0), (0, 1))], np.array([2.0, 0.0])).tolist() == [1]


def test_identical_members_gain_nothing() -> None:
    errors = np.broadcast_to(np.random.default_rng(0).normal(size=50), (3, 3, 50))
    found = scored(grid_of(errors))
    gains = [value for (_, minus, _), value in found.items() if minus]
    np.testing.assert_allclose(gains, 0, atol=1e-12)


def test_errors_that_only_the_seed_moves_are_averaged_by_seeds_alone() -> None:
    of_seed = np.random.default_rng(0).normal(size=(1, 3, 400))
    found = scored(grid_of(np.repeat(of_seed, 3, axis=0)))
    assert found["poolings", "one member", 2] == pytest.approx((0, 0, 0), abs=1e-12)
    assert found["seeds", "one member", 2][1] > 0.2  # 1 - sqrt(1/2), less noise
    assert found["both", "seeds", 2] == pytest.approx((0, 0, 0), abs=1e-12)
    assert found["poolings", "seeds", 2][2] < -0.2


def test_errors_of_their_own_are_averaged_by_any_arm_alike() -> None:
    found = scored(grid_of(np.random.default_rng(0).normal(size=(3, 3, 2000))))
    for arm in ARMS:
        assert found[arm, "", 2][0] == pytest.approx(np.sqrt(1 / 2), abs=0.03)
    _, low, high = found["poolings", "seeds", 2]
    assert low < 0 < high


def test_correlations_tell_what_two_cells_share() -> None:
    rng = np.random.default_rng(0)
    of_pooling, of_seed = rng.normal(size=(3, 1, 20_000)), rng.normal(size=(1, 3, 20_000))
    found = error_correlations(grid_of(of_pooling + 2 * of_seed))
    assert found["another pooling, same seed"] == pytest.approx(4 / 5, abs=0.02)
    assert found["same pooling, another seed"] == pytest.approx(1 / 5, abs=0.02)
    assert found["another of both"] == pytest.approx(0, abs=0.02)


def test_a_small_grid_is_trained_scored_and_not_trained_again(
    workplace: Path, tiny_backbone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"backbone": str(tiny_backbone), "training": {"max_length": 32}}
    path = write_competition(workplace, "regression", settings=settings)
    rng = np.random.default_rng(0)
    solution = [[f"b{k:03}", f"{value:.3f}"] for k, value in enumerate(rng.normal(size=20))]
    write_rows(workplace / "data/tiny/solution.csv", ["id", "target"], solution)
    limits = Limits(rows=40, folds=2, epochs=1)

    scores, cells, about = study(str(path), ["mean", "max"], 2, limits, 10, 2, n_jobs=1)

    assert cells[["pooling", "seed"]].to_numpy().tolist() == [
        ["mean", 0],
        ["mean", 1],
        ["max", 0],
        ["max", 1],
    ]
    assert set(scores["blend"]) == {"mean", "mean of those", "chosen of those"}
    one = scores[(scores["arm"] == "both") & (scores["size"] == 1) & (scores["part"] == "oof")]
    assert one["value"].item() == pytest.approx(cells["oof"].mean())
    assert set(about["error correlation"]) == {"oof", "test"}
    assert re.search(r"\b8\D+8 units\b", capsys.readouterr().out)
    study(str(path), ["mean", "max"], 2, limits, 1, 1, n_jobs=1)
    assert re.search(r"\b0\D+8 units\b", capsys.readouterr().out)


def test_the_cost_of_a_pooling_is_its_median_beside_mean_poolings() -> None:
    lines = [
        {"pooling": name, "parameters": n, "training_s": seconds, "prediction_s": 1.0}
        for name, n, seconds in [("mean", 0, 2.0), ("mean", 0, 4.0), ("cls", 7, 6.0)]
    ]
    table = table_of(lines).set_index("pooling")
    assert table["training_ratio"].tolist() == [1, 2]
    assert table["parameters"].tolist() == [0, 7]


def test_pictures_show_gains_on_one_member_and_the_largest_size_that_all_arms_have() -> None:
    seeds_of_best = [("both", "seeds of best", 2, 0.1)]
    table = pd.DataFrame(
        [
            ("both", "", 2, 0.9),
            ("both", "one member", 3, 0.3),
            ("both", "one member", 2, 0.2),
            ("seeds", "one member", 2, 0.1),
            *((arm, "seeds", size, 0.0) for arm in ("poolings", "both") for size in (2, 3)),
            *(("both", "poolings", size, 0.0) for size in (2, 3)),
            *seeds_of_best,
        ],
        columns=["arm", "minus", "size", "value"],
    )
    assert gains(table, "both") == ([1, 2, 3], [0.0, 0.2, 0.3])
    assert largest_of_all(table) == 2
