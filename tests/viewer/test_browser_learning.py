"""Retraining and differing readers on the page, in a real Chromium."""

from __future__ import annotations

import threading

import pytest

from metaphase.detectionfile import save_detections
from metaphase.figures import Label
from metaphase.viewer import retraining as module
from metaphase.viewer.app import create_app
from metaphase.viewer.loopslides import loop_slides
from metaphase.viewer.store import Decision, State
from tests.viewer.browsing import listed, open_page, shown
from tests.viewer.conftest import TOKEN, found, served
from tests.viewer.looppages import finish_round, make_loop

pytestmark = pytest.mark.needs_browser


@pytest.fixture
def loop(tmp_path, slides):
    return make_loop(tmp_path / "loop", slides, {"a": found("a.png"), "b": found("b.png", 4)})


@pytest.fixture
def loop_url(loop, store, page_built, monkeypatch):
    """The address of a page over a loop whose training is a stand-in that waits for a step."""
    step = threading.Event()

    def train(folder, reviews, options, progress):
        progress("fitting", 0.4)
        while not step.wait(0.05):
            progress("fitting", 0.5)
        one = found("a.png", 20, threshold=0.25)
        save_detections(one, folder.detections / "a")
        folder.write_order([("a", *point) for point in one.where(one.label == 0).points[5:7]])
        finish_round(folder)

    monkeypatch.setattr(module, "train_round", train)
    app = create_app(loop_slides(loop), store, reviewer="anna", token=TOKEN, loop=loop)
    with served(app) as where:
        yield where, step
        step.set()


SAYS = "(text) => document.querySelector('#learn-text').textContent.includes(text)"


def test_proposals_are_listed_and_retraining_brings_new_ones(browser, loop_url, store):
    url, step = loop_url
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    assert page.input_value("#which") == page.input_value("#order") == "proposed"
    assert page.text_content("#slide-name") == "b"  # it has the most informative one
    assert page.locator("#gallery button").count() == 3
    page.keyboard.press("n")
    page.keyboard.press("x")
    page.click("#learn-train")  # it waits until the decision is on disk
    page.wait_for_function(SAYS, arg="Training: fitting")
    assert len(store.since("b")) == 1
    page.click("#learn-cancel")
    page.wait_for_function(SAYS, arg="Cancelled")
    assert page.is_visible("#learn-train")

    page.click("#learn-train")
    step.set()
    page.wait_for_function(SAYS, arg="Round 1, 12 decisions")
    page.wait_for_function(
        "() => document.querySelector('#announce').textContent.startsWith('Retr')"
    )
    assert "2 on 1 slides" in page.text_content("#learn-proposed")
    page.click("#slide-list button[data-slug] >> nth=0")
    shown(page, "a")
    listed(page, 2)
    assert page.input_value("#threshold") == "0.25"
    assert page.wrong == []


def test_the_figures_on_which_readers_differ_are_listed(browser, url, slides, store):
    entry = slides[1]
    figures = [f for f, row in entry.columns.index.items() if entry.columns.label[row] == 0][:2]
    for reader, state in (("anna", State.CONFIRMED), ("ben", State.REJECTED)):
        for figure in figures:
            x, y = entry.columns.points[entry.columns.index[figure]].tolist()
            store.add(Decision(entry.key, figure, state, reader, Label.MITOTIC, x, y))
    page = open_page(browser, url, viewport={"width": 1280, "height": 800})
    page.wait_for_function("() => !document.querySelector('#agreement-differ').hidden")
    page.click("#agreement-differ")
    shown(page, "b")
    page.wait_for_function("() => document.querySelector('#which').value === 'readers'")
    listed(page, 2)
    assert page.wrong == []
