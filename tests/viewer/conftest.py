"""Small slides with detections, and the application over them."""

from __future__ import annotations

import shutil
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from metaphase.counting.interval import Validation
from metaphase.counting.validation import FixedValidation
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance
from metaphase.viewer import pagefiles
from metaphase.viewer.app import create_app
from metaphase.viewer.serve import address, listen, serve
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import Decision, ReviewStore, State

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


@pytest.fixture
def url(slides, store, page_built):
    """The address of a real server."""
    known = FixedValidation(Validation(80, 20, 25), 0.5)
    app = create_app(slides, store, reviewer="anna", token=TOKEN, validated=known)
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
