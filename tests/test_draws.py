import numpy as np

from pipeline.scoring.draws import clusters_of, counts_of_draw, rows_of_draw


def test_rows_without_groups_are_drawn_alone():
    assert clusters_of(3).tolist() == [0, 1, 2]
    assert clusters_of(4, ["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]


def test_a_draw_takes_as_many_units_as_there_are_each_with_all_its_rows():
    cluster = np.repeat(np.arange(30), 4)
    counts = counts_of_draw(cluster, np.random.default_rng(0)).reshape(30, 4)
    assert (counts == counts[:, :1]).all()
    assert counts[:, 0].sum() == 30
    assert 0 in counts
    assert counts.max() > 1


def test_a_row_stands_in_a_draw_as_often_as_it_is_drawn():
    cluster = clusters_of(50)
    counts, rows = (
        draw(cluster, np.random.default_rng(1)) for draw in (counts_of_draw, rows_of_draw)
    )
    np.testing.assert_array_equal(np.bincount(rows, minlength=50), counts)
