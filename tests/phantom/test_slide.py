"""The synthetic slide: opens everywhere, its labels sit on figures, the same bytes again."""

from __future__ import annotations

import numpy as np
import openslide
import pytest

from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.files import sha256_of_file
from metaphase.labels.read import load_dataset
from metaphase.phantom.scanners import SCANNERS
from metaphase.phantom.slide import TileRenderer, make_slide
from metaphase.phantom.slideplan import plan_slide
from metaphase.slides.open import open_case

WIDTH, HEIGHT = 5000, 4200
SMALL = {"blocks": 7, "mitotic_per_mm2": 60.0, "hard_negative_per_mm2": 40.0}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slide")
    told = []
    labels = make_slide(
        *(folder / "slide.tiff", WIDTH, HEIGHT),
        seed=3,
        scanner=SCANNERS[1],
        progress=lambda done, total: told.append((done, total)),
        **SMALL,
    )
    return labels, told


@pytest.fixture(scope="module")
def case(made):
    return load_dataset(made[0], images=made[0].parent).cases[0]


def test_openslide_reads_it_with_the_scanners_resolution(case):
    with openslide.OpenSlide(case.image) as slide:
        assert slide.dimensions == (WIDTH, HEIGHT)
        assert slide.level_downsamples == pytest.approx((1, 4, 16, 64), rel=0.02)
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(SCANNERS[1].mpp)


def test_the_labels_tell_the_slide(case):
    assert (case.width_px, case.height_px) == (WIDTH, HEIGHT)
    assert (case.scanner, case.mpp, case.labelled) == ("Synthetic B", SCANNERS[1].mpp, True)
    assert case.count(Label.MITOTIC) > 5
    assert case.count(Label.HARD_NEGATIVE) > 5


def test_every_label_sits_on_something_dark(case):
    with open_case(case) as slide:
        tissue = slide.read(0, 0, WIDTH // 16, HEIGHT // 16, mpp=case.mpp * 16).sum(axis=2)
        usual = np.median(tissue[tissue < 600])
        for figure in case.figures:
            around = slide.read(figure.x_px - 20, figure.y_px - 20, 40, 40).astype(int)
            assert around.sum(axis=2).min() < 0.75 * usual, figure


def test_levels_show_the_same(case):
    with openslide.OpenSlide(case.image) as slide:
        full = np.asarray(slide.read_region((0, 0), 0, (WIDTH, HEIGHT)).convert("RGB"))
        for level in (1, 2, 3):
            step = 4**level
            size = (WIDTH // step, HEIGHT // step)
            seen = np.asarray(slide.read_region((0, 0), level, size).convert("RGB"))
            cut = full[: size[1] * step, : size[0] * step].astype(np.float32)
            means = cut.reshape(size[1], step, size[0], step, 3).mean(axis=(1, 3))
            # JPEG costs detail, but neither brightness nor place: a shift of 1 px gives 0.87.
            assert np.abs((means - seen).mean()) < 1
            assert np.corrcoef(means.ravel(), seen.ravel())[0, 1] > 0.96


def test_half_of_it_is_tissue_and_its_border_is_glass(case):
    with open_case(case) as slide:
        small = slide.read(0, 0, WIDTH // 16, HEIGHT // 16, mpp=case.mpp * 16).min(axis=2)
    assert 0.4 < (small < 215).mean() < 0.7
    assert np.concatenate([small[0], small[-1], small[:, 0], small[:, -1]]).min() > 215


def test_progress_ends_at_the_total(made):
    done = [d for d, _ in made[1]]
    assert done == sorted(done)
    assert made[1][-1][0] == made[1][-1][1]


def test_the_same_arguments_give_the_same_bytes(made, tmp_path):
    make_slide(tmp_path / "slide.tiff", WIDTH, HEIGHT, seed=3, scanner=SCANNERS[1], **SMALL)
    for name in ("slide.tiff", "slide.json"):
        assert sha256_of_file(tmp_path / name) == sha256_of_file(made[0].parent / name)


def test_equal_tiles_are_encoded_once_and_as_their_own_pixels():
    rng = np.random.default_rng(0)
    plan = plan_slide(rng, 20_000, 16_000, 0.25, None, 6, 4)
    library = [_Flat(30 * n) for n in range(6)]
    glass = np.full((1024, 1024, 3), 240, np.uint8)
    painter = TileRenderer(plan, library, glass, 85, 0)
    tiles = [(0, row, column) for row in range(0, 31, 2) for column in range(0, 39, 3)]
    for tile in tiles:
        key = painter._key(*tile)
        values = np.unique(painter.pixels(*tile))
        if key is not None:
            expected = 240 if len(key) == 3 else 30 * key[3]
            assert values.tolist() == [expected]
    assert {painter._key(*tile) is None for tile in tiles} == {True, False}


class _Flat:
    """A block of one grey, without figures."""

    figures = ()

    def __init__(self, grey):
        self.pixels = np.full((1024, 1024, 3), grey, np.uint8)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width_px": 1000}, "at least 2048"),
        ({"path": "slide.png"}, "end it in .tiff"),
        ({"blocks": 4}, "5 or more"),
        ({"tissue_mm2": 50.0}, "at most"),
    ],
)
def test_what_cannot_be_made_is_refused_before_anything_is_drawn(tmp_path, change, message):
    wanted = {"path": "slide.tiff", "width_px": 4096, "height_px": 4096} | change
    wanted["path"] = tmp_path / wanted["path"]
    with pytest.raises(InputError, match=message):
        make_slide(**wanted)
    assert list(tmp_path.iterdir()) == []
