from __future__ import annotations

import asyncio
import threading

import numpy as np
import pytest

from metaphase.viewer.tiles import (
    TILE_PX,
    ByteCache,
    NoSuchTileError,
    SlideHandles,
    TileRenderer,
    levels,
    read_crop,
    read_tile,
)

from .conftest import HEIGHT, MPP, WIDTH


@pytest.fixture
def pixels(slides):
    handles = SlideHandles()
    yield handles.get(slides[0])
    handles.close()


def test_the_top_level_is_full_resolution(pixels):
    assert levels(pixels) == 11
    assert read_tile(pixels, 11, 0, 0).shape == (TILE_PX, TILE_PX, 3)
    assert read_tile(pixels, 0, 0, 0).shape == (1, 1, 3)
    sizes = [read_tile(pixels, 11, x, y).shape[:2] for x in range(3) for y in range(2)]
    assert sum(h * w for h, w in sizes) == WIDTH * HEIGHT


@pytest.mark.parametrize("place", [(12, 0, 0), (-1, 0, 0), (11, 3, 0), (11, 0, 2), (11, -1, 0)])
def test_no_tile_outside_of_the_pyramid(pixels, place):
    with pytest.raises(NoSuchTileError):
        read_tile(pixels, *place)


def test_a_crop_has_its_point_in_the_middle(pixels):
    whole = pixels.read(0, 0, WIDTH, HEIGHT, MPP)
    crop = read_crop(pixels, 200, 100, 64 * MPP, 64)
    np.testing.assert_array_equal(crop, whole[68:132, 168:232])


def test_the_least_recently_used_bytes_go_first():
    cache = ByteCache(10)
    cache.put("a", b"12345")
    cache.put("b", b"12345")
    assert cache.get("a") == b"12345"
    cache.put("c", b"12345")
    assert cache.get("b") is None
    assert cache.get("a") == cache.get("c") == b"12345"
    cache.put("c", b"1")
    cache.put("large", b"1" * 20)  # larger than the cache: kept alone
    assert cache.get("a") is None
    assert cache.get("large") is not None


def test_few_slides_stay_open(slides):
    handles = SlideHandles(1)
    first = handles.get(slides[0])
    assert handles.get(slides[0]) is first
    handles.get(slides[1])
    assert handles.get(slides[0]) is not first
    handles.close()


def test_a_tile_that_two_wait_for_is_made_once(slides, monkeypatch):
    made, go = [], threading.Event()

    def slow(slide, level, column, row):
        made.append((level, column, row))
        go.wait(10)
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr("metaphase.viewer.tiles.read_tile", slow)
    renderer = TileRenderer(2)

    async def both():
        tasks = [asyncio.create_task(renderer.tile(slides[0], 3, 0, 0)) for _ in range(2)]
        await asyncio.sleep(0.05)
        tasks[0].cancel()  # one tab goes away
        go.set()
        return await tasks[1]

    data = asyncio.run(both())
    renderer.close()
    assert made == [(3, 0, 0)]
    assert data[:2] == b"\xff\xd8"
