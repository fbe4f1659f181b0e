"""External predictors: every form is read by id or refused; their folds are known or not."""

import re

import numpy as np
import pandas as pd
import pytest
from conftest import change_config, write_competition, write_rows

from pipeline.ensemble.leaderboard import leaderboard
from pipeline.files.hashes import sha256_of_array
from pipeline.files.reading import read_csv_as_text
from pipeline.files.writing import write_json
from pipeline.make_folds import main as make_folds
from pipeline.predictors.external import (
    FORMS,
    NOT_NESTED,
    OTHER_FOLDS,
    PLAIN,
    UNKNOWN_FOLDS,
    kind_of,
    part_path,
    part_sha256,
)
from pipeline.predictors.predictions import check_same_models, read_predictions, write_predictions
from pipeline.predictors.stack import Stack, with_doubts
from pipeline.scoring.target import Target

STAGE = "blend"
IDS = ["30", "4", "007", "a"]
NUMBERS = ["30", "4", "7"]
COLUMNS = ["no", "yes"]
VALUES = np.array([[0.25, 0.75], [1.0, 0.0], [0.1, 0.9], [1 / 3, 2 / 3]])


def save_csv(folder, part, ids, columns, values):
    write_rows(
        folder / f"{part}.csv",
        ["key", *columns],
        [[i, *v] for i, v in zip(ids, values, strict=True)],
    )


def save_parquet(folder, part, ids, columns, values):
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(values, columns=columns, index=pd.Index(ids))
    table.to_parquet(folder / f"{part}.parquet")  # the index becomes the last column


def save_npy(folder, part, ids, columns, values):
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / f"{part}.npy", values)
    np.save(folder / f"{part}_ids.npy", np.array(ids))


SAVE = {".csv": save_csv, ".parquet": save_parquet, ".npy": save_npy}


def read(folder, ids=IDS, columns=COLUMNS, task="multiclass", **how):
    return read_predictions(folder, "oof", ids, columns, task, **how)


def with_ids(folder, name, content):
    np.save(folder / "oof.npy", VALUES)
    (folder / name).write_text(content, encoding="utf-8")


# --- contract: every form


@pytest.mark.parametrize("form", sorted(FORMS))
def test_rows_come_by_id_and_to_the_last_digit(tmp_path, form):
    rows = [2, 0, 3, 1]
    SAVE[form](tmp_path, "oof", [IDS[i] for i in rows], COLUMNS, VALUES[rows])
    assert np.array_equal(read(tmp_path), VALUES)


@pytest.mark.parametrize("form", [".parquet", ".npy"])
def test_ids_that_are_whole_numbers_match_as_they_are_written(tmp_path, form):
    SAVE[form](tmp_path, "oof", [7, 30, 4], COLUMNS, VALUES[[2, 0, 1]])
    assert np.array_equal(read(tmp_path, NUMBERS), VALUES[:3])


@pytest.mark.parametrize("form", sorted(FORMS))
def test_ids_that_became_floats_are_refused_with_the_reason(tmp_path, form):
    SAVE[form](tmp_path, "oof", [30.0, 4.0, 7.0], COLUMNS, VALUES[:3])
    with pytest.raises(ValueError, match=r"'30'.*\b30\.0\b"):
        read(tmp_path, NUMBERS)


@pytest.mark.parametrize("form", sorted(FORMS))
@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (["30", "4", "007", "b"], r".*\b1\D+4\D.*'a'"),
        (["30", "4", "007", "4"], r"\D*'4'"),
        (["30", "4", "007", "a", "b"], r".*\b1\b.*'b'"),
    ],
)
@pytest.mark.parametrize("by_position", [False, True])
def test_ids_count_where_there_are_some(tmp_path, form, ids, said, by_position):
    SAVE[form](tmp_path, "oof", ids, COLUMNS, VALUES[[0, 1, 2, 3, 3]][: len(ids)])
    with pytest.raises(ValueError, match=rf"oof\{form}: {said}"):
        read(tmp_path, by_position=by_position)


@pytest.mark.parametrize("form", sorted(FORMS))
def test_a_row_that_is_no_prediction_is_named(tmp_path, form):
    SAVE[form](tmp_path, "oof", IDS, COLUMNS, np.vstack([VALUES[:3], [0.5, 0.6]]))
    with pytest.raises(ValueError, match=rf"oof\{form}: .*\b1\b.*\bmulticlass\b.*'a'"):
        read(tmp_path)


# --- each form


def test_the_id_may_stand_behind_the_predictions(tmp_path):
    write_rows(tmp_path / "oof.csv", ["no", "yes", "key"], [["1", "0", "x"], ["0", "1", "y"]])
    assert read(tmp_path, ["y", "x"]).tolist() == [[0, 1], [1, 0]]


def test_predictions_under_another_name_are_to_be_renamed_not_removed(tmp_path):
    save_csv(tmp_path, "oof", IDS, ["pred"], VALUES[:, :1])
    with pytest.raises(ValueError, match=r"\[pred\].*\[target\].*\brename\b"):
        read(tmp_path, columns=["target"], task="regression")


def test_an_index_that_a_tool_wrote_beside_the_id_is_named_with_the_columns(tmp_path):
    write_rows(tmp_path / "oof.csv", ["", "id", "no", "yes"], [["0", "x", "1", "0"]])
    with pytest.raises(ValueError, match=r"\[id, no, yes\].*\[no, yes\]"):
        read(tmp_path, ["x"])


@pytest.mark.parametrize(("mark", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_another_separator_is_told(tmp_path, mark, name):
    (tmp_path / "oof.csv").write_text(f"id{mark}no{mark}yes\nx{mark}1{mark}0\n")
    with pytest.raises(ValueError, match=rf"oof\.csv: .*\b{name}\b.*\bcommas\b"):
        read(tmp_path)


def test_a_column_that_is_another_spelling_of_ours_is_shown_apart(tmp_path):
    write_rows(tmp_path / "oof.csv", ["id", "no", "ye\u0301s"], [["x", "1", "0"]])
    with pytest.raises(ValueError, match=r"'ye\\u0301s' is 'y\\xe9s'"):
        FORMS[".csv"](tmp_path / "oof.csv", ["no", "y\u00e9s"])


@pytest.mark.parametrize("form", sorted(FORMS))
def test_both_classes_of_a_binary_are_one_too_many(tmp_path, form):
    SAVE[form](tmp_path, "oof", IDS, COLUMNS, VALUES)
    with pytest.raises(ValueError, match=rf"oof\{form}: .*\[target\].*\bpositive\b"):
        read(tmp_path, columns=["target"], task="binary")


@pytest.mark.parametrize("shape", [(4,), (4, 1)])
def test_one_column_of_an_array_may_have_a_second_axis_or_not(tmp_path, shape):
    save_npy(tmp_path, "oof", IDS, ["target"], VALUES[:, 1].reshape(shape))
    assert np.array_equal(read(tmp_path, columns=["target"], task="binary"), VALUES[:, 1:])


def test_halves_and_whole_numbers_are_numbers(tmp_path):
    save_npy(tmp_path, "oof", IDS, COLUMNS, VALUES.astype(np.float16))
    assert read(tmp_path)[0].tolist() == [0.25, 0.75]
    save_npy(tmp_path, "oof", IDS, COLUMNS, VALUES.round().astype(np.int8))
    assert read(tmp_path).dtype == np.float64


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("oof_ids.txt", "30\n4\n007\na\n"),
        ("oof_ids.txt", "30\r\n4\r\n007\r\na"),
        ("oof_ids.csv", "30\n4\n007\na\n"),
        ("oof_ids.csv", 'id\n30\n4\n"007"\na\n'),
    ],
)
def test_ids_of_an_array_may_be_a_text_with_one_a_line(tmp_path, name, content):
    with_ids(tmp_path, name, content)
    assert np.array_equal(read(tmp_path, IDS[::-1]), VALUES[::-1])


@pytest.mark.parametrize(
    ("save", "said"),
    [
        (lambda f: save_npy(f, "oof", IDS, [], VALUES[:, :1]), r"oof\.npy: .*\(4, 1\).*\(n, 2\)"),
        (lambda f: save_npy(f, "oof", IDS, [], VALUES[None]), r"oof\.npy: .*\(1, 4, 2\).*\(n, 2\)"),
        (lambda f: save_npy(f, "oof", IDS, [], VALUES.astype(str)), r"oof\.npy: .*<U"),
        (lambda f: save_npy(f, "oof", IDS[:3], [], VALUES), r"oof_ids\.npy: .*\b3\b.*\b4\b"),
        (lambda f: save_npy(f, "oof", ["id", *IDS], [], VALUES), r"oof_ids\.npy: .*\b5\b.*\b4\b"),
        (lambda f: save_npy(f, "oof", [True] * 4, [], VALUES), r"oof_ids\.npy: .*\bbool\b"),
        (lambda f: with_ids(f, "oof_ids.csv", "a,1\n"), r"oof_ids\.csv: .*\b2\b.*\b4\b"),
        (lambda f: (f / "oof.npy").write_bytes(b""), r"oof\.npy: .*np\.save"),
        (lambda f: (f / "oof.npy").write_bytes(b"no"), r"oof\.npy: .*pickle"),
        (lambda f: (f / "oof.parquet").write_bytes(b"no"), r"oof\.parquet: .*Parquet"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, save, said):
    save(tmp_path)
    with pytest.raises(ValueError, match=said):
        read(tmp_path)


@pytest.mark.parametrize("name", ["oof.npy", "oof_ids.npy"])
def test_a_pickle_is_never_loaded(tmp_path, name):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    save_npy(tmp_path, "oof", IDS, COLUMNS, VALUES)
    np.save(tmp_path / name, np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=f"{name}: .*pickle"):
        read(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_two_forms_of_one_part_are_refused(tmp_path):
    save_csv(tmp_path, "oof", IDS, COLUMNS, VALUES)
    save_npy(tmp_path, "oof", IDS, COLUMNS, VALUES)
    with pytest.raises(ValueError, match=r"\boof\.csv\b.*\boof\.npy\b"):
        part_path(tmp_path, "oof")
    (tmp_path / "oof.csv").unlink()
    (tmp_path / "oof_ids.txt").write_text("\n".join(IDS))
    with pytest.raises(ValueError, match=r"\boof_ids\.npy\b.*\boof_ids\.txt\b"):
        read(tmp_path)


def test_other_ids_make_another_hash_of_an_array(tmp_path):
    save_npy(tmp_path, "oof", IDS, COLUMNS, VALUES)
    before = part_sha256(tmp_path, "oof")
    save_npy(tmp_path, "oof", IDS[::-1], COLUMNS, VALUES)
    assert part_sha256(tmp_path, "oof") != before


# --- without ids


@pytest.mark.parametrize("form", sorted(FORMS))
def test_without_ids_the_user_has_to_say_that_the_order_is_ours(tmp_path, form):
    if form == ".npy":
        np.save(tmp_path / "oof.npy", VALUES)
    elif form == ".csv":
        write_rows(tmp_path / "oof.csv", COLUMNS[::-1], VALUES[:, ::-1].tolist())
    else:
        pd.DataFrame(VALUES, columns=COLUMNS).to_parquet(tmp_path / "oof.parquet", index=False)
    said = rf"oof\{form}: .*blend\.external: \[\{{folder: {tmp_path}, align: position\}}\]"
    with pytest.raises(ValueError, match=said):
        read(tmp_path)
    assert np.array_equal(read(tmp_path, by_position=True), VALUES)
    with pytest.raises(ValueError, match=rf"oof\{form}: .*\b4\b.*\b3\b"):
        read(tmp_path, IDS[:3], by_position=True)


# --- kinds

OURS = np.array([0, 0, 0, 1])  # another order of rows is another deal


def folds_csv(folder, folds, ids=IDS):
    write_rows(
        folder / "folds.csv", ["id", "fold"], [list(row) for row in zip(ids, folds, strict=True)]
    )


@pytest.mark.parametrize(
    ("folds", "kind"),
    [
        ([0, 0, 0, 1], PLAIN),
        ([5, 5, 5, 2], PLAIN),
        (["b", "b", "b", "a"], PLAIN),
        ([1, 0, 0, 0], OTHER_FOLDS),
        ([0, 0, 1, 2], OTHER_FOLDS),
        ([0, 0, 0, 0], OTHER_FOLDS),
    ],
)
def test_folds_are_ours_where_the_same_rows_stand_together(tmp_path, folds, kind):
    folds_csv(tmp_path, folds[::-1], IDS[::-1])
    assert kind_of(tmp_path, IDS, OURS) == kind


def test_a_copy_of_our_folds_by_time_tells_them(tmp_path):
    """It also has the rows of the first block, which no OOF has."""
    folds_csv(tmp_path, [-1, *OURS, -1], ["x", *IDS, "y"])
    assert kind_of(tmp_path, IDS, OURS) == PLAIN


def test_a_folder_that_tells_no_folds_is_marked(tmp_path):
    assert kind_of(tmp_path, IDS, OURS) == UNKNOWN_FOLDS


def write_ours(folder, ids, **made_from):
    """An OOF as the stages write it."""
    values = np.zeros((len(ids), 1))
    write_predictions(folder, "oof", ids, "id", ["target"], values, made_from)


def test_a_member_of_ours_from_another_competition_tells_its_folds(tmp_path):
    write_ours(tmp_path, IDS, folds=sha256_of_array(OURS))
    assert kind_of(tmp_path, IDS, OURS) == PLAIN
    assert kind_of(tmp_path, IDS, OURS[::-1]) == OTHER_FOLDS


def test_the_same_deal_of_rows_in_another_order_makes_other_folds(tmp_path):
    write_ours(tmp_path, IDS[::-1], folds=sha256_of_array(OURS))
    assert kind_of(tmp_path, IDS, OURS) == OTHER_FOLDS


def test_a_blend_of_ours_is_not_nested(tmp_path):
    write_ours(tmp_path, IDS, folds=sha256_of_array(OURS), method="ridge")
    assert kind_of(tmp_path, IDS, OURS) == NOT_NESTED


def test_a_json_beside_an_array_is_not_one_of_ours(tmp_path):
    np.save(tmp_path / "oof.npy", np.zeros(4))
    write_json(tmp_path / "oof.json", {"folds": sha256_of_array(OURS), "models": "theirs"})
    assert kind_of(tmp_path, IDS, OURS) == UNKNOWN_FOLDS
    check_same_models(tmp_path)


def test_a_folds_file_that_does_not_fit_is_refused(tmp_path):
    folds_csv(tmp_path, [0, 0, 1], IDS[:3])
    with pytest.raises(ValueError, match=r"folds\.csv: .*\b1\D+4\D.*'a'"):
        kind_of(tmp_path, IDS, OURS)
    write_rows(tmp_path / "folds.csv", ["id"], [["a"]])
    with pytest.raises(ValueError, match=r"folds\.csv: .*\b1\b.*'id'"):
        kind_of(tmp_path, IDS, OURS)


# --- through the stage


@pytest.fixture
def blended(workplace, run, monkeypatch):
    """Two members that predict alike; blend what is named beside them; the board and what it said.

    Training is left out: what blend reads of a member is its files.
    """
    monkeypatch.setitem(leaderboard.__kwdefaults__, "n_bootstrap", 20)  # for speed
    settings = {"blend": {"methods": ["convex"]}, "metric": "rmse", "folds": {"n": 3}}
    config = write_competition(workplace, "regression", n_test=60, settings=settings)
    make_folds([str(config)])
    train = read_csv_as_text(workplace / "data/tiny/train.csv")
    y = train["target"].astype(float).to_numpy()[:, None]
    rng = np.random.default_rng(0)
    test = read_csv_as_text(workplace / "data/tiny/test.csv")
    ids = {"oof": train["id"].tolist(), "test": test["id"].tolist()}
    truth = {"oof": y, "test": rng.choice(y[:, 0], (60, 1))}
    for member in ("mean", "max"):
        for part in ids:
            noise = 0.7 * rng.normal(size=truth[part].shape)
            save_csv(
                workplace / "oof/tiny" / member, part, ids[part], ["target"], truth[part] + noise
            )
    monkeypatch.setattr(
        "pipeline.predictors.stack.check_made_for", lambda folder, part, expected: None
    )

    def blend(*external):
        said = run(config, "--blend.external", *external) if external else run(config)
        return read_csv_as_text(workplace / "oof/tiny/leaderboard.csv").set_index("name"), said

    blend.ids, blend.truth, blend.config = ids, truth, config
    return blend


def rival(blended, folder, save=save_csv, oof_noise=0.5, seed=1):
    rng = np.random.default_rng(seed)
    for part, noise in (("oof", oof_noise), ("test", 0.5)):
        values = blended.truth[part] + noise * rng.normal(size=blended.truth[part].shape)
        order = rng.permutation(len(values))
        ids = [blended.ids[part][i] for i in order]
        save(folder, part, ids, ["target"], values[order])


def test_every_form_gives_the_same_leaderboard(blended, workplace):
    boards = []
    for form in sorted(FORMS):
        rival(blended, workplace / form[1:] / "theirs", SAVE[form])
        board, _ = blended(f"{form[1:]}/theirs")
        boards.append(board.to_csv())
    assert boards[0] == boards[1] == boards[2]
    assert f'theirs,"{UNKNOWN_FOLDS}"' in boards[0]


def test_the_kind_stands_in_the_leaderboard_and_a_warning_says_what_it_means(blended, workplace):
    rival(blended, workplace / "theirs")
    board, said = blended("theirs")
    assert board["kind"]["theirs"] == UNKNOWN_FOLDS
    assert f"warning: theirs: {UNKNOWN_FOLDS}: " in said
    folds = read_csv_as_text(workplace / "folds/tiny.csv")
    folds_csv(workplace / "theirs", folds["fold"].replace({"0": "x"}), folds["id"])
    board, said = blended("theirs")  # as its folds are known now, the board is made again
    assert board["kind"]["theirs"] == "external"
    assert "warning" not in said


def test_predictors_of_one_kind_share_a_warning():
    oof = np.tile([0.25, 0.75], 20)[:, None, None].repeat(3, axis=1)
    kinds = [UNKNOWN_FOLDS, OTHER_FOLDS, UNKNOWN_FOLDS]
    stack = Stack(["a", "b", "c"], kinds, oof, oof[:30])
    _, lines = with_doubts(stack, Target.of(np.tile([0, 1], 20), "binary", "auc"))
    assert [line.partition(": ")[0] for line in lines] == ["b", "a, c"]


def test_a_blend_of_ours_may_be_blended_but_is_never_chosen_as_one(blended, workplace):
    blended()
    (workplace / "oof/tiny/blend_convex").rename(workplace / "level-1")
    board, said = blended("level-1")
    assert board["kind"]["level-1"] == NOT_NESTED
    assert board["chosen"]["level-1"] == "False"
    assert f"warning: level-1: {NOT_NESTED}: " in said


def test_rows_by_position_are_taken_in_the_order_of_the_tables(blended, workplace, refused, run):
    rival(blended, workplace / "a/theirs")
    expected, _ = blended("a/theirs")
    (workplace / "b/theirs").mkdir(parents=True)
    for part in ("oof", "test"):
        values = read_predictions(
            workplace / "a/theirs", part, blended.ids[part], ["target"], "regression"
        )
        np.save(workplace / f"b/theirs/{part}.npy", values)
    line = refused(blended.config, "--blend.external", "b/theirs")
    assert re.search(r"b/theirs/oof\.npy: .*align: position", line)
    external = [{"folder": "b/theirs", "align": "position"}]
    change_config(blend={"methods": ["convex"], "external": external})
    board, _ = blended()
    assert board.equals(expected)


def test_an_oof_that_saw_its_targets_is_named_with_the_numbers(blended, workplace):
    """On test rows it says nearly what our members say, on training rows what the targets say."""
    rival(blended, workplace / "theirs", oof_noise=0.05)
    ids = blended.ids["test"]
    ours = [
        read_predictions(workplace / "oof/tiny" / member, "test", ids, ["target"], "regression")
        for member in ("mean", "max")
    ]
    save_csv(workplace / "theirs", "test", ids, ["target"], np.mean(ours, axis=0))
    board, said = blended("theirs")
    assert board["kind"]["theirs"] == "external, folds unknown, suspicious"
    (line,) = [line for line in said.splitlines() if re.match("warning: theirs: .*%", line)]
    assert re.match(
        r"warning: theirs: .*\b\d+%.*\b\d+%.*\b\d+%.*\bz \d+\.\d.*\b0\.\d{4} rmse\b", line
    )
    _, again = blended("theirs")  # the leaderboard stands, and so does the doubt
    assert line in again


@pytest.mark.parametrize(("sign", "n_lines"), [(1, 0), (-1, 1)])
def test_an_oof_that_runs_against_the_target_is_told(blended, workplace, sign, n_lines):
    for part in ("oof", "test"):
        save_csv(
            workplace / "theirs", part, blended.ids[part], ["target"], sign * blended.truth[part]
        )
    _, said = blended("theirs")
    assert len(re.findall(r"^warning: theirs: .*-1\.00\b", said, re.MULTILINE)) == n_lines


@pytest.mark.parametrize(("n", "n_lines"), [(40, 0), (400, 1)])
def test_labels_of_few_rows_are_too_few_to_say_that_an_oof_runs_against_them(n, n_lines):
    y, oof = np.full((1000, 2), np.nan), np.tile([0.25, 0.75], 500)[:, None, None] * [[[1, 1]]]
    y[:, 0] = oof[:, 0, 0] > 0.5
    y[:n, 1] = (oof[:n, 0, 1] < 0.5) ^ (np.arange(n) % 10 < 3)  # a correlation of -.4
    stack = Stack(["theirs"], [PLAIN], oof, oof[:30])
    _, lines = with_doubts(stack, Target.of(y, "multilabel", "auc"))
    assert len(lines) == n_lines
