"""The report in a real browser: no errors, usable on a phone, texts are never markup."""

import json
import os
import re
import shutil

import pytest
from report_numbers import whole_evidence

from pipeline.reporting.page import page as page_of
from pipeline.reporting.summary import summarise

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
playwright = pytest.importorskip("playwright.sync_api", reason="no playwright to drive a browser")
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no chromium on this machine: on Debian, apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        # root, as in a container, has no sandbox to give
        flags = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=BROWSER, args=flags)
        yield browser
        browser.close()


@pytest.fixture
def opened(browser):
    """A page of an address, which is closed after the test."""
    pages = []

    def page_at(address, width=1280):
        pages.append(browser.new_page(viewport={"width": width, "height": 800}))
        pages[-1].goto(address)
        return pages[-1]

    yield page_at
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def address(reported):
    return (reported("multiclass") / "reports" / "tiny" / "index.html").as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1200])
def test_the_page_opens_without_errors_and_without_sideways_scrolling(
    browser, address, width, scheme
):
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    told, asked = [], []
    page.on("console", lambda message: told.append(message.text))
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    for details in page.query_selector_all("details"):
        details.evaluate("element => element.open = true")
    assert told == []
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.title() == "tiny – report"
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (brightness(ink) > brightness(paper)) == (scheme == "dark")
    page.close()


def test_all_pictures_are_there_and_legible_on_a_phone(opened, address):
    page = opened(address, 380)
    boxes = [svg.bounding_box() for svg in page.query_selector_all("figure svg")]
    assert len(boxes) >= 9
    assert all(box["width"] > 250 and box["height"] > 80 for box in boxes)
    sizes = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(t => t.getBoundingClientRect().height)"
    )
    assert min(size for size in sizes if size > 0) > 6


def test_hostile_texts_are_shown_and_not_run(opened, address):
    page = opened(address)
    assert page.evaluate("[document.scripts.length, document.images.length]") == [1, 0]
    shown = page.inner_text("#worst") + page.inner_text("#disagreement")
    assert '<script>document.title = "owned"' in shown
    assert "{{ 7 * 7 }}" in shown
    assert "&lt;already&gt; &amp;amp; escaped" in shown


METRICS = {"regression": "rmse", "several": "mcrmse", "binary": "f1", "multiclass": "f1_macro"}
METRICS["multilabel"] = "accuracy"
# texts of figures that are not within their figure
CLIPPED = """() => [...document.querySelectorAll("svg")].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(text => {
    const {left, right, top, bottom, width} = text.getBoundingClientRect();
    return width && (left < box.left - 1 || right > box.right + 1
                     || top < box.top - 1 || bottom > box.bottom + 1);
  }).map(text => text.textContent);
})"""
# tables that are wider than their place
CUT = """() => [...document.querySelectorAll(".scroll")].filter(
  place => place.scrollWidth > place.clientWidth).map(place => place.closest("section").id)"""
# numbers on two lines
BROKEN = """() => [...document.querySelectorAll("data")].filter(
  number => number.getClientRects().length > 1).map(number => number.textContent)"""


@pytest.fixture(scope="module", params=sorted(METRICS))
def made_up(request, tmp_path_factory):
    """The address of a page of made-up numbers of a task: long names, and a minus at the top."""
    summary = summarise(whole_evidence(kind=request.param, metric=METRICS[request.param]))
    summary["chosen"]["score"] *= -1
    text = json.dumps(summary).replace("m4", "weighted_layer-s7")
    text = text.replace("blend_convex", "blend_hill_climb.threshold")
    text = text.replace('"yes"', '"severe_' + "toxicity" * 8 + '"')
    path = tmp_path_factory.mktemp(request.param) / "index.html"
    path.write_text(page_of(json.loads(text)), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("width", [1280, 390, 260])
def test_no_label_is_clipped_no_number_broken_no_table_cut_and_no_page_too_wide(
    opened, made_up, width
):
    page = opened(made_up, width)
    assert page.evaluate(CLIPPED) == []
    assert page.evaluate(BROKEN) == []
    if width > 260:
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    if width > 390:
        assert page.evaluate(CUT) == []


def test_on_a_phone_a_dot_stands_beside_its_name_and_a_truth_on_one_line(opened, made_up):
    page = opened(made_up, 390)
    beside = """all => all.filter(dot => {
      const name = document.createRange(); name.selectNode(dot.nextSibling);
      return dot.getBoundingClientRect().top > name.getClientRects()[0].bottom
          || dot.getBoundingClientRect().bottom < name.getClientRects()[0].top;
    }).length"""
    assert page.eval_on_selector_all("#leaderboard th .dot", beside) == 0
    broken = "all => all.filter(one => one.getClientRects().length > 1).length"
    short = page.locator("#worst td.wide bdi").filter(has_text=re.compile(r"^.{1,6}$"))
    assert short.evaluate_all(broken) == 0


def test_predictions_of_many_labels_are_on_several_lines(opened, tmp_path):
    summary = summarise(whole_evidence(kind="multilabel", metric="accuracy"))
    many = ", ".join(f"label{k} 0.12" for k in range(28))
    for line in summary["examples"]["worst"]:
        line["members"] = dict.fromkeys(line["members"], many)
    path = tmp_path / "index.html"
    path.write_text(page_of(summary), encoding="utf-8")
    assert opened(path.as_uri()).evaluate(CUT) == []


@pytest.mark.parametrize("made_up", ["regression"], indirect=True)
def test_a_click_sorts_a_table_by_its_column_and_another_turns_it_round(opened, made_up):
    """Also by the keyboard; what is unknown comes last."""
    page = opened(made_up)
    column = "#leaderboard td:nth-child({}) data"
    head = page.locator("#leaderboard thead th")
    scores = page.eval_on_selector_all(column.format(2), "all => all.map(one => +one.value)")
    assert len(set(scores)) == 7
    for sort, expected in (
        (lambda: head.nth(1).click(), sorted(scores)[::-1]),
        (lambda: head.nth(1).press("Enter"), sorted(scores)),
    ):
        sort()
        shown = page.eval_on_selector_all(column.format(2), "all => all.map(one => +one.value)")
        assert shown == expected
    head.nth(0).click()
    names = [name.strip() for name in page.locator("#leaderboard tbody th").all_inner_texts()]
    assert names == sorted(names)
    page.eval_on_selector(column.format(2), "one => one.replaceWith('–')")
    head.nth(1).click()
    assert page.locator("#leaderboard tbody tr td:nth-child(2)").last.inner_text() == "–"


def brightness(colour: str) -> int:
    return sum(int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
