"""The page in Chromium: opened, at rest, and what tests wait for.

A test waits for the state that it needs, never for a time: on a loaded machine every time is too
short.
"""

from __future__ import annotations

import time

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
PATIENCE_MS = 120_000

OPENED = "() => window.metaphase?.state.slide && metaphase.view.opened"
CURRENT = "() => !document.querySelector('#hot-count').matches('.old')"
# Settled: the numbers are current (they change the height of the header and so the frame of the
# picture), the picture has the size of its frame, and two frames on end show the same.
SETTLED = """() => new Promise((resolve) => {
  const { viewer, overlay } = metaphase, { viewport } = viewer;
  const where = (now) => { const { x, y } = viewport.getCenter(now);
    return [x, y, viewport.getZoom(now)]; };
  const aim = where(false), there = where(true).every((v, i) => Math.abs(v - aim[i]) < 1e-6);
  const frame = document.querySelector("#osd"), { x, y } = viewport.getContainerSize();
  const fits = x === frame.clientWidth && y === frame.clientHeight;
  const current = metaphase.view.opened && !document.querySelector("#hot-count").matches(".old");
  const look = () => { const t = overlay.transform(); return `${t.scale} ${t.left} ${t.top}`; };
  const before = look();
  requestAnimationFrame(() => requestAnimationFrame(
    () => resolve(current && there && fits && look() === before)));
})"""


def open_page(browser, url, **options):
    """Return a page of the review whose slide is open and whose gallery is sorted."""
    page = browser.new_context(**options).new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.wrong = []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.goto(url)
    opened(page)
    return page


def opened(page):
    """Wait until a slide is open, after ``goto`` or ``reload``."""
    page.wait_for_function(OPENED)
    page.wait_for_selector("#gallery button")


def shown(page, name):
    """Wait until the slide of a name is open."""
    page.wait_for_function(
        "(name) => metaphase.state.slide.name === name && metaphase.view.opened", arg=name
    )


def saved(page):
    """Wait until every decision is on disk."""
    page.wait_for_function("() => metaphase.sender.waiting === 0")


def counted(page):
    """Wait until the numbers of the hotspot are those of the threshold and the decisions."""
    page.wait_for_function(CURRENT)


def settled(page):
    """Wait until nothing moves any more."""
    # Not wait_for_function: it takes a promise for true, whatever it resolves to.
    wait_until(lambda: page.evaluate(SETTLED))


def text_is(page, selector, text):
    """Wait until an element has a text."""
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector).textContent.trim() === text",
        arg=[selector, text],
    )


def listed(page, number):
    """Wait until the gallery lists so many figures."""
    page.wait_for_function(
        "(n) => document.querySelectorAll('#gallery button').length === n", arg=number
    )


def on_screen(page, x, y):
    """Return where a place of the slide is shown, once nothing moves."""
    settled(page)
    where = "([x, y]) => { const t = metaphase.overlay.transform();"
    where += " return [x * t.scale + t.left, y * t.scale + t.top]; }"
    left, top = page.evaluate(where, [x, y])
    return {"x": left, "y": top}


def wait_until(true, seconds=PATIENCE_MS / 1000):
    """Wait until a function returns something true; return that."""
    limit = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < limit
        time.sleep(0.05)
    return value


def remarks(store, slide, kind):
    """Return the values of the remarks of one kind. What was viewed is kept at any time."""
    return [remark.value for remark in store.remarks_since(slide) if remark.kind == kind]
