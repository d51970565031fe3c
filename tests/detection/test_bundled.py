"""The bundled model on real work: results are skipped when finished, and runtimes agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.detection.batch import BatchOptions, detect_batch
from metaphase.detection.detect import detect
from metaphase.detection.executor import LocalExecutor
from metaphase.detection.inputs import jobs_for_paths
from metaphase.detection.plan import Settings
from metaphase.detection.runtime import open_runtime
from metaphase.models.modelfile import default_model, load_model
from metaphase.phantom.region import render_region


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic field with several figures."""
    path = tmp_path_factory.mktemp("field") / "field.png"
    pixels, figures = render_region(3, 460, 460, mitotic_per_mm2=400)
    assert figures
    Image.fromarray(pixels).save(path)
    return path


def test_a_finished_image_is_skipped(image: Path, tmp_path: Path) -> None:
    model = load_model(default_model())
    executor = LocalExecutor(model, open_runtime(model, threads=1), Settings())
    jobs = jobs_for_paths([image], mpp=0.25)
    options = BatchOptions(overlay=False)
    out = tmp_path / "out"
    statuses = [
        detect_batch(executor, jobs, model, out, Settings(), options)[0].status for _ in range(2)
    ]
    assert statuses == ["done", "skipped"]
    before = {p.name: p.read_bytes() for p in (out / "field").iterdir()}
    assert detect_batch(executor, jobs, model, out, Settings(), options)[0].status == "skipped"
    assert {p.name: p.read_bytes() for p in (out / "field").iterdir()} == before


def test_onnx_runtime_and_openvino_agree(image: Path) -> None:
    pytest.importorskip("openvino")
    results = [
        detect(image, mpp=0.25, device=device, precision="fp32", threads=1, min_score=0.02)
        for device in ("onnx", "openvino")
    ]
    one, other = results
    assert len(one) == len(other) > 0
    for x, y, score in zip(one.x_px, one.y_px, one.score, strict=True):
        nearest = np.hypot(other.x_px - x, other.y_px - y).argmin()
        assert np.hypot(other.x_px[nearest] - x, other.y_px[nearest] - y) <= 0.5
        assert abs(other.score[nearest] - score) <= 0.01
