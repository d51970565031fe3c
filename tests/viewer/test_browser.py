"""The page in a real Chromium: open, zoom, threshold, keys, reload, export."""

from __future__ import annotations

import shutil
import threading

import pytest

from metaphase.viewer import pagefiles
from metaphase.viewer.app import create_app
from metaphase.viewer.serve import address, listen, serve

from .conftest import TOKEN

pytestmark = pytest.mark.needs_browser

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("no chromium on this machine")
    if not (pagefiles.VENDOR / pagefiles.NEEDED[0]).is_file():
        pytest.skip("the page was built without OpenSeadragon")
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def url(slides, store):
    app = create_app(slides, store, reviewer="anna", token=TOKEN)
    where = listen("127.0.0.1", 0)
    port = where.getsockname()[1]
    started = threading.Event()
    stop = []
    thread = threading.Thread(target=serve, args=(app, where, started.set, stop.append))
    thread.start()
    assert started.wait(30)
    yield address("127.0.0.1", port, TOKEN)
    stop[0]()
    thread.join(30)
    where.close()


def open_page(browser, url, **options):
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(30_000)
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(url)
    page.wait_for_selector("#gallery button")
    return page


def test_a_review_by_keys_alone_survives_a_reload(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    assert page.url.split("#")[0] == url.split("?")[0]  # the token has left the address
    before = int(page.text_content("#count"))
    for key in ("n", "c", "x", "r"):
        page.keyboard.press(key)
    page.wait_for_function("() => document.querySelector('#saved').textContent === 'Saved'")
    assert [str(d.state) for d in store.since("a")] == ["confirmed", "rejected", "relabelled"]
    after = int(page.text_content("#count"))
    page.keyboard.press("u")
    page.wait_for_function("() => metaphase.sender.waiting === 0")
    assert str(store.since("a")[-1].state) == "undone"
    page.reload()
    page.wait_for_selector("#gallery button")
    page.wait_for_function("() => document.querySelector('#progress').textContent.startsWith('2 ')")
    assert before != after or page.text_content("#n-3") == "1"
    assert page.wrong == []


def test_threshold_zoom_and_a_double_click(browser, url, store):
    page = open_page(browser, url, viewport={"width": 820, "height": 1100}, color_scheme="dark")
    page.wait_for_function("() => metaphase.viewer.world.getItemCount() === 1")
    at_half = int(page.text_content("#count"))
    page.fill("#threshold", "0")
    assert int(page.text_content("#count")) == 15 > at_half
    page.wait_for_function("() => document.querySelector('#hot-count').textContent === '15'")
    zoom = page.evaluate("() => metaphase.viewer.viewport.getZoom(false)")
    page.click("#zoom-in")
    assert page.evaluate("() => metaphase.viewer.viewport.getZoom(false)") > zoom
    page.wait_for_timeout(600)
    # Somewhere without a figure: they lie on the diagonal.
    where = page.evaluate(
        "() => { const t = metaphase.overlay.transform();"
        " return [700 * t.scale + t.left, 200 * t.scale + t.top]; }"
    )
    page.dblclick("#osd", position={"x": where[0], "y": where[1]})
    page.wait_for_function("() => document.querySelector('#count').textContent === '16'")
    page.wait_for_function("() => metaphase.sender.waiting === 0")
    (added,) = store.since("a")
    assert abs(added.x_px - 700) < 8
    assert abs(added.y_px - 200) < 8
    wide = page.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 820
    assert page.wrong == []


def test_the_export_is_downloaded(browser, url):
    page = open_page(browser, url)
    with page.expect_download() as download:
        page.click("#export")
    assert download.value.suggested_filename == "reviewed.zip"


def test_two_tabs_see_each_other(browser, url):
    first = open_page(browser, url)
    second = first.context.new_page()
    second.goto(url)
    second.wait_for_selector("#gallery button")
    first.bring_to_front()
    first.keyboard.press("n")
    first.keyboard.press("x")
    second.bring_to_front()
    second.wait_for_function("() => document.querySelector('#n-3').textContent === '1'")
