"""Routes for tiles and crops."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from tests.viewer.conftest import HEIGHT, WIDTH


def tile(client, slug, level, x, y):
    answer = client.get(f"/api/slides/{slug}/tiles/{level}/{x}/{y}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    return Image.open(io.BytesIO(answer.content))


def test_tiles_cover_the_slide_at_every_level(client, slug):
    assert tile(client, slug.a, 11, 0, 0).size == (512, 512)
    assert tile(client, slug.a, 11, 2, 1).size == (WIDTH - 1024, HEIGHT - 512)
    assert tile(client, slug.a, 10, 1, 0).size == (650 - 512, 450)
    assert tile(client, slug.a, 0, 0, 0).size == (1, 1)


def test_a_tile_shows_its_place(client, slug, slides):
    whole = np.asarray(Image.open(slides[0].path).convert("RGB"), int)
    shown = np.asarray(tile(client, slug.a, 11, 1, 0), int)
    assert np.abs(shown - whole[:512, 512:1024]).mean() < 4


@pytest.mark.parametrize(
    "place", ["12/0/0", "11/3/0", "11/0/2", "-1/0/0", "11/-1/0", "99/0/0", "x/0/0", "0/1/0"]
)
def test_tiles_outside_are_refused(client, slug, place):
    assert client.get(f"/api/slides/{slug.a}/tiles/{place}").status_code in (404, 422)


def test_many_tiles_at_once(client, slug):
    places = [(11, x, y) for x in range(3) for y in range(2)] * 34
    with ThreadPoolExecutor(16) as pool:
        assert len(list(pool.map(lambda p: tile(client, slug.a, *p), places))) > 200


def test_crops_are_centred_and_bounded(client, slug):
    where = f"/api/slides/{slug.a}/crop"
    for px, expected in ((64, 64), (4000, 512)):
        data = client.get(where, params={"x": 300, "y": 300, "um": 32, "px": px}).content
        assert Image.open(io.BytesIO(data)).size == (expected, expected)
    corner = client.get(where, params={"x": 0, "y": 0, "um": 32, "px": 64}).content
    assert np.asarray(Image.open(io.BytesIO(corner)))[:24, :24].min() > 240  # white outside
    for bad in ("nan", "inf", "1e300", "a"):
        assert client.get(where, params={"x": bad, "y": 0}).status_code == 422
