"""Malformed input in two hundred variants: one clear line and exit code 2, nothing written.

A variant is a valid competition with one defect, so that it is certainly malformed. Each strategy
draws a `Variant`; every stage that reads the training table refuses those of `ANYWHERE`, and
prepare refuses the others.
"""

import contextlib
import csv
import io
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import MAKERS, read_rows, write_competition
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import make_folds, prepare
from pipeline.competition.targets import as_number
from pipeline.scoring.metrics import METRICS
from pipeline.settings.blend import Blend
from pipeline.settings.config import Config, Folds, Jobs, Submit
from pipeline.settings.data import Data
from pipeline.settings.fine_tuning import TRAINER_KEYS
from pipeline.settings.members import Member
from pipeline.settings.members import Training as TrainingSection
from pipeline.settings.section import TAKEN

YAML = "configs/tiny.yaml"
TABLES = {name: f"data/tiny/{name}.csv" for name in ("train", "test", "sample_submission")}
SECTIONS = {
    "": Config,
    "data": Data,
    "folds": Folds,
    "training": TrainingSection,
    "blend": Blend,
    "submit": Submit,
    "jobs": Jobs,
    "members": Member,
}


@dataclass
class Variant:
    """A competition of `task`, broken by `change`, which is called in its folder."""

    task: str
    what: str
    change: Callable[[], None] = lambda: None
    words: list[str] = field(default_factory=list)

    def __repr__(self) -> str:  # what hypothesis shows of a failure
        return f"{self.task}: {self.what} {self.words}"


@cache
def template(task: str) -> Path:
    folder = Path(tempfile.mkdtemp())
    write_competition(folder, task, n_rows=30, n_test=10)
    return folder


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("[!.]*") if path.is_file()}


def check(stage: Callable[[list[str]], None], variant: Variant) -> None:
    """Run the stage on the variant: one line, exit code 2, no file made or changed."""
    out, err = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        shutil.copytree(template(variant.task), name, dirs_exist_ok=True)
        variant.change()
        before = contents(Path())
        with (
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as caught,
        ):
            stage([YAML, *variant.words])
        assert contents(Path()) == before
    assert caught.value.code == 2
    assert err.getvalue().startswith("error: ")
    assert err.getvalue().endswith("\n")
    assert err.getvalue()[:-1].isprintable()
    assert len(err.getvalue()) < 600
    assert "Traceback" not in out.getvalue() + err.getvalue()


# --- changes of a file


def change_settings(change: Callable[[dict[str, Any]], None]) -> None:
    loaded = yaml.safe_load(Path(YAML).read_text())
    change(loaded)
    Path(YAML).write_text(yaml.safe_dump(loaded, sort_keys=False))


def put(loaded: dict[str, Any], dotted: str, value: object) -> None:
    """Set a setting; `members` stands for the first member."""
    *outer, key = dotted.split(".")
    for part in outer:
        loaded = loaded["members"][0] if part == "members" else loaded.setdefault(part, {})
    loaded[key] = value


def setting(task: str, dotted: str, value: object) -> Variant:
    what = f"{dotted} set to {value!r}"
    return Variant(task, what, lambda: change_settings(lambda c: put(c, dotted, value)))


def change_rows(path: str, change: Callable[[list[list[str]]], object]) -> None:
    """Change the lines of a table, the header being the first."""
    header, rows = read_rows(Path(path))
    lines = [header, *rows]
    change(lines)
    with Path(path).open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(lines)


def insert(path: str, at: float, new: bytes) -> None:
    content = Path(path).read_bytes()
    cut = int(at * len(content))
    Path(path).write_bytes(content[:cut] + new + content[cut:])


# --- the YAML

tasks = st.sampled_from(sorted(MAKERS))
share = st.floats(0, 1)
words = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), words, st.lists(words), st.just({})
)
not_text = st.one_of(st.none(), st.booleans(), st.floats(), st.just([]), st.dates(), st.just({}))
not_number = st.one_of(
    st.none(), st.booleans(), words.map("x".__add__), st.just([]), st.just(float("nan"))
)
not_number_or_null = not_number.filter(lambda value: value is not None)
not_list = not_number.filter(lambda value: value != [])
not_names = not_list.filter(
    lambda value: not isinstance(value, str)
)  # a word is a list of one name
BAD_VALUES = {
    "competition": not_text | st.sampled_from(["", "A", "a b", "a/b", "..", "ü", "a\n", *TAKEN]),
    "task": not_text | words,
    "metric": not_text | words.filter(lambda word: word not in METRICS),
    "data": not_number | st.integers(),
    "data.train": not_text | st.integers(),
    "data.id": st.one_of(
        st.booleans(), st.floats(), st.just({}), st.just({"train": "id"}), st.just(["id"])
    ),
    "data.separator": st.sampled_from(["", ";;", '"', "\n"]) | st.booleans(),
    "data.quoting": not_text.filter(lambda value: value is not None) | words.map("x".__add__),
    "data.encoding": st.sampled_from(["", "utf-99", "base64", "rot13", "\0"]) | st.floats(),
    "data.classes": not_text | words.map("x".__add__),
    "data.text": not_text | st.lists(words, min_size=3, unique=True) | st.just(["id"]),
    "data.target": not_text | st.just(["text"]) | st.just(["target", "target"]),
    "data.group": st.one_of(st.booleans(), st.floats(), st.just([])),
    "data.train_rows": st.booleans() | st.integers(max_value=1) | words | st.just(2.5),
    "folds": not_number | st.integers(),
    "folds.scheme": not_text | words.filter(lambda word: word not in ("kfold", "stratified")),
    "folds.n": not_number | st.integers(max_value=1),
    "folds.seed": not_number | st.integers(max_value=-1),
    "folds.path": not_text.filter(lambda value: value is not None) | words,
    "backbone": not_text,
    "seed": not_number | st.integers(max_value=-1),
    "training": not_number | st.integers(),
    "training.epochs": not_number_or_null | st.floats(max_value=0),
    "training.batch_size": not_number_or_null | st.integers(max_value=0),
    "training.learning_rate": not_number_or_null | st.floats(max_value=0),
    "training.warmup": not_number | st.floats(min_value=1),
    "training.max_length": not_number | st.integers(max_value=3),
    "training.freeze_embeddings": st.none() | st.integers(2) | words.map("x".__add__),
    "training.trainer": not_number | st.sampled_from(sorted(TRAINER_KEYS)).map(lambda k: {k: 1}),
    "members": not_number | st.integers() | st.just([{}]) | st.just([{"pooling": "mean"}] * 2),
    "members.name": st.sampled_from(["", "A", "a/b", "blend_x", "max", ".", *TAKEN]) | not_text,
    "members.seed": not_number | st.integers(max_value=-1) | st.integers(min_value=2**32),
    "members.options": not_number | words,
    "blend.methods": not_names | st.just([["mean"]]),
    "blend.postprocessing": not_names | st.just([["clip"]]),
    "blend.external": not_list | st.lists(st.sampled_from(["oof/max", "A b", ".."]), min_size=1),
    "submit.as": not_text | words.map("x".__add__),
    "jobs.n_jobs": st.booleans() | st.integers(max_value=0) | words.map("x".__add__),
    "jobs.backend": not_text,
}


@st.composite
def bad_values(draw: st.DrawFn) -> Variant:
    dotted = draw(st.sampled_from(sorted(BAD_VALUES)))
    return setting(draw(tasks), dotted, draw(BAD_VALUES[dotted]))


@st.composite
def unknown_keys(draw: st.DrawFn) -> Variant:
    name = draw(st.sampled_from(sorted(SECTIONS)))
    known = [inner.alias or key for key, inner in SECTIONS[name].model_fields.items()]
    right, at = draw(st.sampled_from(known)), draw(share)
    cut = int(at * len(right))
    typo = draw(st.sampled_from([right[:cut] + right[cut + 1 :], right[:cut] + "x" + right[cut:]]))
    key = draw(st.sampled_from([typo, right.upper(), right + " "]) | words)
    if key in ("", *known):
        key += "_x"
    return setting(draw(tasks), f"{name}.{key}".strip("."), draw(anything))


@st.composite
def missing_keys(draw: st.DrawFn) -> Variant:
    needed = ["competition", "task", "metric", "backbone", "members", "data"]
    dotted = draw(st.sampled_from([*needed, *(f"data.{name}" for name in TABLES)]))
    *section, key = dotted.split(".")

    def remove(loaded: dict[str, Any]) -> None:
        del (loaded["data"] if section else loaded)[key]

    return Variant(draw(tasks), f"without {dotted}", lambda: change_settings(remove))


@st.composite
def contradictions(draw: st.DrawFn) -> Variant:
    task = draw(tasks)
    unfit = sorted(name for name, metric in METRICS.items() if task not in metric.tasks)
    pairs = [
        ("metric", draw(st.sampled_from(unfit))),
        ("folds", {"scheme": "group"}),
        ("folds", {"scheme": "file"}),
        ("folds", {"scheme": "file", "path": "own.csv", "n": 3}),
        ("folds", {"path": "own.csv"}),
    ]
    pairs += [("data.positive", "yes")] if task != "binary" else [("data.positive", "maybe")]
    return setting(task, *draw(st.sampled_from(pairs)))


@st.composite
def names_of_nothing(draw: st.DrawFn) -> Variant:
    """What only prepare looks up before it is needed."""
    name = draw(words).ljust(4, "x")
    pairs = [
        ("backbone", f"./{name}"),
        ("backbone", f"a/b/{name}"),
        ("blend.external", [f"a/{name}"]),
        ("blend.methods", [f"x{name}"]),
        ("blend.methods", f"x{name}"),
        ("blend.postprocessing", [f"x{name}"]),
        ("blend.postprocessing", f"x{name}"),
        ("folds", {"scheme": "file", "path": f"{name}.csv"}),
        ("members.pooling", f"x{name}"),
        ("members.options", {f"x{name}": 1}),
        ("data.test", f"{name}.csv"),
        ("data.sample_submission", f"data/{name}.tsv"),
    ]
    return setting(draw(tasks), *draw(st.sampled_from(pairs)))


@st.composite
def columns_of_nothing(draw: st.DrawFn) -> Variant:
    key = draw(st.sampled_from(["id", "text", "target", "group", "train"]))
    return setting(draw(tasks), f"data.{key}", draw(words).ljust(4, "x") + "_nowhere")


@st.composite
def broken_yaml(draw: st.DrawFn) -> Variant:
    """Bytes, syntax, a repeated key, a file cut short or replaced."""
    task = draw(tasks)
    kind = draw(st.sampled_from(["bytes", "syntax", "twice", "cut", "replaced"]))
    at = draw(share)
    if kind == "bytes":
        bad = bytes([draw(st.sampled_from([0, 1, 7, 11, 12, 27, 127, 128, 169, 192, 254, 255]))])
        return Variant(task, f"{bad!r} at {at:.0%} of the YAML", lambda: insert(YAML, at, bad))
    if kind == "syntax":
        lines = ["a: [", "{", "'", '"x', "a: b: c", "- x", "seed: *x", "@x", "a: `x", "a:\n\t- b"]
        lines += [
            "seed: 2020-99-99",
            "? [a]\n: b",
            "seed: !!python/name:os.system",
            "--- a",
            "1: 2",
        ]
        line = draw(st.sampled_from(lines))
        return Variant(task, f"YAML with {line!r}", lambda: insert(YAML, 1, f"{line}\n".encode()))
    if kind == "twice":
        key = draw(st.sampled_from(["competition", "task", "metric", "data", "folds", "members"]))
        line = f"{key}: {draw(words)}\n".encode()
        return Variant(task, f"YAML with {key} twice", lambda: insert(YAML, 1, line))
    if kind == "cut":

        def cut() -> None:  # the members come last
            content = Path(YAML).read_bytes()
            Path(YAML).write_bytes(content[: int(at * content.index(b"members"))])

        return Variant(task, f"YAML cut at {at:.0%}", cut)
    content = draw(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
    return Variant(task, f"YAML is {content!r}", lambda: void(Path(YAML).write_bytes(content)))


def void(_: object) -> None:
    """For a lambda that is to return nothing."""


@st.composite
def bad_command_lines(draw: st.DrawFn) -> Variant:
    lines = [
        ["--sed", "1"],
        ["--seed"],
        ["--seed", "one"],
        ["--members", "men"],
        ["--members"],
        ["--folds.n", "1"],
        ["--training.trainer", "{a"],
        ["--training.epochs", "nan"],
        ["--data.text"],
        ["--data.train_rows", "1"],
        ["--data.train", "a\nb.csv"],
        ["--data.train", "x" * 300 + ".csv"],
        ["--data.train", "\0.csv"],
        ["--competition", "A\nb"],
        ["--predictor", "mean"],
        ["a", "b"],
    ]
    chosen = draw(st.sampled_from(lines) | words.map(lambda word: [f"--x{word}"]))
    return Variant(draw(tasks), "command line", words=chosen)


# --- the tables


def broken_table(names: list[str]) -> st.SearchStrategy[Variant]:
    """What is wrong with a table whatever it holds."""

    @st.composite
    def variants(draw: st.DrawFn) -> Variant:
        task, name = draw(tasks), draw(st.sampled_from(names))
        path, at = TABLES[name], draw(share)
        row = draw(st.integers(1, 10))
        changes: dict[str, Callable[[], object]] = {
            "is missing": lambda: Path(path).unlink(),
            "is a folder": lambda: (Path(path).unlink(), Path(path).mkdir()),
            "is empty": lambda: Path(path).write_bytes(b""),
            "is blank": lambda: Path(path).write_bytes(b"\n\r\n\n"),
            "has a header only": lambda: change_rows(
                path, lambda rows: rows.__delitem__(slice(1, None))
            ),
            "has no header": lambda: change_rows(path, lambda rows: rows.pop(0)),
            "holds a NUL": lambda: insert(path, at, b"\0"),
            "is not UTF-8": lambda: insert(path, at, b"\xe9"),
            "is UTF-16 without a mark": lambda: encode(path, "utf-16-le"),
            "has a short row": lambda: change_rows(path, lambda rows: rows[row].pop()),
            "has a long row": lambda: change_rows(path, lambda rows: rows[row].append("x")),
            "is cut in a row": lambda: cut_in_row(path, row, at),
            "has an open quote": lambda: open_quote(path, row),
            "has the id twice": lambda: change_rows(path, lambda rows: twice(rows)),
            "has no id column": lambda: change_rows(path, lambda rows: drop(rows, 0)),
            "has another id column": lambda: change_rows(path, lambda rows: rename(rows, 0)),
            "has a repeated id": lambda: change_rows(path, lambda rows: copy_id(rows, row)),
            "has an empty id": lambda: change_rows(path, lambda rows: set_id(rows, row, "")),
            "has a blank id": lambda: change_rows(path, lambda rows: set_id(rows, row, " \t")),
        }
        what = draw(st.sampled_from(sorted(changes)))
        return Variant(task, f"{path} {what} ({row}, {at:.0%})", lambda: void(changes[what]()))

    return variants()


def encode(path: str, encoding: str) -> None:
    Path(path).write_bytes(Path(path).read_text().encode(encoding))


def cut_in_row(path: str, row: int, at: float) -> None:
    """Cut the file within a row, somewhere up to its last comma."""
    lines = Path(path).read_text().splitlines()
    last = lines[row].rindex(",")
    Path(path).write_text("\n".join([*lines[:row], lines[row][: max(1, int(at * last))]]))


def open_quote(path: str, row: int) -> None:
    lines = Path(path).read_text().splitlines()
    lines[row] = '"' + lines[row]
    Path(path).write_text("\n".join(lines) + "\n")


def twice(rows: list[list[str]]) -> None:
    """A second column called id; for a sample, a column that is none of the predicted."""
    rows[0].append("id")
    for cells in rows[1:]:
        cells.append("0.5")


def drop(rows: list[list[str]], at: int) -> None:
    for cells in rows:
        del cells[at]


def rename(rows: list[list[str]], at: int) -> None:
    rows[0][at] += "_other"


def set_id(rows: list[list[str]], row: int, name: str) -> None:
    rows[row][0] = name


def copy_id(rows: list[list[str]], row: int) -> None:
    rows[row][0] = rows[row - 1 if row > 1 else 2][0]


@st.composite
def other_formats(draw: st.DrawFn) -> Variant:
    """A name that promises another format than the file has."""
    name = draw(st.sampled_from(sorted(TABLES)))
    ending = draw(st.sampled_from([".parquet", ".zip", ".xlsx", ".csv.gz", "", ".tsv"]))
    content = draw(st.binary(max_size=80) | st.just(b"id,text,target\n1,a,2\n"))
    path = f"data/tiny/other{ending}"

    def change() -> None:
        Path(path).write_bytes(content)
        change_settings(lambda loaded: put(loaded, f"data.{name}", path))

    return Variant(draw(tasks), f"{name} is {content!r} as {path}", change)


@st.composite
def bad_targets(draw: st.DrawFn) -> Variant:
    task, row = draw(tasks), draw(st.integers(1, 30))
    bad = {
        "regression": st.text(st.characters(codec="ascii"), max_size=8).filter(
            lambda cell: as_number(cell) is None
        )
        | st.sampled_from(["nan", "inf", "1e999", "1,5", "1_0"]),
        "binary": st.sampled_from(["", " ", "maybe", "Yes", "yes "]),
        "multiclass": st.sampled_from(["", " ", "\n"]),
        "multilabel": st.sampled_from(["2", "-1", "0.5", "yes", "inf"]),
    }
    cell = draw(bad[task])
    at = draw(st.integers(3, 5)) if task == "multilabel" else 3

    def change() -> None:
        change_rows(TABLES["train"], lambda rows: rows[row].__setitem__(at, cell))

    return Variant(task, f"target {at} of row {row} is {cell!r}", change)


@st.composite
def bad_columns(draw: st.DrawFn) -> Variant:
    """A column of the training table that is needed and is missing, twice there, or constant."""
    task = draw(tasks)
    at = draw(st.sampled_from([2, 3]))  # text, target

    def one_class(rows: list[list[str]]) -> None:
        for cells in rows[1:]:
            cells[3] = rows[1][3]

    changes: list[tuple[str, Callable[[list[list[str]]], object]]] = [
        ("is missing", lambda rows: drop(rows, at)),
        ("has another name", lambda rows: rename(rows, at)),
        ("is there twice", lambda rows: rows[0].__setitem__(1, rows[0][at])),
    ]
    if task in ("binary", "multiclass"):
        changes.append(("or its neighbour is constant", one_class))
    what, change = draw(st.sampled_from(changes))
    return Variant(task, f"column {at} {what}", lambda: change_rows(TABLES["train"], change))


@st.composite
def bad_samples(draw: st.DrawFn) -> Variant:
    """A sample submission, or a test table, whose ids or columns are not the other's."""
    task, row = draw(tasks), draw(st.integers(1, 10))
    path = draw(st.sampled_from([TABLES["test"], TABLES["sample_submission"]]))
    name = draw(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1))
    name = f"{name}_x"
    changes: list[tuple[str, Callable[[list[list[str]]], object]]] = [
        ("another id", lambda rows: set_id(rows, row, name)),
        ("an id in capitals", lambda rows: set_id(rows, row, rows[row][0].upper())),
        ("an id with a space", lambda rows: set_id(rows, row, rows[row][0] + " ")),
        ("a row less", lambda rows: rows.pop(row)),
        ("a row more", lambda rows: rows.append([name, *rows[1][1:]])),
    ]
    if path == TABLES["sample_submission"]:
        changes += [
            ("only ids", lambda rows: [drop(rows, 1) for _ in rows[0][1:]]),
            ("a column more", lambda rows: [cells.append(name) for cells in rows]),
        ]
        if task in ("multiclass", "multilabel"):
            changes.append(("another column", lambda rows: rename(rows, 2)))
            changes.append(("a column twice", lambda rows: rows[0].__setitem__(2, rows[0][3])))
    what, change = draw(st.sampled_from(changes))
    return Variant(task, f"{path} has {what}", lambda: change_rows(path, change))


CONFIG = st.one_of(
    bad_values(),
    unknown_keys(),
    missing_keys(),
    contradictions(),
    broken_yaml(),
    bad_command_lines(),
)
TRAIN = st.one_of(broken_table(["train"]), columns_of_nothing(), bad_targets(), bad_columns())
OTHERS = st.one_of(
    names_of_nothing(), broken_table(["test", "sample_submission"]), bad_samples(), other_formats()
)
ANYWHERE = CONFIG | TRAIN


@settings(max_examples=200, deadline=None)
@given(variant=st.one_of(CONFIG, TRAIN, OTHERS))
def test_prepare_ends_in_one_clear_line_and_writes_nothing(variant):
    check(prepare.main, variant)


@settings(max_examples=50, deadline=None)
@given(variant=ANYWHERE)
def test_make_folds_ends_in_one_clear_line_and_writes_nothing(variant):
    check(make_folds.main, variant)


@pytest.mark.parametrize("task", sorted(MAKERS))
def test_what_the_variants_are_made_from_is_well_formed(tmp_path, task, monkeypatch):
    shutil.copytree(template(task), tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    prepare.main([YAML])
    make_folds.main([YAML])
    assert Path("folds/tiny.csv").is_file()
