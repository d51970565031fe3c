"""The tasks of a worker, called in this process: they give what a single machine gives."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnx")

from metaphase.detection import dasktasks
from metaphase.detection.dasktasks import WorkerSetup
from metaphase.detection.detect import detect, merge_candidates, provenance_of
from metaphase.detection.inputs import Job
from metaphase.detection.plan import Settings
from metaphase.errors import MetaphaseError, SlideError
from metaphase.files import sha256_of_file
from metaphase.models.modelfile import load_model
from tests.detection.scenes import DotSlide
from tests.models import tiny

DOTS = [(60, 50), (200, 150), (240, 270)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "tiny").folder


@pytest.fixture
def setup(model):
    return WorkerSetup(str(model), load_model(model).id, "onnx", 1)


def save_dots(path, dots):
    Image.fromarray(DotSlide(300, 300, 0.25, dots).read(0, 0, 300, 300)).save(path)


@pytest.fixture
def job(tmp_path):
    save_dots(tmp_path / "a.png", DOTS)
    return Job(tmp_path / "a.png", "a", mpp=0.25)


def test_workers_that_would_round_differently_are_refused(model):
    known = load_model(model)
    here = WorkerSetup(str(model), known.id, "onnx", 1)
    name, _, precision = dasktasks.describe_runtime(here)
    assert precision == "fp32"
    for change, message in (
        ({"runtime": "openvino 1 cpu"}, name),
        ({"metaphase": "0.0.1", "threads": 2}, "0.0.1"),
        ({"model_id": "another"}, "another"),
    ):
        with pytest.raises(MetaphaseError, match="install the same"):
            dasktasks.open_model(WorkerSetup(**{**vars(here), **change}))
        with pytest.raises(MetaphaseError, match=message):
            dasktasks.open_model(WorkerSetup(**{**vars(here), **change}))


def test_the_first_worker_settles_the_precision(model):
    pytest.importorskip("openvino")
    known = load_model(model)
    here = WorkerSetup(str(model), known.id, "auto", 1)
    name, _, precision = dasktasks.describe_runtime(here)
    opened = dasktasks.open_model(here)[1]
    settled = WorkerSetup(**{**vars(here), "runtime": name, "precision": precision})
    _, runtime = dasktasks.open_model(settled)
    assert runtime.precision == precision
    assert runtime is opened  # not opened again
    other = WorkerSetup(**{**vars(here), "precision": "fp32"})
    assert dasktasks.open_model(other)[1].precision == "fp32"


def test_the_model_is_opened_once(setup):
    first, second = dasktasks.open_model(setup), dasktasks.open_model(setup)
    assert first[0] is second[0]
    assert first[1] is second[1]
    name, batch, precision = dasktasks.describe_runtime(setup)
    runtime = dasktasks.open_model(setup)[1]
    assert (name, batch, precision) == (runtime.name, runtime.batch, "fp32")


def test_the_hash_is_that_of_the_file(job):
    assert dasktasks.hash_of_image(job) == sha256_of_file(job.image)


def test_an_image_that_is_not_there_is_an_error(tmp_path, setup):
    gone = Job(tmp_path / "gone.png", "gone", mpp=0.25)
    with pytest.raises(SlideError, match=r"gone\.png"):
        dasktasks.hash_of_image(gone)
    with pytest.raises(SlideError, match=r"gone\.png"):
        dasktasks.plan_image(setup, gone, Settings())


def test_the_tasks_together_are_one_detection(setup, job):
    model, runtime = dasktasks.open_model(setup)
    plan = dasktasks.plan_image(setup, job, Settings(threshold=0.3))
    candidates = dasktasks.compute_block(setup, job, plan, 1)
    with job.open() as slide:
        hashed = dasktasks.hash_of_image(job)
        provenance = provenance_of(slide, model, plan, hashed, runtime)
    merged = merge_candidates(candidates, plan, provenance)
    alone = detect(job.image, model, mpp=0.25, threshold=0.3, runtime=runtime, batch=1)
    assert len(alone) >= len(DOTS)
    assert dasktasks.finish_image(setup, job, plan, merged, candidates) == alone


def test_a_file_that_has_changed_is_opened_again(setup, job):
    plan = dasktasks.plan_image(setup, job, Settings())
    before = dasktasks.compute_block(setup, job, plan, 1).rounded()
    again = dasktasks.compute_block(setup, job, plan, 1).rounded()
    assert all(np.array_equal(a, b) for a, b in zip(before, again, strict=True))
    job.image.unlink()
    save_dots(job.image, [])
    assert len(dasktasks.compute_block(setup, job, plan, 1).rounded()[0]) < len(before[0])
