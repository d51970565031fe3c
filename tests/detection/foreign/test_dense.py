"""Anchors are torchvision's, and raw outputs give the boxes that torchvision decodes."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.foreign import dense
from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.outputs import levels_of
from metaphase.models.foreign import ForeignInput, ForeignOutput

RETINANET, FCOS = Choices(kind="retinanet", mpp=0.25), Choices(kind="fcos", mpp=0.25)


def spec(width=256, height=256):
    return ForeignInput(layout="nchw", number="float32", width_px=width, height_px=height)


def output(decoding, levels, count=1, first=0):
    names = tuple(map(str, range(count)))
    return ForeignOutput(
        decoding=decoding,
        names=names,
        positions=tuple(range(count)),
        batched=(True,) * count,
        classes=("mitotic figure", "hard negative"),
        first_label=first,
        scores="logit",
        levels=levels,
    )


def torchvision_anchors(levels_sizes, ratios, size, strides):
    torch = pytest.importorskip("torch")
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.image_list import ImageList

    height, width = size
    generator = AnchorGenerator(levels_sizes, (ratios,) * len(levels_sizes))
    images = ImageList(torch.zeros(1, 3, height, width), [size])
    maps = [torch.zeros(1, 1, -(-height // int(s)), -(-width // int(s))) for s in strides]
    return generator(images, maps)[0].double()


@pytest.mark.parametrize("size", [(256, 256), (640, 640), (200, 320), (136, 136)])
def test_default_anchors_are_those_of_torchvision(size):
    levels = levels_of(RETINANET, "retinanet")
    sizes = tuple(
        (x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512)
    )
    theirs = torchvision_anchors(sizes, (0.5, 1.0, 2.0), size, dense.STRIDES)
    ours = dense.anchors_of(spec(size[1], size[0]), levels)
    assert len(ours) == dense.anchor_count(spec(size[1], size[0]), levels)
    centre, side = (theirs[:, :2] + theirs[:, 2:]) / 2, theirs[:, 2:] - theirs[:, :2]
    np.testing.assert_allclose(ours, np.concatenate([centre, side], axis=1), atol=1e-4)


def test_stated_anchors_have_the_area_and_the_ratio():
    stated = Choices(
        kind="retinanet",
        mpp=0.25,
        strides=(8, 16),
        anchor_sizes=((25, 33), (50,)),
        aspect_ratios=(0.7, 1.0),
    )
    levels = levels_of(stated, "retinanet")
    assert [len(level.anchors) for level in levels] == [4, 2]
    first = np.array(levels[0].anchors)
    np.testing.assert_allclose(first.prod(axis=1), [625, 1089, 625, 1089], rtol=0.08)
    np.testing.assert_allclose(first[:, 1] / first[:, 0], [0.7, 0.7, 1, 1], rtol=0.08)


def test_retinanet_decodes_as_torchvision():
    torch = pytest.importorskip("torch")
    from torchvision.models.detection._utils import BoxCoder

    levels = levels_of(RETINANET, "retinanet")
    random = np.random.default_rng(0)
    total = dense.anchor_count(spec(), levels)
    logits = random.normal(-4, 2, (total, 3)).astype(np.float32)
    shift = random.normal(0, 0.3, (total, 4)).astype(np.float32)
    ours = dense.retinanet([logits, shift], spec(), output("retinanet", levels, 2, first=1), 0.5)
    anchors = dense.anchors_of(spec(), levels)
    boxes = np.concatenate(
        [anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1
    )
    theirs = BoxCoder((1.0, 1.0, 1.0, 1.0)).decode_single(
        torch.from_numpy(shift).double(), torch.from_numpy(boxes)
    )
    score = 1 / (1 + np.exp(-logits[:, 1:].astype(float)))
    row, label = np.nonzero(score >= 0.5)
    centre = ((theirs[:, :2] + theirs[:, 2:]) / 2).numpy()[row]
    assert len(ours) > 50
    np.testing.assert_allclose(np.stack([ours.x, ours.y], 1), centre, atol=1e-6)
    np.testing.assert_array_equal(ours.label, label)
    np.testing.assert_allclose(ours.score, score[row, label])


def test_maps_of_levels_give_what_torchvision_makes_of_them():
    """The head flattens [anchors * k, h, w] to rows by height, width and anchor."""
    levels = levels_of(RETINANET, "retinanet")
    random = np.random.default_rng(1)
    maps, rows = [], ([], [])
    for level in levels:
        high, wide = dense.cells(spec(), level)
        each = len(level.anchors)
        for k, flat in ((2, rows[0]), (4, rows[1])):
            values = random.normal(-3, 2, (each * k, high, wide)).astype(np.float32)
            maps.append(values)
            flat.append(values.reshape(each, k, high, wide).transpose(2, 3, 0, 1).reshape(-1, k))
    joined = [np.concatenate(part) for part in rows]
    a = dense.retinanet(joined, spec(), output("retinanet", levels, 2), 0.3)
    b = dense.retinanet_levels(maps, spec(), output("retinanet-levels", levels, 10), 0.3)
    assert len(a) > 50
    for name in ("x", "y", "score", "label"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_fcos_decodes_as_torchvision():
    torch = pytest.importorskip("torch")
    from torchvision.models.detection._utils import BoxLinearCoder

    levels = levels_of(FCOS, "fcos")
    random = np.random.default_rng(2)
    total = dense.anchor_count(spec(), levels)
    logits = random.normal(-1, 2, (total, 2)).astype(np.float32)
    sides = random.uniform(0, 4, (total, 4)).astype(np.float32)
    central = random.normal(0, 2, (total, 1)).astype(np.float32)
    ours = dense.fcos([logits, sides, central], spec(), output("fcos", levels, 3), 0.5)
    anchors = dense.anchors_of(spec(), levels)
    boxes = np.concatenate(
        [anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1
    )
    theirs = BoxLinearCoder(normalize_by_size=True).decode(
        torch.from_numpy(sides).double(), torch.from_numpy(boxes)
    )
    score = torch.sqrt(
        torch.from_numpy(logits).double().sigmoid() * torch.from_numpy(central).double().sigmoid()
    ).numpy()
    row, label = np.nonzero(score >= 0.5)
    centre = ((theirs[:, :2] + theirs[:, 2:]) / 2).numpy()[row]
    assert len(ours) > 50
    np.testing.assert_allclose(np.stack([ours.x, ours.y], 1), centre, atol=1e-6)
    np.testing.assert_allclose(ours.score, score[row, label])
    np.testing.assert_array_equal(ours.label, label)
