"""Files whose bytes are damaged: one line that names the file, whatever their decoder raises."""

import io
import struct
import zipfile

import numpy as np
import pytest

from pipeline.competition.tables import read_table
from pipeline.files.reading import read_json
from pipeline.predictors.external import FORMS


def npy_with_header(header: str) -> bytes:
    """An npy file of version 1 with this header and no data."""
    padded = header.ljust(118 - 10) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded.encode("latin1")


def damaged_zip(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("train.csv", "id,text\n" + "1,some text\n" * 500)
    content = bytearray(buffer.getvalue())
    content[45:75] = bytes(30)
    return bytes(content)


NPY = {
    "claims 10^12 rows": npy_with_header(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
    ),
    "a header that is no dict": npy_with_header("[1, 2"),
    "an unknown type": npy_with_header("{'descr': 'zz9', 'fortran_order': False, 'shape': (2,)}"),
    "cut short": npy_with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (5, 1)}"),
}


@pytest.mark.parametrize("name", NPY)
def test_a_damaged_array_is_one_line(tmp_path, name):
    (tmp_path / "oof.npy").write_bytes(NPY[name])
    with pytest.raises(ValueError, match=r"oof\.npy: .*np\.save"):
        FORMS[".npy"](tmp_path / "oof.npy", ["target"])


def test_a_single_number_is_no_array_of_predictions(tmp_path):
    np.save(tmp_path / "oof.npy", np.float64(0.5))
    with pytest.raises(ValueError, match=r"oof\.npy: .*\(\)"):
        FORMS[".npy"](tmp_path / "oof.npy", ["target"])


def test_ids_of_an_array_that_are_no_text_are_one_line(tmp_path):
    np.save(tmp_path / "oof.npy", np.array([0.5]))
    (tmp_path / "oof_ids.txt").write_bytes(b"\xff1")
    with pytest.raises(ValueError, match=r"oof_ids\.txt: .*UTF-8"):
        FORMS[".npy"](tmp_path / "oof.npy", ["target"])


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_zip_is_one_line(tmp_path, method):
    (tmp_path / "train.zip").write_bytes(damaged_zip(method))
    with pytest.raises(ValueError, match=r"train\.zip: .*unzip it$"):
        read_table(tmp_path / "train.zip")


@pytest.mark.parametrize("content", ["[" * 100_000, "{", "[1, 2]", '"text"', "\ud800", "9" * 5000])
def test_json_of_any_other_shape_is_one_line(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(ValueError, match=r"run\.json: .*make it again"):
        read_json(tmp_path / "run.json")
