"""Columns beside the texts: numbers and categories, read by LightGBM as they are."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import change_config, read_rows, stages, write_competition, write_rows

from pipeline.competition.features import as_numbers, lines_about
from pipeline.competition.rows import read_test, read_train
from pipeline.members.classic.estimators import LightgbmText
from pipeline.members.classic.tabular import Tabular
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.settings.data import Data

NAN = np.nan
N, N_FIT = 600, 400


# --- numbers or categories


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["1", " 2.50", "-3e2"], [1, 2.5, -300]),
        (["1", "", "NaN", "NA", "null"], [1, None, None, None, None]),
        (["1", "2", "n.a."], None),
        (["", "nan"], None),
        (["rail", "sea"], None),
    ],
)
def test_a_column_is_numbers_if_every_cell_is_a_number_or_missing(cells, numbers):
    assert as_numbers(cells) == numbers


def test_numbers_stay_and_categories_become_codes():
    fitted = Tabular({"year": ["1999", "", "7"], "genre": ["pop", "folk", ""]})
    assert fitted.categorical == [1]
    new = {"genre": ["folk", "pop", "polka", ""], "year": ["3", "x", "NA", "1e3"]}
    wanted = [[3, 0], [NAN, 1], [NAN, NAN], [1000, NAN]]
    np.testing.assert_array_equal(fitted.values(new), wanted)


def test_each_column_gets_a_line_and_a_doubtful_one_a_warning():
    columns = {
        "year": ["1", "2", "", "4"],
        "genre": ["pop", "pop", "folk", "folk"],
        "mixed": ["1", "2", "3", "unknown", "NA"],
        "name": ["Ann", "Bob", "Cid", "Dan"],
    }
    test = {"year": ["5", "soon"], "genre": ["polka", "pop"], "mixed": ["1", ""], "name": ["", ""]}
    told = lines_about(columns, test)
    for at, line in enumerate(
        [
            "feature 'year': numbers, 1 of 4 missing",
            "feature 'year': 1 of 2 test rows .*'soon'",
            "feature 'genre': 2 categories",
            "feature 'genre': 1 of 2 test rows .*'polka'",
            "feature 'mixed': 5 categories",
            "warning: feature 'mixed': .*'unknown'",
            "feature 'name': 4 categories",
            "warning: feature 'name': 4 categories in 4 rows",
        ]
    ):
        assert re.match(line, told[at])
    assert len(told) == 8


def test_a_column_whose_cells_are_all_missing_is_told():
    columns = {"year": ["NA", ""]}
    assert lines_about(columns, columns) == ["feature 'year': 1 categories"]


# --- what they are worth


def rng_and_texts():
    rng = np.random.default_rng(0)
    words = list("abcdefghijklmnop")
    return rng, [(" ".join(rng.choice(words, 8)),) for _ in range(N)]


def predicted(texts, y, cells):
    """Predictions of the held-out rows, after fitting on the others."""
    model = LightgbmText(task="binary", n_columns=1, seed=0, directions=10, rounds=60)
    columns = [{k: v[rows] for k, v in cells.items()} for rows in (slice(N_FIT), slice(N_FIT, N))]
    model.fit(texts[:N_FIT], y[:N_FIT], columns[0])
    return model.predict(texts[N_FIT:], columns[1])


def gain(texts, y, cells):
    """Gain of accuracy by features on the held-out rows, with its interval."""
    target = Target.of(y[N_FIT:], "binary", "accuracy")
    both = predicted(texts, y, cells), predicted(texts, y, {})
    return target.score(both[1]), *difference_interval(target, *both, seed=0)


def test_features_that_tell_the_label_help():
    rng, texts = rng_and_texts()
    number, genre = rng.normal(size=N), rng.choice(["folk", "jazz", "pop", "rock", "soul"], N)
    y = (number + 2 * np.isin(genre, ["folk", "pop"]) > 1).astype(int)
    cells = {"number": [f"{x:.3f}" for x in number], "genre": genre.tolist()}
    without, _, low, _ = gain(texts, y, cells)
    assert without < 0.6
    assert low > 0.3


def test_missing_numbers_tell_the_label_too():
    rng, texts = rng_and_texts()
    y = rng.integers(0, 2, N)
    cells = {"price": [f"{rng.normal():.3f}" if one else "" for one in y]}
    assert ((predicted(texts, y, cells)[:, 0] > 0.5) == y[N_FIT:]).all()


def test_features_that_tell_nothing_do_not_matter():
    rng, texts = rng_and_texts()
    y = rng.integers(0, 2, N)
    told = np.where(rng.random(N) < 0.1, 1 - y, y)  # no model can be right on more than 90 %
    texts = [(f"{text} {['bad', 'good'][k]}",) for (text,), k in zip(texts, told, strict=True)]
    noise = {
        "number": [f"{x:.3f}" for x in rng.normal(size=N)],
        "genre": rng.choice(["folk", "pop", "rock"], N).tolist(),
        "name": [f"n{k}" for k in rng.integers(0, 300, N)],
    }
    without, by_noise, low, high = gain(texts, y, noise)
    assert without > 0.85
    assert abs(by_noise) <= 0.02
    assert low <= 0 <= high


# --- the stages


def write_tables(change=lambda row: row):
    """Give the rows of the competition a year and a genre, which tell the label."""
    for part in ("train", "test"):
        header, rows = read_rows(Path(f"data/tiny/{part}.csv"))
        rows = [change([*row[: len(header)]]) for row in rows]
        if "year" not in header:
            header = [*header, "year", "genre"]
            rows = [[*row, str(k % 7), "xyz"[k % 3]] for k, row in enumerate(rows)]
        write_rows(Path(f"data/tiny/{part}.csv"), header, rows)


MEMBERS = [
    {"model": "lightgbm_text", "options": {"rounds": 10, "directions": 5}},
    {"model": "tfidf_linear"},
    {"model": "tfidf_linear", "name": "told", "template": "{genre}: {text}"},
]


@pytest.fixture
def featured(workplace):
    settings = {
        "data": {"features": ["year", "genre"]},
        "folds": {"n": 2},
        "members": MEMBERS,
        "blend": {"methods": ["mean"], "postprocessing": []},
        "jobs": {"n_jobs": 1},
    }
    write_competition(workplace, "binary", settings=settings)
    write_tables()


def test_members_that_read_features_take_them_through_every_stage(featured, capsys, refusal):
    stages("prepare", "make_folds", "train", "predict", "blend", "submit")
    assert "'year': numbers" in capsys.readouterr().out
    check = json.loads(Path("models/tiny/told/fold0/reload_check.json").read_text())
    assert check["texts"][0][0][:3] in ("x: ", "y: ", "z: ")
    assert check["features"] == {}
    check = json.loads(Path("models/tiny/lightgbm_text/fold0/reload_check.json").read_text())
    assert set(check["features"]) == {"year", "genre"}
    written = Path("submissions/tiny/submission.csv").read_bytes()
    Path("data/tiny/train.csv").unlink()
    stages("infer")
    assert Path("submissions/tiny/submission.csv").read_bytes() == written
    stages("infer", words=["--data.features", "genre", "year"])  # by name, in any order
    assert Path("submissions/tiny/submission.csv").read_bytes() == written
    words = ("--predictor", "lightgbm_text", "--data.features", "genre")
    assert "'year'" in refusal("infer", *words)


def test_other_cells_train_only_the_members_that_read_them_again(featured, capsys, refusal):
    stages("make_folds", "train")
    write_tables(lambda row: [*row[:-2], "1", row[-1]])
    for member, told in (("tfidf_linear", "0 of 2"), ("told", "0 of 2")):
        capsys.readouterr()
        stages("train", words=["--members", member])
        assert f"{told} units" in capsys.readouterr().out
    assert "features" in refusal("train", "--members", "lightgbm_text")
    change_config(members=MEMBERS[:2])
    assert "features" in refusal("train", "--members", "lightgbm_text", "--data.features")
    change_config(members=MEMBERS)
    write_tables(lambda row: [*row[:-1], "y"])
    assert "texts" in refusal("train", "--members", "told")


def test_predictions_made_with_other_features_are_refused(featured, refusal):
    stages("make_folds", "train", "predict")
    write_tables(lambda row: [*row[:-2], "1", row[-1]])
    assert "features" in refusal("blend")


def test_features_are_those_of_the_rows_that_are_kept(featured):
    data = {"train": "data/tiny/train.csv", "test": "data/tiny/test.csv"}
    data |= {"sample_submission": "data/tiny/sample_submission.csv", "features": "year"}
    rows = {row[0]: row[-2] for row in read_rows(Path("data/tiny/train.csv"))[1]}
    train = read_train(Data(**data, train_rows=7), "binary")
    assert train.features == {"year": [rows[row_id] for row_id in train.ids]}
    assert len(read_test(Data(**data)).features["year"]) == 20


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data.features", "yaer"), r"train\.csv: .*'yaer'.*data\.features.*'year'"),
        (("--data.features", "year", "text"), "'text'"),
        (("--data.features", "year", "year"), "'year'"),
        (("--data.features", "year"), r"member told: template: \{genre\}"),
    ],
)
def test_a_feature_that_is_not_there_is_one_line_at_prepare(featured, words, said, refusal):
    if "genre" not in said:
        change_config(members=MEMBERS[:1])
    assert re.search(said, refusal("prepare", *words))
