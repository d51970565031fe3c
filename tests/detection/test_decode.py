"""Planted peaks come back at their place, for any stride, label and anchor."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.decode import MAX_PER_TILE, decode, sigmoid
from metaphase.errors import ModelFileError
from metaphase.figures import LABELS, Label
from metaphase.models.card import HeadSpec, Level

CLASSES = st.sampled_from(
    [(Label.MITOTIC,), (Label.MITOTIC, Label.HARD_NEGATIVE), (Label.HARD_NEGATIVE, Label.MITOTIC)]
)
STRIDES = st.sampled_from([2, 4, 8, 5.12, 16])
SIZE = 9


def centre_head(classes=(Label.MITOTIC,), stride=8):
    return HeadSpec(kind="centre", levels=(Level(stride=stride),), classes=classes)


def silent(n, channels, h=SIZE, w=SIZE):
    return np.full((n, channels, h, w), -20, np.float32)


@given(
    classes=CLASSES,
    stride=STRIDES,
    tiles=st.integers(1, 3),
    row=st.integers(0, SIZE - 1),
    column=st.integers(0, SIZE - 1),
    dx=st.floats(-0.5, 0.5, width=32),
    dy=st.floats(-0.5, 0.5, width=32),
    score=st.floats(0.06, 0.99),
    data=st.data(),
)
def test_a_planted_centre_comes_back(classes, stride, tiles, row, column, dx, dy, score, data):
    tile = data.draw(st.integers(0, tiles - 1))
    label = data.draw(st.integers(0, len(classes) - 1))
    logits, offsets = silent(tiles, len(classes)), np.zeros((tiles, 2, SIZE, SIZE), np.float32)
    logits[tile, label, row, column] = math.log(score / (1 - score))
    offsets[tile, :, row, column] = dx, dy
    found = decode([logits, offsets], centre_head(classes, stride), min_score=0.05)
    assert [len(c) for c in found] == [int(i == tile) for i in range(tiles)]
    (x,), (y,), (s,), (code,) = (
        getattr(found[tile], name) for name in ("x", "y", "score", "label")
    )
    assert x == pytest.approx((column + 0.5 + dx) * stride)
    assert y == pytest.approx((row + 0.5 + dy) * stride)
    assert s == pytest.approx(score, abs=1e-5)
    assert LABELS[code] is classes[label]


@given(
    classes=CLASSES,
    data=st.data(),
    row=st.integers(0, SIZE - 1),
    column=st.integers(0, SIZE - 1),
    deltas=st.tuples(*[st.floats(-1, 1, width=32)] * 4),
)
def test_a_planted_box_comes_back_at_its_centre(classes, data, row, column, deltas):
    levels = (
        Level(stride=8, anchors=((50, 50), (40, 60))),
        Level(stride=16, anchors=((64, 64), (100, 80))),
    )
    head = HeadSpec(kind="anchors", levels=levels, classes=classes)
    maps = []
    for _ in levels:
        maps += [silent(1, 2 * len(classes)), np.zeros((1, 8, SIZE, SIZE), np.float32)]
    level, anchor = data.draw(st.integers(0, 1)), data.draw(st.integers(0, 1))
    label = data.draw(st.integers(0, len(classes) - 1))
    maps[2 * level][0, anchor * len(classes) + label, row, column] = 3
    maps[2 * level + 1][0, anchor * 4 : anchor * 4 + 4, row, column] = deltas
    (found,) = decode(maps, head, min_score=0.05)
    width, height = levels[level].anchors[anchor]
    stride = levels[level].stride
    # torchvision: anchor centred on (j s, i s); centre of the box = delta * size + centre.
    assert found.x == pytest.approx([column * stride + deltas[0] * width], abs=1e-4)
    assert found.y == pytest.approx([row * stride + deltas[1] * height], abs=1e-4)
    assert found.label.tolist() == [classes[label].code]


def test_agrees_with_the_box_coder_of_torchvision():
    torch = pytest.importorskip("torch")
    det_utils = pytest.importorskip("torchvision.models.detection._utils")
    anchors_of = pytest.importorskip("torchvision.models.detection.anchor_utils")
    images = pytest.importorskip("torchvision.models.detection.image_list")
    generator = anchors_of.AnchorGenerator(((32.0, 50.0),), ((0.5, 1.0),))
    blank = torch.zeros(1, 3, 72, 72)
    boxes = generator(images.ImageList(blank, [(72, 72)]), [torch.zeros(1, 1, SIZE, SIZE)])[0]
    random = np.random.default_rng(3)
    deltas = random.normal(0, 0.3, (1, 16, SIZE, SIZE)).astype(np.float32)
    flat = torch.from_numpy(deltas).view(1, 4, 4, SIZE, SIZE).permute(0, 3, 4, 1, 2).reshape(-1, 4)
    decoded = det_utils.BoxCoder((1.0, 1.0, 1.0, 1.0)).decode_single(flat, boxes).numpy()
    centres = (decoded[:, :2] + decoded[:, 2:]) / 2
    cell = generator.cell_anchors[0]
    sizes = tuple((float(w), float(h)) for w, h in (cell[:, 2:] - cell[:, :2]).tolist())
    head = HeadSpec(kind="anchors", levels=(Level(stride=8, anchors=sizes),))
    logits = random.normal(0, 1, (1, 4, SIZE, SIZE)).astype(np.float32)
    (found,) = decode([logits, deltas], head, min_score=0)
    scores = sigmoid(logits).transpose(0, 2, 3, 1).reshape(-1)
    order = np.argsort(-scores)
    assert np.stack([found.x, found.y], 1) == pytest.approx(centres[order], abs=1e-3)


def test_of_two_neighbours_the_better_is_the_peak():
    logits = silent(1, 1)
    logits[0, 0, 4, 4], logits[0, 0, 4, 5] = 1, 2
    (found,) = decode([logits, np.zeros((1, 2, SIZE, SIZE))], centre_head(), min_score=0.05)
    assert found.x.tolist() == [5.5 * 8]


def test_a_plateau_has_one_peak():
    logits = silent(1, 1)
    logits[0, 0, 2:5, 3:7] = 30  # saturated: all scores are 1
    (found,) = decode([logits, np.zeros((1, 2, SIZE, SIZE))], centre_head(), min_score=0.05)
    assert (found.x.tolist(), found.y.tolist()) == ([3.5 * 8], [2.5 * 8])


@pytest.mark.parametrize("min_score", [0.0, 0.05, 0.5, 1.0])
def test_the_score_is_compared_inclusively(min_score):
    logits = np.linspace(-40, 40, SIZE * SIZE, dtype=np.float32).reshape(1, 1, SIZE, SIZE)
    head = HeadSpec(kind="anchors", levels=(Level(stride=8, anchors=((50, 50),)),))
    (found,) = decode([logits, np.zeros((1, 4, SIZE, SIZE))], head, min_score=min_score)
    assert len(found) == (sigmoid(logits) >= min_score).sum()
    assert (np.diff(found.score) <= 0).all()


def test_the_cap_keeps_the_best_and_says_so():
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 1, 40, 40)).astype(np.float32)
    logits[1] = -20
    head = HeadSpec(kind="anchors", levels=(Level(stride=8, anchors=((50, 50),)),))
    full, empty = decode([logits, np.zeros((2, 4, 40, 40))], head, min_score=0.01)
    assert len(full) == MAX_PER_TILE
    assert full.capped
    assert full.score.min() == pytest.approx(np.sort(sigmoid(logits[0]).ravel())[-MAX_PER_TILE])
    assert len(empty) == 0
    assert not empty.capped


def test_half_precision_maps_are_read():
    logits = silent(1, 1).astype(np.float16)
    logits[0, 0, 3, 3] = 2
    (found,) = decode(
        [logits, np.zeros((1, 2, SIZE, SIZE), np.float16)], centre_head(), min_score=0.5
    )
    assert found.score == pytest.approx([1 / (1 + math.exp(-2))])


@pytest.mark.parametrize(
    "maps",
    [
        [],
        [silent(1, 2), silent(1, 2)],
        [silent(1, 1), silent(1, 4)],
        [silent(1, 1), silent(2, 2)],
        [silent(1, 1), silent(1, 2, h=SIZE + 1)],
        [silent(1, 1)[0], silent(1, 2)[0]],
    ],
)
def test_maps_that_do_not_fit_the_card_are_refused(maps):
    with pytest.raises(ModelFileError, match="the card states"):
        decode(maps, centre_head(), min_score=0.05)


def test_not_a_number_is_told_not_dropped():
    for place in (0, 1):
        maps = [silent(1, 1), silent(1, 2)]
        maps[0][0, 0, 2, 2] = 4
        maps[place][0, 0, 2, 2] = np.nan
        with pytest.raises(ModelFileError, match="not numbers"):
            decode(maps, centre_head(), min_score=0.05)


def test_the_sigmoid_is_stable():
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(np.array([-1e4, 0, 1e4], np.float32)).tolist() == [0, 0.5, 1]
