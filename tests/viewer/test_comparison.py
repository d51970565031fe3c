from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaphase.figures import Detections, Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.viewer.columns import Source
from metaphase.viewer.comparison import compare, is_frozen, references
from metaphase.viewer.reference import Reference
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.seconddetections import add_second_detections
from metaphase.viewer.slidecatalogue import find_images, open_slides
from metaphase.viewer.store import State

from .conftest import MPP, found, put, save_second

LABELS = Reference(Source.LABEL, "labels", "toy")


def labelled(folder, *figures, **options):
    known = Dataset([Case("a", folder / "a.png", figures=figures)])
    return open_slides(find_images([folder]), labels=known, mpp=MPP, **options)[0]


@pytest.fixture
def entry(folder):
    figures = (
        Figure("near", 605.0, 390.0),  # 5 px from the detection of score 0.525
        Figure("far", 1200.0, 100.0),
        Figure("not", 100.0, 80.0, Label.HARD_NEGATIVE),
    )
    return labelled(folder, *figures, detections={"a": found("a.png")})


def test_found_missed_and_false(entry):
    result = compare(entry, LABELS, (), 0.5, MPP)
    above = found("a.png").above_threshold()
    mitotic = int((above.label == 0).sum())
    assert len(above) > mitotic
    both, false, missed = result.both, result.only_first, result.only_second
    assert (len(both), len(missed), len(false)) == (1, 1, mitotic - 1)
    assert entry.columns.points[missed[0]].tolist() == [1200.0, 100.0]
    assert entry.columns.points[both[0][1]].tolist() == [605.0, 390.0]
    assert result.f1 == pytest.approx(2 / (2 + 1 + mitotic - 1))
    assert result.to_json()["both"] == [[*both[0][0], both[0][1]]]


def test_decisions_count_against_labels(entry, store):
    for figure, row in entry.columns.index.items():
        if entry.columns.source[row] == Source.DETECTION:
            put(store, entry, figure, State.REJECTED)
    put(store, entry, "a-1", State.ADDED, place=(1201.0, 101.0))
    standing = ReviewState("a").update(store).all()
    result = compare(entry, LABELS, standing.values(), 0.5, MPP)
    assert (len(result.both), len(result.only_second), result.only_first) == (1, 1, ())


def test_nothing_to_compare(slides):
    result = compare(slides[1], LABELS, (), 1.0, MPP)
    assert (result.both, result.only_first, result.only_second, result.f1) == ((), (), (), None)


def test_only_labelled_slides_are_compared_with_labels(folder):
    detections = {"a": found("a.png")}
    none = labelled(folder, detections=detections)
    assert [one.key for one in references(none)] == ["labels"]  # none labelled is a statement too
    result = compare(none, references(none)[0], (), 0.5, MPP)
    assert (result.both, result.only_second) == ((), ())
    assert result.only_first
    unlabelled = Dataset([Case("a", folder / "a.png", labelled=False)])
    a, b = open_slides(find_images([folder]), detections=detections, labels=unlabelled, mpp=MPP)
    assert references(a) == references(b) == ()
    assert references(labelled(folder, Figure("1", 5.0, 5.0))) == ()  # they are under review


@pytest.fixture
def two(slides, tmp_path):
    """Slide a with the detections of two models."""
    save_second(tmp_path / "second")
    return add_second_detections(slides, tmp_path / "second")[0]


def test_two_models_at_their_own_thresholds(two):
    (reference,) = references(two)
    result = compare(two, reference, (), 0.5, MPP)
    columns = two.columns
    assert reference.threshold == 0.4
    assert is_frozen(two, reference)
    # The first three of the second are those of the first, moved by 2 um; the fourth is elsewhere,
    # the fifth is below the threshold.
    assert [round(float(columns.score[row]), 2) for _, row in result.both] == [0.9, 0.8, 0.7]
    assert [columns.points[row].tolist() for row in result.only_second] == [[1200.0, 100.0]]
    mitotic = int((found("a.png").above_threshold().label == 0).sum())
    assert len(result.only_first) == mitotic - 3
    assert result.differences == mitotic - 2


def test_the_comparison_of_two_models_follows_neither_threshold_nor_decisions(two, store):
    (reference,) = references(two)
    before = compare(two, reference, (), 0.5, MPP)
    for figure, row in two.columns.index.items():
        if two.columns.source[row] == Source.DETECTION:
            put(store, two, figure, State.REJECTED)
    standing = ReviewState("a").update(store).all().values()
    assert compare(two, reference, standing, 0.95, MPP) == before


def test_labels_under_review_are_compared_with_a_model(folder, tmp_path, store):
    save_second(tmp_path / "second")
    entry = labelled(folder, Figure("1", 1204.0, 100.0), Figure("2", 30.0, 800.0))
    (entry,) = add_second_detections([entry], tmp_path / "second")
    (reference,) = references(entry)
    assert (reference.name, reference.against) == ("other", "labels")
    result = compare(entry, reference, (), 0.0, MPP)
    assert (len(result.both), result.only_first, len(result.only_second)) == (
        1,
        ((30.0, 800.0),),
        3,
    )
    row = entry.columns.index["l3000_80000_0"]
    assert row == 1
    put(store, entry, "l3000_80000_0", State.REJECTED)
    standing = ReviewState("a").update(store).all().values()
    assert compare(entry, reference, standing, 0.0, MPP).only_first == ()


places = st.lists(
    st.tuples(st.floats(0, 200), st.floats(0, 200)), max_size=12, unique_by=lambda p: round(p[0], 1)
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=places, second=places)
def test_the_comparison_of_two_models_is_symmetric_and_one_to_one(slides, first, second):
    def made(rows):
        x, y = [p[0] for p in rows], [p[1] for p in rows]
        return Detections(x, y, [0.9] * len(rows), provenance=found("a.png").provenance)

    def compared(a, b):
        (entry,) = open_slides([slides[0].path], detections={"a": made(a)}, mpp=MPP)
        (entry,) = add_second_detections([entry], {"a": made(b)})
        return entry, compare(entry, entry.second, (), 0.5, MPP)

    entry, result = compared(first, second)
    _, mirrored = compared(second, first)
    assert len(result.both) == len(mirrored.both)
    assert len(result.only_first) == len(mirrored.only_second)
    assert len(result.both) + len(result.only_first) == len(first)
    assert len(result.both) + len(result.only_second) == len(second)
    rows = [row for _, row in result.both]
    assert len(set(rows)) == len(rows)
    for (x, y), row in result.both:
        px, py = entry.columns.points[row]
        assert MPP * ((x - px) ** 2 + (y - py) ** 2) ** 0.5 <= MATCH_RADIUS_UM + 0.01
