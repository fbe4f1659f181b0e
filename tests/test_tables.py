"""Tables: every format gives the text that a CSV would hold, every broken file is named."""

import re
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from pipeline.competition.tables import FORMATS, column, open_table, read_table
from pipeline.files.dialect import Dialect
from pipeline.files.messages import first_few
from pipeline.files.reading import text_cells

CELLS = [["007", "NA"], ["7", ""], ["x,y", 'two\nlines "and" quotes'], ["ü", "null"]]
CSV = 'id,text\n007,NA\n7,\n"x,y","two\nlines ""and"" quotes"\nü,null\n'


def write(folder, ending):
    """The same table in the format of that ending."""
    path = folder / f"train{ending}"
    if ending == ".parquet":
        ids, texts = ([row[k] or None for row in CELLS] for k in (0, 1))
        pyarrow.parquet.write_table(pa.table({"id": ids, "text": texts}), path)
    elif ending == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("data/train.csv", CSV)
    else:
        path.write_text(CSV.replace("id,text", "id\ttext") if ending == ".tsv" else CSV)
        if ending == ".tsv":
            tabbed = CSV.replace("id,text", "id\ttext").replace("7,", "7\t").replace("ü,", "ü\t")
            path.write_text(tabbed.replace('","', '"\t"'))
    return path


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_every_format_gives_the_same_text(tmp_path, ending):
    table = read_table(write(tmp_path, ending))
    assert table.columns.tolist() == ["id", "text"]
    assert table.to_numpy().tolist() == CELLS


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_the_ending_may_be_in_capitals(tmp_path, ending):
    path = write(tmp_path, ending)
    assert len(read_table(path.rename(path.with_suffix(ending.upper())))) == len(CELLS)


def test_parquet_values_are_spelled_as_in_a_csv(tmp_path):
    path = tmp_path / "t.parquet"
    columns = {
        "whole": pa.array([1, None, 10**18]),
        "real": pa.array([0.1, float("nan"), 1.0]),
        "short": pa.array([0.1, None, 1e16], pa.float32()),
        "truth": pa.array([True, None, False]),
        "bytes": pa.array([b"caf\xc3\xa9", None, b""]),
        "key": pa.array([b"a1", None, b"b2"], pa.binary(2)),
        "category": pa.array(["a", None, "b"]).dictionary_encode(),
    }
    pyarrow.parquet.write_table(pa.table(columns), path)
    table = read_table(path)
    assert {name: table[name].tolist() for name in columns} == {
        "whole": ["1", "", "1000000000000000000"],
        "real": ["0.1", "", "1.0"],
        "short": ["0.1", "", "1e+16"],
        "truth": ["True", "", "False"],
        "bytes": ["café", "", ""],
        "key": ["a1", "", "b2"],
        "category": ["a", "", "b"],
    }


def test_a_zip_may_hold_a_tsv_and_what_macos_adds(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._train.tsv", "junk")
        archive.writestr("._train.csv", "junk")
        archive.writestr("data/._train.csv", "junk")
        archive.writestr("readme.txt", "junk")
        archive.writestr("train.tsv", "id\ttext\n1\ta, b\n")
    assert read_table(path).to_numpy().tolist() == [["1", "a, b"]]


@pytest.mark.parametrize(("names", "said"), [([], "none"), (["a.csv", "b.tsv"], r"a\.csv, b\.tsv")])
def test_a_zip_that_does_not_hold_one_table_is_named(tmp_path, names, said):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "id\n1\n")
    with pytest.raises(ValueError, match=rf"t\.zip: .*\.csv.*\.tsv.*\b{said}\b"):
        read_table(path)


def test_an_error_in_a_zipped_table_names_both(tmp_path):
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.csv", "id,text\n1\n")
    with pytest.raises(ValueError, match=r"t\.zip/train\.csv: line 2\b.*\b1\b"):
        read_table(path)


@pytest.mark.parametrize(("ending", "said"), [(".parquet", "Parquet"), (".zip", r"\bzip\b")])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04garbage", b"PAR1garbagePAR1", b"id,text\n"])
def test_garbage_is_named(tmp_path, ending, said, content):
    path = tmp_path / f"t{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"(?i)t\{ending}: .*{said}"):
        read_table(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04\x14\x00", "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel"),
        (b"PAR1\x15\x04", r"\.parquet"),
        (b"\x1f\x8b\x08\x00", "gunzip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html>\n<title>Sign in, please</title>\n", "web page"),
        (b"<?xml version='1.0'?>\n<Error/>", "XML"),
        (b'[{"id": 1, "text": "a"}]', "JSON"),
        (b'{\n  "id": 1}', "JSON"),
    ],
)
@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_a_file_of_another_kind_is_named_by_its_kind(tmp_path, ending, content, said):
    if (ending, content[:2]) in ((".zip", b"PK"), (".parquet", b"PA")):
        said = "cannot be read"  # the right kind, but damaged
    path = tmp_path / f"t{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"t\{ending}: .*{said}"):
        read_table(path)


def test_a_zipped_file_of_another_kind_is_named_too(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("train.csv", "<html><body>Log in, please</body></html>")
    with pytest.raises(ValueError, match=r"t\.zip/train\.csv: .*web page"):
        read_table(tmp_path / "t.zip")


def test_a_table_whose_first_name_looks_like_code_is_a_table(tmp_path):
    for name in ("<text>", "{text}", "[text]", "version", "PAR"):
        assert read_as(tmp_path, f"{name},id\na,1\n") == [["a", "1"]]


@pytest.mark.parametrize("ending", [".parquet", ".zip"])
def test_a_truncated_file_is_named(tmp_path, ending):
    path = write(tmp_path, ending)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=rf"(?i)train\{ending}: .*\b{ending[1:]}\b"):
        read_table(path)


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (b"caf\xe9", "utf-8"),
        (b"a\0b", "NUL"),
        (pa.scalar(2**62, pa.timestamp("us")), "CSV"),  # a year that no calendar has
    ],
)
def test_values_in_parquet_that_are_no_text_are_named(tmp_path, cell, said):
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pa.table({"text": [cell]}), path)
    with pytest.raises(ValueError, match=rf"t\.parquet: .*{said}"):
        read_table(path)


def test_an_ending_that_says_nothing_is_refused_with_those_that_do(tmp_path):
    with pytest.raises(ValueError, match=r"train\.xlsx: .*\.csv, \.parquet, \.tsv, \.zip"):
        read_table(tmp_path / "train.xlsx")


@pytest.mark.parametrize("ending", sorted(FORMATS))
def test_an_absent_table_is_named_with_its_setting(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    with pytest.raises(FileNotFoundError, match=rf"a\{ending}: .*data\.train"):
        open_table(str(path), "data.train")


def test_a_folder_is_no_table(tmp_path):
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(FileNotFoundError, match=r"a\.csv: a folder.*data\.train"):
        open_table(str(tmp_path / "a.csv"), "data.train")


def test_a_table_without_rows_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("id,text\n")
    with pytest.raises(ValueError, match=r"a\.csv: .*data\.test"):
        open_table(str(tmp_path / "a.csv"), "data.test")


def read_as(tmp_path, content, name="t.csv", **settings):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(tmp_path / name, Dialect(**settings)).to_numpy().tolist()


@pytest.mark.parametrize(
    ("name", "content", "separator"),
    [
        ("t.csv", "id;text\n1;a, b\n", ";"),
        ("t.csv", "id\ttext\n1\ta, b\n", "\t"),
        ("t.tsv", "id,text\n1,a, b\n".replace(", ", "; "), ","),
        ("t.csv", "id|text\n1|a, b\n", "|"),
    ],
)
def test_a_separator_that_the_ending_does_not_promise_is_a_setting(
    tmp_path, name, content, separator
):
    said = "tab" if separator == "\t" else re.escape(f'"{separator}"')
    with pytest.raises(ValueError, match=rf"t\.[ct]sv: .*data\.separator: {said}$"):
        read_as(tmp_path, content, name)
    (row,) = read_as(tmp_path, content, name, separator=separator)
    assert row[0] == "1"
    assert row[1].startswith("a")


def test_semicolons_where_no_text_has_a_comma_are_told_too(tmp_path):
    with pytest.raises(ValueError, match=r'id;text;target.*data\.separator: ";"$'):
        read_as(tmp_path, "id;text;target\n1;a;0\n2;b;1\n")


def test_a_table_whose_first_line_does_not_hold_the_separator_goes_by_its_ending(tmp_path):
    assert read_as(tmp_path, "id,target\n1,0\n", separator=";") == [["1", "0"]]


def test_a_lone_column_may_hold_any_separator_in_its_name_or_in_its_cells(tmp_path):
    assert read_as(tmp_path, "text\na; b\n") == [["a; b"]]
    assert read_as(tmp_path, "text; cleaned\na b\n") == [["a b"]]


def test_a_line_of_blanks_is_no_row_unless_the_only_column_holds_texts(tmp_path):
    assert read_as(tmp_path, " \nid,text\n1,a\n\t \n2,b\n  \n") == [["1", "a"], ["2", "b"]]
    assert read_as(tmp_path, "text\n \na\n") == [[" "], ["a"]]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-32"])
def test_a_byte_order_mark_says_the_encoding(tmp_path, encoding):
    assert read_as(tmp_path, "id,text\n1,café\n".encode(encoding)) == [["1", "café"]]


def test_an_encoding_is_a_setting_and_the_complaint_names_it(tmp_path):
    content = "id,text\n1,café\n"
    with pytest.raises(ValueError, match=r"\b13\b.*0xe9.*data\.encoding"):
        read_as(tmp_path, content.encode("cp1252"))
    assert read_as(tmp_path, content.encode("cp1252"), encoding="cp1252") == [["1", "café"]]
    with pytest.raises(ValueError, match=r"line 1\b.*NUL.*data\.encoding: utf-16-le"):
        read_as(tmp_path, content.encode("utf-16-le"))
    assert read_as(tmp_path, content.encode("utf-16-le"), encoding="utf-16-le") == [["1", "café"]]
    for name in ("utf-16", "utf16"):  # of another table
        assert read_as(tmp_path, b"id,text\n1,a\n", encoding=name) == [["1", "a"]]
    with pytest.raises(ValueError, match=r"t\.csv: not ascii.*data\.encoding"):
        read_as(tmp_path, content, encoding="ascii")


def test_a_lone_nul_is_named_with_its_line_and_a_way_to_remove_it(tmp_path):
    with pytest.raises(ValueError, match=r"line 3\b.*NUL; .*\btr -d '.000'"):
        read_as(tmp_path, "id,text\n1,a\n2,b\0c\n3,d\n")


@pytest.mark.parametrize("content", [b"", b"id,text\n1,a\n2,b"])
def test_nuls_at_the_end_are_a_copy_that_broke_off(tmp_path, content):
    with pytest.raises(ValueError, match=r"\b500 bytes\b.*\bagain$"):
        read_as(tmp_path, content + bytes(500))


@pytest.mark.parametrize(
    "text", ["编号很长的中文文本在这里没有空格", "длинный текст", "日本語の文が　ここにある"]
)
def test_utf_16_without_a_mark_is_told_in_any_alphabet(tmp_path, text):
    content = "id,text\n" + "".join(f"{row},{text}\n" for row in range(100))
    for encoding in ("utf-16-le", "utf-16-be"):
        with pytest.raises(ValueError, match=rf"data\.encoding: {encoding}$"):
            read_as(tmp_path, content.encode(encoding))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("id,text\n1,a,\n2,b,\n", r"line 2\b.*\bthat line\b.*\b1 ',' too many"),
        ("id,text,,\n1,a\n", r"line 2\b.*\bfirst line\b.*\b2 ',' too many"),
        ("id,text\n1,a,b\n", r"line 2\b.*double quotes\b"),
        ("sep=,\nid,text,target\n1,a,2\n", r"line 2\b.*\bfirst line if\b"),
        ("id,text\n1\n", r"line 2\b.*double quotes$"),
    ],
)
def test_trailing_separators_are_told_from_cells_that_hold_one(tmp_path, content, said):
    with pytest.raises(ValueError, match=said):
        read_as(tmp_path, content)


# --- lone double quotes


def unquoted(order, delimiter="\t", opens=3, closes=6):
    """Ten rows of the columns in that order, as a tool writes them that knows no quoting."""
    lines = [delimiter.join(order)]
    for k in range(10):
        text = f"text no {k}"
        text = f'"{text}' if k == opens else f'{text}"' if k == closes else text
        cells = {"id": f"a{k}", "text": text, "target": f"{k % 2}"}
        lines.append(delimiter.join(cells[name] for name in order))
    return "\n".join(lines) + "\n"


ORDERS = [
    ("id", "text", "target"),
    ("id", "target", "text"),
    ("text", "id", "target"),
    ("id", "text"),
    ("text", "target"),
]


@pytest.mark.parametrize("delimiter", ["\t", ","])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("closes", [4, 6])
def test_rows_between_two_lone_quotes_are_not_swallowed(tmp_path, order, delimiter, closes):
    name = "t.tsv" if delimiter == "\t" else "t.csv"
    content = unquoted(order, delimiter, 3, closes)
    said = rf"line 5\b.*\b{closes - 2} rows\b.*data\.quoting: none\b.*\bcsv\b"
    with pytest.raises(ValueError, match=said):
        read_as(tmp_path, content, name)
    assert len(read_as(tmp_path, content, name, quoting="csv")) == 10 - closes + 3
    rows = read_as(tmp_path, content, name, quoting="none")
    assert len(rows) == 10
    assert rows[3][order.index("text")] == '"text no 3'
    assert rows[closes][order.index("text")] == f'text no {closes}"'


@pytest.mark.parametrize("name", ["t.tsv", "t.csv"])
def test_rows_are_missed_although_one_of_their_cells_is_like_no_other(tmp_path, name):
    delimiter = "\t" if name == "t.tsv" else ","
    content = unquoted(("id", "text", "target"), delimiter, 2, 8)
    content = content.replace(f"no 5{delimiter}1", f"no 5{delimiter}not known")
    with pytest.raises(ValueError, match=r"line 4\b.*\b7 rows\b"):
        read_as(tmp_path, content, name)


@pytest.mark.parametrize("opens", [3, 9])
def test_a_lone_quote_that_nothing_closes_names_the_setting(tmp_path, opens):
    content = unquoted(("id", "text", "target"), opens=opens, closes=99)
    with pytest.raises(ValueError, match=r"\bline\b.*data\.quoting: none"):
        read_as(tmp_path, content, "t.tsv")
    assert len(read_as(tmp_path, content, "t.tsv", quoting="none")) == 10


def test_a_lone_carriage_return_in_a_cell_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"line 3\b.*carriage return"):
        read_as(tmp_path, "id,text,target\n1,a,0\n2,b\rc,1\n", "t.csv")
    assert len(read_as(tmp_path, "id,text,target\r1,a,0\r2,c,1\r", "t.csv")) == 2


def test_quotes_after_backslashes_are_told_with_a_way_to_read_them(tmp_path):
    content = '"id"\t"text"\n"1"\t"the \\"way\\" home"\n'
    with pytest.raises(ValueError, match="escapechar"):
        read_as(tmp_path, content, "t.tsv")


def test_a_quoted_text_of_several_lines_with_commas_is_a_text(tmp_path):
    texts = ["Dear all,\nyours, me", "a, b\nc, d", "one\n\ntwo", "7\n8,5", "x,y\n1,z"]
    lines = [f'{k},"{text}",{k % 2}' for k, text in enumerate(texts)]
    rows = read_as(tmp_path, "id,text,target\n" + "\n".join([*lines, "90,a b,1", "91,c,0"]))
    assert [row[1] for row in rows[:5]] == texts


@pytest.fixture
def table(tmp_path):
    (tmp_path / "a.csv").write_text("id,text,label,label,,\n1,a,b,c,,\n")
    return read_table(tmp_path / "a.csv")


def test_unused_columns_may_share_a_name(table):
    assert column(table, "text", "a.csv", "data.text") == ["a"]


def test_a_missing_column_is_an_error_that_names_the_nearest(table):
    with pytest.raises(ValueError, match=r"a\.csv: .*'txt'.*data\.text.*'text'.*'id', 'text'"):
        column(table, "txt", "a.csv", "data.text")


def test_a_missing_column_that_is_like_no_other_is_shown_what_is_there():
    table = pd.DataFrame({"id": ["1"], "label": ["0"]})
    with pytest.raises(ValueError, match=r"a\.csv: .*'xyz'.*data\.text.*'id', 'label'"):
        column(table, "xyz", "a.csv", "data.text")


def test_a_used_column_must_be_the_only_one_of_its_name(table):
    with pytest.raises(ValueError, match=r"a\.csv: .*\b2\b.*'label'"):
        column(table, "label", "a.csv", "data.target")


def test_a_message_shows_the_first_few_names_and_their_number():
    assert first_few(["a", "b"]) == "'a', 'b'"
    assert re.match(r"'0', '1', '2', '3', '4', '5'\D+9\b", first_few([str(k) for k in range(9)]))
    essay = "It was a dark night. " * 99  # of a table whose first line names no columns
    assert len(first_few([essay, "1"])) < 100
    with pytest.raises(ValueError, match=r"data\.separator") as error:
        text_cells(essay.replace(" ", ";").encode(), "train.csv", dialect=Dialect())
    assert len(str(error.value)) < 250
