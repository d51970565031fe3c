"""Tiles for calibration: of the model's size and resolution, spread over the images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from metaphase.detection.calibrationtiles import calibration_tiles
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Settings, make_plan
from metaphase.errors import SlideError
from tests.detection.scenes import make_model

SIDE = 320


def save_ramp(path, green=0):
    """An image whose red is a third of x and whose green names the image."""
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    pixels[..., 0] = np.arange(SIDE) // 3
    pixels[..., 1] = green
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def jobs(tmp_path):
    return [
        Job(save_ramp(tmp_path / f"{green}.png", green), str(green), mpp=0.25) for green in (10, 90)
    ]


def tile_count(job, model):
    with job.open() as slide:
        return len(make_plan(slide, model, Settings()).tiles)


def test_tiles_have_the_size_that_the_model_takes(jobs):
    for side in (96, 128):
        (tile,) = calibration_tiles(make_model(tile=side), jobs, 1)
        assert tile.shape == (side, side, 3)
        assert tile.dtype == np.uint8


def test_every_image_gives_as_many(jobs):
    tiles = calibration_tiles(make_model(), jobs, 6)
    assert [int(tile[0, 0, 1]) for tile in tiles] == [10] * 3 + [90] * 3


def test_never_more_than_asked_for(jobs):
    tiles = calibration_tiles(make_model(), jobs, 3)
    assert [int(tile[0, 0, 1]) for tile in tiles] == [10, 10, 90]


def test_more_than_there_are_is_each_tile_once(jobs):
    model = make_model()
    tiles = calibration_tiles(model, jobs[:1], 1000)
    assert len(tiles) == tile_count(jobs[0], model) > 1


def test_they_are_spread_over_the_image(jobs):
    model = make_model()
    half = tile_count(jobs[0], model) // 2
    left_edges = {int(tile[0, 0, 0]) for tile in calibration_tiles(model, jobs[:1], half)}
    assert len(left_edges) > 1


def test_tiles_have_the_resolution_of_the_model(jobs):
    """A network pixel of 0.5 um is two pixels of an image of 0.25 um."""
    for mpp, width_px in ((0.25, 96), (0.5, 192)):
        tile = calibration_tiles(make_model(mpp=mpp, tile=96, margin=16), jobs, 1)[0]
        assert abs(int(np.ptp(tile[48, :, 0])) - width_px / 3) <= 1


def test_without_images_there_are_none():
    assert calibration_tiles(make_model(), [], 5) == []


def test_an_image_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SlideError, match=r"gone\.png"):
        calibration_tiles(make_model(), [Job(tmp_path / "gone.png", "gone", mpp=0.25)], 1)
