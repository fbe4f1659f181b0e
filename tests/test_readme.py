"""Links, files, commands and code in the README and the other pages exist and work."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import BaseModel

from pipeline.members.bert import poolings
from pipeline.settings.command import FLAGS, load_config, parse
from pipeline.settings.config import Config

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("[a-z]*/README.md")])

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def block(language: str) -> str:
    """The README's only block of code in this language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.S)
    return found


def setting_names() -> set[str]:
    names: set[str] = set()
    for name, field in Config.model_fields.items():
        section: Any = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            names |= {f"{name}.{f.alias or key}" for key, f in section.model_fields.items()}
    return names


def test_the_readme_is_a_door() -> None:
    assert len(README.splitlines()) <= 130


@every_page
def test_a_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


@every_page
def test_a_named_file_of_the_code_is_there(page: Path) -> None:
    rooms = "pipeline|benchmarks|scripts|tests|docs"
    named = re.findall(rf"`((?:{rooms})/[\w./]+)`", page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


@every_page
def test_a_command_names_a_module_and_settings_that_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    modules = re.findall(r"python -m ((?:pipeline|benchmarks|scripts)\.\w+)", text)
    assert [name for name in modules if find_spec(name) is None] == []
    assert set(re.findall(r"--(\w+\.\w+)", text)) <= setting_names()


def test_the_commands_for_one_stage_are_accepted() -> None:
    lines = re.findall(
        r"^    python -m pipeline\.\w+ +(configs/tweets.*?)(?: {2,}#.*)?$", README, re.M
    )
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(line)
        parse(None, [str(ROOT / words[0]), *words[1:]], *FLAGS)


def test_the_yaml_is_a_valid_config(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(block("yaml"), encoding="utf-8")
    config = load_config(path)
    assert config.training.learning_rate is None  # what fits the backbone
    assert len(config.members) == 4


def test_the_pooling_that_is_added_sees_real_tokens_only() -> None:
    file = {**vars(poolings), "POOLINGS": dict(poolings.POOLINGS)}
    exec(block("python"), file)
    pool = file["POOLINGS"]["first_last"](hidden_size=2, num_layers=1)
    hidden = torch.tensor([[[1.0, -2.0], [3.0, 4.0], [1e30, -1e30]]])
    mask = torch.tensor([[1, 1, 0]])
    found = pool((hidden + 1, hidden), mask, torch.zeros_like(mask))
    assert torch.allclose(found, torch.tensor([[2.5, 1.5]]))
