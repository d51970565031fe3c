"""Networks that PyTorch trained and exported give the detections of their own inference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")
pytest.importorskip("onnx")

from metaphase.detection.detect import detect  # noqa: E402
from metaphase.detection.foreign.choices import Choices  # noqa: E402
from metaphase.detection.foreign.importmodel import import_model  # noqa: E402
from metaphase.detection.merge import merge  # noqa: E402
from metaphase.detection.plan import Settings, make_plan  # noqa: E402
from metaphase.evaluation.matching import match  # noqa: E402
from metaphase.slides.array import ArraySlide  # noqa: E402
from metaphase.slides.mpp import MppHints  # noqa: E402
from tests.detection.foreign import networks  # noqa: E402

CLASSES = ("mitotic figure", "hard negative")
SIDE = 512
MIN_SCORE = 0.05

CASES = {
    "yolov8": (lambda: networks.Yolo(8), 150, {"kind": "yolo"}),
    "yolov5": (lambda: networks.Yolo(5), 250, {"kind": "yolo"}),
    "heat map": (networks.HeatMap, 90, {"kind": "points"}),
    "retinanet": (
        lambda: networks.TorchVision("retinanet"),
        60,
        {
            "kind": "retinanet",
            "scaling": "imagenet",
            "strides": (8.0,),
            "anchor_sizes": ((32.0, 48.0),),
            "aspect_ratios": (1.0,),
        },
    ),
    "fcos": (
        lambda: networks.TorchVision("fcos"),
        60,
        {"kind": "fcos", "scaling": "imagenet", "strides": (8.0,)},
    ),
}


def scene():
    """Return a synthetic region as a slide, its pixels, and its mitotic figures."""
    pixels, figures = networks.region(7, SIDE)
    slide = ArraySlide(pixels, Path("scene.png"), MppHints(user=0.25))
    return slide, pixels, figures[figures[:, 2] == 0, :2]


def reference(network, slide, pixels, model, radius_px):
    """Return the merged detections of PyTorch's inference on the same tiles: x, y, score, label."""
    plan = make_plan(slide, model, Settings(min_score=MIN_SCORE))
    rows = []
    for number in plan.tiles.tolist():
        x0, y0 = plan.grid.corner(number)
        tile = pixels[y0 : y0 + networks.SIDE, x0 : x0 + networks.SIDE]
        with torch.inference_mode():
            batch = torch.from_numpy(tile.copy()).permute(2, 0, 1)[None].float() / 255
            ((x, y, score, label),) = network.inference(batch)
        values = np.stack([v.double().numpy() for v in (x + x0, y + y0, score, label)], axis=1)
        values = values[values[:, 2] >= MIN_SCORE]
        kept = plan.grid.keeps(number, values[:, 0], values[:, 1], plan.slack_px)
        rows.append(values[kept])
    found = np.concatenate(rows)
    found[:, :2] = np.clip(found[:, :2], 0, SIDE)
    found[:, :2], found[:, 2] = np.round(found[:, :2], 2), np.round(found[:, 2], 6)
    return found[merge(*found.T, radius_px)]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_detections_are_those_of_pytorch(name, tmp_path):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    make, steps, stated = CASES[name]
    network = networks.train(make(), steps)
    path = networks.export(network, tmp_path / "net.onnx")
    slide, pixels, truth = scene()
    choices = Choices(mpp=0.25, tile=networks.SIDE, classes=CLASSES, margin=32, **stated)
    model = import_model(path, tmp_path / "out", choices, slide).model
    found = detect(slide, model, min_score=MIN_SCORE)
    theirs = reference(network, slide, pixels, model, 30.0)
    assert len(theirs) >= 5
    assert found.provenance.parameters.capped_tiles == 0
    assert len(found) == len(theirs)
    ours = np.column_stack([found.x_px, found.y_px, found.score, found.label])
    # By place: scores that differ in the last digit may be in another order.
    ours, theirs = (rows[np.lexsort(np.round(rows[:, :2]).T)] for rows in (ours, theirs))
    np.testing.assert_allclose(ours[:, :2], theirs[:, :2], atol=0.05)
    np.testing.assert_allclose(ours[:, 2], theirs[:, 2], atol=1e-4)
    np.testing.assert_array_equal(ours[:, 3], theirs[:, 3])
    scores = [_f1(rows, truth) for rows in (ours, theirs)]
    assert scores[0] == scores[1]


def _f1(rows, truth):
    """Return the best F1 of mitotic figures over all thresholds."""
    mitotic = rows[rows[:, 3] == 0]
    best = 0.0
    for threshold in np.unique(np.round(mitotic[:, 2], 3)):
        kept = mitotic[np.round(mitotic[:, 2], 3) >= threshold]
        hits = int((match(truth, kept[:, :2], kept[:, 2], 30.0).point_of_truth >= 0).sum())
        best = max(best, 2 * hits / (len(kept) + len(truth)))
    return best
