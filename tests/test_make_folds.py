"""The stage make_folds: writes folds once, then only checks them."""

import os
import re

import numpy as np
import pytest
from conftest import MAKERS, read_rows, write_competition, write_rows

from pipeline.competition.deal import SCHEMES

STAGE = "make_folds"
TASKS = sorted(MAKERS)
CSV, JSON = "folds/tiny.csv", "folds/tiny.json"


def training_ids(workplace):
    return [row[0] for row in read_rows(workplace / "data/tiny/train.csv")[1]]


def folds_of(workplace):
    return dict(read_rows(workplace / CSV)[1])


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_every_scheme_deals_the_rows_of_every_task(workplace, run, task, scheme):
    config = write_competition(workplace, task, settings={"data": {"group": "document"}})
    told = run(config, "--folds.scheme", scheme)
    assert re.fullmatch(rf"{CSV}: .*\b60\b.*\b20, 20, 20\b.*\b{scheme}\b.* document\b.*\n", told)
    header, rows = read_rows(workplace / CSV)
    assert header == ["id", "fold"]
    assert [row[0] for row in rows] == training_ids(workplace)
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
    assert re.fullmatch(rf"{CSV}: .*\b60\b.*\b20, 20, 20\b.*\bstratified\b.*\n", run(config))
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
        (["--folds.n", "4"], r"folds\.n\b.*\b3\b.*\b4\b"),
        (["--folds.seed", "4"], r"folds\.seed\b.*\b42\b.*\b4\b"),
        (["--folds.scheme", "kfold"], r"folds\.scheme\b.*\bstratified\b.*\bkfold\b"),
        (["--data.train_rows", "30"], r"\bids\b"),
        (["--data.text", "document"], r"\btexts\b"),
        (["--data.group", "document"], r"\bgroups\b"),
        (["--data.positive", "no"], r"\btargets\b"),
    ],
)
def test_folds_that_no_longer_fit_are_an_error_that_names_what_changed(
    workplace, run, refused, words, said
):
    config = write_competition(workplace, "binary")
    run(config)
    before = (workplace / CSV).read_bytes(), (workplace / JSON).read_bytes()
    assert re.match(rf"error: {CSV}: .*{said}.*--overwrite", refused(config, *words))
    assert before == ((workplace / CSV).read_bytes(), (workplace / JSON).read_bytes())
    run(config, *words, "--overwrite")
    assert (workplace / JSON).read_bytes() != before[1]
    run(config, *words)  # is no error any more


def test_a_new_training_row_is_an_error(workplace, run, refused):
    config = write_competition(workplace, "binary")
    run(config)
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    write_rows(workplace / "data/tiny/train.csv", header, [*rows, ["new", "d", "x", "yes"]])
    assert re.search(rf"{CSV}: .*\bids\b", refused(config))


def test_too_few_distinct_texts_are_an_error(workplace, refused):
    config = write_competition(workplace, "regression", n_rows=4)
    assert re.search(r"folds\.n: .*\b5\b.*\btexts\b.*\b4\b", refused(config, "--folds.n", "5"))
    assert not (workplace / CSV).exists()


def test_classes_with_fewer_rows_than_folds_are_a_warning(workplace, run):
    config = write_competition(workplace, "binary")
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    rows = [[*row[:3], "rare" if k == 9 else "often"] for k, row in enumerate(rows)]
    write_rows(workplace / "data/tiny/train.csv", header, rows)
    warning, line = run(config).splitlines()
    assert re.match(r"warning: 1\D+2\D.*\b3\b.*'rare \(1\)", warning)
    assert line.startswith(f"{CSV}: ")
    assert run(config).splitlines()[0] == warning


def test_classes_that_lie_in_one_fold_are_a_warning(workplace, run):
    config = write_competition(workplace, "multiclass")
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    rows = [
        [r[0], "d" if k < 20 else r[1], r[2], "a" if k < 20 else "bc"[k % 2]]
        for k, r in enumerate(rows)
    ]
    write_rows(workplace / "data/tiny/train.csv", header, rows)
    assert "warning" not in run(config)
    told = run(config, "--data.group", "document", "--overwrite")
    assert re.search(r"^warning: 1 of 3 classes .*: 'a';", told, re.MULTILINE)


# --- a file of one's own


@pytest.fixture
def with_own(workplace):
    """A competition whose folds come from own.csv; `write(folds)` fills that."""
    config = write_competition(workplace, "binary", settings={"folds": None})
    settings = ["--folds.scheme", "file", "--folds.path", "own.csv"]

    def write(folds):
        rows = [list(row) for row in zip(training_ids(workplace), map(str, folds), strict=True)]
        write_rows(workplace / "own.csv", ["row", "part"], rows[::-1])
        return [config, *settings]

    return write


def test_own_folds_are_taken_as_they_are_and_their_number_from_the_file(workplace, run, with_own):
    own = np.arange(60) % 4
    told = run(*with_own(own))
    assert re.search(rf"^{CSV}: .*\b60\b.*\b15, 15, 15, 15\b.*\bfile\b", told, re.MULTILINE)
    assert list(folds_of(workplace).values()) == [str(fold) for fold in own]
    before = os.stat(CSV).st_mtime_ns
    run(*with_own(own))
    assert os.stat(CSV).st_mtime_ns == before


def test_own_folds_that_changed_are_an_error(run, refused, with_own):
    run(*with_own(np.arange(60) % 4))
    changed = with_own(np.arange(60) % 3)
    assert re.match(rf"error: own\.csv: .*{CSV}.*--overwrite", refused(*changed))
    assert "20, 20, 20" in run(*changed, "--overwrite")


def test_own_folds_that_tear_texts_apart_are_a_warning(workplace, run, with_own):
    words = with_own(np.arange(60) % 4)
    told = run(*words, "--data.group", "document")
    assert re.match(r"warning: 30\b.*\bgroups\b", told)


def test_own_folds_serve_a_part_of_the_rows(run, with_own):
    told = run(*with_own(np.arange(60) % 2), "--data.train_rows", "30")
    assert re.search(rf"{CSV}: .*\b30\b", told)


def test_an_absent_file_of_ones_own_is_an_error(workplace, refused):
    config = write_competition(workplace, "binary", settings={"folds": None})
    line = refused(config, "--folds.scheme", "file", "--folds.path", "own.csv")
    assert re.match(r"error: own\.csv: .*folds\.path", line)


@pytest.mark.parametrize("n_weighed", [47, 46, 45, 0])
def test_weights_that_leave_a_model_without_rows_are_refused(workplace, run, refused, n_weighed):
    """The first model by time sees the first 15 of 60 rows."""
    settings = {"data": {"weight": "w"}, "folds": {"scheme": "time", "time": "day"}}
    config = write_competition(workplace, "binary", settings=settings)
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    rows = [[*row, str(day), str(int(day >= 60 - n_weighed))] for day, row in enumerate(rows)]
    write_rows(workplace / "data/tiny/train.csv", [*header, "day", "w"], rows)
    if n_weighed == 47:
        run(config)
    else:
        assert re.search(rf"data\.weight.*\b{n_weighed % 45}\b", refused(config))


def test_weights_that_came_after_the_folds_are_checked_too(workplace, run, refused):
    config = write_competition(workplace, "regression")
    run(config)
    header, rows = read_rows(workplace / "data/tiny/train.csv")
    rows = [[*row, str(int(k == 0))] for k, row in enumerate(rows)]
    write_rows(workplace / "data/tiny/train.csv", [*header, "w"], rows)
    assert re.search(r"data\.weight.*\b0\b", refused(config, "--data.weight", "w"))
