"""`--quick`: all stages on few rows, for every config; settings on the command line win."""

from pathlib import Path

import pytest
from conftest import change_config, read_rows, write_competition, write_rows

from pipeline import make_folds, prepare
from pipeline.settings.command import parse

CONFIGS = Path(__file__).parents[1] / "configs"
MEMBERS = [
    {"model": "tfidf_linear"},
    {"pooling": "cls", "epochs": 7},
    {"pooling": "idf"},
    {"pooling": "max"},
]


@pytest.fixture
def quick(workplace):
    """The config that a stage gets of `--quick` and further words."""

    def config_of(*words, **settings):
        path = write_competition(workplace, "binary", settings={"members": MEMBERS, **settings})
        return parse(None, [str(path), "--quick", *words])[0]

    return config_of


def test_a_quick_run_is_small_and_a_competition_of_its_own(quick):
    config = quick(blend={"external": ["theirs/tfidf"]}, folds={"n": 10})
    assert config.competition == "tiny-quick"
    assert config.folds.n == 2
    assert config.data.train_rows == 800
    assert config.blend.external == ()
    assert [(m.name, m.epochs) for m in config.members] == [("cls", 1), ("idf", 1)]


@pytest.mark.parametrize("before", [[], [{"model": "lightgbm_text"}]])
def test_a_lone_fine_tuned_member_is_trained_beside_the_first_classic_one(quick, before):
    members = [MEMBERS[0], *before, MEMBERS[3]]
    assert [m.name for m in quick(members=members).members] == ["max", "tfidf_linear"]


def test_without_fine_tuned_members_the_first_two_are_trained(quick):
    members = [{"model": name} for name in ("tfidf_linear", "lightgbm_text", "embedding_linear")]
    made = quick(members=members, backbone="minilm")
    assert [m.name for m in made.members] == ["tfidf_linear", "lightgbm_text"]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_config_of_ours_has_a_quick_run(path):
    config = parse(None, ["--quick", str(path)])[0]
    assert config.competition == f"{path.stem}-quick"
    assert len(config.members) == 2


def test_one_member_is_enough(quick):
    assert [m.name for m in quick(members=MEMBERS[3:]).members] == ["max"]


@pytest.mark.parametrize(
    ("words", "dotted", "value"),
    [
        (["--competition", "own"], "competition", "own"),
        (["--folds.n", "3"], "folds.n", 3),
        (["--data.train_rows", "50"], "data.train_rows", 50),
        (["--data.train_rows", "null"], "data.train_rows", None),
        (["--training.epochs", "2"], "members.0.epochs", 2),
        (["--members", "max", "tfidf_linear"], "members.1.name", "max"),
    ],
)
def test_what_is_typed_wins_wherever_it_stands(quick, words, dotted, value):
    found = quick(*words).model_dump()
    for part in dotted.split("."):
        found = found[int(part) if part.isdigit() else part]
    assert found == value


def test_a_config_of_fewer_rows_keeps_them(quick):
    assert quick(data={"train_rows": 40}).data.train_rows == 40


def test_the_competitions_name_is_the_yamls_however_it_is_written(quick):
    assert quick(competition=7).competition == "7-quick"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"folds": 5}, "folds: .*5"),
        ({"data": 5}, "data: .*5"),
        ({"members": 5}, "members: .*5"),
        ({"members": ["mean"]}, r"members\.0: .*'mean'"),
        ({"competition": False}, "competition: .*False"),
        ({"data": {"train_rows": "x"}}, r"data\.train_rows: .*'x'"),
        ({"training": {"epochs": -1}}, r"training\.epochs: .*-1"),
    ],
)
def test_a_config_that_is_malformed_is_told_as_ever(quick, settings, said):
    with pytest.raises(ValueError, match=said):
        quick(**settings)


def test_external_predictors_that_are_typed_do_not_go_with_a_part_of_the_rows(quick):
    with pytest.raises(ValueError, match=r"tiny\.yaml: blend\.external\b.*train_rows"):
        quick("--blend.external", "theirs/tfidf")


def test_folds_of_ones_own_are_kept_and_need_hold_no_more_than_the_rows(workplace, capsys):
    config = write_competition(workplace, "regression", settings={"folds": None})
    _, rows = read_rows(workplace / "data/tiny/train.csv")
    own = [[row[0], str(at % 3)] for at, row in enumerate(rows)]
    write_rows(workplace / "own.csv", ["id", "fold"], own)
    folds = {"scheme": "file", "path": "own.csv"}
    change_config(folds=folds, members=[{"model": "tfidf_linear"}])
    words = [str(config), "--quick", "--data.train_rows", "30"]
    prepare.main(words)
    make_folds.main(words)
    make_folds.main(words)
    assert "30 rows in folds of" in capsys.readouterr().out
    ids = [row[0] for row in read_rows(workplace / "folds/tiny-quick.csv")[1]]
    assert len(ids) == 30
    assert [row for row in own if row[0] in ids] == read_rows(workplace / "folds/tiny-quick.csv")[1]
