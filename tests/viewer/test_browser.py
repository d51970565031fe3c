"""The page in a real Chromium: open, zoom, threshold, keys, reload, export."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from metaphase.viewer import pagefiles

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


AT_REST = """() => new Promise((resolve) => {
  const { viewer, overlay } = metaphase, { viewport } = viewer;
  const where = (now) => { const { x, y } = viewport.getCenter(now);
    return [x, y, viewport.getZoom(now)]; };
  const aim = where(false), there = where(true).every((v, i) => Math.abs(v - aim[i]) < 1e-6);
  const look = () => { const t = overlay.transform(); return `${t.scale} ${t.left} ${t.top}`; };
  const before = look();
  requestAnimationFrame(() => requestAnimationFrame(() => resolve(there && look() === before)));
})"""


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
    counted(page)
    page.wait_for_timeout(600)  # what was counted moves the picture's frame a little later
    page.wait_for_function(AT_REST)
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


def test_the_slide_moves_and_zooms_by_keys(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.wait_for_function("() => metaphase.viewer.world.getItemCount() === 1")
    look = (
        "() => { const { viewport } = metaphase.viewer, { x, y } = viewport.getCenter(false);"
        " return [x, y, viewport.getZoom(false)]; }"
    )
    page.focus("#osd")
    home = page.evaluate(look)
    for _ in range(4):
        page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    x, y, zoom = page.evaluate(look)
    assert x > home[0]
    assert y > home[1]
    assert zoom == pytest.approx(home[2] * 1.25**4)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("-")
    assert page.evaluate(look) == pytest.approx([*home[:2], home[2] * 1.25**3], abs=1e-6)
    page.keyboard.press("0")
    assert page.evaluate(look) == pytest.approx(home, abs=1e-6)
    page.focus("#threshold")
    page.keyboard.press("ArrowRight")  # the slider's own
    assert page.evaluate(look) == pytest.approx(home, abs=1e-6)


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


def counted(page):
    page.wait_for_function("() => !document.querySelector('#hot-count').matches('.old')")


def test_interval_and_score_follow_the_threshold(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    counted(page)
    low, _, high = page.text_content("#hot-interval").partition(" to ")
    assert int(low) < int(high)  # known at the model's threshold
    page.click("#interval-from summary")
    assert page.inner_text("#interval-source").startswith("Precision 0.800 and recall 0.762")
    assert page.text_content("#hot-score").startswith("needs")  # the picture is too small
    page.fill("#field", "0.59")
    page.wait_for_function("() => /^[123]/.test(document.querySelector('#hot-score').textContent)")
    assert "19 in ten fields" in page.get_attribute("#hot-score", "title")
    page.fill("#threshold", "0.9")
    page.wait_for_function("() => document.querySelector('#hot-interval').textContent[0] === 'n'")
    assert "at this threshold" in page.text_content("#count-notes")
    assert page.is_hidden("#interval-from")
    page.fill("#field", "9")  # no such field: the score is not asked for it
    page.wait_for_function("() => document.querySelector('#hot-score').textContent[0] === 'n'")
    assert page.wrong == []


FOCUSABLE = """() => [...document.querySelectorAll('a[href], button, select, input, #osd')]
  .filter((e) => !e.disabled && e.checkVisibility() && !e.closest('dialog'))
  .map((e) => e.id || e.dataset.row || e.dataset.slug || e.className)"""
FOCUSED = """() => { const e = document.activeElement, style = getComputedStyle(e);
  return [e.id || e.dataset.row || e.dataset.slug || e.className,
    style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2]; }"""


@pytest.mark.parametrize("width", [1280, 820])
def test_everything_is_reached_and_seen_with_the_tab_key(browser, url, width):
    page = open_page(browser, url, viewport={"width": width, "height": 900})
    wanted = set(page.evaluate(FOCUSABLE))
    assert {"osd", "threshold", "export", "window", "field", "order", "complete"} <= wanted
    reached = []
    for _ in range(len(wanted) + 12):
        page.keyboard.press("Tab")
        name, seen = page.evaluate(FOCUSED)
        assert seen or not name, f"no focus ring on {name}"
        reached.append(name)
    assert wanted <= set(reached)


MIDDLE = """() => { const { viewer, state } = metaphase, { viewport } = viewer;
  const [now, aim] = [viewport.getCenter(true), viewport.getCenter(false)];
  if (Math.hypot(now.x - aim.x, now.y - aim.y) * viewport.getZoom(false) > 1e-4) return null;
  const { figures, slide } = state, wide = slide.width_px;
  return [figures.nearest(now.x * wide, now.y * wide, 40 / slide.mpp, () => true) < 0]; }"""


def to_an_empty_place(page):
    """Move with the arrow keys until no figure is near the middle: the last decision moves the view
    to the next figure, and what is added there would be that one."""
    for _ in range(12):
        (empty,) = page.wait_for_function(MIDDLE).json_value()
        if empty:
            return
        page.keyboard.press("ArrowRight")
    raise AssertionError("no empty place")


def test_a_whole_review_without_a_mouse(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    name = page.text_content("#slide-name")
    page.keyboard.press("?")
    assert page.evaluate("() => document.querySelector('#help').open")
    page.keyboard.press("Escape")
    assert not page.evaluate("() => document.querySelector('#help').open")
    page.keyboard.press("n")
    page.keyboard.press("c")
    page.focus("#threshold")
    before = page.text_content("#threshold-value")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("[")
    assert float(page.text_content("#threshold-value")) == pytest.approx(float(before) - 0.02)
    page.focus("#osd")
    to_an_empty_place(page)
    page.keyboard.press("a")  # in the middle of the view
    page.keyboard.press("h")
    page.keyboard.press("d")
    page.wait_for_function("() => metaphase.overlay.density !== null")
    page.keyboard.press("m")
    page.focus("#which")
    page.keyboard.press("c")  # a letter that chooses in a list decides nothing
    page.wait_for_function("() => metaphase.sender.waiting === 0")
    assert [str(d.state) for d in store.since("a")] == ["confirmed", "added", "complete"]
    page.focus("#osd")
    page.keyboard.press("s")
    page.wait_for_function(f"() => document.querySelector('#slide-name').textContent !== '{name}'")
    page.focus("#export")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "reviewed.zip"
    assert page.wrong == []


CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser, url, scheme):
    page = open_page(browser, url, viewport={"width": 1280, "height": 900}, color_scheme=scheme)
    counted(page)
    assert page.evaluate(CONTRAST) == []
    page.keyboard.press("n")
    for key in ("c", "x", "r", "m"):  # every state that a figure and a slide may have
        page.keyboard.press(key)
    page.select_option("#which", "all")
    page.fill("#field", "0.59")
    counted(page)
    page.evaluate("() => document.querySelector('#hot-score').classList.add('tips')")
    page.evaluate("() => { document.querySelector('#agreement').hidden = false; }")
    for state in ("wait", "bad", ""):
        page.evaluate(f"() => {{ document.querySelector('#saved').className = '{state}'; }}")
        assert page.evaluate(CONTRAST) == []
    page.evaluate("() => document.querySelector('#measures').classList.add('old')")
    page.evaluate(
        "() => { const n = document.querySelector('#stage-note');"
        " n.hidden = false; n.textContent = 'A part of the slide cannot be read'; }"
    )
    page.keyboard.press("?")
    assert page.evaluate(CONTRAST) == []
    page.evaluate("() => document.documentElement.style.setProperty('--soft', '#808080')")
    assert page.evaluate(CONTRAST) != []  # it does see what is pale
