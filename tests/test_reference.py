"""The tables of the docs are up to date with the code, and the pictures with the results."""

from functools import partial
from pathlib import Path

import pytest

from benchmarks import pictures
from scripts.reference import BLOCK, ROOT, TABLES, first_line, listing, made, registry, renewed

PAGES = sorted((ROOT / "docs").glob("*.md"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_made_tables_of_a_page_are_up_to_date(path: Path) -> None:
    page = path.read_text(encoding="utf-8")
    assert renewed(page) == page, "stale; run python -m scripts.reference"


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_a_picture_of_the_docs_shows_the_committed_results(name: str, tmp_path: Path) -> None:
    pictures.draw(name, tmp_path / "now.svg")
    kept = (ROOT / "docs" / f"{name}.svg").read_text("utf-8")
    stale = "stale; run python -m benchmarks.pictures"
    assert (tmp_path / "now.svg").read_text("utf-8") == kept, stale


def test_each_table_stands_on_one_page() -> None:
    names = [block[1] for path in PAGES for block in BLOCK.findall(path.read_text("utf-8"))]
    assert sorted(names) == sorted(TABLES)


@pytest.mark.parametrize("name", sorted(TABLES))
def test_no_cell_of_a_table_is_empty(name: str) -> None:
    rows = [line for line in made(name).splitlines() if line.startswith("|")]
    cells = [cell.strip() for row in rows for cell in row[1:-1].split(" | ")]
    assert all(cells)
    assert len({row.count(" | ") for row in rows}) == 1


def test_only_the_text_between_the_marks_is_replaced() -> None:
    mark = "<!-- made by python -m scripts.reference: poolings -->\n"
    page = f"before\n{mark}old\n<!-- end -->\nafter\n"
    assert renewed(page) == f"before\n{mark}{made('poolings')}<!-- end -->\nafter\n"


def test_the_first_line_is_found_behind_partials_and_made_functions() -> None:
    def inner() -> None:
        """Inner.

        More.
        """

    def outer(function):
        return lambda: function()

    assert first_line(inner) == "Inner."
    assert first_line(outer(inner)) == "Inner."
    assert first_line(partial(outer, outer(inner))) == "Inner."


def test_the_listing_names_every_entry_of_every_registry_with_a_line() -> None:
    lines = listing().splitlines()
    for name, (room, names, _) in TABLES.items():
        assert name in lines
        for key in registry(room, names)[0]:
            assert any(line.split()[:1] == [key] and len(line.split()) > 2 for line in lines), key
