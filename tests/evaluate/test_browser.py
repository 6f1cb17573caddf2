"""The report in a real browser, from disk and without a network: headless Chromium."""

import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium on the path: apt-get install chromium"
)
# WebGL without a graphics card; in a container, root has no sandbox.
FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """Start the browser once."""
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def opened(browser, reported: tuple[Path, str], request: pytest.FixtureRequest):
    """Open the page; afterwards, nothing was complained of and nothing left the file."""
    page_file = reported[0] / "report" / "index.html"
    context = browser.new_context(**getattr(request, "param", {}), offline=True)
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda one: requests.append(one.url))
    page.goto(page_file.as_uri())
    yield page
    context.close()
    assert complaints == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}
    assert [url for url in requests if url.startswith("file:")] == [page_file.as_uri()]


def column(page, number: int) -> list[str]:
    """Read a column of the table of scores, means without their intervals."""
    cells = page.locator(f"#table-scores tbody tr > :nth-child({number + 1})").all_inner_texts()
    return [cell.split()[0] for cell in cells]


def numbers(cells: list[str]) -> list[float]:
    return [float(cell) for cell in cells if cell != "–"]


def test_the_table_sorts_by_mouse(opened) -> None:
    head = opened.locator("#table-scores thead th").nth(3)
    before = column(opened, 3)
    assert head.get_attribute("aria-sort") is None
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    down = column(opened, 3)
    assert numbers(down) == sorted(numbers(before), reverse=True)
    assert down[-1] == "–", "ROIs without vertices are last"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    up = column(opened, 3)
    assert numbers(up) == sorted(numbers(before))
    assert up[-1] == "–"
    assert "ascending" in opened.locator("#table-status").inner_text()
    opened.locator("#table-scores thead button").first.click()
    assert column(opened, 3) == before


def test_the_table_sorts_by_keyboard_and_focus_is_seen(opened) -> None:
    opened.locator("#table-metric").focus()
    for _ in range(5):  # the scrolled region, then four headings
        opened.keyboard.press("Tab")
    heading = opened.evaluate("document.activeElement.closest('th').cellIndex")
    assert heading == 3
    style = opened.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert style == "solid"
    opened.keyboard.press("Enter")
    head = opened.locator("#table-scores thead th").nth(3)
    assert head.get_attribute("aria-sort") == "descending"
    opened.keyboard.press("Space")
    assert head.get_attribute("aria-sort") == "ascending"


def test_the_table_shows_other_subjects_and_figures(opened) -> None:
    pooled = column(opened, 3)
    opened.locator("#table-subject").select_option("02")
    one = column(opened, 3)
    assert one != pooled
    opened.locator("#table-metric").select_option(label="Pearson's r")
    assert max(numbers(column(opened, 3))) < 1
    opened.locator("#table-subject").select_option("all")
    opened.locator("#table-metric").select_option("0")
    assert column(opened, 3) == pooled


def pixels(page) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(page.locator("#brain").screenshot())).convert("RGB"), int)


def changed(a: np.ndarray, b: np.ndarray) -> float:
    return float((np.abs(a - b).max(axis=2) > 20).mean())


def test_the_brain_turns_by_mouse_keyboard_and_buttons(opened) -> None:
    brain = opened.locator("#brain")
    brain.scroll_into_view_if_needed()
    first = pixels(opened)
    assert len(np.unique(first.reshape(-1, 3), axis=0)) > 500, "a brain is drawn"
    box = brain.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    opened.mouse.move(*middle)
    opened.mouse.down()
    opened.mouse.move(middle[0] + 120, middle[1], steps=4)
    opened.mouse.up()
    turned = pixels(opened)
    assert changed(first, turned) > 0.05
    opened.mouse.move(middle[0] - 50, middle[1])
    assert changed(turned, pixels(opened)) == 0, "without the button pressed, nothing turns"
    brain.focus()
    before = pixels(opened)
    opened.keyboard.press("ArrowLeft")
    assert changed(before, pixels(opened)) > 0.02
    opened.get_by_role("button", name="Below").click()
    assert changed(before, pixels(opened)) > 0.05


def test_the_brain_shows_the_map_that_is_chosen(opened) -> None:
    before = pixels(opened)
    opened.locator("#brain-title").select_option("Noise ceiling")
    assert changed(before, pixels(opened)) > 0.001
    assert "explainable share" in opened.locator("#brain-bar").inner_text()
    opened.locator("#brain-title").select_option("Space that predicts best alone")
    assert "clip" in opened.locator("#brain-bar").inner_text()
    opened.locator("#brain-title").select_option("Noise-normalised score")
    opened.locator("#brain-model").select_option("ridge-012345 (alexnet)")
    opened.locator("#brain-subject").select_option("01")


def test_left_is_left_and_the_back_is_seen_first(opened) -> None:
    # The simulated patches lie at the back of both hemispheres, so colour is near the middle.
    seen = pixels(opened)
    coloured = np.ptp(seen, axis=2) > 60
    halves = np.split(coloured[:, : coloured.shape[1] // 2 * 2], 2, axis=1)
    assert all(half.sum() > 30 for half in halves)
    opened.get_by_role("button", name="Left side").click()
    columns = np.nonzero(np.ptp(pixels(opened), axis=2) > 60)[1]
    # From its left side, the brain's front is on the left and its back on the right.
    assert columns.mean() > 0.6 * seen.shape[1]


def test_pictures_and_examples_are_chosen(opened) -> None:
    shown = opened.locator(".still:visible")
    assert shown.count() == 1
    assert shown.get_attribute("data-title") == "Noise-normalised score"
    assert shown.locator("img").count() == 8
    opened.locator("#still-subject").select_option("02")
    opened.locator("#still-name").select_option("Pearson's r")
    assert opened.locator(".still:visible").get_attribute("data-subject") == "02"
    assert opened.locator(".example:visible").count() == 1
    opened.locator("#example-roi").select_option("3")
    example = opened.locator(".example:visible")
    assert example.get_attribute("data-index") == "3"
    sizes = example.locator("img").evaluate_all("all => all.map(one => one.naturalWidth)")
    assert sizes == [128] * 8


def test_everything_has_a_name_and_ids_are_unique(opened) -> None:
    assert opened.evaluate("[...document.images].every(one => one.alt.length > 20)")
    drawings = opened.locator("svg[role=img]")
    assert drawings.count() > 5
    assert all(name and len(name) > 20 for name in drawings.evaluate_all(
        "all => all.map(one => one.getAttribute('aria-label'))"))  # fmt: skip
    named = "[...document.querySelectorAll('select')].every(one => one.labels.length === 1)"
    assert opened.evaluate(named)
    ids = opened.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)")
    links = opened.evaluate("[...document.querySelectorAll('nav a')].map(one => one.hash.slice(1))")
    assert set(links) <= set(ids)
    assert len(ids) == len(set(ids))


def paper(page) -> int:
    """Measure how bright the page is where nothing stands."""
    return int(np.asarray(Image.open(BytesIO(page.screenshot())).convert("L"))[5, 5])


@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}], indirect=True)
def test_dark_mode(opened) -> None:
    assert paper(opened) < 50
    ink = opened.evaluate("getComputedStyle(document.querySelector('svg text')).fill")
    assert min(int(part) for part in ink[4:-1].split(",")) > 200


@pytest.mark.parametrize("opened", [{"color_scheme": "light"}], indirect=True)
def test_light_mode(opened) -> None:
    assert paper(opened) > 240


@pytest.mark.parametrize(
    "opened", [{"viewport": {"width": 390, "height": 844}, "has_touch": True}], indirect=True
)
def test_a_phone_scrolls_down_only(opened) -> None:
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    for name in opened.locator("#still-name option").all_inner_texts():
        opened.locator("#still-name").select_option(name)
        assert opened.evaluate("document.documentElement.scrollWidth") == 390
    opened.locator("summary").first.click()
    assert opened.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], indirect=True)
def test_without_scripts_the_scores_are_there(opened) -> None:
    assert len(numbers(column(opened, 3))) > 20
