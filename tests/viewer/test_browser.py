"""The page in a real Chromium: open, zoom, threshold, keys, reload, export."""

from __future__ import annotations

import http.client
import http.server
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from metaphase.viewer.reviewedfigures import BORDERLINE, undecided
from metaphase.viewer.store import RemarkKind

from .browsing import (
    PATIENCE_MS,
    counted,
    listed,
    on_screen,
    open_page,
    opened,
    remarks,
    saved,
    settled,
    shown,
    text_is,
    wait_until,
)

pytestmark = pytest.mark.needs_browser


def test_a_review_by_keys_alone_survives_a_reload(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    assert page.url.split("#")[0] == url.split("?")[0]  # the token has left the address
    before = int(page.text_content("#count"))
    for key in ("n", "c", "x", "r"):
        page.keyboard.press(key)
    saved(page)
    text_is(page, "#saved", "Saved")
    assert [str(d.state) for d in store.since("a")] == ["confirmed", "rejected", "relabelled"]
    after = int(page.text_content("#count"))
    page.keyboard.press("u")
    saved(page)
    assert str(store.since("a")[-1].state) == "undone"
    page.reload()
    opened(page)
    page.wait_for_function(
        "() => document.querySelector('#progress').textContent.includes(' 2 decided')"
    )
    assert before != after or page.text_content("#n-3") == "1"
    assert page.wrong == []


def test_threshold_zoom_and_a_figure_added_by_a_click(browser, url, store):
    page = open_page(browser, url, viewport={"width": 820, "height": 1100}, color_scheme="dark")
    at_half = int(page.text_content("#count"))
    page.fill("#threshold", "0")
    assert int(page.text_content("#count")) == 15 > at_half
    counted(page)
    assert page.text_content("#hot-count") == "15"
    zoom = page.evaluate("() => metaphase.viewer.viewport.getZoom(false)")
    page.click("#zoom-in")
    assert page.evaluate("() => metaphase.viewer.viewport.getZoom(false)") > zoom
    page.click("#tool-add")
    assert page.get_attribute("#tool-add", "aria-pressed") == "true"
    # Somewhere without a figure: they lie on the diagonal.
    page.click("#osd", position=on_screen(page, 700, 200))
    text_is(page, "#count", "16")
    saved(page)
    (added,) = store.since("a")
    assert abs(added.x_px - 700) < 8
    assert abs(added.y_px - 200) < 8
    assert page.text_content("#do-undo").strip().startswith("U Undo add (x ")
    page.keyboard.press("Escape")
    assert page.get_attribute("#tool-add", "aria-pressed") == "false"
    page.keyboard.press("u")
    text_is(page, "#count", "15")
    saved(page)
    assert [str(d.state) for d in store.since("a")] == ["added", "undone"]
    assert page.wrong == []


def test_a_double_click_zooms_and_adds_nothing(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    place = on_screen(page, 700, 200)
    zoom = page.evaluate("() => metaphase.viewer.viewport.getZoom(false)")
    page.dblclick("#osd", position=place)
    page.wait_for_function(f"() => metaphase.viewer.viewport.getZoom(false) > {zoom * 1.5}")
    saved(page)
    assert store.since("a") == []


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_page_fits_and_a_review_works_at_every_width(browser, url, store, width):
    page = open_page(browser, url, viewport={"width": width, "height": 800}, has_touch=width == 390)
    counted(page)
    for selector in ("#to-review", "#do-confirm", "#gallery button", "#complete", "#threshold"):
        page.locator(selector).first.scroll_into_view_if_needed()
        assert page.locator(selector).first.is_visible(), selector
    page.locator("#do-next").scroll_into_view_if_needed()
    page.click("#do-next")
    page.click("#do-reject")
    saved(page)
    assert [str(d.state) for d in store.since("a")] == ["rejected"]
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    name = page.evaluate(
        "() => { const e = document.querySelector('#slide-name');"
        " e.textContent = 'a-long-name-without-a-space-'.repeat(6);"
        " return [e.scrollWidth <= e.clientWidth + 1, document.documentElement.scrollWidth]; }"
    )
    assert name == [True, width]
    assert page.wrong == []


def test_one_number_goes_down_to_nothing(browser, url, store, slides):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    expected = len(undecided(slides[0], {}, 0.5, BORDERLINE))
    assert int(page.text_content("#to-review")) == expected
    assert page.locator("#gallery button").count() == expected
    scores = page.eval_on_selector_all("#gallery span", "all => all.map((e) => e.textContent)")
    assert scores == sorted(scores, reverse=True)
    assert page.text_content("#gallery .divider").startswith("Borderline")
    page.keyboard.press("n")
    for left in range(expected - 1, -1, -1):
        page.keyboard.press("c")
        assert int(page.text_content("#to-review")) == left
    saved(page)
    page.keyboard.press("m")
    page.wait_for_selector("#complete[aria-pressed=true]")
    page.wait_for_selector("#slide-list .done")
    assert page.wrong == []


def test_a_slide_with_undecided_figures_is_not_marked_as_complete(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.keyboard.press("m")
    page.wait_for_selector("#undecided[open]")
    assert "7 figures above the threshold" in page.text_content("#undecided-text")
    page.click("#undecided-show")
    listed(page, 7)
    assert page.get_attribute("#complete", "aria-pressed") == "false"
    saved(page)
    assert store.since("a") == []


def test_many_figures_are_decided_and_undone_at_once(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    buttons = page.locator("#gallery button")
    buttons.nth(0).click()
    buttons.nth(2).click(modifiers=["Shift"])
    buttons.nth(4).click(modifiers=["Control"])
    text_is(page, "#selection", "4 selected")
    assert page.text_content("#do-reject").strip() == "X Reject 4"
    page.keyboard.press("x")
    saved(page)
    assert [str(d.state) for d in store.since("a")] == ["rejected"] * 4
    assert page.text_content("#do-undo").strip() == "U Undo reject ×4"
    page.keyboard.press("u")
    saved(page)
    assert [str(d.state) for d in store.since("a")][4:] == ["undone"] * 4
    assert page.text_content("#n-3") == "0"
    page.click("#select-all")
    page.wait_for_function("() => metaphase.gallery.selection.size > 4")
    page.keyboard.press("Escape")
    text_is(page, "#selection", "")


def test_a_slide_just_opened_keeps_what_is_selected_in_it(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    selected = page.evaluate("""async () => {
      const frame = () => new Promise(requestAnimationFrame);
      document.querySelectorAll("#slide-list button")[1].click();
      while (document.querySelector("#slide-name").textContent !== "b") await frame();
      while (!document.querySelector("#gallery button")) await frame();
      const first = document.querySelector("#gallery button");
      metaphase.gallery.selectAll();
      await new Promise((resolve) => setTimeout(resolve, 400));
      return [metaphase.gallery.selection.size > 0, first.isConnected];
    }""")
    assert selected == [True, True]


def test_the_threshold_is_kept_over_slides_and_reloads(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.fill("#threshold", "0.7")
    wait_until(lambda: remarks(store, "a", RemarkKind.THRESHOLD) == ["0.7"])
    page.keyboard.press("s")
    shown(page, "b")
    assert page.text_content("#threshold-value") == "0.50"
    page.reload()
    opened(page)
    page.click("#slide-list button >> nth=0")
    shown(page, "a")
    assert page.text_content("#threshold-value") == "0.70"
    assert page.text_content("#threshold-reset") == "detector: 0.50"
    assert remarks(store, "a", RemarkKind.THRESHOLD) == ["0.7"]


def test_what_was_set_just_before_another_slide_is_opened_is_kept(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.evaluate("""() => {
      const slider = document.querySelector("#threshold");
      slider.value = "0.8";
      slider.dispatchEvent(new Event("input"));
      document.querySelectorAll("#slide-list button")[1].click();
    }""")
    shown(page, "b")
    saved(page)
    assert remarks(store, "a", RemarkKind.THRESHOLD) == ["0.8"]
    assert remarks(store, "b", RemarkKind.THRESHOLD) == []


def test_of_two_slides_the_one_chosen_last_is_shown(browser, url, slides):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    late = []
    page.route(f"**/slides/{slides[1].slug}/figures", lambda route: late.append(route))
    page.evaluate("() => { metaphase.state.figures.before = true; }")
    page.click("#slide-list button >> nth=1")
    wait_until(lambda: late or page.evaluate("() => 0"))  # its figures are on their way
    page.click("#slide-list button >> nth=0")
    page.wait_for_function("() => !metaphase.state.figures.before")
    with page.expect_response("**/figures") as response:
        late[0].continue_()
    response.value.finished()
    page.evaluate("() => fetch('api/session').then((answer) => answer.text())")
    assert page.text_content("#slide-name") == page.evaluate("() => metaphase.state.slide.name")
    assert page.text_content("#slide-name") == "a"


def test_a_movement_before_the_slide_is_open_follows_once_it_is(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.evaluate("""() => {
      const { view } = metaphase, { open } = view;
      view.open = (slide) => { open.call(view, slide); view.goTo(650, 450, 40); };
    }""")
    page.click("#slide-list button >> nth=1")
    shown(page, "b")
    settled(page)
    assert page.evaluate("() => metaphase.view.middle") == pytest.approx([650, 450], abs=2)
    assert page.text_content("#power") == "40×"


def test_magnification_rotation_and_measures(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.keyboard.press("3")
    settled(page)
    assert page.text_content("#power") == "20×"
    scale = page.evaluate("() => metaphase.view.scale")
    assert scale == pytest.approx(0.5, rel=0.02)  # 0.25 um/px shown at 0.5 um/px
    assert page.get_attribute("[data-power='20']", "aria-pressed") == "true"
    page.click("#tool-ruler")
    for place in ((400, 300), (800, 300)):
        page.click("#osd", position=on_screen(page, *place))
    page.wait_for_function("() => metaphase.measure.done.length === 1")
    (shape,) = page.evaluate("() => metaphase.measure.shapes()")
    assert float(shape["text"].split()[0]) == pytest.approx(100, abs=1.5)
    page.click("#tool-area")
    for place in ((400, 300), (800, 300), (800, 500), (400, 500), (400, 300)):
        page.click("#osd", position=on_screen(page, *place))
    page.wait_for_function("() => metaphase.measure.done.length === 2")
    areas = page.evaluate("() => metaphase.measure.shapes().map((s) => s.text)")
    assert float(areas[1].split()[0].replace(",", "")) == pytest.approx(5000, rel=0.03)
    page.keyboard.press("Escape")
    assert page.evaluate("() => metaphase.measure.shapes().length") == 0
    page.keyboard.press("Escape")
    page.click("#rotate")
    assert page.evaluate("() => metaphase.viewer.viewport.getRotation()") == 90
    assert page.wrong == []


def test_the_map_remembers_what_was_looked_at(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.keyboard.press("4")
    page.wait_for_function("() => metaphase.map.share > 0")
    settled(page)
    wait_until(lambda: remarks(store, "a", RemarkKind.VIEWED))
    share = page.evaluate("() => metaphase.map.share")
    page.reload()
    opened(page)
    assert page.evaluate("() => metaphase.map.share") >= share > 0
    middle = "() => metaphase.viewer.viewport.getCenter(false).x"
    before = page.evaluate(middle)
    page.click("#map", position={"x": 6, "y": 6})
    assert page.evaluate(middle) < before


def test_comments_filters_and_going_to_a_place(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.keyboard.press("n")
    page.keyboard.press("e")
    page.keyboard.type("metaphase plate, c x")  # letters decide nothing while one writes
    page.keyboard.press("Escape")
    saved(page)
    assert remarks(store, "a", RemarkKind.COMMENT) == ["metaphase plate, c x"]
    assert store.since("a") == []
    page.select_option("#which", "comments")
    listed(page, 1)
    page.click("#filters summary")
    page.select_option("#which", "all")
    page.fill("#filter-low", "0.9")
    page.dispatch_event("#filter-low", "change")
    listed(page, 2)
    page.fill("#go-place", "703, 446")
    page.press("#go-place", "Enter")
    assert page.text_content("#current-facts").endswith("x 703, y 446")
    page.fill("#go-place", "here")
    page.press("#go-place", "Enter")
    assert page.get_attribute("#go-place", "aria-invalid") == "true"


def test_a_slide_is_assigned_and_the_worklist_filtered(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.fill("#assigned", "anna")
    page.press("#assigned", "Tab")
    page.wait_for_function(
        "() => document.querySelector('#slide-list').textContent.includes('anna')"
    )
    page.select_option("#work-filter", "mine")
    page.wait_for_function("() => document.querySelectorAll('#slide-list li').length === 1")


def test_a_store_that_fails_is_shown_and_nothing_is_dropped(browser, url, store, tmp_path):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    other = sqlite3.connect(tmp_path / "review.sqlite", timeout=60)
    other.execute("ALTER TABLE decisions RENAME TO away")
    other.commit()
    page.keyboard.press("n")
    page.keyboard.press("c")
    page.wait_for_function(
        "() => document.querySelector('#saved.bad')?.textContent.includes('review.sqlite')"
    )
    other.execute("ALTER TABLE away RENAME TO decisions")
    other.commit()
    other.close()
    saved(page)
    assert [str(d.state) for d in store.since("a")] == ["confirmed"]


@pytest.fixture
def prefixed(url):
    """The page behind a proxy that removes a path prefix and answers under another name."""
    target, prefix = urlsplit(url), "/user/me/proxy/8765"

    class Proxy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self):
            if not self.path.startswith(prefix):
                self.send_error(404)
                return
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
            with closing(http.client.HTTPConnection(target.hostname, target.port)) as back:
                back.request(self.command, self.path[len(prefix) :], body, headers)
                answer = back.getresponse()
                data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = forward

        def handle(self):
            with suppress(ConnectionError):  # the browser left
                super().handle()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}{prefix}/?{target.query}"
    server.shutdown()
    thread.join(30)
    server.server_close()


def test_a_review_behind_a_path_prefix(browser, prefixed, store):
    page = open_page(browser, prefixed, viewport={"width": 1280, "height": 800})
    assert page.url.split("#")[0] == prefixed.split("?")[0]
    page.keyboard.press("n")
    page.keyboard.press("c")
    saved(page)
    assert [str(d.state) for d in store.since("a")] == ["confirmed"]
    with page.expect_download() as download:
        page.click("#export")
    assert download.value.suggested_filename == "reviewed.zip"
    assert page.wrong == []


def test_the_slide_moves_and_zooms_by_keys(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    look = (
        "() => { const { viewport } = metaphase.viewer, { x, y } = viewport.getCenter(false);"
        " return [x, y, viewport.getZoom(false)]; }"
    )
    page.focus("#osd")
    settled(page)
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
    second.set_default_timeout(PATIENCE_MS)
    second.goto(url)
    opened(second)
    first.bring_to_front()
    first.keyboard.press("n")
    first.keyboard.press("x")
    second.bring_to_front()
    text_is(second, "#n-3", "1")


def test_interval_and_score_follow_the_threshold(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    counted(page)
    low, _, high = page.text_content("#hot-interval").partition(" to ")
    assert int(low) < int(high)  # known at the model's threshold
    page.click("#interval-from summary")
    assert page.inner_text("#interval-source").startswith("Precision 0.800 and recall 0.762")
    assert page.text_content("#hot-score").startswith("needs")  # the picture is too small
    page.fill("#field", "0.59")
    counted(page)
    assert page.text_content("#hot-score")[0] in "123"
    assert "19 in ten fields" in page.get_attribute("#hot-score", "title")
    page.fill("#threshold", "0.9")
    counted(page)
    assert page.text_content("#hot-interval") == "not known"
    assert "at this threshold" in page.text_content("#count-notes")
    assert page.is_hidden("#interval-from")
    page.fill("#field", "9")  # no such field: the score is not asked for it
    counted(page)
    assert page.text_content("#hot-score").startswith("needs")
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
    settled(page)
    wanted = set(page.evaluate(FOCUSABLE))
    names = "osd threshold export window field order complete"
    assert set(names.split()) <= wanted
    reached = []
    for _ in range(len(wanted) + 30):
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
    page.keyboard.press("?")
    page.wait_for_selector("#help[open]")
    page.keyboard.press("Escape")
    page.wait_for_selector("#help:not([open])", state="attached")
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
    page.focus("#which")
    page.keyboard.press("c")  # a letter that chooses in a list decides nothing
    saved(page)
    assert [str(d.state) for d in store.since("a")] == ["confirmed", "added"]
    page.focus("#osd")
    page.keyboard.press("s")
    shown(page, "b")
    page.focus("#export")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "reviewed.zip"
    assert page.wrong == []


NAMELESS = """() => {
  const named = (e) => [e.getAttribute('aria-label'), e.textContent, e.alt, e.title,
    document.getElementById(e.getAttribute('aria-labelledby'))?.textContent, e.labels?.length]
    .some((name) => String(name ?? '').trim() && name !== 0);
  const controls = 'a[href], button, select, input, canvas, img, [role=application]';
  return [...document.querySelectorAll(controls)]
    .filter((e) => e.checkVisibility() && !e.closest('[aria-hidden=true], #osd *'))
    .filter((e) => e.getAttribute('alt') !== '' && !named(e))
    .map((e) => e.outerHTML.slice(0, 80));
}"""


def test_every_control_has_a_name_for_screen_readers(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 900})
    page.keyboard.press("n")
    counted(page)
    assert page.evaluate(NAMELESS) == []
    images = page.eval_on_selector_all("#current-crops img", "all => all.map((e) => e.alt)")
    assert images == [f"The figure, {um} µm wide" for um in (20, 64, 200)]
    page.evaluate("""() => {
      const button = document.querySelector("#zoom-in");
      button.removeAttribute("aria-label");
      button.textContent = button.title = "";
    }""")
    assert len(page.evaluate(NAMELESS)) == 1  # it does see what has none


def test_the_gallery_is_filtered_by_state(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    for key in ("n", "c", "x", "c"):
        page.keyboard.press(key)
    page.select_option("#which", "all")
    page.click("#filters summary")
    for state, number in (("1", 2), ("2", 1), ("3", 0)):
        page.select_option("#filter-state", state)
        listed(page, number)
    assert page.text_content("#gallery p") == "No figures in this list with these filters."


def test_on_a_narrow_screen_decisions_are_always_at_hand(browser, url):
    page = open_page(browser, url, viewport={"width": 390, "height": 800}, has_touch=True)
    for selector in ("#to-review", "#gallery button", "#show-density"):
        page.locator(selector).first.scroll_into_view_if_needed()
        for button in ("#do-confirm", "#do-reject", "#do-next", "#do-undo"):
            box = page.locator(button).bounding_box()
            assert 0 <= box["x"] < box["x"] + box["width"] <= 390
            assert 600 < box["y"] < box["y"] + box["height"] <= 800
    gallery = page.locator("#gallery button").first
    gallery.scroll_into_view_if_needed()
    gallery.tap()  # no button covers it
    assert gallery.get_attribute("aria-current") == "true"


CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 1024), ("light", 390)])
def test_contrast(browser, url, scheme, width):
    page = open_page(browser, url, viewport={"width": width, "height": 900}, color_scheme=scheme)
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
    page.evaluate("() => { document.querySelector('#warnings').hidden = false; }")
    page.evaluate("() => { document.querySelector('#filters').open = true; }")
    page.evaluate(
        "() => { const n = document.querySelector('#stage-note');"
        " n.hidden = false; n.textContent = 'A part of the slide cannot be read'; }"
    )
    page.keyboard.press("?")
    assert page.evaluate(CONTRAST) == []
    page.evaluate("() => document.documentElement.style.setProperty('--soft', '#808080')")
    assert page.evaluate(CONTRAST) != []  # it does see what is pale


def test_a_figure_is_called_atypical_by_a_key_and_found_by_the_filter(browser, url, store):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.keyboard.press("n")
    page.keyboard.press("t")
    assert page.get_attribute("#do-atypical", "aria-pressed") == "true"
    assert page.text_content("#current-title") == "Atypical mitotic figure"
    page.wait_for_selector("#hot-atypical", state="visible")
    saved(page)
    assert remarks(store, "a", RemarkKind.ATYPICAL) == ["yes"]
    page.evaluate("() => { document.querySelector('#filters').open = true; }")
    page.select_option("#filter-atypical", "yes")
    listed(page, 1)
    assert "atypical" in page.get_attribute("#gallery button", "aria-label")
    page.reload()
    opened(page)
    page.evaluate("() => { document.querySelector('#filters').open = true; }")
    page.select_option("#filter-atypical", "yes")
    listed(page, 1)
    page.click("#gallery button")
    page.keyboard.press("t")
    saved(page)
    assert remarks(store, "a", RemarkKind.ATYPICAL) == ["yes", "no"]
    assert page.get_attribute("#do-atypical", "aria-pressed") == "false"
    assert page.wrong == []


def test_the_list_of_slides_is_opened_and_closed_by_keys(browser, url):
    page = open_page(browser, url, viewport={"width": 1024, "height": 800})
    assert page.is_hidden("#slide-list")
    page.focus("#slides-toggle")
    page.keyboard.press("Enter")
    page.wait_for_selector("#slide-list", state="visible")
    assert page.get_attribute("#slides-toggle", "aria-expanded") == "true"
    page.focus("#slide-list button >> nth=1")
    page.keyboard.press("Escape")
    assert page.is_hidden("#slide-list")
    assert page.evaluate("() => document.activeElement.id") == "slides-toggle"
    page.keyboard.press("Enter")
    page.focus("#slide-list button >> nth=1")
    page.keyboard.press("Enter")
    shown(page, "b")
    assert page.get_attribute("#slides-toggle", "aria-expanded") == "false"


def test_the_list_of_slides_keeps_the_focus_when_its_numbers_change(browser, url):
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.keyboard.press("n")
    before = page.text_content("#slide-list .status")
    page.focus("#slide-list button >> nth=0")
    page.keyboard.press("c")
    page.wait_for_function(
        "(before) => document.querySelector('#slide-list .status').textContent !== before",
        arg=before,
    )
    assert page.evaluate("() => document.activeElement.dataset.slug === metaphase.state.slide.slug")
