from functools import partial

import numpy as np

from metaphase.counting.batch import CountOptions, SlideDetections, count_slides
from metaphase.counting.interval import Validation
from metaphase.counting.review import DecisionState, ReviewDecision
from metaphase.counting.validation import FixedValidation
from metaphase.detectionfile import load_detections, save_detections
from metaphase.figures import Detections, Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance


def found(name, n):
    step = np.arange(n) * 50.0 + 4000
    provenance = Provenance(f"{name}.tiff", 10_000, 10_000, 0.25, threshold=0.5)
    return Detections(step, step, np.full(n, 0.8), provenance=provenance)


def slides(*names):
    return [SlideDetections(name, partial(found, name, 12)) for name in names]


def test_every_slide_is_counted_and_written_before_the_next():
    order = []

    def load(name):
        order.append(f"load {name}")
        return found(name, 12)

    given = [SlideDetections(name, partial(load, name)) for name in ("a", "b")]
    counted, failures = count_slides(
        given, CountOptions(), lambda slide, _: order.append(f"write {slide.name}")
    )
    assert order == ["load a", "write a", "load b", "write b"]
    assert [slide.result.total for slide in counted] == [12, 12]
    assert failures == []


def test_a_slide_that_fails_does_not_stop_the_others(tmp_path):
    broken = SlideDetections("broken", partial(load_detections, tmp_path / "nothing"))
    counted, failures = count_slides([*slides("a"), broken, *slides("b")], CountOptions())
    assert [slide.name for slide in counted] == ["a", "b"]
    assert str(failures[0]).startswith("broken: ")
    assert "nothing" in failures[0].reason


def test_decisions_about_one_slide_are_not_taken_for_another_of_its_name(tmp_path):
    def two(image):
        def load(name):
            return found("01", 12).with_provenance(image="01.tiff")

        decisions = [ReviewDecision(9000, 9000, DecisionState.ADDED, image)]
        given = []
        for name in ("patient1_01.tiff", "patient2_01.tiff"):
            save_detections(load(name), tmp_path / name)
            given.append(SlideDetections(name, partial(load, name), tmp_path / name))
        return count_slides(given, CountOptions(decisions=decisions))

    counted, failures = two("01.tiff")
    assert counted == []
    assert "with their folder" in failures[0].reason
    counted, failures = two("patient2/01.tiff")
    assert [slide.result.total for slide in counted] == [12, 13]
    assert failures == []


def test_labels_are_counted_in_the_same_window():
    figures = tuple(Figure(str(i), 4100.0 + i, 4100.0) for i in range(3))
    labels = Dataset([Case("a", figures=figures), Case("b", labelled=False)])
    counted, _ = count_slides(slides("a", "b", "c"), CountOptions(labels=labels))
    assert [slide.labelled for slide in counted] == [3, None, None]


def test_options_reach_the_count():
    options = CountOptions(threshold=0.9, validation=FixedValidation(Validation(80, 20, 20)), top=2)
    (counted,), _ = count_slides(slides("a"), options)
    assert counted.result.total == 0
    assert counted.result.validation == Validation(80, 20, 20)
    (counted,), _ = count_slides(slides("a"), CountOptions())
    assert counted.result.validation is None


def test_images_that_are_missing_fail_the_slide(tmp_path):
    _, failures = count_slides(slides("a"), CountOptions(images=tmp_path))
    assert "a.tiff" in failures[0].reason
