"""Stamps: what a file was made from, and whether it is current."""

from pathlib import Path

import pytest

from pipeline.files.stamp import is_current, read_stamp, require_current, written_with_stamp

MADE_FROM = {"texts": "a" * 64, "folds.n": 5, "predictors": {"mean": ["x"], "max": ["y"]}}


@pytest.fixture
def path(tmp_path):
    """A file with a stamp."""
    return write(tmp_path / "oof.csv")


def write(path: Path, made_from=MADE_FROM, text="1,2\n", **about) -> Path:
    with written_with_stamp(path, made_from, **about) as temporary:
        temporary.write_text(text)
    return path


def changed(**changes):
    return {**MADE_FROM, **{name.replace("_", "."): value for name, value in changes.items()}}


def test_a_file_is_current_while_nothing_changed(path):
    assert path.read_text() == "1,2\n"
    assert is_current(path, MADE_FROM)
    assert require_current(path, MADE_FROM, "again").made_from == MADE_FROM


def test_what_its_maker_keeps_beside_it_comes_back(tmp_path):
    stamp = read_stamp(write(tmp_path / "board.csv", expected={"score": 0.5}))
    assert stamp.about == {"expected": {"score": 0.5}}


@pytest.mark.parametrize("made_from", [changed(folds_n=4), changed(more=1), {"folds.n": 5}])
def test_a_file_made_from_anything_else_is_not_current(path, made_from):
    assert not is_current(path, made_from)


@pytest.mark.parametrize(
    ("made_from", "said"),
    [
        (changed(folds_n=4), r"folds\.n\b.*\b5\b.*\b4\b"),
        (changed(texts="b" * 64), r"\btexts\b"),
        (changed(predictors={"mean": ["x"], "max": ["z"]}), "predictors.*'max'"),
        (changed(predictors={"mean": ["x"]}), r"predictors \['mean', 'max'\].*\['mean'\]"),
    ],
)
def test_the_first_thing_that_changed_is_named_with_the_remedy(path, made_from, said):
    with pytest.raises(ValueError, match=rf"oof\.csv: .*{said}.*run blend again"):
        require_current(path, made_from, "run blend again")


def test_only_what_is_asked_for_is_required(path):
    assert require_current(path, {"folds.n": 5}, "again")


def test_what_is_asked_for_and_not_on_record_is_missing(path):
    with pytest.raises(ValueError, match=r"oof\.csv: .*\bseed\b.*\bnull\b.*\b7\b"):
        require_current(path, {"folds.n": 5, "seed": 7}, "again")


def test_no_record_of_its_maker_hides_what_the_file_was_made_from(tmp_path):
    about = {"sha256": "other", "version": "other"}
    assert is_current(write(tmp_path / "board.csv", **about), MADE_FROM)


def test_a_kill_between_stamp_and_file_leaves_no_file(path, monkeypatch):
    """The old file would pass for the new one, had both the same content."""

    def killed(*_):
        raise KeyboardInterrupt("killed")

    monkeypatch.setattr("os.replace", lambda _, to: killed() if Path(to) == path else None)
    with pytest.raises(KeyboardInterrupt, match="killed"):
        write(path, changed(folds_n=4))
    assert not path.exists()


def test_a_file_changed_by_hand_is_neither_current_nor_accepted(path):
    path.write_text("1,3\n")
    assert not is_current(path, MADE_FROM)
    with pytest.raises(ValueError, match=r"oof\.csv: .*again"):
        require_current(path, MADE_FROM, "again")


def test_another_version_of_ours_makes_a_file_again_but_does_not_refuse_it(path, monkeypatch):
    monkeypatch.setattr("pipeline.files.stamp.__version__", "0.0.1")
    assert not is_current(path, MADE_FROM)
    assert require_current(path, MADE_FROM, "again")


@pytest.mark.parametrize("gone", ["oof.csv", "oof.json"])
def test_a_file_without_its_stamp_is_not_there_and_neither_is_a_stamp_alone(path, gone):
    path.with_name(gone).unlink()
    assert read_stamp(path) is None
    assert not is_current(path, MADE_FROM)
    with pytest.raises(FileNotFoundError, match=r"oof\.csv: .*again"):
        require_current(path, MADE_FROM, "again")


@pytest.mark.parametrize("content", ['{"models": "theirs"}', '[{"id": 1}]', '{"id": 1}\n{"id": 2}'])
def test_a_json_of_someone_elses_is_no_stamp(path, content):
    path.with_suffix(".json").write_text(content)
    assert read_stamp(path) is None


def test_a_writer_that_fails_leaves_the_old_file_current(path):
    with pytest.raises(RuntimeError, match="disk"), written_with_stamp(path, {}):
        raise RuntimeError("disk")
    assert is_current(path, MADE_FROM)
    assert {p.name for p in path.parent.iterdir()} == {"oof.csv", "oof.json"}


def test_the_hash_is_of_what_was_written_and_not_of_what_lies_there(tmp_path, monkeypatch):
    from pipeline.files import stamp

    def slow(path, content):
        path.with_suffix(".csv").write_text("another run's\n")
        original(path, content)

    original = stamp.write_json
    monkeypatch.setattr(stamp, "write_json", slow)
    path = write(tmp_path / "oof.csv")
    assert path.read_text() == "1,2\n"
    assert is_current(path, MADE_FROM)
