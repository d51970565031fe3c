"""The page and ``metaphase count`` give the same numbers for the same threshold."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaphase.counting.analysedregion import AnalysedRegion
from metaphase.counting.count import count_slide
from metaphase.counting.interval import Validation
from metaphase.counting.review import load_review
from metaphase.counting.validation import FixedValidation
from metaphase.counting.window import WindowShape
from metaphase.detectionfile import save_detections
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance
from metaphase.slides.mask import TissueMask
from metaphase.slides.tissue import find_tissue
from metaphase.viewer.counts import CountRequest, SlideCounter, count_as_json
from metaphase.viewer.export import review_table
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.slidecatalogue import detections_in_folders, find_images, open_slides
from metaphase.viewer.store import Decision, ReviewStore, State
from metaphase.viewer.tiles import SlideHandles

from .conftest import HEIGHT, MPP, WIDTH, found

WINDOW_MM2 = 0.01
KNOWN = FixedValidation(Validation(80, 20, 25), 0.5)


def decide(store, entry, changes):
    """Write decisions about figures by number, and some that were missed."""
    for number, state in changes:
        if number >= len(entry.columns):
            place = 20.5 * (number % 40), 13.25 * (number % 50)
            store.add(
                Decision(entry.key, f"a-{number}", State.ADDED, "anna", Label.MITOTIC, *place)
            )
            continue
        figure = list(entry.columns.index)[number]
        was = entry.columns.label_of(number)
        other = Label.MITOTIC if was == Label.HARD_NEGATIVE else Label.HARD_NEGATIVE
        label = other if state == State.RELABELLED else was
        x, y = entry.columns.points[number].tolist()
        store.add(Decision(entry.key, figure, state, "anna", label, x, y))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    threshold=st.sampled_from([0.0, 0.05, 0.3, 0.5, 0.61, 1.0]),
    shape=st.sampled_from(["square", "circle", "4:3"]),
    complete=st.booleans(),
    changes=st.lists(
        st.tuples(
            st.integers(0, 30),
            st.sampled_from([State.CONFIRMED, State.REJECTED, State.RELABELLED]),
        ),
        max_size=12,
        unique_by=lambda change: change[0],
    ),
)
def test_the_same_numbers_as_the_command(
    slides, tmp_path_factory, threshold, shape, complete, changes
):
    entry = slides[0]
    folder = tmp_path_factory.mktemp("counts")
    store = ReviewStore(folder / "review.sqlite")
    decide(store, entry, changes)
    standing = ReviewState(entry.key).update(store).all().values()
    pixels = entry.open()
    asked = CountRequest(threshold, shape, WINDOW_MM2, 0.55)
    known = SlideCounter(FixedValidation(KNOWN.counts, threshold))
    page = known.count(entry, pixels, standing, asked, complete=complete)

    (folder / "review.csv").write_text(review_table([entry], store))
    store.close()
    command = count_slide(
        found("a.png").rounded().with_provenance(threshold=threshold),
        WindowShape.parse(shape, WINDOW_MM2),
        analysed=AnalysedRegion(tissue=find_tissue(pixels)),
        validation=KNOWN.counts,
        decisions=load_review(folder / "review.csv"),
        complete=complete,
        field_diameter_mm=0.55,
    )
    pixels.close()
    one, other = count_as_json(page), count_as_json(command)
    assert one.pop("notes") == other.pop("notes")
    for told in (one, other):
        box = told["hotspot"] and told["hotspot"].pop("box")
        assert box is None or len(box) == 4
    assert one == other


def test_people_replace_the_machine_in_the_pages_count(open_page, slug, slides):
    client = open_page(validated=KNOWN)
    where = f"/api/slides/{slug.a}/hotspot"
    at = {"threshold": 0.5, "area_mm2": 1.0}
    before = client.get(where, params=at).json()
    assert before["estimate"]["low"] < before["estimate"]["expected"] < before["estimate"]["high"]
    assert before["hotspot_estimate"]["low"] <= before["hotspot"]["count"]
    for figure, row in slides[0].columns.index.items():
        if slides[0].columns.label[row] == 0:
            body = {"figure": figure, "state": "confirmed"}
            client.post(f"/api/slides/{slug.a}/decisions", json=body)
    body = {"figure": "", "state": "complete"}
    client.post(f"/api/slides/{slug.a}/decisions", json=body)
    after = client.get(where, params=at).json()
    assert after["count"] == 15
    interval = after["hotspot_estimate"]
    assert interval["low"] == interval["high"] == after["hotspot"]["count"] == 15
    assert not after["score"]["could_tip"] if after["score"] else True


def test_an_interval_is_told_only_where_it_is_known(open_page, slug):
    client = open_page(validated=KNOWN)
    where = f"/api/slides/{slug.a}/hotspot"
    assert client.get(where, params={"threshold": 0.5}).json()["estimate"] is not None
    assert client.get(where, params={"threshold": 0.6}).json()["estimate"] is None
    plain = open_page().get(where, params={"threshold": 0.5}).json()
    assert plain["estimate"] is None
    assert any("No interval" in note for note in plain["notes"])


def test_a_field_diameter_gives_window_and_score(open_page, slug):
    client = open_page(validated=KNOWN)
    where = f"/api/slides/{slug.a}/hotspot"
    told = client.get(where, params={"threshold": 0.5, "field_mm": 0.59}).json()
    assert told["window_mm2"] == pytest.approx(2.734, abs=1e-3)
    assert told["score"]["cuts"] == [9, 19]
    assert client.get(where, params={"threshold": 0.5, "field_mm": 0.2}).status_code == 422


@pytest.fixture
def region_slides(folder):
    """Detections of the left half only, in the folder that is opened, with a mask of tissue."""
    made = Provenance(
        "a.png", WIDTH, HEIGHT, MPP, threshold=0.5,
        parameters={
            "region": [0, 0, 600, HEIGHT],
            "validation": {"threshold": 0.5, "tp": 80, "fp": 20, "fn": 25},
        },
    )  # fmt: skip
    x = np.array([580.0, 590.0, 595.0, 100.0])
    save_detections(Detections(x, x / 2, np.full(4, 0.9), provenance=made), folder / "found" / "a")
    mask = np.ones((30, 41), dtype=bool)
    mask[:, 10:] = False  # tissue on the left third only
    tissue = TissueMask(mask, 8.0, MPP, WIDTH, HEIGHT)
    (folder / "found" / "a" / "tissue.geojson").write_text(json.dumps(tissue.to_geojson()))
    (folder / "found" / "a" / "overlay.png").write_bytes((folder / "b.png").read_bytes())
    return open_slides(find_images([folder]), detections=detections_in_folders([folder]), mpp=MPP)


def test_region_and_tissue_beside_the_detections_are_respected(region_slides):
    assert [entry.key for entry in region_slides] == ["a", "b"]  # an overlay is no slide
    entry = region_slides[0]
    counter, handles = SlideCounter(), SlideHandles()
    pixels = handles.get(entry)
    asked = CountRequest(0.5, "square", 0.004)
    told = counter.count(entry, pixels, [], asked)
    x1, _, x2, _ = told.hotspots[0].hotspot.window.box
    assert 0 <= x1 < x2 <= 600
    # Three figures lie at 580 to 595, but there is no tissue from 320 on.
    assert told.hotspots[0].count == 1
    assert told.area_mm2 == pytest.approx(320 * HEIGHT * MPP**2 * 1e-6, rel=0.01)
    assert told.total_estimate is not None
    anywhere = SlideCounter().count(replace(entry, folder=None, provenance=None), pixels, [], asked)
    assert anywhere.hotspots[0].count == 3
    handles.close()


def test_tissue_is_looked_for_once(slides, monkeypatch):
    looked = []
    from metaphase.slides import tissue

    real = tissue.find_tissue
    monkeypatch.setattr(tissue, "find_tissue", lambda s: looked.append(s) or real(s))
    counter = SlideCounter()
    with slides[0].open() as pixels:
        for threshold in (0.1, 0.5, 0.9):
            counter.count(slides[0], pixels, [], CountRequest(threshold))
    assert len(looked) == 1
