"""The executor of this process: the result of ``detect``, with finished parts kept."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from metaphase.detection.detect import detect
from metaphase.detection.executor import LocalExecutor, TileLimit
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Settings
from metaphase.errors import InterruptedRunError
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


def test_the_next_images_are_begun_where_several_tiles_are_computed_side_by_side(runtime):
    assert LocalExecutor(MODEL, runtime, Settings()).images_at_once == 1
    runtime.streams = 4
    assert LocalExecutor(MODEL, runtime, Settings()).images_at_once == 5


def test_small_images_share_the_limit_and_a_large_one_is_alone():
    limit = TileLimit(8)
    entered, leave = threading.Semaphore(0), threading.Event()

    def hold(tiles):
        with limit.hold(tiles):
            entered.release()
            leave.wait(10)

    with ThreadPoolExecutor(3) as pool:
        for tiles in (4, 4):
            pool.submit(hold, tiles)
            assert entered.acquire(timeout=10)
        large = pool.submit(hold, 100)
        assert not entered.acquire(timeout=0.1)
        leave.set()
        large.result(10)
    assert entered.acquire(timeout=10)


def test_a_stopped_executor_gives_up_and_keeps_what_is_finished(slide, runtime, tmp_path):
    executor = LocalExecutor(MODEL, runtime, Settings())
    executor.stop()
    with pytest.raises(InterruptedRunError, match="resumes"):
        run(executor, slide, tmp_path / "parts")


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
