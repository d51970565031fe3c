import numpy as np
import pytest
from PIL import Image

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.labels.dataset import Dataset
from tests.evaluation.scenes import case, found, random_scene


@pytest.fixture(scope="module")
def scores():
    dataset, detections = random_scene(21, cases=12)
    return with_intervals(evaluate(detections, dataset, protocol="exercise"), resamples=50)


@pytest.fixture
def pictured(tmp_path):
    """A case with pixels: grey, with a dark square where the figure is."""
    pixels = np.full((400, 500, 3), 200, np.uint8)
    pixels[140:160, 290:310] = 20
    Image.fromarray(pixels).save(tmp_path / "a.png")
    # One right, one false, one false and below, one that would find the other figure, and twins.
    places = [(300, 150), (40, 40), (499, 399), (103, 300), (40.1, 90), (40.2, 90)]
    dataset = Dataset([case("a", [(300, 150), (100, 300)], image=tmp_path / "a.png")])
    detections = {"a": found("a", places, [0.9, 0.8, 0.48, 0.4, 0.7, 0.7])}
    return evaluate(detections, dataset)
