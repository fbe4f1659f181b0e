"""The first bytes of files that are not the tables that their names promise."""

import re

N_BYTES = 256  # that are enough to recognise every kind

# (pattern, what the file is, what to do)
SIGNATURES = [
    (rb"PK\x03\x04", "an Excel file or a zip archive", "save the sheet as CSV, or name it .zip"),
    (rb"\xd0\xcf\x11\xe0", "an old Excel file", "save the sheet as CSV"),
    (rb"PAR1", "a Parquet file", "name it .parquet"),
    (rb"\x1f\x8b", "compressed by gzip", "unpack it with gunzip"),
    (rb"BZh[1-9]", "compressed by bzip2", "unpack it with bunzip2"),
    (rb"\xfd7zXZ", "compressed by xz", "unpack it with unxz"),
    (rb"7z\xbc\xaf|Rar!", "an archive", "unpack it"),
    (rb"%PDF", "a PDF", "save the table as CSV"),
    (rb"\x00\x05\x16[\x00\x07]", "what macOS keeps beside a file", "name the file without ._"),
    (rb"version https://git-lfs", "a pointer of Git LFS", "fetch the file with git lfs pull"),
    (
        rb"(?i)\s*<(!doctype|html|head|body|\?xml)\b",
        "a web page or XML",
        "download the table itself; the site may ask you to log in first",
    ),
    (rb'\s*[\[{]\s*[\[{"]', "JSON", "save it as CSV"),
]
OWN = {".parquet": b"PAR1", ".zip": b"PK"}  # first bytes of the kinds that are not text


def refuse_other_kind(start: bytes, where: str, ending: str) -> None:
    """Raise a ValueError if a file begins as one of another kind does.

    Args:
        start: the first `N_BYTES` of the file.
        ending: of its name, such as .csv.
    """
    if ending in OWN and start.startswith(OWN[ending]):
        return
    start = start.removeprefix(b"\xef\xbb\xbf")
    for pattern, kind, remedy in SIGNATURES:
        if re.match(pattern, start):
            raise ValueError(f"{where}: is {kind}, not {ending}; {remedy}")
