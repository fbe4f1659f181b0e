"""YAML files: Windows line ends, merge keys, and aliases that expand without limit."""

import re
import sys
import time

import pytest

from pipeline.settings.command import load_config, parse
from pipeline.settings.yaml_file import MOST_VALUES, parse_yaml, read_yaml

BASE = """\
competition: tiny
task: regression
metric: rmse
data: {train: train.csv, test: test.csv, sample_submission: sample.csv}
backbone: minilm
members:
  - &mean {pooling: mean, epochs: 2, batch_size: 8}
  - {<<: *mean, pooling: max, epochs: 3}
"""


def bomb(depth, item="[{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]"):
    """A few lines that stand for 10 ** depth values, as `*b`."""
    lines = ["- &a0 x"]
    lines += [f"- &a{k} {item.format(f'*a{k - 1}')}" for k in range(1, depth)]
    return "\n  ".join(lines) + f"\n  - &b {item.format(f'*a{depth - 1}')}"


@pytest.fixture
def raw(tmp_path):
    def write(text):
        path = tmp_path / "tiny.yaml"
        path.write_bytes(text.encode())
        return path

    return write


def refusal(path, *words):
    """The one line that the command line ends in, within two seconds."""
    start = time.monotonic()
    with pytest.raises(ValueError, match=r".") as caught:
        parse(None, [str(path), *words])
    assert time.monotonic() - start < 2
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_lines_may_end_as_on_windows(raw):
    path = raw(BASE.replace("\n", "\r\n"))
    config = load_config(path)
    assert config.competition == "tiny"
    assert parse(None, [str(path), "--quick"])[0].competition == "tiny-quick"
    assert config == load_config(raw(BASE))


def test_a_merge_key_takes_over_what_the_entry_does_not_set(raw):
    mean, highest = load_config(raw(BASE)).members
    assert (mean.pooling, mean.epochs, mean.batch_size) == ("mean", 2, 8)
    assert (highest.pooling, highest.epochs, highest.batch_size) == ("max", 3, 8)


def test_merge_keys_may_be_nested_and_several():
    text = "a: &a {x: 1, y: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: [*b, {z: 3}], x: 4}\nd: *b"
    assert parse_yaml(text) == {
        "a": {"x": 1, "y": 1},
        "b": {"x": 1, "y": 2},
        "c": {"x": 4, "y": 2, "z": 3},
        "d": {"x": 1, "y": 2},
    }


def test_a_key_given_twice_beside_a_merge_key_is_an_error(raw):
    with pytest.raises(ValueError, match=r"tiny\.yaml: .*\bline 8\b.*'epochs'"):
        load_config(raw(BASE.replace("epochs: 3", "epochs: 3, epochs: 4")))


@pytest.mark.parametrize(
    "use",
    ["seed: *b", "folds: *b", "training: {trainer: {x: *b}}", "blend: {methods: *b}", "*b : 1"],
)
def test_aliases_that_stand_for_a_billion_values_end_in_one_line_at_once(raw, use):
    assert f"{MOST_VALUES:,}" in refusal(raw(f"x:\n  {bomb(9)}\n{use}\n{BASE}"))


def test_merge_keys_that_stand_for_a_billion_values_end_in_one_line_at_once(raw):
    item = "{{<<: [{0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}, {0}]}}"
    text = bomb(9, item).replace("&a0 x", "&a0 {k: 1}")
    assert f"{MOST_VALUES:,}" in refusal(raw(f"x:\n  {text}\n{BASE}"))


@pytest.mark.parametrize("key", ["seed", "folds", "submit", "training"])
def test_a_large_value_is_cut_in_the_message(raw, key):
    told = refusal(raw(BASE + f"{key}:\n  {bomb(4)}\n"))
    assert f"{key}: should be " in told
    assert "..." in told


def test_an_alias_inside_its_own_value_is_told(raw):
    assert "line 9" in refusal(raw(BASE + "folds: &f {n: [*f]}\n"))


def test_a_bomb_on_the_command_line_ends_at_once(raw):
    flow = ", ".join(line.removeprefix("- ") for line in bomb(9).split("\n  "))
    assert "--training.trainer" in refusal(raw(BASE), "--training.trainer", f"{{a: [{flow}]}}")


@pytest.mark.skipif(not hasattr(sys, "get_int_max_str_digits"), reason="no limit before 3.11")
def test_a_number_too_long_to_be_written_is_told(raw):
    assert "seed" in refusal(raw(BASE + f"seed: -0x{'f' * 10_000}\n"))


@pytest.mark.parametrize(("typed", "told"), [("tweet.yaml", True), ("r8.yaml", False)])
def test_a_config_that_is_not_there_is_told_with_the_one_of_a_like_name(tmp_path, typed, told):
    (tmp_path / "tweets.yaml").write_text("task: binary")
    with pytest.raises(FileNotFoundError, match=re.escape(typed)) as error:
        read_yaml(tmp_path / typed)
    assert ("tweets.yaml" in str(error.value)) == told
