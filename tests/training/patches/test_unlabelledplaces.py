from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metaphase.boxes import as_boxes, as_points
from metaphase.errors import SlideError
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.patches.patch import Patch
from metaphase.training.patches.sampling import PatchSpec
from metaphase.training.patches.unlabelledplaces import (
    TissuePlaces,
    domain_of,
    fill_masked,
    masked_boxes_in,
)

TISSUE = (190, 140, 180)


@pytest.fixture
def cases(tmp_path: Path) -> Dataset:
    """Three cases of scanner A and one of B; the lower half of each is glass."""
    made = []
    for number in range(4):
        pixels = np.full((200, 240, 3), TISSUE, np.uint8)
        pixels[100:] = 250
        path = tmp_path / f"c{number}.png"
        Image.fromarray(pixels).save(path)
        scanner = "B" if number == 3 else "A"
        made.append(Case(f"c{number}", image=path, mpp=0.25, scanner=scanner, labelled=False))
    return Dataset(made)


def places(cases: Dataset, **options: object) -> TissuePlaces:
    settings = {"by": "scanner", "patch_px": 48, "mpp": 0.25, **options}
    return TissuePlaces(cases, **settings)  # type: ignore[arg-type]


def drawn(source: TissuePlaces, count: int = 30, **options: str) -> list[Patch]:
    found = [source.draw(np.random.default_rng(seed), **options) for seed in range(count)]
    assert all(patch is not None for patch in found)
    return found  # type: ignore[return-value]


def a_patch(ignore: object = (), side: int = 32) -> Patch:
    image = np.random.default_rng(0).integers(0, 200, (side, side, 3)).astype(np.uint8)
    spec = PatchSpec("c", 0.0, 0.0, side, 0.25, "random")
    return Patch(image, as_points([]), as_boxes([]), np.zeros(0, np.int64), as_boxes(ignore), spec)  # type: ignore[arg-type]


# --- drawing


def test_patches_show_tissue_and_no_figures(cases: Dataset) -> None:
    for patch in drawn(places(cases)):
        assert patch.image.shape == (48, 48, 3)
        assert (patch.image.min(axis=2) < 225).mean() >= 0.3
        assert len(patch.points) == len(patch.boxes) == len(patch.labels) == 0


def test_patches_lie_within_their_slide_on_whole_pixels(cases: Dataset) -> None:
    for patch in drawn(places(cases)):
        x, y = patch.spec.x_px, patch.spec.y_px
        assert 0 <= x <= 240 - 48
        assert 0 <= y <= 200 - 48
        assert (x, y) == (round(x), round(y))


def test_the_same_numbers_draw_the_same_patch(cases: Dataset) -> None:
    first, second = drawn(places(cases)), drawn(places(cases))
    assert [p.spec for p in first] == [p.spec for p in second]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first, second, strict=True))
    assert len({p.spec for p in first}) == len(first)


def test_every_domain_is_drawn_equally_often(cases: Dataset) -> None:
    """Although three of four cases are of one scanner."""
    ids = [patch.spec.case_id for patch in drawn(places(cases), 200)]
    assert 60 < ids.count("c3") < 140
    assert {"c0", "c1", "c2"} < set(ids)


def test_a_domain_can_be_left_out(cases: Dataset) -> None:
    source = places(cases)
    assert {p.spec.case_id for p in drawn(source, other_than="A")} == {"c3"}
    assert "c3" not in {p.spec.case_id for p in drawn(source, other_than="B")}
    only = places(cases.select(["c3"]))
    assert only.draw(np.random.default_rng(0), other_than="B") is None


def test_the_resolution_varies_by_its_jitter(cases: Dataset) -> None:
    assert {p.spec.mpp for p in drawn(places(cases, mpp=0.5), 5)} == {0.5}
    jittered = [p.spec.mpp for p in drawn(places(cases, mpp_jitter=0.2))]
    assert len(set(jittered)) > 20
    assert 0.25 * np.exp(-0.2) <= min(jittered)
    assert max(jittered) <= 0.25 * np.exp(0.2)


def test_a_slide_smaller_than_a_patch_lies_within_it(cases: Dataset) -> None:
    for patch in drawn(places(cases, patch_px=400), 5):
        assert patch.spec.x_px <= 0
        assert patch.spec.y_px <= 0
        assert patch.spec.x_px + 400 >= 240


def test_images_decoded_beforehand_give_the_same_patches(cases: Dataset) -> None:
    plain, cached = drawn(places(cases), 5), drawn(places(cases, cache_mb=16), 5)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(plain, cached, strict=True))


def test_a_slide_that_cannot_be_opened_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    broken = Dataset([Case("u", image=tmp_path / "broken.png", mpp=0.25, labelled=False)])
    with pytest.raises(SlideError, match=r"broken\.png"):
        places(broken)


def test_masked_places_are_avoided_where_they_can_be(cases: Dataset) -> None:
    masked = {case.id: as_boxes([[0, 0, 100, 100]]) for case in cases}
    free = [len(patch.ignore) for patch in drawn(places(cases, masked=masked))]
    assert free.count(0) > 25


def test_where_all_is_masked_the_mask_is_told_and_filled(cases: Dataset) -> None:
    masked = {case.id: as_boxes([[0, 0, 240, 200]]) for case in cases}
    for patch in drawn(places(cases, masked=masked), 5):
        assert len(patch.ignore) == 1
        assert (patch.image == 255).all()


# --- domains


def test_the_domain_of_a_case() -> None:
    case = Case("c", scanner="A", group="G")
    assert domain_of(case, "scanner") == "A"
    assert domain_of(case, "group") == "G"
    assert domain_of(case, "none") == domain_of(Case("d", scanner="B"), "none") == ""


# --- masks


@given(st.floats(-50, 150), st.floats(-50, 150), st.floats(1, 60), st.floats(0.3, 3))
def test_masked_boxes_are_in_the_pixels_of_the_patch(
    x: float, y: float, side: float, ratio: float
) -> None:
    """With 4 px around them, at any resolution; only those that reach in."""
    spec = PatchSpec("c", 30.0, 20.0, 64, 0.25 * ratio, "random")
    boxes = as_boxes([[x, y, x + side, y + side]])
    inside = masked_boxes_in(boxes, spec, 0.25)
    corner = (np.array([x - 4, y - 4]) - [30, 20]) / ratio
    far = (np.array([x + side + 4, y + side + 4]) - [30, 20]) / ratio
    reaches = bool((corner < 64).all() and (far > 0).all())
    assert len(inside) == int(reaches)
    if reaches:
        np.testing.assert_allclose(inside[0], [*corner, *far], atol=1e-9)


def test_a_case_without_masks_has_none() -> None:
    spec = PatchSpec("c", 0.0, 0.0, 64, 0.25, "random")
    assert masked_boxes_in(None, spec, 0.25).shape == (0, 4)
    assert masked_boxes_in(as_boxes([]), spec, 0.25).shape == (0, 4)


def test_a_patch_without_masks_stays_the_same() -> None:
    patch = a_patch()
    assert fill_masked(patch) is patch


@given(st.floats(-20, 40), st.floats(-20, 40), st.floats(0.5, 50), st.floats(0.5, 50))
def test_a_masked_place_gets_the_mean_of_the_rest(x: float, y: float, w: float, h: float) -> None:
    patch = a_patch([[x, y, x + w, y + h]])
    filled = fill_masked(patch)
    changed = (filled.image != patch.image).any(axis=2)
    rows, columns = np.mgrid[:32, :32]
    touched = (columns + 1 > x) & (columns < x + w) & (rows + 1 > y) & (rows < y + h)
    assert not (changed & ~touched).any()
    if touched.any() and not touched.all():
        mean = patch.image[~touched].mean(axis=0)
        assert np.abs(filled.image[touched] - mean).max() <= 0.51
    assert patch.image is not filled.image
