"""A backbone is looked up once and copied once."""

import shutil
from pathlib import Path

import pytest

from pipeline.members import backbones
from pipeline.members.backbones import keep_backbone, locate_backbone


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


def test_whatever_the_hubs_client_raises_is_told_in_a_line(workplace, monkeypatch):
    class ProxyError(Exception):
        """As of an HTTP client, no OSError."""

    def refuse(*_, **__):
        raise ProxyError("407 Proxy\n Authentication Required")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(FileNotFoundError, match="'somebody/tiny'.*407 Proxy Authentication"):
        locate_backbone("somebody/tiny")


def test_the_hub_is_asked_again_when_the_copy_is_gone(workplace, hub):
    keep_backbone("somebody/tiny", "tiny").rename("elsewhere")
    keep_backbone("somebody/tiny", "tiny")
    assert len(hub) == 2


def test_a_folder_is_copied_under_the_hash_of_its_files(workplace, hub, tiny_backbone):
    copy = keep_backbone(str(tiny_backbone), "tiny")
    assert hub == []
    assert copy.parent == Path("models/tiny/backbones")
    assert len(copy.name) == 12
    copied = {path.name for path in copy.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= copied


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


def test_a_folder_without_a_configuration_or_weights_is_refused(workplace):
    Path("empty").mkdir()
    with pytest.raises(ValueError, match=r"\bempty\b.*config\.json"):
        locate_backbone("empty")
    Path("empty/config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"\bempty\b.*model\*\.safetensors"):
        locate_backbone("empty")


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_pointer_of_git_lfs_is_refused_by_name(workplace, tiny_backbone, name):
    folder = Path(shutil.copytree(tiny_backbone, "cloned"))
    locate_backbone("cloned")
    (folder / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    message = rf"^cloned/{name}: [^\n]*git lfs pull"
    with pytest.raises(ValueError, match=message):
        locate_backbone("cloned")
    with pytest.raises(ValueError, match=message):
        keep_backbone("cloned", "tiny")
