"""Filters, undoing, measuring by keys and earlier decisions, in a real Chromium."""

from __future__ import annotations

import pytest

from metaphase.viewer.store import RemarkKind, State

from .browsing import counted, listed, on_screen, open_page, remarks, saved, settled, shown, text_is
from .conftest import first_mitotic, put

pytestmark = pytest.mark.needs_browser
WIDE = {"width": 1280, "height": 800}


def test_filters_that_are_on_are_named_and_cleared_at_once(browser, url):
    page = open_page(browser, url, viewport=WIDE)
    everything = page.locator("#gallery button").count()
    assert page.text_content("#filters-on") == ""
    page.click("#filters summary")
    assert page.is_hidden("#filters-clear")
    page.select_option("#filter-state", "1")
    page.fill("#filter-low", "0.99")
    page.dispatch_event("#filter-low", "change")
    text_is(page, "#filters-on", ": 2 filters on")
    assert page.text_content("#gallery") == "No figures in this list with these filters."
    page.click("#filters-clear")
    listed(page, everything)
    assert page.text_content("#filters-on") == ""
    assert page.input_value("#filter-low") == page.input_value("#filter-state") == ""


def test_calling_a_figure_atypical_is_undone_like_a_decision(browser, url, store):
    page = open_page(browser, url, viewport=WIDE)
    page.keyboard.press("n")
    page.keyboard.press("c")
    figure = page.evaluate("() => metaphase.state.figures.id(metaphase.state.current)")
    page.keyboard.press("t")
    assert page.text_content("#do-undo").strip().startswith("U Undo atypical (score ")
    page.keyboard.press("u")
    saved(page)
    assert page.get_attribute("#do-atypical", "aria-pressed") == "false"
    assert remarks(store, "a", RemarkKind.ATYPICAL) == ["yes", ""]
    assert page.evaluate("() => metaphase.state.figures.id(metaphase.state.current)") == figure
    assert [str(d.state) for d in store.since("a")] == ["confirmed"]
    assert page.text_content("#do-undo").strip().startswith("U Undo confirm (score ")
    assert page.wrong == []


def test_distances_and_areas_are_measured_by_keys(browser, url):
    page = open_page(browser, url, viewport=WIDE)
    page.keyboard.press("4")
    page.focus("#osd")
    page.keyboard.press("l")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    settled(page)
    page.keyboard.press("Enter")
    page.wait_for_function("() => metaphase.measure.done.length === 1")
    page.keyboard.press("l")
    page.focus("#tool-area")
    page.keyboard.press("Enter")
    page.focus("#osd")
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
        page.keyboard.press("Enter")
        page.keyboard.press(key)
        settled(page)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # the last corner again: closed
    page.wait_for_function("() => metaphase.measure.done.length === 2")
    shapes = page.evaluate("() => metaphase.measure.shapes()")
    assert [len(shape["points"]) for shape in shapes] == [2, 4]
    wide, tall = (float(shapes[1]["points"][k][1 - k] - shapes[1]["points"][0][1 - k])
                  for k in (1, 2))  # fmt: skip
    assert float(shapes[0]["text"].split()[0]) == pytest.approx(abs(wide) * 0.25, rel=0.05)
    area = float(shapes[1]["text"].split()[0].replace(",", ""))
    assert area == pytest.approx(abs(wide * tall) * 0.25**2, rel=0.05)
    assert page.wrong == []


def test_a_double_click_closes_an_area(browser, url):
    page = open_page(browser, url, viewport=WIDE)
    page.click("#tool-area")
    for place in ((300, 500), (600, 500)):
        page.click("#osd", position=on_screen(page, *place))
    page.dblclick("#osd", position=on_screen(page, 600, 700))
    page.wait_for_function("() => metaphase.measure.done.length === 1")
    (shape,) = page.evaluate("() => metaphase.measure.shapes()")
    assert float(shape["text"].split()[0].replace(",", "")) == pytest.approx(1875, rel=0.05)


def test_decisions_on_an_earlier_model_are_shown_and_count_once(browser, url, slides, store):
    """One lies at a detection of today, the others are where it has none."""
    a = slides[0]
    x, y = a.columns.points[a.columns.index[first_mitotic(a)]].tolist()
    near = f"d{round((x + 8) * 100)}_{round(y * 100)}_0"
    put(store, a, near, State.REJECTED, place=(x + 8, y))
    put(store, a, "d10000_80000_0", State.CONFIRMED, place=(100.0, 800.0))
    put(store, a, "d30000_80000_0", State.REJECTED, place=(300.0, 800.0))
    page = open_page(browser, url, viewport=WIDE)
    counted(page)
    server = page.evaluate("async () => (await (await fetch('api/slides')).json())[0].count")
    assert int(page.text_content("#count")) == server == 7
    page.select_option("#which", "decided")
    listed(page, 3)
    assert page.text_content("#progress") == "to review, 3 decided"
    names = page.eval_on_selector_all("#gallery button", "all => all.map((b) => b.className)")
    assert sorted(names) == ["confirmed", "rejected", "rejected"]
    page.click("#gallery .confirmed")
    page.keyboard.press("x")
    saved(page)
    last = store.since("a")[-1]
    assert (last.figure, str(last.state), last.x_px) == ("d10000_80000_0", "rejected", 100)
    text_is(page, "#count", "6")
    page.keyboard.press("u")
    text_is(page, "#count", "7")
    page.reload()
    page.wait_for_function("() => window.metaphase?.state.slide && metaphase.view.opened")
    text_is(page, "#count", "7")
    assert page.wrong == []


def test_the_page_as_a_whole_never_scrolls(browser, url):
    """Only its parts do: a hidden heading in a part may not make the page longer."""
    page = open_page(browser, url, viewport={"width": 1280, "height": 420})
    for where in ("#threshold", "#show-density", "#gallery button"):
        page.locator(where).first.scroll_into_view_if_needed()
        page.focus("#help-open")
        assert page.evaluate("() => [scrollY, document.body.scrollTop]") == [0, 0]
    fits = "() => document.scrollingElement.scrollHeight <= innerHeight"
    fits += " && document.body.scrollHeight <= innerHeight"
    assert page.evaluate(fits)


def test_without_a_figure_no_broken_pictures_are_shown(browser, url):
    page = open_page(browser, url, viewport=WIDE)
    assert page.is_hidden("#current-crops")
    page.keyboard.press("n")
    assert page.is_visible("#current-crops")
    page.wait_for_function(
        "() => [...document.querySelectorAll('#current-crops img')].every((i) => i.naturalWidth)"
    )
    page.click("#next-slide")
    shown(page, "b")
    assert page.is_hidden("#current-crops")


def test_when_nothing_is_left_the_page_says_what_to_do(browser, url):
    page = open_page(browser, url, viewport=WIDE)
    assert page.is_hidden("#reviewed")
    page.click("#select-all")
    page.keyboard.press("x")
    text_is(page, "#to-review", "0")
    assert page.is_visible("#reviewed")
    page.select_option("#which", "above")
    page.select_option("#which", "open")
    assert page.text_content("#gallery") == "No figures are left to review."
    saved(page)
    page.click("#complete")
    page.wait_for_selector("#complete[aria-pressed=true]")
    assert page.is_hidden("#reviewed")


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_map_leaves_the_slide_in_view(browser, url, width):
    page = open_page(browser, url, viewport={"width": 1440, "height": 844})
    page.set_viewport_size({"width": width, "height": 844})
    settled(page)
    page.wait_for_function(
        "() => { const m = document.querySelector('#map'), s = document.querySelector('#stage');"
        " return m.clientWidth <= Math.max(64, 0.25 * s.clientWidth); }"
    )
    # Neither the list of slides nor the name lie over each other.
    head = page.locator("header").bounding_box()
    stage = page.locator("#stage").bounding_box()
    assert head["y"] + head["height"] <= stage["y"] + 1
    if width < 1080:
        page.click("#slides-toggle")
        slides = page.locator("#slides").bounding_box()
        assert slides["y"] >= head["y"] + head["height"] - 1
