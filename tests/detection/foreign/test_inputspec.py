"""The input is read from the graph; what it leaves open is stated, assumed, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.graph import Graph, Port
from metaphase.detection.foreign.inputspec import IMAGENET_MEAN, IMAGENET_STD, choose_input
from metaphase.errors import ModelFileError

CHOICES = Choices(kind="yolo", mpp=0.25)


def choose(*shape, number="float32", more=(), **stated):
    ports = (Port("images", shape, number), *more)
    graph = Graph(Path("a.onnx"), b"", ports, (), {}, "", None)
    return choose_input(graph, replace(CHOICES, **stated))


def refused(message, *shape, **stated):
    with pytest.raises(ModelFileError, match=message):
        choose(*shape, **stated)


@pytest.mark.parametrize(
    ("shape", "stated", "expected"),
    [
        ((1, 3, 640, 640), {}, ("nchw", 1, 640, 640)),
        ((1, 640, 640, 3), {}, ("nhwc", 1, 640, 640)),
        ((None, 3, None, None), {"tile": 512}, ("nchw", 1, 512, 512)),
        ((4, None, 256, 256), {}, ("nchw", 4, 256, 256)),
        ((None, None, None, 3), {"tile": 320}, ("nhwc", 1, 320, 320)),
        ((None, None, None, None), {"tile": 320}, ("nchw", 1, 320, 320)),
        ((None, None, None, None), {"tile": 320, "layout": "nhwc"}, ("nhwc", 1, 320, 320)),
        ((3, 640, 640), {}, ("chw", 1, 640, 640)),
        ((None, None, 3), {"tile": 64}, ("hwc", 1, 64, 64)),
        ((1, 3, 384, 640), {"tile": 512, "resize": "letterbox"}, ("nchw", 1, 640, 384)),
        ((1, 3, 640, 640), {"tile": 512, "resize": "stretch"}, ("nchw", 1, 640, 640)),
    ],
)
def test_layout_batch_and_size(shape, stated, expected):
    chosen = choose(*shape, **stated)
    spec = chosen.spec
    assert (spec.layout, spec.batch, spec.width_px, spec.height_px) == expected
    assert chosen.tile_px == stated.get("tile", spec.width_px)


def test_what_is_open_is_assumed_and_said():
    open_layout = choose(None, None, None, None, tile=64)
    assert open_layout.alternative == "nhwc"
    assert open_layout.assumed[0] == "layout nchw (--layout)"
    stated = choose(1, 3, 64, 64, colour="rgb", scaling="0-1")
    assert stated.assumed == ()
    assert stated.alternative is None
    assert len(choose(1, 3, 64, 64).assumed) == 2


@pytest.mark.parametrize(
    ("number", "stated", "divisor", "mean", "std"),
    [
        ("float32", {}, 255, (0, 0, 0), (1, 1, 1)),
        ("float16", {"scaling": "0-255"}, 1, (0, 0, 0), (1, 1, 1)),
        ("uint8", {}, 1, (0, 0, 0), (1, 1, 1)),
        ("float32", {"scaling": "imagenet"}, 255, IMAGENET_MEAN, IMAGENET_STD),
        ("float32", {"mean": (0.5, 0.4, 0.3)}, 255, (0.5, 0.4, 0.3), (1, 1, 1)),
        ("float64", {"scaling": "0-255", "std": (57, 58, 59)}, 1, (0, 0, 0), (57, 58, 59)),
    ],
)
def test_scaling(number, stated, divisor, mean, std):
    spec = choose(1, 3, 64, 64, number=number, **stated).spec
    assert (spec.divisor, spec.mean, spec.std) == (divisor, mean, std)


def test_a_size_that_is_equal_needs_no_resizing():
    assert choose(1, 3, 64, 64, tile=64, resize="letterbox").spec.resize == "none"


def test_other_inputs_are_refused():
    refused("no axis of 3 channels", 1, 1, 640, 640)
    refused("no axis of 3 channels", 1, 4, 640, 640)
    refused("in nhwc it has no 3 channels", 1, 3, 640, 640, layout="nhwc")
    refused("in chw it has no 3 channels", 1, 3, 640, 640, layout="chw")
    refused("not an image or a batch", 1, 3)
    refused("int64 is not one of", 1, 3, 64, 64, number="int64")
    refused("whole numbers are not normalised", 1, 3, 64, 64, number="uint8", scaling="imagenet")
    refused("takes 2 inputs", 1, 3, 64, 64, more=(Port("sizes", (1, 2), "int64"),))
    refused(r"use --tile 640", 1, 3, 640, 640, tile=512)
    refused("with --resize", 1, 3, 384, 640, tile=512)
    refused(r"any size.*--tile 640", None, 3, None, None)
    refused(r"640 x 384 px.*--tile 640", 1, 3, 384, 640)
    refused("cannot be used", 1, 3, None, None, tile=20_000)
    refused("larger than 256", 300, 3, 64, 64)
