"""A backbone is looked up once and copied once."""

from pathlib import Path

import pytest

from pipeline import backbones
from pipeline.backbones import keep_backbone, locate_backbone


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


def test_the_hub_is_asked_again_when_the_copy_is_gone(workplace, hub):
    sha = keep_backbone("somebody/tiny", "tiny")
    Path(f"models/tiny/backbones/{sha}").rename("elsewhere")
    keep_backbone("somebody/tiny", "tiny")
    assert len(hub) == 2


def test_a_folder_is_copied_under_the_hash_of_its_files(workplace, hub, tiny_backbone):
    sha = keep_backbone(str(tiny_backbone), "tiny")
    assert hub == []
    copied = {path.name for path in Path(f"models/tiny/backbones/{sha}").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= copied


def test_a_folder_without_a_configuration_or_weights_is_refused(workplace):
    Path("empty").mkdir()
    with pytest.raises(ValueError, match=r"empty holds no config\.json"):
        locate_backbone("empty")
    Path("empty/config.json").write_text("{}")
    with pytest.raises(ValueError, match=r"empty holds no model\*\.safetensors"):
        locate_backbone("empty")
