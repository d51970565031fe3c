"""What is particular about the heads of YOLO; ``test_decode.py`` has what is common."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.foreign import boxes
from tests.detection.foreign.scene import SPEC, encode

BOTH = [(20.0, 30.0, 0, 0.9), (90.0, 100.0, 1, 0.7)]


def test_yolov5_multiplies_by_the_probability_of_an_object():
    outputs, output = encode(BOTH, "yolov5", scores="probability")
    outputs[0][:, 4] = (0.5, 1.0)
    found = boxes.yolov5(outputs, SPEC, output, 0.1)
    np.testing.assert_allclose(found.score, [0.45, 0.7], atol=1e-6)


def test_a_box_is_of_its_best_class_alone():
    """Also where that class is left out: it is another object."""
    outputs, output = encode(BOTH, "yolov8", scores="probability")
    outputs[0][4:, 0] = (0.4, 0.3, 0.6)
    found = boxes.yolov8(outputs, SPEC, output, 0.1)
    assert found.label.tolist() == [2, 1]
    assert found.score[0] == pytest.approx(0.6)


def test_boxes_with_scores_of_all_classes_are_of_each():
    outputs, output = encode(BOTH, "class-boxes", scores="probability")
    outputs[1][0] = (0.4, 0.3, 0.05)
    found = boxes.class_boxes(outputs, SPEC, output, 0.1)
    assert found.label.tolist() == [0, 1, 1]


def test_columns_of_finished_rows():
    for name, decode in (("rows", boxes.rows), ("batch-rows", boxes.batch_rows)):
        outputs, output = encode(BOTH, name)
        found = decode(outputs, SPEC, output, 0.1)
        assert found.label.tolist() == [0, 1]
        np.testing.assert_allclose(found.score, [0.9, 0.7], atol=1e-6)
        np.testing.assert_allclose(found.x, [20, 90])
