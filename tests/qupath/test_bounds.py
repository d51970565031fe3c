from __future__ import annotations

from metaphase.provenance import Parameters, Provenance
from metaphase.qupath.bounds import bounds_of_file, bounds_offset, recorded_offset


def test_bounds_are_read_from_a_slides_tags() -> None:
    assert bounds_offset({"openslide.bounds-x": "40", "openslide.bounds-y": "8"}) == (40, 8)
    assert bounds_offset({"openslide.bounds-x": "wide"}) == (0, 0)
    assert bounds_offset({}) == (0, 0)


def test_what_detection_recorded() -> None:
    moved = Provenance("a", 1, 1, 0.25, parameters=Parameters(bounds_px=(40, 8.5)))
    assert recorded_offset(moved) == (40, 8.5)
    assert recorded_offset(Provenance("a", 1, 1, 0.25)) == (0, 0)


def test_a_file_that_is_no_slide_has_no_bounds(tmp_path) -> None:
    (tmp_path / "a.svs").write_bytes(b"pixels")
    assert bounds_of_file(tmp_path / "a.svs") == (0, 0)
    assert bounds_of_file(tmp_path / "none.svs") == (0, 0)
