"""The comparison with a second model and with labels on the page, in a real Chromium."""

from __future__ import annotations

import pytest

from metaphase.detectionfile import save_detections
from metaphase.figures import Detections, Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance
from metaphase.viewer.app import create_app
from metaphase.viewer.seconddetections import add_second_detections
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import State

from .browsing import counted, listed, open_page, opened, saved, settled, shown, text_is
from .conftest import HEIGHT, MPP, TOKEN, WIDTH, found, save_second, served
from .test_browser import CONTRAST

pytestmark = pytest.mark.needs_browser
WIDE = {"width": 1280, "height": 800}
ONLY_TOY, ONLY_OTHER = 4, 1  # of 7 mitotic figures of the first; 3 are in both


@pytest.fixture
def compared(folder, tmp_path):
    """Slide a with two models and labels, slide b with one model."""
    save_second(tmp_path / "second")
    labels = Dataset([Case("a", folder / "a.png", figures=(Figure("1", 40.0, 850.0),))])
    detections = {"a": found("a.png"), "b": found("b.png", 4)}
    slides = open_slides(find_images([folder]), detections=detections, labels=labels, mpp=MPP)
    return add_second_detections(slides, tmp_path / "second")


@pytest.fixture
def compared_url(compared, store, page_built):
    with served(create_app(compared, store, reviewer="anna", token=TOKEN)) as where:
        yield where


def numbers(page):
    return [int(page.text_content(f"#compare-{side} b")) for side in ("both", "first", "second")]


def test_what_only_one_model_found_is_listed_first(browser, compared_url):
    page = open_page(browser, compared_url, viewport=WIDE)
    assert numbers(page) == [3, ONLY_TOY, ONLY_OTHER]
    assert page.input_value("#which") == "differ"
    listed(page, ONLY_TOY + ONLY_OTHER)
    headings = page.locator("#gallery .divider").all_text_contents()
    assert headings == ["Only other: 1", "Only toy: 4"]
    first = page.locator("#gallery button").first
    assert first.text_content() == "▲ 0.60"
    assert first.get_attribute("aria-label") == "mitotic figure score 0.60, only other, to review"
    text = page.text_content("#compare-text")
    assert text.startswith("toy at 0.50, other at 0.40. F1 between them 0.55. 5 differ")
    assert page.text_content("#slide-list button .status").endswith("5 differ")
    assert page.text_content("#second-name") == "other"
    assert page.text_content("#n-4") == "4"
    page.fill("#threshold", "0.9")  # another threshold of the reader changes nothing of it
    counted(page)
    assert numbers(page) == [3, ONLY_TOY, ONLY_OTHER]
    assert page.wrong == []


def test_lists_and_marks_are_reached_by_keys(browser, compared_url):
    page = open_page(browser, compared_url, viewport=WIDE)
    page.focus("#compare-both")
    page.keyboard.press("Enter")
    listed(page, 3)
    assert page.get_attribute("#compare-both", "aria-pressed") == "true"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    listed(page, ONLY_TOY)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    listed(page, ONLY_OTHER)
    page.keyboard.press("n")
    facts = "toy none, other 0.600 · x 1200, y 100"
    text_is(page, "#current-facts", facts)
    assert page.text_content("#current-state") == "Only other: Confirm adds it"
    page.focus("#show-second")
    visible = "() => metaphase.state.visible(metaphase.state.current)"
    assert page.evaluate(visible)
    page.keyboard.press("Space")
    assert not page.evaluate(visible)
    page.focus("#compare-second")
    page.keyboard.press("Enter")  # again: back to what differs
    listed(page, ONLY_TOY + ONLY_OTHER)
    page.select_option("#which", "open")
    assert page.get_attribute("#compare-second", "aria-pressed") == "false"
    assert page.wrong == []


def test_a_figure_of_the_second_model_is_confirmed_rejected_and_undone(
    browser, compared_url, store
):
    page = open_page(browser, compared_url, viewport=WIDE)
    count = int(page.text_content("#count"))
    page.keyboard.press("n")
    page.keyboard.press("c")
    text_is(page, "#count", str(count + 1))
    saved(page)
    (added,) = store.since("a")
    assert (str(added.state), added.x_px, added.y_px) == ("added", 1200, 100)
    assert "1 confirmed, 0 rejected, 4 to review" in page.text_content("#compare-text")
    assert page.text_content("#current-state") == "To review, only toy"  # it went on
    page.keyboard.press("u")
    text_is(page, "#count", str(count))
    assert page.text_content("#current-state") == "Only other: Confirm adds it"
    page.keyboard.press("x")
    saved(page)
    states = [str(decision.state) for decision in store.since("a")]
    assert states == ["added", "undone", "rejected"]
    assert store.since("a")[-1].figure == "s120000_10000_0"
    assert int(page.text_content("#count")) == count
    page.reload()
    opened(page)
    assert "0 confirmed, 1 rejected, 4 to review" in page.text_content("#compare-text")
    first = page.locator("#gallery button").first
    assert first.get_attribute("aria-label") == "score 0.60, only other, rejected"
    page.keyboard.press("u")
    saved(page)
    assert str(store.since("a")[-1].state) == "undone"
    assert "0 rejected" not in page.text_content("#compare-text")
    assert page.wrong == []


def test_a_candidate_below_the_threshold_is_decided_itself(
    browser, folder, store, page_built, tmp_path
):
    one = found("a.png")
    row = int(((one.label == 0) & (one.score < 0.4)).nonzero()[0][0])
    made = Provenance("a.png", WIDTH, HEIGHT, MPP, threshold=0.4, model="other")
    second = Detections([one.x_px[row] + 4], [one.y_px[row]], [0.9], provenance=made)
    save_detections(second, tmp_path / "second" / "a")
    slides = open_slides([folder / "a.png"], detections={"a": one}, mpp=MPP)
    slides = add_second_detections(slides, tmp_path / "second")
    with served(create_app(slides, store, reviewer="anna", token=TOKEN)) as where:
        page = open_page(browser, where, viewport=WIDE)
        page.keyboard.press("n")
        score = f"toy {one.score[row]:.3f} (below its threshold), other 0.900"
        assert page.text_content("#current-facts").startswith(score)
        page.keyboard.press("c")
        saved(page)
        page.context.close()
    (decision,) = store.since("a")
    assert decision.figure.startswith("d")
    assert decision.state == State.CONFIRMED
    assert decision.x_px == one.x_px[row]


def test_many_figures_of_the_second_model_are_decided_at_once(browser, compared_url, store):
    page = open_page(browser, compared_url, viewport=WIDE)
    page.click("#select-all")
    text_is(page, "#selection", "5 selected")
    page.keyboard.press("x")
    saved(page)
    assert [str(d.state) for d in store.since("a")] == ["rejected"] * 5
    assert "0 confirmed, 5 rejected, 0 to review" in page.text_content("#compare-text")
    page.keyboard.press("u")
    saved(page)
    assert len(store.since("a")) == 10
    assert "5 differ, 5 to review" in page.text_content("#compare-text")


def test_the_reference_is_chosen_where_there_are_labels_too(browser, compared_url, store):
    page = open_page(browser, compared_url, viewport=WIDE)
    page.select_option("#reference", "labels")
    page.wait_for_function("() => metaphase.state.comparison.reference.key === 'labels'")
    assert page.is_checked("#show-ref")
    assert not page.is_checked("#show-second")  # marks of both at once are hard to read
    assert numbers(page) == [0, 7, 1]
    headings = page.locator("#gallery .divider").all_text_contents()
    assert headings == ["Missed: 1", "False: 7"]
    first = page.locator("#gallery button").first
    assert first.text_content() == "missed"
    page.keyboard.press("n")
    page.keyboard.press("c")  # adds a figure at the label
    page.wait_for_function("() => document.querySelector('#compare-both b').textContent === '1'")
    assert numbers(page) == [1, 7, 0]
    assert page.locator("#gallery .of-labels").count() == 1  # nothing moved under the pointer
    page.keyboard.press("n")
    page.keyboard.press("x")  # a false figure
    page.wait_for_function("() => document.querySelector('#compare-first b').textContent === '6'")
    page.evaluate("() => metaphase.gallery.turn(0)")
    assert page.locator("#gallery .divider").all_text_contents() == headings
    page.keyboard.press("u")
    page.wait_for_function("() => document.querySelector('#compare-first b').textContent === '7'")
    page.fill("#threshold", "0.9")
    page.wait_for_function("() => document.querySelector('#compare-first b').textContent === '1'")
    listed(page, 1)
    assert page.wrong == []


def test_a_slide_that_is_not_compared_says_why(browser, compared_url):
    page = open_page(browser, compared_url, viewport=WIDE)
    page.click("#slide-list button >> nth=1")
    shown(page, "b")
    assert page.inner_text("#not-compared") == "other has no detections of this slide."
    assert page.is_hidden("#compare-numbers")
    assert page.input_value("#which") == "open"
    assert page.locator("#which-compared").get_attribute("disabled") is not None
    assert page.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_comparison_has_contrast_in_every_state(browser, compared_url, scheme):
    page = open_page(browser, compared_url, viewport=WIDE, color_scheme=scheme)
    for key in ("n", "x", "c"):
        page.keyboard.press(key)
    page.focus("#compare-first")
    page.keyboard.press("Enter")
    settled(page)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("width", [1440, 1024, 390])
def test_the_comparison_fits_at_every_width(browser, compared_url, width):
    page = open_page(browser, compared_url, viewport={"width": width, "height": 800})
    for side in ("both", "first", "second"):
        button = page.locator(f"#compare-{side}")
        button.scroll_into_view_if_needed()
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        assert button.evaluate("(e) => e.scrollWidth <= e.clientWidth + 1")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
