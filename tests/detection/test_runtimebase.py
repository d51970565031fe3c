"""The interface of a runtime: what one of your own must have, and what it need not."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detection.runtimebase import CPU_BATCH, GPU_BATCH, Runtime, graph_errors
from metaphase.errors import ModelFileError
from tests.detection.scenes import DotSlide, make_model


class Silent(Runtime):
    """A runtime of one's own that finds nothing, and has only what it must have."""

    def __init__(self):
        self.shapes = []

    def run(self, tiles):
        self.shapes.append(tiles.shape)
        n, h, w, _ = tiles.shape
        return [
            np.full((n, channels, h // 8, w // 8), value, np.float32)
            for channels, value in ((1, -20), (2, 0))
        ]


def test_without_run_it_is_no_runtime():
    class Empty(Runtime):
        pass

    with pytest.raises(TypeError, match="run"):
        Empty()


def test_all_but_run_has_a_default():
    runtime = Silent()
    assert (runtime.name, runtime.precision) == ("unnamed", "fp32")
    assert (runtime.batch, runtime.streams) == (Runtime.default_batch, 1)
    assert runtime.second_stage is None


def test_settings_of_one_runtime_are_not_those_of_another():
    runtime, other = Silent(), Silent()
    runtime.batch, runtime.second_stage = 9, other
    assert (other.batch, other.second_stage) == (Runtime.default_batch, None)


def test_batches_are_larger_on_a_gpu():
    assert 1 <= CPU_BATCH < GPU_BATCH


def test_a_runtime_of_your_own_detects():
    runtime = Silent()
    slide = DotSlide(600, 600, 0.25, [(100, 100)])
    detections = detect(slide, make_model(), runtime=runtime)
    assert len(detections) == 0
    assert detections.provenance.runtime == "unnamed"
    assert runtime.shapes
    assert max(shape[0] for shape in runtime.shapes) == Runtime.default_batch
    assert {shape[1:] for shape in runtime.shapes} == {(128, 128, 3)}


@pytest.mark.parametrize("error", [IndexError(3), RuntimeError("[E] wrong shape\nlong text")])
def test_errors_of_a_library_name_the_model(error):
    wanted = r"models/a: its graph cannot be run .*: \S"
    with pytest.raises(ModelFileError, match=wanted) as caught, graph_errors("models/a"):
        raise error
    assert "long text" not in str(caught.value)


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt(), ModelFileError([])])
def test_other_errors_are_passed_on(error):
    with pytest.raises(type(error)) as caught, graph_errors("a"):
        raise error
    assert caught.value is error
