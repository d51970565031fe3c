"""The bundled model on real work: results are skipped when finished, and runtimes agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from metaphase.detection import pipeline
from metaphase.detection.batch import BatchOptions, detect_batch
from metaphase.detection.detect import detect
from metaphase.detection.executor import LocalExecutor
from metaphase.detection.inputs import jobs_for_paths
from metaphase.detection.plan import Settings
from metaphase.detection.runtime import open_runtime
from metaphase.detectionfile import save_detections
from metaphase.figures import Detections
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


@pytest.fixture(scope="module")
def by_onnx(image: Path) -> Detections:
    return detect(image, mpp=0.25, device="onnx", precision="fp32", threads=1, min_score=0.02)


@pytest.mark.parametrize("device", ["openvino", "torch"])
def test_runtimes_agree(image: Path, by_onnx: Detections, device: str) -> None:
    """The same points within 0.5 px, and scores within 0.01."""
    pytest.importorskip(device)
    other = detect(image, mpp=0.25, device=device, precision="fp32", threads=1, min_score=0.02)
    assert len(by_onnx) == len(other) > 0
    for x, y, score in zip(by_onnx.x_px, by_onnx.y_px, by_onnx.score, strict=True):
        nearest = np.hypot(other.x_px - x, other.y_px - y).argmin()
        assert np.hypot(other.x_px[nearest] - x, other.y_px[nearest] - y) <= 0.5
        assert abs(other.score[nearest] - score) <= 0.01


def test_batch_threads_and_interruption_change_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels, _ = render_region(4, 2600, 500, mitotic_per_mm2=200)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    monkeypatch.setattr(pipeline, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(pipeline, "GROUP_TILES", 1)
    checkpoint = tmp_path / "parts"

    def interrupt(done: float, total: float) -> None:
        if list(checkpoint.glob("*.npz")) and done < total:
            raise KeyboardInterrupt

    def run(name: str, **how: Any) -> bytes:
        found = detect(tmp_path / "wide.png", mpp=0.25, **how)
        assert len(found) > 0
        save_detections(found, tmp_path / name)
        return (tmp_path / name / "detections.csv").read_bytes()

    expected = run("one", batch=1, threads=1)
    assert run("many", batch=5, threads=2) == expected
    with pytest.raises(KeyboardInterrupt):
        run("cut", batch=2, threads=1, checkpoint=checkpoint, progress=interrupt)
    assert run("resumed", batch=2, threads=1, checkpoint=checkpoint) == expected
