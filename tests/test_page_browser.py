"""The page in a real browser: asks for nothing, fits a phone and paper, is read in the dark and by keyboard, stays quick."""

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from msmc.backend.comparison import compare
from msmc.backend.report import render_page
from tests.conftest import SKIPPED_FILES
from tests.read_page import led_to
from tests.study import NASTY, make_study

pytestmark = pytest.mark.slow
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1400, "height": 900}
MANY = 285
"""Items of each evaluation: 20,000 rows in all."""
LOST = {
    "run": "near",
    "seed": 0,
    "what": "loss",
    "eval": "guard",
    "measure": "loss",
    "threshold": 0.1,
    "n": 24,
    "missing": 1,
    "base": 3.1,
    "model": 3.4,
}
LOST |= {"drop": 0.3, "low": 0.2, "high": 0.4, "beyond": True}
"""What the stage `guard` would add to the drawn runs."""
FOCUSABLE = "a[href], button:not(:disabled), select, input, summary, [tabindex='0']"
# the colour behind a text is that of the nearest ancestor that has one, with what is translucent laid over it
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const pixel = (...layers) => {
    for (const layer of layers) { canvas.fillStyle = layer; canvas.fillRect(0, 0, 1, 1); }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  };
  const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
  const low = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    const holder = text.parentElement;
    if (!text.data.trim() || !holder.checkVisibility() || holder.closest("script, noscript, :disabled, option, .skip")) continue;
    const layers = [];
    for (let at = holder; at; at = at.parentElement) layers.unshift(getComputedStyle(at).backgroundColor);
    const style = getComputedStyle(holder);
    const colour = holder instanceof SVGElement ? style.fill : style.color;
    const [front, back] = [luminance(pixel("#fff", ...layers, colour)), luminance(pixel("#fff", ...layers))];
    const ratio = (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05);
    if (ratio < 4.5) low.push(`${ratio.toFixed(2)} ${holder.tagName}.${holder.className} ${text.data.trim().slice(0, 40)}`);
  }
  return low;
}"""


UNLINKED = r"""() => {
  const found = [];
  const sections = "#main > header, [id^=rung-], #crossed, #contrasts, #curves, #recall, #behaviour, #guard";
  const shown = document.querySelectorAll(sections);
  for (const section of shown) {
    const walk = document.createTreeWalker(section, NodeFilter.SHOW_TEXT);
    for (let text = walk.nextNode(); text; text = walk.nextNode()) {
      const beside = ".ci, .tested, .headline, svg"; // an interval, a test and a plot are of the figure that they stand by
      if (/\d\.\d\d/.test(text.data) && !text.parentElement.closest(`a[href^="#"], ${beside}`)) found.push(text.data);
    }
  }
  return found;
}"""
"""What looks like a figure, and leads nowhere."""
CLICKED = """async () => {
  const found = [], links = new Map([...document.querySelectorAll("a.figure")].map((link) => [link.hash, link]));
  const form = document.getElementById("rows-filters");
  for (const [hash, link] of links) {
    const turned = new Promise((done) => addEventListener("hashchange", done, { once: true }));
    link.click();
    await turned;
    const filters = [...form.querySelectorAll("select")].filter((select) => select.value !== "" && select.name !== "order")
      .map((select) => [select.name, select.selectedOptions[0].textContent.split(" or ")]);
    found.push([hash, document.getElementById("rows-status").textContent, Object.fromEntries(filters)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip(SKIPPED_FILES["tests/test_page_browser.py"])
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # a container's root has no sandbox, and the page is our own
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


def _written(folder: Path, items: int) -> Path:
    runs = make_study(folder, items=items)
    comparison = compare(runs)
    comparison["guard"] = [LOST, LOST | {"run": "thrifty", "beyond": False}]
    (folder / "report.html").write_text(render_page(comparison, runs), "utf-8")
    return folder / "report.html"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(tmp_path_factory.mktemp("small"), 8)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _written(tmp_path_factory.mktemp("large"), MANY)


class Opened:
    """A page in its own window, with all that it complained of and asked for."""

    def __init__(self, browser: Any, path: Path, size: dict[str, int], **settings: Any) -> None:
        self.context = browser.new_context(viewport=size, **settings)
        self.page = self.context.new_page()
        self.told: list[str] = []
        self.page.on("console", lambda message: self.told.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.told.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: request.url == path.as_uri() or self.told.append(request.url[:90]))
        self.page.goto(path.as_uri(), timeout=120_000)  # ms; a busy machine draws 5 MB in more than 30 s

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *_: object) -> None:
        self.context.close()
        assert self.told == [], "no error, no request, no dialog"


def drawn(page: Any) -> None:
    page.wait_for_function(
        "[...document.querySelectorAll('[data-figure]')].every((place) => place.querySelector('.main-svg'))"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_draws_all_and_every_text_can_be_read(browser: Any, small: Path, scheme: str) -> None:
    with Opened(browser, small, DESK, color_scheme=scheme) as page:
        drawn(page)
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })")
        page.locator("#rows-lines .open").first.click()
        assert page.evaluate(CONTRAST) == []
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
        assert dark == (scheme == "dark")


def test_a_phone_scrolls_the_page_one_way_only(browser: Any, small: Path) -> None:
    with Opened(browser, small, PHONE) as page:
        drawn(page)
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })")
        page.locator("#rows-lines .open").first.click()
        page.locator("#texts-lines .open").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        assert page.evaluate(
            "[...document.querySelectorAll('[data-figure]')].every((p) => p.clientWidth <= innerWidth)"
        )


def test_it_prints_on_white_paper_without_what_only_a_screen_can_do(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK, color_scheme="dark") as page:
        drawn(page)
        paper = page.pdf(format="A4")
        assert paper.startswith(b"%PDF") and paper.count(b"/Type /Page\n") > 3
        page.set_viewport_size({"width": 718, "height": 1000})
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("[data-figure='loss-midtrain'] .lines path").first.is_visible(), "a curve is no table"
        assert not page.locator("nav").is_visible() and not page.locator("#rows-filters").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 718
        assert page.evaluate(CONTRAST) == []


def test_by_keyboard_from_the_top_to_a_row(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK) as page:
        drawn(page)
        focused = "document.activeElement"
        page.keyboard.press("Tab")
        assert page.evaluate(f"{focused}.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate(f"{focused}.id") == "main"
        for _ in range(40):
            page.keyboard.press("Tab")
            assert page.evaluate(f"getComputedStyle({focused}).outlineStyle") == "solid", "what has the focus shows it"
            if page.evaluate(f"{focused}.hash?.startsWith('#rows?') ?? false"):
                break
        page.keyboard.press("Enter")
        page.wait_for_function("document.activeElement.id === 'rows'")
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate(f"{focused}.className") == "open":
                break
        page.keyboard.press("Enter")
        assert page.locator("#rows-lines .more dt").first.inner_text() == "question"


def test_everything_that_acts_can_be_reached_and_has_a_name(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK) as page:
        nameless = page.evaluate(
            """(focusable) => [...document.querySelectorAll(focusable)].filter((found) => found.tabIndex < 0 ||
            !(found.textContent.trim() || found.getAttribute('aria-label') || found.labels?.length)).map((f) => f.outerHTML)""",
            FOCUSABLE,
        )
        assert nameless == []
        unscoped = "document.querySelectorAll('th:not([scope])').length"
        levels = "[...document.querySelectorAll('h1, h2, h3')].map((heading) => Number(heading.tagName[1]))"
        assert page.evaluate(unscoped) == 0
        found = page.evaluate(levels)
        assert found[0] == 1 and found.count(1) == 1 and all(b - a <= 1 for a, b in pairwise(found))


def test_a_figure_is_two_clicks_from_its_rows(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK) as page:
        every = len(json.loads(page.locator("#data-rows").text_content())["lines"]["row"])
        page.locator("[id='eval-far_home'] ~ * a[href*='arm=thrifty&']").first.click()
        # of eight items and two seeds both orders
        assert page.locator("#rows-status").inner_text() == f"1 to 32 of 32 that pass, of {every:,}"
        chosen = {
            name: page.locator(f"#rows-filters [name={name}] option:checked").inner_text()
            for name in ("arm", "eval", "when")
        }
        assert chosen == {"arm": "thrifty", "eval": "far_home", "when": "at the end"}
        page.locator("#rows-lines .open").first.click()
        assert "made round the corner" in page.locator("#rows-lines .more").inner_text()


def test_every_element_that_shows_a_figure_leads_to_its_rows(browser: Any, small: Path) -> None:
    """Each link is clicked, and the page's filters then show what the link asks for."""
    with Opened(browser, small, DESK) as page:
        assert page.evaluate(UNLINKED) == []
        data, clicked = json.loads(page.locator("#data-rows").text_content()), page.evaluate(CLICKED)
        assert len(clicked) > 300
        for link, status, filters in clicked:
            query = parse_qs(link.removeprefix("#rows?"))
            count = len(led_to(data, query))
            assert count and f" of {count:,} that pass, " in status, (link, status)
            assert {key: words for key, words in filters.items() if words} == query, link


def test_a_point_of_a_forest_leads_to_its_rows(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK) as page:
        drawn(page)
        page.evaluate(
            "document.getElementById('plot-forest-far_home').emit('plotly_click', {points: [{customdata: ['near']}]})"
        )
        page.wait_for_function("document.getElementById('rows-status').textContent.includes('1 to 32 of 32 that pass')")


def test_a_document_is_two_clicks_from_its_clause_and_the_clause_from_its_document(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK) as page:
        page.locator("[id='clause-study.soup'] summary").click()
        page.locator("[id='clause-study.soup'] a[href^='#texts']").click()
        page.locator("#texts-lines .open").first.click()
        page.locator("#texts-lines .more a[href='#clause-study.soup']").click()
        assert "study.msm:" in page.locator("[id='clause-study.soup'] summary").inner_text()
        assert page.evaluate("document.activeElement.parentElement.open")


def test_filters_and_search_find_what_they_say(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK) as page:
        data = json.loads(page.locator("#data-rows").text_content())
        missing = data["words"]["outcome"].index("missing")
        page.select_option("#rows-filters [name=outcome]", label="missing")
        count = data["lines"]["outcome"].count(missing)
        assert page.locator("#rows-status").inner_text().startswith(f"1 to {count} of {count} that pass")
        assert set(page.locator("#rows-lines td.num").all_inner_texts()) == {"missing"}
        page.locator("#rows-filters [type=reset]").click()
        page.fill("#rows-filters [name=text]", "RATHER not say alert(1)")
        page.locator("#rows-lines .open").first.click()
        assert NASTY.replace("\u2028", "") in page.locator("#rows-lines .more").inner_text().replace("\u2028", "")
        page.fill("#rows-filters [name=text]", "no row says this")
        every = f"{len(data['lines']['row']):,}"
        assert page.locator("#rows-status").inner_text() == f"nothing passes these filters, of {every}"
        page.evaluate("location.hash = 'rows?arm=nobody'")
        page.wait_for_function("document.getElementById('rows-status').textContent.startsWith('nothing')")


def test_a_command_can_be_copied(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK, permissions=["clipboard-read", "clipboard-write"]) as page:
        page.locator("#rows-lines .open").first.click()
        page.locator("#rows-lines .command button").click()
        page.wait_for_function("document.querySelector('.command button').textContent === 'copied'")
        row = page.locator("#rows-lines th code").first.inner_text()
        assert page.evaluate("navigator.clipboard.readText()") == f"msmc trace {row}"


def test_without_its_script_the_tables_say_the_same(browser: Any, small: Path) -> None:
    with Opened(browser, small, DESK, java_script_enabled=False) as page:
        assert page.locator("noscript").is_visible() and page.locator("#rung-far table").first.is_visible()


def test_twenty_thousand_rows_are_still_quick(browser: Any, large: Path) -> None:
    """By the page's own clock: every filter, search and turn of a page."""
    with Opened(browser, large, DESK) as page:
        drawn(page)
        assert len(json.loads(page.locator("#data-rows").text_content())["lines"]["row"]) >= 20_000
        page.select_option("#rows-filters [name=arm]", label="near")
        page.select_option("#rows-filters [name=order]", label="smallest first")
        page.locator("#rows-filters [type=reset]").click()
        page.fill("#rows-filters [name=text]", "bicycles no. 7")
        page.fill("#rows-filters [name=text]", "bicycles no. 71")
        page.locator("#rows-on").click()
        assert page.locator("#rows-status").inner_text().startswith("51 to ")
        assert page.locator("#rows-lines tbody tr").count() <= 50
        took = page.evaluate("performance.getEntriesByName('filter').map((entry) => entry.duration)")
        assert len(took) >= 6 and max(took) < 500, took
