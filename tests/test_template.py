"""Templates: columns of a row become one text, for each member its own."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from conftest import CONFIG, change_config, read_rows, stages, write_rows

from pipeline.competition import rows as of_competition
from pipeline.competition.deal import connect
from pipeline.competition.doubts import warnings_about
from pipeline.competition.rows import Train, joined_unordered, texts_by
from pipeline.members.classic.estimators import TfidfLinear
from pipeline.scoring.intervals import difference_interval
from pipeline.scoring.target import Target
from pipeline.settings.data import Data
from pipeline.settings.template import check_template, filled, n_parts

NAMES = ("title", "body", "my year")
ROWS = [("Rail", "A train.", "1999"), ("", "{title}", "")]
BOTH = "{first}{third} {second}"


# --- filling


@pytest.mark.parametrize(
    ("template", "texts"),
    [
        ("{title}", ["Rail", ""]),
        ("{title}{sep}{body} ({my year})", ["Rail\0A train. (1999)", "\0{title} ()"]),
        ("{{{title}}} {{sep}} {body}", ["{Rail} {sep} A train.", "{} {sep} {title}"]),
        ("{body}{body}%s\n", ["A train.A train.%s\n", "{title}{title}%s\n"]),
    ],
)
def test_a_template_is_filled_with_the_cells_of_each_row(template, texts):
    assert filled(template, NAMES, ROWS) == [(text,) for text in texts]


@pytest.mark.parametrize(
    ("template", "n"), [(None, 2), ("{a}", 1), ("{a}{sep}{b}{sep}", 3), ("{a}{{sep}}{sep}{b}", 2)]
)
def test_parts_are_counted_by_separators_and_a_pair_has_two(template, n):
    assert n_parts(template) == n


def test_rows_without_a_template_are_as_they_are_and_features_can_be_named():
    rows = of_competition.TestRows(
        ("1", "2"), (("a", "b"), ("c", "d")), ("x", "y"), {"z": ["7", ""]}
    )
    assert texts_by(None, rows) == [("a", "b"), ("c", "d")]
    assert texts_by("{x}{z}", rows) == [("a7",), ("c",)]
    assert texts_by("{z}", rows, np.array([1, 0])) == [("",), ("7",)]


@pytest.mark.parametrize("name", ["0", "a.b", "a[0]", "a:>9", "a!r", "", "Größe"])
def test_a_column_of_any_name_without_braces_can_be_named(name):
    assert filled(f"<{{{name}}}>", [name], [("cell",)]) == [("<cell>",)]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{titel}", r"\{titel\}.*'title'.*\bmy year\b"),
        ("{title} {}", r"\{\}.*\btitle\b"),
        ("{title", r"'\{'.*\b1\b"),
        ("{title} }", r"'\}'.*\b9\b"),
        ("{sep} and {{title}}", r"no column.*\btitle\b"),
        ("", "no column"),
    ],
)
def test_a_brace_that_names_no_column_is_named(template, said):
    with pytest.raises(ValueError, match=said):
        check_template("template", template, NAMES)


def test_a_column_called_sep_cannot_stand_in_a_template():
    with pytest.raises(ValueError, match="'sep'"):
        check_template("template", "{title}{sep}", ["title", "sep"])
    check_template("template", "{title}", ["title"])


def test_only_a_row_without_any_text_is_empty_to_a_template(workplace):
    data = {"train": "a.csv", "test": "b.csv", "sample_submission": "c.csv", "train_rows": 2}
    for name in ("a", "b", "c"):  # read for their encoding
        write_rows(Path(f"{name}.csv"), ["id"], [])
    texts = (("a", ""), (" ", "b"), ("", " "))
    y, ids = np.arange(3.0)[:, None], ("1", "2", "3")
    train = Train(ids, texts, y, (), None, ("target",))
    test = of_competition.TestRows(("4",), (("a", "c"),))
    for template, told in (("{x}{y}", "1 rows.*'3'"), (None, "3 rows.*'1'")):
        settings = Data(**data, text=["x", "y"], template=template)
        (line,) = [x for x in warnings_about(settings, "regression", train, test) if "empty" in x]
        assert re.match(rf"a\.csv: {told}", line)


def test_rows_are_copies_if_all_their_columns_are():
    rows = (("a", "b", "c"), ("a", "b", "d"), ("A", "b ", "c"), ("c", "a", "b"), ("", "", ""))
    assert connect(joined_unordered(rows), None).tolist() == [0, 1, 0, 0, 2]


# --- the stages


TFIDF = {"model": "tfidf_linear", "options": {"inverse_penalty": 100.0}}
MEMBERS = [
    {**TFIDF, "name": "both"},
    {**TFIDF, "name": "one", "template": "{first} {second}"},
    {**TFIDF, "name": "apart", "template": "{first}{sep}{third}{sep}{second}"},
]
DATA = {
    "train": "train.csv",
    "test": "test.csv",
    "sample_submission": "sample.csv",
    "text": ["first", "second", "third"],
    "template": BOTH,
}


@pytest.fixture
def xor(workplace):
    """A competition whose label is the XOR of its first and its third column."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, (200, 2))
    words = [" ".join(rng.permutation(list("abcdefgh"))[:5]) for _ in bits]
    rows = [["uv"[a], w, "xy"[b], str(a ^ b)] for (a, b), w in zip(bits, words, strict=True)]
    train = [[f"r{k}", *row] for k, row in enumerate(rows[:160])]
    test = [[f"t{k}", *row[:3]] for k, row in enumerate(rows[160:])]
    write_rows(Path("train.csv"), ["id", *DATA["text"], "target"], train)
    write_rows(Path("test.csv"), ["id", *DATA["text"]], test)
    write_rows(Path("sample.csv"), ["id", "target"], [[row[0], "0"] for row in test])
    config = {
        "competition": "xor",
        "task": "binary",
        "metric": "accuracy",
        "data": DATA,
        "folds": {"n": 2},
        "members": MEMBERS,
        "blend": {"methods": ["mean"], "postprocessing": []},
        "jobs": {"n_jobs": 1},
    }
    Path("configs").mkdir()
    CONFIG.write_text(yaml.safe_dump(config))
    return [row[3] for row in rows[160:]]


def test_members_read_what_their_templates_say_in_every_stage(xor, refusal):
    stages("prepare", "make_folds", "train", "predict", "blend", "submit")
    truth = {row[0]: float(row[-1]) for row in read_rows(Path("train.csv"))[1]}
    shares = {}
    for name in ("both", "one"):
        _, rows = read_rows(Path(f"oof/xor/{name}/oof.csv"))
        shares[name] = np.mean([(float(cell) > 0.5) == truth[row] for row, cell in rows])
    assert shares["both"] >= 0.9
    assert shares["one"] <= 0.6
    check = json.loads(Path("models/xor/apart/fold0/reload_check.json").read_text())
    assert check["texts"][0][0].count("\0") == 2
    # hidden rows are read as the models were trained
    Path("train.csv").unlink()
    Path("submissions/xor/both.csv").unlink(missing_ok=True)
    stages("infer", words=["--predictor", "both", "--submit.as", "labels"])
    with Path("submissions/xor/both.csv").open() as file:
        predicted = [row["target"] for row in csv.DictReader(file)]
    assert np.mean([a == b for a, b in zip(predicted, xor, strict=True)]) >= 0.9
    # though not without their columns
    words = ["--predictor", "both", "--data.text", "first", "second", "--data.template", "{first}"]
    change_config(members=MEMBERS[:1])
    assert "'third'" in refusal("infer", *words)


def test_a_column_that_tells_the_label_helps_and_one_that_tells_nothing_does_not_matter(xor):
    _, rows = read_rows(Path("train.csv"))
    names, cells = ("first", "second", "third"), [tuple(row[1:4]) for row in rows]
    y, folds = np.array([int(row[4]) for row in rows]), np.arange(len(rows)) % 2

    def oof(template):
        texts, found = filled(template, names, cells), np.empty((len(y), 1))
        for fold in (0, 1):
            model = TfidfLinear(task="binary", n_columns=1, seed=0, inverse_penalty=100.0)
            model.fit([texts[k] for k in np.flatnonzero(folds != fold)], y[folds != fold])
            found[folds == fold] = model.predict([texts[k] for k in np.flatnonzero(folds == fold)])
        return found

    target, both = Target.of(y, "binary", "accuracy"), oof(BOTH)
    _, low, _ = difference_interval(target, both, oof("{first} {second}"), seed=0)
    assert low > 0.3
    gain, _, _ = difference_interval(target, both, oof("{first}{third}"), seed=0)
    assert abs(gain) < 0.02


def test_another_template_trains_again(xor, capsys, refusal):
    words = ("--members", "both")
    stages("make_folds", "train", words=words)
    other = (*words, "--data.template", "{third}{first} {second}")
    assert BOTH in refusal("train", *other)
    stages("train", words=(*other, "--overwrite"))
    assert "2 of 2 units" in capsys.readouterr().out
    stages("train", words=other)
    assert "0 of 2 units" in capsys.readouterr().out


def test_a_column_that_no_template_names_may_change_without_training_again(xor, capsys, refusal):
    change_config(members=MEMBERS[:2])
    words = ("--members", "one")
    stages("make_folds", "train", words=words)
    change_config(folds={"scheme": "file", "path": "own.csv"})
    Path("own.csv").write_bytes(Path("folds/xor.csv").read_bytes())
    train = Path("train.csv").read_text()
    Path("train.csv").write_text(train.replace(",x,", ",other,"))
    stages("make_folds", words=("--overwrite",))  # folds keep copies together, and see all columns
    capsys.readouterr()
    stages("train", words=words)
    assert "0 of 2 units" in capsys.readouterr().out
    Path("train.csv").write_text(train.replace(",u,", ",w,"))
    assert "texts" in refusal("train", *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--data.template", "{first}{fourth}"), r"data: template: .*\{fourth\}"),
        (("--data.template", "null"), r"\b3\b.*\bboth\b"),
        (("--data.text", "first", "second"), r"data: template: .*\{third\}"),
    ],
)
def test_a_template_that_does_not_fit_is_one_line_at_prepare(xor, words, said, refusal):
    assert re.search(said, refusal("prepare", *words))


def test_a_members_own_template_is_checked_too(xor, refusal):
    text = CONFIG.read_text()
    CONFIG.write_text(text.replace("{first} {second}", "{first} {last}"))
    line = refusal("prepare")
    assert "{last}" in line
    assert "member one" in line
    CONFIG.write_text(text.replace("'{first} {second}'", "{first}"))
    assert "quotes" in refusal("prepare")


def test_a_null_template_of_a_member_reads_a_pair(xor):
    data = {"text": ["first", "second"], "template": "{first}"}
    members = [{"model": "tfidf_linear", "template": None}]
    change_config(data={**DATA, **data}, members=members)
    stages("make_folds", "train")
    check = json.loads(Path("models/xor/tfidf_linear/fold0/reload_check.json").read_text())
    assert {len(row) for row in check["texts"]} == {2}
