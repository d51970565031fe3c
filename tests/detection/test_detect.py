"""A dot at any position is found exactly once, whatever the grid, the scale and the batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.detection import pipeline
from metaphase.detection.detect import detect
from metaphase.detection.plan import BAND_TILES, Settings, make_plan
from metaphase.errors import InputError, SlideError
from metaphase.figures import Label
from tests.detection.scenes import DotRuntime, DotSlide, make_model

BOTH = (Label.MITOTIC, Label.HARD_NEGATIVE)


def found_in(slide, model, **options):
    return detect(slide, model, runtime=DotRuntime(model.card.head), **options)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(20, 420),
    height=st.integers(20, 420),
    slide_mpp=st.sampled_from([0.25, 0.2456, 0.2268, 0.3, 0.5]),
    stride=st.sampled_from([4, 8, 16]),
    margin=st.sampled_from([16, 24, 32, 40]),
    data=st.data(),
)
def test_a_dot_anywhere_is_found_exactly_once(width, height, slide_mpp, stride, margin, data):
    label = data.draw(st.sampled_from(BOTH))
    reach = 2.5 / slide_mpp
    x = data.draw(st.floats(min(reach, width / 2), max(width - reach, width / 2)))
    y = data.draw(st.floats(min(reach, height / 2), max(height - reach, height / 2)))
    model = make_model(stride=stride, margin=margin, classes=BOTH)
    slide = DotSlide(width, height, slide_mpp, [(x, y)], [label])
    found = found_in(slide, model)
    assert len(found) == 1
    assert found.labels == [label]
    if reach <= min(width, height) / 2:  # else the border cuts the dot
        # Within a pixel of what the network saw.
        assert np.abs(found.points - [x, y]).max() <= max(1, 0.25 / slide_mpp)


@pytest.mark.parametrize(
    ("margin", "radius", "outwards"), [(16, 5.0, 0), (32, 5.0, 4), (16, 1.0, 0), (32, 1.0, 0)]
)
def test_along_every_tile_border(margin, radius, outwards):
    """Positions across the borders of tiles, in steps smaller than a pixel.

    Two tiles may each see a dot on the other's side (``outwards``): it must not be lost. With a
    small merge radius, what the edge of a tile leaves of a dot must not become another one.
    """
    model = make_model(margin=margin, radius=radius)
    runtime = DotRuntime(model.card.head, outwards)
    for step in np.arange(40, 140, 0.7):
        slide = DotSlide(260, 260, 0.25, [(step, step + 60)])
        found = detect(slide, model, runtime=runtime)
        assert len(found) == 1, step
        assert np.abs(found.points - [step, step + 60]).max() <= 1 + outwards


@pytest.mark.parametrize("corner", [(0, 0), (300, 0), (0, 200), (300, 200)])
def test_a_dot_cut_by_a_corner_of_the_image_is_found_inside_it(corner):
    found = found_in(DotSlide(300, 200, 0.25, [corner]), make_model())
    assert len(found) == 1
    assert 0 <= found.x_px[0] <= 300
    assert 0 <= found.y_px[0] <= 200
    assert np.abs(found.points - corner).max() < 10


def many_dots(seed=0, size=900, n=60):
    random = np.random.default_rng(seed)
    grid = random.permutation([(i, j) for i in range(9) for j in range(9)])[:n]
    dots = (grid + 0.5) * size / 9 + random.uniform(-15, 15, (n, 2))
    return DotSlide(size, size, 0.25, dots, [BOTH[i % 2] for i in range(n)])


def test_many_dots_are_each_found_once():
    slide, model = many_dots(), make_model(classes=BOTH)
    found = found_in(slide, model)
    assert len(found) == len(slide.dots)
    for dot, label in zip(slide.dots, slide.labels, strict=True):
        nearest = np.hypot(*(found.points - dot).T).argmin()
        assert np.abs(found.points[nearest] - dot).max() <= 1
        assert found.labels[nearest] is label


def test_the_batch_and_the_interruption_change_nothing(tmp_path):
    slide, model = many_dots(), make_model(classes=BOTH)
    whole = found_in(slide, model)
    for batch in (1, 3, 64):
        assert found_in(slide, model, batch=batch) == whole
    assert found_in(slide, model, checkpoint=tmp_path / "parts") == whole


class Interrupted(DotRuntime):
    def run(self, tiles):
        if self.tiles >= 140:
            raise KeyboardInterrupt
        return super().run(tiles)


def test_finished_parts_are_not_computed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(pipeline, "SAVE_EVERY_S", 0.0)
    slide, model = many_dots(), make_model(classes=BOTH)
    whole = found_in(slide, model)
    tiles = whole.provenance.parameters.tiles
    assert tiles > 140
    with pytest.raises(KeyboardInterrupt):
        detect(slide, model, runtime=Interrupted(model.card.head), checkpoint=tmp_path / "b")
    again = DotRuntime(model.card.head)
    assert detect(slide, model, runtime=again, checkpoint=tmp_path / "b") == whole
    assert again.tiles == tiles - 128
    once_more = DotRuntime(model.card.head)
    assert detect(slide, model, runtime=once_more, checkpoint=tmp_path / "b") == whole
    assert once_more.tiles == 0


def test_parts_of_other_parameters_and_damaged_parts_are_not_used(tmp_path):
    slide, model = many_dots(), make_model(classes=BOTH)
    found_in(slide, model, checkpoint=tmp_path / "b")
    other = DotRuntime(model.card.head)
    changed = detect(slide, model, runtime=other, checkpoint=tmp_path / "b", min_score=0.2)
    assert other.tiles == changed.provenance.parameters.tiles
    for path in (tmp_path / "b").glob("*.npz"):
        path.write_bytes(path.read_bytes()[:50])
    again = DotRuntime(model.card.head)
    assert detect(slide, model, runtime=again, checkpoint=tmp_path / "b", min_score=0.2) == changed
    assert again.tiles == other.tiles


def test_a_region_gives_what_the_whole_image_gives_there():
    slide, model = many_dots(), make_model(classes=BOTH)
    whole = found_in(slide, model)
    x, y, w, h = region = (137.0, 210.5, 333.0, 290.0)
    inside = (whole.x_px >= x) & (whole.x_px <= x + w) & (whole.y_px >= y) & (whole.y_px <= y + h)
    part = found_in(slide, model, region=region)
    assert part.points.tolist() == whole.where(inside).points.tolist()
    assert 0 < len(part) < len(whole)
    assert part.provenance.parameters.tiles < whole.provenance.parameters.tiles


def test_the_provenance_says_everything(tmp_path):
    path = tmp_path / "case.tif"
    path.write_bytes(b"pixels")
    slide, model = DotSlide(300, 200, 0.3, [(50, 50)], path=path), make_model()
    made = found_in(slide, model, threshold=0.25, min_score=0.3).provenance
    assert (made.image, made.width_px, made.height_px, made.mpp) == ("case.tif", 300, 200, 0.3)
    assert made.mpp_source == "user"
    assert made.image_sha256 == __import__("hashlib").sha256(b"pixels").hexdigest()
    assert (made.model, made.model_id, made.threshold) == ("dots", "an id", 0.25)
    assert made.runtime == "dots"
    assert made.parameters.min_score == 0.25  # lowered to the threshold
    assert made.parameters.resampled is True
    assert made.parameters.network_mpp == 0.25
    assert found_in(slide, model).provenance.threshold == 0.5


@pytest.mark.parametrize(
    ("mpp", "network_mpp"),
    [(0.25, 0.25), (0.2456, 0.2456), (0.2268, None), (0.1228, 0.2456), (0.083, 0.249)],
)
def test_a_whole_multiple_of_the_slides_mpp_near_the_models_is_read(mpp, network_mpp):
    made = found_in(DotSlide(300, 200, mpp, [(50, 50)]), make_model()).provenance
    assert made.parameters.resampled is (network_mpp is None)
    assert made.parameters.network_mpp == pytest.approx(network_mpp or 0.25)


def test_a_small_image_is_one_tile_with_the_same_detections():
    slide = DotSlide(300, 280, 0.25, [(50, 60), (150, 140), (290, 20)])
    of_one_size, of_any_size = make_model(tile=256), make_model(tile=256)
    spec = of_any_size.card.input.model_copy(update={"multiple_px": 32})
    of_any_size = replace(of_any_size, card=of_any_size.card.model_copy(update={"input": spec}))
    usual, fitted = found_in(slide, of_one_size), found_in(slide, of_any_size)
    assert (usual.provenance.parameters.tiles, fitted.provenance.parameters.tiles) == (4, 1)
    assert fitted.provenance.parameters.tile_px == 320
    assert np.allclose(usual.points, fitted.points, atol=0.05)
    plan = make_plan(slide, of_any_size, Settings(fit_tiles=False))
    assert (len(plan.tiles), plan.grid.tile) == (4, 256)


def test_an_empty_result_is_a_result():
    found = found_in(DotSlide(300, 200, 0.25, []), make_model())
    assert len(found) == 0
    assert found.provenance.parameters.capped_tiles == 0


def test_progress_is_in_mm2():
    told = []
    found_in(DotSlide(1000, 500, 0.25, []), make_model(), progress=lambda *a: told.append(a))
    assert told[0] == (0, pytest.approx(0.25 * 0.125))
    assert told[-1][0] == pytest.approx(told[-1][1])
    assert [done for done, _ in told] == sorted(done for done, _ in told)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "threshold"),
        ({"min_score": -0.1}, "min_score"),
        ({"region": (0, 0, 0, 10)}, "positive width"),
        ({"region": (900, 0, 10, 10)}, "outside"),
        ({"region": (float("nan"), 0, 10, 10)}, "region"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        found_in(DotSlide(300, 200, 0.25, []), make_model(), **options)


def test_an_error_while_reading_ends_it_cleanly():
    slide = DotSlide(900, 900, 0.25, [])
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        found_in(slide, make_model())


def test_an_open_slide_knows_its_own_mpp():
    with pytest.raises(ValueError, match="open slide"):
        found_in(DotSlide(300, 200, 0.25, []), make_model(), mpp=0.25)


@pytest.mark.needs_data
def test_a_real_slide_from_its_path(data_dir):
    """A dot runtime finds nothing in it, but every tile of it is read and run."""
    model = make_model(tile=512)
    runtime = DotRuntime(model.card.head)
    found = detect(data_dir / "slides" / "small_region.svs", model, runtime=runtime)
    made = found.provenance
    assert (made.image, made.width_px, made.height_px) == ("small_region.svs", 2220, 2967)
    assert made.mpp == pytest.approx(0.499, abs=0.001)
    assert made.parameters.resampled is True
    # 4432 x 5923 network pixels: 10 columns and 14 rows of tiles every 448.
    assert runtime.tiles == made.parameters.tiles == 140


def test_tiles_are_ordered_in_bands_so_that_rows_follow_each_other_soon():
    slide = DotSlide(3000, 500, 0.25, [])
    plan = make_plan(slide, make_model(), Settings())
    row, column = np.divmod(plan.tiles, len(plan.grid.starts_x))
    band = column // BAND_TILES
    assert band.max() >= 2
    assert row.max() >= 1
    assert sorted(plan.tiles) == list(range(len(plan.grid)))
    assert sorted(zip(band, row, column, strict=True)) == list(zip(band, row, column, strict=True))
