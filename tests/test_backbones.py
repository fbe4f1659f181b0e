"""A backbone is looked up once and copied once."""

import shutil
import socket
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from pipeline.members import backbones
from pipeline.members.backbones import (
    keep_backbone,
    keep_backbones,
    local_backbone,
    locate_backbone,
)


@pytest.fixture
def hub(monkeypatch, tiny_backbone):
    """A hub that knows one name; the list holds what it was asked for."""
    asked = []

    def fetch(name: str) -> Path:
        asked.append(name)
        return Path(tiny_backbone)

    monkeypatch.setattr(backbones, "_fetched_from_hub", fetch)
    return asked


def test_the_hub_is_asked_once_for_a_competition(workplace, hub):
    first = keep_backbone("somebody/tiny", "tiny")
    assert keep_backbone("somebody/tiny", "tiny") == first
    assert hub == ["somebody/tiny"]
    keep_backbone("somebody/tiny", "other")
    assert hub == ["somebody/tiny"] * 2


@pytest.fixture
def hub_that(monkeypatch, tmp_path):
    """Let the hub's client raise an error, and find nothing in its cache."""

    def answers(error: Exception) -> None:
        def refuse(*_, **__):
            raise error

        monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return answers


class ProxyError(Exception):
    """As of an HTTP client, no OSError."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProxyError("407 Proxy\n Authentication Required"), "407 Proxy Authentication.*internet"),
        (ConnectionError("Name or service not known"), "not known.*internet"),
        (TimeoutError(), "TimeoutError.*internet"),
        (HfHubHTTPError("404 Not Found", response=MagicMock()), "404 Not Found.*check the name"),
        (HFValidationError("Repo id must use"), "Repo id must use.*check the name"),
    ],
)
def test_no_internet_and_no_such_model_are_told_apart(workplace, hub_that, error, said):
    hub_that(error)
    with pytest.raises(FileNotFoundError, match=f"^[^\n]*'somebody/tiny'[^\n]*{said}"):
        locate_backbone("somebody/tiny")


def test_a_hub_that_never_answers_is_left_after_a_while(workplace, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(workplace / "cache"))
    monkeypatch.setattr(backbones, "HUB_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
        with pytest.raises(FileNotFoundError, match="'somebody/tiny'.*internet"):
            locate_backbone("somebody/tiny")


def test_without_internet_the_copy_in_the_hubs_cache_is_taken(workplace, hub_that, tiny_backbone):
    cached = workplace / "cache/models--somebody--tiny"
    shutil.copytree(tiny_backbone, cached / "snapshots/abc")
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text("abc")
    hub_that(ConnectionError("no route to host"))
    assert locate_backbone("somebody/tiny") == cached / "snapshots/abc"


def test_a_demo_that_is_not_fetched_yet_is_not_looked_for_on_the_hub(workplace, hub):
    with pytest.raises(FileNotFoundError, match="'minilm'"):
        keep_backbone("minilm", "tiny")
    assert hub == []


def test_the_hub_is_asked_again_when_the_copy_is_gone(workplace, hub):
    keep_backbone("somebody/tiny", "tiny").rename("elsewhere")
    keep_backbone("somebody/tiny", "tiny")
    assert len(hub) == 2


def test_a_folder_that_is_put_where_a_hub_id_was_meant_is_taken(workplace, hub, tiny_backbone):
    of_hub = keep_backbone("somebody/tiny", "tiny")
    shutil.copytree(tiny_backbone, "somebody/tiny")
    Path("somebody/tiny/vocab.txt").touch()
    assert keep_backbone("somebody/tiny", "tiny") != of_hub


def test_a_folder_is_copied_under_the_hash_of_its_files(workplace, hub, tiny_backbone):
    copy = keep_backbone(str(tiny_backbone), "tiny")
    assert hub == []
    assert copy.parent == Path("models/tiny/backbones")
    assert len(copy.name) == 12


def test_all_that_transformers_reads_is_copied_and_nothing_else(workplace, tiny_backbone):
    """Of weights in both kinds of files, those in which there is no code."""
    folder = Path(shutil.copytree(tiny_backbone, "own"))
    for name in ("vocab.txt", "merges.txt", "spm.model", "model-00001-of-00002.safetensors"):
        (folder / name).touch()
    read = {path.name for path in folder.iterdir()}
    for name in ("pytorch_model.bin", "README.md", "rust_model.ot"):
        (folder / name).touch()
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= read
    assert {path.name for path in keep_backbone("own", "tiny").iterdir()} == read


def test_other_bytes_under_the_same_names_are_another_backbone(workplace, tiny_backbone):
    changed = Path(shutil.copytree(tiny_backbone, "changed"))
    with (changed / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        (last,) = file.read()
        file.seek(-1, 2)
        file.write(bytes([last ^ 1]))
    before, after = (keep_backbone(str(folder), "tiny") for folder in (tiny_backbone, changed))
    assert before != after
    assert (after / "model.safetensors").read_bytes()[-1] == last ^ 1


@pytest.mark.parametrize("name", ["somebody/tiny", "own"])
def test_a_copy_that_was_changed_is_refused_by_its_folder(workplace, hub, tiny_backbone, name):
    shutil.copytree(tiny_backbone, "own")
    copy = keep_backbones([name, None], "tiny")[name]
    keep_backbones([name], "tiny")
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(ValueError, match=rf"^{copy}: .*remove the folder"):
        keep_backbones([name], "tiny")
    shutil.rmtree(copy)
    assert keep_backbones([name], "tiny") == {name: copy}


def test_a_file_that_macos_adds_is_no_part_of_a_backbone(workplace, tiny_backbone):
    shutil.copytree(tiny_backbone, "own")
    Path("own/._config.json").write_bytes(b"\0")
    assert keep_backbone("own", "tiny") == keep_backbone(str(tiny_backbone), "tiny")


def test_a_folder_without_a_configuration_or_weights_is_refused(workplace):
    Path("empty").mkdir()
    with pytest.raises(ValueError, match=r"\bempty\b.*config\.json"):
        local_backbone("empty")
    Path("empty/config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"\bempty\b.*model\*\.safetensors"):
        local_backbone("empty")


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_pointer_of_git_lfs_is_refused_by_name(workplace, tiny_backbone, name):
    folder = Path(shutil.copytree(tiny_backbone, "cloned"))
    local_backbone("cloned")
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    message = rf"^cloned/{name}: [^\n]*git lfs pull"
    with pytest.raises(ValueError, match=message):
        local_backbone("cloned")
    with pytest.raises(ValueError, match=message):
        keep_backbone("cloned", "tiny")
