"""Artifacts: written whole or not at all, read literally, matched by id."""

import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.files.alignment import in_order_of
from pipeline.files.hashes import file_sha256, sha256_of_array, sha256_of_texts
from pipeline.files.reading import read_csv_as_text, read_json, text_cells
from pipeline.files.writing import folder_written_whole, write_csv, write_json, written_whole


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "run.json"
    with written_whole(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert names_in(path.parent) == ["run.json"]


def test_an_exception_half_way_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "run.json"
    path.write_text("old")

    def write_half():
        with written_whole(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["run.json"]


def test_an_object_that_is_no_json_leaves_the_old_file(tmp_path):
    path = tmp_path / "run.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError, match="set"):
        write_json(path, {"a": {1}})
    assert read_json(path) == {"a": 1}
    assert names_in(tmp_path) == ["run.json"]


def test_a_folder_replaces_a_filled_one_as_a_whole(tmp_path):
    path = tmp_path / "fold0"
    path.mkdir()
    (path / "old.csv").write_text("old")
    with folder_written_whole(path) as temporary:
        (temporary / "new.csv").write_text("new")
        assert names_in(path) == ["old.csv"]
    assert names_in(path) == ["new.csv"]
    assert names_in(tmp_path) == ["fold0"]


def test_an_exception_half_way_leaves_the_old_folder_and_nothing_else(tmp_path):
    path = tmp_path / "fold0"
    path.mkdir()
    (path / "old.csv").write_text("old")

    def write_half():
        with folder_written_whole(path) as temporary:
            (temporary / "new.csv").write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        write_half()
    assert names_in(path) == ["old.csv"]
    assert names_in(tmp_path) == ["fold0"]


def test_what_a_killed_process_left_of_a_folder_is_removed_by_the_next_try(tmp_path):
    left = tmp_path / ".fold0.0123abcd.tmp"
    other = tmp_path / ".fold1.0123abcd.tmp"
    left.mkdir()
    other.mkdir()
    (left / "weights").write_text("half")
    with folder_written_whole(tmp_path / "fold0"):
        pass
    assert names_in(tmp_path) == [".fold1.0123abcd.tmp", "fold0"]


def test_an_absent_json_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run\.json: "):
        read_json(tmp_path / "run.json")


def test_a_json_comes_back_as_it_was_written(tmp_path):
    content = {"name": "größe 数", "score": 0.1 + 0.2, "none": None, "many": [1, 2.5, "x"]}
    write_json(tmp_path / "run.json", content)
    assert read_json(tmp_path / "run.json") == content


def test_numbers_of_a_csv_keep_every_digit(tmp_path):
    values = np.array([0.1 + 0.2, 1e-17, 1 / 3, 123456789.123456789])
    write_csv(tmp_path / "oof.csv", pd.DataFrame({"p": values}))
    read = read_csv_as_text(tmp_path / "oof.csv")["p"].astype(float)
    assert (read == values).all()


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(rows=st.lists(st.tuples(cells, cells), max_size=10), header=st.tuples(cells, cells))
def test_any_text_comes_back_as_it_was_written(tmp_path_factory, rows, header):
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    write_csv(path, pd.DataFrame(rows, columns=pd.Index(header, dtype=object), dtype=object))
    read = read_csv_as_text(path)
    assert tuple(read.columns) == (header[0].removeprefix("\ufeff"), header[1])
    assert [tuple(row) for row in read.to_numpy()] == rows


def test_cells_stay_as_they_are_spelled():
    read = text_cells(b"id,text\n007,NA\n1e3,null\n1.0,\nTrue, nan \n", "t.csv")
    assert read["id"].tolist() == ["007", "1e3", "1.0", "True"]
    assert read["text"].tolist() == ["NA", "null", "", " nan "]


def test_quoted_line_breaks_quotes_and_commas_stay_in_their_cell():
    read = text_cells(b'id,text\r\n1,"a\r\nb"\r\n2,"say ""hi"", then"\r\n', "t.csv")
    assert read["text"].tolist() == ["a\r\nb", 'say "hi", then']


def test_blank_lines_are_no_rows():
    assert len(text_cells(b"id,text\n\n1,a\n\n\n2,b\n\n", "t.csv")) == 2


def test_columns_of_one_name_stay_apart():
    read = text_cells(b"id,id\n1,2\n", "t.csv")
    assert read.columns.tolist() == ["id", "id"]
    assert read.to_numpy().tolist() == [["1", "2"]]


def test_a_text_longer_than_the_csv_module_expects_is_read():
    long = "x" * 200_000
    assert text_cells(f"id,text\n1,{long}\n".encode(), "t.csv")["text"][0] == long


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"id,text\n1,caf\xe9\n", r"UTF-8.*\b13\b.*0xe9"),
        ("id,text\n1,a\n".encode("utf-16"), r"UTF-8.*\b0\b.*0xff"),
        (b"id,text\n1,a\0b\n", r"\b11\b.*NUL"),
        (b"id,text\n1,a\n2\n", r"line 3\b.*\b1\b.*\b2\b"),
        (b"id,text\n1,a,b\n", r"line 2\b.*\b3\b.*\b2\b"),
        (b'id,text\n1,"a\n2,b\n', r"line 3\b\D*\bquote"),
        (b'id,text\n1,"a"b"\n', r"line 2\b\D*\bquote"),
    ],
)
def test_a_broken_csv_is_named_with_its_place(content, said):
    with pytest.raises(ValueError, match=rf"^data/t\.csv: .*{said}"):
        text_cells(content, "data/t.csv")


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert file_sha256(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_where_a_text_ends_and_the_next_begins_counts_in_the_hash():
    hashes = {sha256_of_texts(t) for t in (["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], [])}
    assert len(hashes) == 5
    assert sha256_of_texts(["ab", "c"]) == sha256_of_texts(iter(["ab", "c"]))


def test_type_shape_and_numbers_of_an_array_count_in_the_hash_and_its_layout_does_not():
    array = np.arange(6).reshape(2, 3)
    hashes = {
        sha256_of_array(a) for a in (array, array.reshape(3, 2), array.astype(np.int32), array + 1)
    }
    assert len(hashes) == 4
    assert sha256_of_array(np.asfortranarray(array)) == sha256_of_array(array)


@given(ids=st.lists(st.text(max_size=3), unique=True), data=st.data())
def test_rows_are_found_by_id_in_whatever_order(ids, data):
    found = data.draw(st.permutations(ids))
    order = in_order_of(ids, found, "oof.csv", "make it again")
    assert [found[position] for position in order] == ids


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (["a", "b", "b", "c"], r"\D*'b'"),
        (["c"], r".*\b2\D+3\D.*'a'"),
        (["a", "b", "C"], r".*\b1\D+3\D.*'c'"),
        (["d", "a", "b", "c", "e"], r".*\b2\b.*'d'"),
    ],
)
def test_ids_that_differ_are_named_with_what_to_do(found, said):
    with pytest.raises(ValueError, match=rf"^oof\.csv: {said}.*make it again$"):
        in_order_of(["a", "b", "c"], found, "oof.csv", "make it again")


def test_ids_that_look_the_same_are_shown_by_their_code_points():
    for ids, found in ((["é"], ["e\u0301"]), (["e\u0301"], ["é"])):
        with pytest.raises(
            ValueError, match=rf"{re.escape(ascii(ids[0]))}.*{re.escape(ascii(found[0]))}"
        ):
            in_order_of(ids, found, "oof.csv", "make it again")
    with pytest.raises(ValueError, match="'é'.*'ü'"):
        in_order_of(["é"], ["ü"], "oof.csv", "make it again")


def test_a_byte_order_mark_does_not_move_the_place_of_a_bad_byte():
    with pytest.raises(ValueError, match=r"UTF-8.*\b8\b.*0xe9"):
        text_cells(b"\xef\xbb\xbfid\n1\n\xe9\n", "t.csv")


def test_a_bad_byte_is_named_by_its_place_in_the_whole_file():
    rows = b"id,text\n" + b"1,caf\xc3\xa9\n" * 100_000
    with pytest.raises(ValueError, match=rf"UTF-8.*\b{len(rows) + 2}\b.*0xff"):
        text_cells(rows + b"2,\xff\n", "t.csv")


def test_reading_takes_a_few_times_the_memory_that_the_file_does():
    text = "a text of ordinary length about the weather " * 5
    content = ("id,text\n1,😀\n" + f"2,{text}\n" * 23_000).encode()
    tracemalloc.start()
    try:
        read = text_cells(content, "t.csv")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert read["text"][0] == "😀"
    assert read["text"].iloc[-1] == text
    assert peak < 4 * len(content)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"id;text\n1;a, b\n", r"\b2\b.*\b1\b.*';'"),
        (b"id\ttext\n1\ta, b\n", r"\b2\b.*\b1\b.*'\\t'"),
        (b"text\na, b\n", r"\b2\b.*\b1\b.*','"),
        (b"a;b,id\n1,a,b\n", r"\b3\b.*\b2\b.*','"),
    ],
)
def test_a_file_that_is_separated_otherwise_is_told_so(content, said):
    with pytest.raises(ValueError, match=rf"^t\.csv: line 2\b.*{said}"):
        text_cells(content, "t.csv")


def test_a_tsv_that_is_separated_by_semicolons_is_to_be_saved_with_tabs():
    with pytest.raises(ValueError, match=r"^t\.tsv: line 2\b.*';'.*\btabs\b"):
        text_cells(b"id;text\n1;a\tb\n", "t.tsv", "\t")
