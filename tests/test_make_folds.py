"""The stage make_folds: deals once, then only checks."""

import os

import numpy as np
import pytest
from conftest import MAKERS, read_rows, write_competition, write_rows

from pipeline.competition.deal import SCHEMES

STAGE = "make_folds"
TASKS = sorted(MAKERS)
CSV, JSON = "folds/tiny.csv", "folds/tiny.json"


def folds_of(workplace):
    return dict(read_rows(workplace / CSV)[1])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_scheme_deals_the_rows_of_every_task(workplace, run, task, scheme):
    config = write_competition(workplace, task, settings={"data": {"group": "document"}})
    told = run(config, "--folds.scheme", scheme)
    assert told == f"{CSV}: written, 60 rows in folds of 20, 20, 20 ({scheme})\n"
    header, rows = read_rows(workplace / CSV)
    assert header == ["id", "fold"]
    assert [row[0] for row in rows] == [f"a{k:03}" for k in range(60)]
    folds = [int(row[1]) for row in rows]
    assert set(folds) == {0, 1, 2}
    assert folds[::2] == folds[1::2]


def test_swapped_pairs_share_a_fold_and_their_order_does_not_count_in_the_stamp(workplace, run):
    header = ["id", "a", "b", "target"]
    pairs = [
        (f"q {k}", f"q {k + 7 if k % 2 else k - 7}", "yes" if k % 3 else "no") for k in range(60)
    ]
    rows = [[f"i{k}", *pair] for k, pair in enumerate(pairs)]
    rows += [[f"j{k}", b.upper(), f" {a}", y] for k, (a, b, y) in enumerate(pairs)]
    config = write_competition(workplace, "binary", settings={"data": {"text": ["a", "b"]}})
    write_rows(workplace / "data/tiny/train.csv", header, rows)
    run(config)
    folds = folds_of(workplace)
    assert [folds[f"i{k}"] for k in range(60)] == [folds[f"j{k}"] for k in range(60)]
    rows[0][1:3] = rows[0][2:0:-1]
    write_rows(workplace / "data/tiny/train.csv", header, rows)
    assert "still fits" in run(config)


def test_a_second_run_writes_nothing(workplace, run):
    config = write_competition(workplace, "binary")
    run(config)
    before = {name: (os.stat(name).st_mtime_ns, os.stat(name).st_ino) for name in (CSV, JSON)}
    assert run(config) == f"{CSV}: still fits, 60 rows in folds of 20, 20, 20 (stratified)\n"
    after = {name: (os.stat(name).st_mtime_ns, os.stat(name).st_ino) for name in (CSV, JSON)}
    assert after == before


def test_the_same_seed_gives_the_same_file_and_another_seed_another(workplace, run):
    config = write_competition(workplace, "binary")
    run(config)
    first = (workplace / CSV).read_bytes()
    run(config, "--overwrite")
    assert (workplace / CSV).read_bytes() == first
    run(config, "--overwrite", "--folds.seed", "1")
    assert (workplace / CSV).read_bytes() != first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--folds.n", "4"], "made with folds.n 3, now it is 4"),
        (["--folds.seed", "4"], "made with folds.seed 42, now it is 4"),
        (["--folds.scheme", "kfold"], "made with folds.scheme 'stratified', now it is 'kfold'"),
        (["--data.train_rows", "30"], "made from other ids"),
        (["--data.text", "document"], "made from other texts"),
        (["--data.group", "document"], "made from other groups"),
        (["--data.positive", "no"], "made from other targets"),
    ],
)
def test_folds_that_no_longer_fit_are_an_error_that_names_what_changed(
    workplace, run, refused, words, said
):
    config = write_competition(workplace, "binary")
    run(config)
    before = (workplace / CSV).read_bytes(), (workplace / JSON).read_bytes()
    line = refused(config, *words)
    assert line.startswith(f"error: {CSV}: {said}")
    assert "--overwrite" in line
    assert before == ((workplace / CSV).read_bytes(), (workplace / JSON).read_bytes())
    assert "written, " in run(config, *words, "--overwrite")
    assert "still fits, " in run(config, *words)


def test_a_new_training_row_is_an_error(workplace, run, refused):
    config = write_competition(workplace, "binary")
    run(config)
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    write_rows(workplace / "data/tiny/train.csv", header, [*rows, ["new", "d", "x", "yes"]])
    assert "made from other ids" in refused(config)


def test_too_few_distinct_texts_are_an_error(workplace, refused):
    config = write_competition(workplace, "regression", n_rows=4)
    assert "5 folds need as many distinct texts, found 4" in refused(config, "--folds.n", "5")
    assert not (workplace / "folds").exists()


def test_classes_with_fewer_rows_than_folds_are_a_warning(workplace, run):
    config = write_competition(workplace, "binary")
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    rows = [[*row[:3], "rare" if k == 9 else "often"] for k, row in enumerate(rows)]
    write_rows(workplace / "data/tiny/train.csv", header, rows)
    warning, line = run(config).splitlines()
    assert warning.startswith("warning: 1 of 2 classes have fewer rows than the 3 folds: 'rare (1)")
    assert line.startswith(f"{CSV}: written")
    assert run(config).splitlines()[0] == warning


# --- a file of one's own


@pytest.fixture
def with_own(workplace):
    """A competition whose folds come from own.csv; `write(folds)` fills that."""
    config = write_competition(workplace, "binary", settings={"folds": None})
    settings = ["--folds.scheme", "file", "--folds.path", "own.csv"]

    def write(folds):
        rows = [[f"a{k:03}", str(fold)] for k, fold in enumerate(folds)]
        write_rows(workplace / "own.csv", ["row", "part"], rows[::-1])
        return [config, *settings]

    return write


def test_own_folds_are_taken_as_they_are_and_their_number_from_the_file(workplace, run, with_own):
    own = np.arange(60) % 4
    told = run(*with_own(own))
    assert told.endswith(f"{CSV}: written, 60 rows in folds of 15, 15, 15, 15 (file)\n")
    assert list(folds_of(workplace).values()) == [str(fold) for fold in own]
    assert "still fits" in run(*with_own(own))


def test_own_folds_that_changed_are_an_error(run, refused, with_own):
    run(*with_own(np.arange(60) % 4))
    changed = with_own(np.arange(60) % 3)
    assert refused(*changed).startswith(f"error: own.csv: not the folds in {CSV} any more; ")
    assert "20, 20, 20 (file)" in run(*changed, "--overwrite")


def test_own_folds_that_tear_texts_apart_are_a_warning(workplace, run, with_own):
    words = with_own(np.arange(60) % 4)
    told = run(*words, "--data.group", "document")
    assert told.startswith("warning: 30 texts or groups stand in several folds")


def test_own_folds_serve_a_part_of_the_rows(run, with_own):
    assert "written, 30 rows in folds of" in run(
        *with_own(np.arange(60) % 2), "--data.train_rows", "30"
    )


def test_an_absent_file_of_ones_own_is_an_error(workplace, refused):
    config = write_competition(workplace, "binary", settings={"folds": None})
    line = refused(config, "--folds.scheme", "file", "--folds.path", "own.csv")
    assert line == "error: own.csv: no such file; correct folds.path, or put the file there"
