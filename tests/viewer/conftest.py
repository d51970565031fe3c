"""Small slides with detections, and the application over them."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from metaphase.counting.interval import Validation
from metaphase.counting.validation import FixedValidation
from metaphase.detectionfile import save_detections
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance
from metaphase.viewer import pagefiles
from metaphase.viewer.app import create_app
from metaphase.viewer.serve import address, listen, serve
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import Decision, ReviewStore, State

from .browsing import FLAGS

TOKEN = "t" * 43
WIDTH, HEIGHT, MPP = 1300, 900, 0.25


def picture(path, width=WIDTH, height=HEIGHT):
    rng = np.random.default_rng(len(path.name))
    pixels = rng.integers(120, 250, (height // 10, width // 10, 3), np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(path, compress_level=1)


def found(name, n=20, threshold=0.5):
    k = np.arange(n)
    return Detections(
        100 + 50.25 * k,
        80 + 30.5 * k,
        (k + 0.5) / n,
        (k % 4 == 3).astype(int),
        provenance=Provenance(name, WIDTH, HEIGHT, MPP, threshold=threshold, model="toy"),
    )


def second_detections(name="a.png", threshold=0.4):
    """Return detections of another model: the three best mitotic ones of ``found``, moved by 2 um,
    one elsewhere, and one below the threshold."""
    mitotic = found(name).where(found(name).label == 0)
    x = [*(mitotic.x_px[:3] + 2 / MPP), 1200.0, 300.0]
    y = [*mitotic.y_px[:3], 100.0, 700.0]
    made = Provenance(name, WIDTH, HEIGHT, MPP, threshold=threshold, model="other")
    return Detections(x, y, [0.9, 0.8, 0.7, 0.6, 0.3], provenance=made)


def save_second(folder, name="a.png", **changes):
    save_detections(second_detections(name).with_provenance(**changes), folder / name[:-4])


def decide(client, slug, figure, state="confirmed", **more):
    body = {"figure": figure, "state": state, **more}
    return client.post(f"/api/slides/{slug}/decisions", json=body)


def ids(slides, key="a"):
    return list(next(o for o in slides if o.key == key).columns.index)


def put(store, entry, figure, state, label=Label.MITOTIC, reviewer="anna", place=None):
    row = entry.columns.index.get(figure)
    x, y = entry.columns.points[row].tolist() if row is not None else place or (None, None)
    store.add(Decision(entry.key, figure, state, reviewer, label, x, y))


def first_mitotic(entry):
    return next(f for f, i in entry.columns.index.items() if entry.columns.label[i] == 0)


def confirm_all(store, entry, threshold=0.5, reviewer="anna"):
    """Confirm every mitotic detection from a threshold on."""
    for figure, row in entry.columns.index.items():
        if entry.columns.score[row] >= threshold and entry.columns.label[row] == 0:
            put(store, entry, figure, State.CONFIRMED, reviewer=reviewer)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("a.png", "b.png"):
        picture(folder / name)
    return folder


@pytest.fixture
def folder(tmp_path, pictures):
    shutil.copytree(pictures, tmp_path / "slides")
    return tmp_path / "slides"


@pytest.fixture
def slides(folder):
    detections = {"a": found("a.png"), "b": found("b.png", 4)}
    return open_slides(find_images([folder]), detections=detections, mpp=MPP)


@pytest.fixture
def store(tmp_path):
    store = ReviewStore(tmp_path / "review.sqlite")
    yield store
    store.close()


@pytest.fixture
def page_built(tmp_path_factory, monkeypatch):
    """Stand in for OpenSeadragon where this copy was built without npm."""
    if not (pagefiles.VENDOR / pagefiles.NEEDED[0]).is_file():
        vendor = tmp_path_factory.mktemp("vendor")
        (vendor / pagefiles.NEEDED[0]).write_text("window.OpenSeadragon = null;")
        monkeypatch.setattr(pagefiles, "VENDOR", vendor)


@pytest.fixture
def open_page(slides, store, page_built):
    """Return a function that makes a client of a reader, already let in."""
    clients = []

    def make(reviewer="anna", blind=False, **options):
        app = create_app(slides, store, reviewer=reviewer, token=TOKEN, blind=blind, **options)
        client = TestClient(app, base_url="http://127.0.0.1:8765")
        client.__enter__()
        clients.append(client)
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        return client

    yield make
    for client in clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(open_page):
    return open_page()


@pytest.fixture
def slug(slides):
    return SimpleNamespace(**{entry.key: entry.slug for entry in slides})


@pytest.fixture(scope="module")
def chromium():
    """The browser of the system; tests are skipped where there is none.

    Of one module: while Playwright is open, no other test of the process can run an event loop.
    """
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no chromium on this machine")
    if not (pagefiles.VENDOR / pagefiles.NEEDED[0]).is_file():
        pytest.skip("the page was built without OpenSeadragon")
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield one
        one.close()


@pytest.fixture
def browser(chromium, request):
    """The browser; its pages are closed after each test, before the server stops."""
    for name in ("url", "loop_url", "prefixed", "compared_url"):
        if name in request.fixturenames:
            request.getfixturevalue(name)
    yield chromium
    for context in chromium.contexts:
        context.close()


@pytest.fixture
def url(slides, store, page_built):
    """The address of a real server."""
    known = FixedValidation(Validation(80, 20, 25), 0.5)
    with served(create_app(slides, store, reviewer="anna", token=TOKEN, validated=known)) as where:
        yield where


@contextmanager
def served(app):
    """Serve an application in a thread; yield its address."""
    listener = listen("127.0.0.1", 0)
    started, stop = threading.Event(), []
    thread = threading.Thread(target=serve, args=(app, listener, started.set, stop.append))
    thread.start()
    assert started.wait(120)
    yield address("127.0.0.1", listener.getsockname()[1], TOKEN)
    stop[0]()
    thread.join(120)
    listener.close()
