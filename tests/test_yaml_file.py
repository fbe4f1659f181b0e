"""YAML files: Windows line ends, merge keys, and words that look like numbers."""

import re
from pathlib import Path

import pytest

from pipeline.settings.command import load_config, parse
from pipeline.settings.yaml_file import parse_yaml, read_yaml

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


@pytest.fixture
def raw(tmp_path):
    def write(text):
        path = tmp_path / "tiny.yaml"
        path.write_bytes(text.encode())
        return path

    return write


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


@pytest.mark.parametrize("name", ["007", "010", "2024_01", "0x10", "12:30", "-0"])
def test_a_name_of_digits_is_read_as_it_is_written(raw, name):
    config = load_config(raw(BASE.replace("data: {", f"data: {{text: {name}, ")))
    assert config.data.text == (name,)


def test_whole_numbers_are_decimal_and_may_have_underscores(raw):
    config = load_config(raw(BASE + "seed: 010\ntraining: {max_length: 1_000}\n"))
    assert (config.seed, config.training.max_length) == (10, 1000)


def test_a_large_value_is_cut_in_the_message(raw):
    with pytest.raises(ValueError, match=r"seed: .*\.\.\.") as error:
        load_config(raw(BASE + f"seed: {['long'] * 1000}\n"))
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(("typed", "told"), [("tweet.yaml", True), ("r8.yaml", False)])
def test_a_config_that_is_not_there_is_told_with_the_one_of_a_like_name(tmp_path, typed, told):
    (tmp_path / "tweets.yaml").write_text("task: binary")
    with pytest.raises(FileNotFoundError, match=re.escape(typed)) as error:
        read_yaml(tmp_path / typed)
    assert ("tweets.yaml" in str(error.value)) == told


@pytest.mark.parametrize("typed", ["tweets", "tweets.yaml", "tweet.yml"])
def test_a_config_typed_without_its_folder_is_found_in_configs(tmp_path, monkeypatch, typed):
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/tweets.yaml").touch()
    with pytest.raises(FileNotFoundError, match="configs/tweets.yaml"):
        read_yaml(Path(typed))
