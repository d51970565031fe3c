"""The executor of this process: the result of ``detect``, with finished parts kept."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detection.executor import LocalExecutor
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Settings
from metaphase.files import sha256_of_file
from tests.detection.scenes import DotRuntime, DotSlide, make_model

SIDE = 600
DOTS = np.random.default_rng(0).uniform(20, SIDE - 20, (12, 2))
MODEL = make_model()


class Progress:
    """Keeps the calls."""

    def __init__(self):
        self.calls = []

    def __call__(self, *numbers):
        self.calls.append(numbers)


@pytest.fixture
def slide():
    return DotSlide(SIDE, SIDE, 0.25, DOTS)


@pytest.fixture
def runtime():
    return DotRuntime(MODEL.card.head)


def run(executor, slide, folder, progress=None):
    job = Job(slide.path, "dots")
    plan = executor.plan(job, slide)
    hashed = executor.hash(job, slide)
    return executor.run(job, slide, plan, hashed, folder, progress or Progress())


def test_the_result_is_that_of_detect(slide, runtime, tmp_path):
    executor = LocalExecutor(MODEL, runtime, Settings(threshold=0.4))
    detections = run(executor, slide, tmp_path / "parts")
    assert len(detections) >= len(DOTS) / 2
    assert detections == detect(slide, MODEL, threshold=0.4, runtime=runtime)


def test_the_plan_follows_the_settings(slide, runtime):
    job = Job(slide.path, "dots")
    whole = LocalExecutor(MODEL, runtime, Settings()).plan(job, slide)
    settings = Settings(threshold=0.9, region=(0, 0, 50, 50))
    part = LocalExecutor(MODEL, runtime, settings).plan(job, slide)
    assert (whole.threshold, part.threshold) == (0.5, 0.9)
    assert len(part.tiles) < len(whole.tiles)


def test_the_precision_is_that_of_the_runtime(runtime):
    executor = LocalExecutor(MODEL, runtime, Settings())
    assert executor.precision == "fp32"
    runtime.precision = "bf16"
    assert executor.precision == "bf16"


def test_one_image_at_a_time(runtime):
    assert LocalExecutor(MODEL, runtime, Settings()).images_at_once == 1


def test_the_hash_is_that_of_the_file(slide, runtime, tmp_path):
    executor = LocalExecutor(MODEL, runtime, Settings())
    assert executor.hash(Job(slide.path, "dots"), slide) == ""
    slide.path = tmp_path / "dots.tif"
    slide.path.write_bytes(b"pixels")
    assert executor.hash(Job(slide.path, "dots"), slide) == sha256_of_file(slide.path)


def test_the_batch_of_the_user_comes_before_that_of_the_runtime(slide, runtime, tmp_path):
    runtime.batch = 2
    run(LocalExecutor(MODEL, runtime, Settings()), slide, tmp_path / "two")
    assert max(runtime.batches) == 2
    run(LocalExecutor(MODEL, runtime, Settings(), batch=3), slide, tmp_path / "three")
    assert max(runtime.batches) == 3


def test_finished_parts_are_not_computed_again(slide, runtime, tmp_path):
    executor = LocalExecutor(MODEL, runtime, Settings())
    first = run(executor, slide, tmp_path / "parts")
    tiles = runtime.tiles
    assert tiles > 0
    assert run(executor, slide, tmp_path / "parts") == first
    assert runtime.tiles == tiles


def test_progress_ends_with_all_of_the_image(slide, runtime, tmp_path):
    progress = Progress()
    run(LocalExecutor(MODEL, runtime, Settings()), slide, tmp_path / "parts", progress)
    done, total = progress.calls[-1][:2]
    assert done == pytest.approx(total)
    assert total == pytest.approx((SIDE * 0.25e-3) ** 2)
