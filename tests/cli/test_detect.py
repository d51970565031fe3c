"""``metaphase detect`` as people call it: exit codes, files, and kill -9."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from metaphase.cli import main
from metaphase.detection.overlay import FALSE, FOUND
from metaphase.detectionfile import load_detections
from metaphase.models import modelfile
from tests.detection.scenes import DotSlide, results_in

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.models import tiny

DOTS = [(60, 50), (200, 150), (290, 30)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "tiny").folder


def save_dots(path, dots=DOTS, size=(320, 200)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(DotSlide(*size, 0.25, dots).read(0, 0, *size)).save(path)
    return path


@pytest.fixture
def images(tmp_path):
    for i, name in enumerate(("a", "b", "c")):
        save_dots(tmp_path / "in" / f"{name}.png", DOTS[: i + 1])
    return tmp_path / "in"


def call(*arguments):
    """Return the exit code of the command line."""
    try:
        main(["detect", *map(str, arguments)])
    except SystemExit as done:
        return done.code or 0
    return 0


def test_a_folder_of_images(images, model, tmp_path, capsys):
    out = tmp_path / "out"
    assert call(images, "-m", model, "-o", out, "--mpp", 0.25) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[:3] == [
        line for line in said.out.splitlines() if " mitotic figure" in line
    ]
    assert "3 images: 3 done" in said.out
    assert "onnxruntime" in said.err or "openvino" in said.err
    found = load_detections(out / "c").above_threshold()
    assert sorted(found.x_px.round(-1).tolist()) == [60, 200, 290]
    before = results_in(out)
    assert call(images, "-m", model, "-o", out, "--mpp", 0.25) == 0
    assert "3 finished before" in capsys.readouterr().out
    assert results_in(out) == before


def test_a_failed_image_exits_with_1_and_is_listed(images, model, tmp_path, capsys):
    (images / "bad.png").write_bytes(b"no")
    assert call(images, "-m", model, "-o", tmp_path / "out", "--mpp", 0.25) == 1
    said = capsys.readouterr()
    assert "4 images: 3 done, 1 failed" in said.out
    assert "bad: failed" in said.err
    assert "bad.png" in (tmp_path / "out" / "failures.csv").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["{in}", "-m", "nobody"], "no such model file"),
        (["{in}"], "--model"),
        (["-m", "{model}"], "name images"),
        (["{in}", "-m", "{model}", "--cases", "{labels}"], "with --labels only"),
        (["-m", "{model}", "--labels", "{labels}", "--scanner", "x"], "--scanner has no effect"),
        (["{in}", "-m", "{model}", "--part", "test"], "--part has no effect without --split"),
        (["{in}", "-m", "{model}", "--images", "d"], "--images has no effect without --labels"),
        (["{in}", "-m", "{model}", "--force-mpp"], "--force-mpp has no effect without --mpp"),
        (["{in}", "-m", "{model}", "--region", "1,2"], "x,y,width,height"),
        (["{in}", "-m", "{model}", "--threshold", "2"], "threshold"),
        (["{in}", "-m", "{model}", "--device", "tpu"], "unknown device"),
        (["{in}", "-m", "{model}", "--split", "s.json"], "--labels"),
        (["{empty}", "-m", "{model}"], "no images"),
        (["{in}", "-m", "{model}", "--roi", "gone.geojson"], "gone.geojson"),
        (["{in}", "-m", "{model}", "--sample"], "--sample has no effect where images are named"),
        (["-m", "{model}", "--sample", "--mpp", "1"], "--sample has no effect with --mpp"),
        (["{in}", "-m", "{model}", "--quiet", "--verbose"], "--quiet has no effect with --verbose"),
        (["{in}", "-m", "{model}", "--log-file", "{in}"], "choose another --log-file"),
    ],
)
def test_wrong_usage_exits_with_2(images, model, tmp_path, capsys, monkeypatch, options, message):
    monkeypatch.setattr(modelfile, "ZOO", tmp_path / "no-zoo")
    (tmp_path / "empty").mkdir()
    names = {"in": images, "model": model, "labels": labels(images), "empty": tmp_path / "empty"}
    filled = [option.format(**names) for option in options]
    assert call(*filled, "-o", tmp_path / "out") == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_log_has_what_happened_to_each_image(images, model, tmp_path, capsys):
    (images / "bad.png").write_bytes(b"no")
    log = tmp_path / "logs" / "run.log"
    options = ["-m", model, "-o", tmp_path / "out", "--mpp", 0.25, "--log-file", log]
    assert call(images, *options, "--quiet") == 1
    assert "320 x 200 px" not in capsys.readouterr().err
    text = log.read_text()
    assert "ERROR" in text
    assert "bad.png: failed" in text
    assert "c.png: 320 x 200 px at 0.25 um/px (user), 0.00 mm2 in" in text
    assert call(images, *options, "--verbose") == 1
    assert "c.png: skipped, 3 mitotic figures" in log.read_text()[len(text) :]


def test_verbose_prints_the_settings_of_each_image(images, model, tmp_path, capsys):
    assert call(images, "-m", model, "-o", tmp_path / "out", "--mpp", 0.25, "--verbose") == 0
    said = capsys.readouterr()
    assert "c.png: 320 x 200 px at 0.25 um/px (user)" in said.err
    assert said.out.count("c: 3 mitotic figures") == 1


def test_the_bundled_sample_is_one_option(model, tmp_path, capsys):
    out = tmp_path / "out"
    assert call("--sample", "-m", model, "-o", out, "--no-overlay", "--device", "onnx") == 0
    assert "3 images: 3 done" in capsys.readouterr().out
    assert len((out / "summary.csv").read_text().splitlines()) == 4


def test_without_a_model_the_shipped_one_is_taken(images, model, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(modelfile, "ZOO", tmp_path / "zoo")
    shutil.copytree(model, tmp_path / "zoo" / "compact")
    assert call(images, "-o", tmp_path / "named", "-m", "compact", "--mpp", 0.25) == 0
    assert call(images, "-o", tmp_path / "unnamed", "--mpp", 0.25) == 0
    assert "3 done" in capsys.readouterr().out
    named, unnamed = (load_detections(tmp_path / n / "c") for n in ("named", "unnamed"))
    assert named == unnamed
    from metaphase import detect

    assert len(detect(images / "c.png", mpp=0.25)) == len(unnamed)


def labels(folder):
    """COCO labels of the images: every dot but the last, and one where there is nothing."""
    pictures, boxes = [], []
    for i, name in enumerate(("a", "b", "c")):
        pictures.append({"id": i, "file_name": f"{name}.png", "width": 320, "height": 200})
        for x, y in [*DOTS[:i], (100, 150)]:
            boxes.append(
                {
                    "id": len(boxes) + 1,
                    "image_id": i,
                    "category_id": 1,
                    "bbox": [x - 10, y - 10, 20, 20],
                }
            )
    path = folder.parent / "annotations.json"
    categories = [{"id": 1, "name": "mitotic figure"}]
    path.write_text(
        json.dumps({"images": pictures, "annotations": boxes, "categories": categories})
    )
    return path


def has(path, colour):
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)[:-34]
    return bool((np.abs(pixels - colour) < 12).all(axis=2).any())


def test_the_cases_of_a_data_set_and_a_part_of_them(images, model, tmp_path, capsys):
    path, out = labels(images), tmp_path / "out"
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"name": "s", "test": ["b", "c"]}))
    options = ["--labels", path, "--images", images, "-m", model, "--mpp", 0.25]
    assert call(*options, "--split", split, "-o", out) == 0
    assert sorted(p.name for p in out.iterdir()) == ["b", "c", "summary.csv"]
    assert has(out / "b" / "overlay.png", FOUND)
    assert has(out / "b" / "overlay.png", FALSE)
    assert call(*options, "--split", split, "--part", "training", "-o", out) == 2
    assert "is empty" in " ".join(capsys.readouterr().err.split())
    assert call(*options, "--split", split, "--part", "tset", "-o", out) == 2


def test_labels_beside_plain_images(images, model, tmp_path):
    picture = tmp_path / "out" / "b" / "overlay.png"
    options = ["-m", model, "--mpp", 0.25, "-o", tmp_path / "out"]
    assert call(images / "b.png", *options) == 0
    assert not has(picture, FALSE)
    assert call(images / "b.png", *options, "--labels", labels(images)) == 0  # drawn anew
    assert has(picture, FALSE)


def command(images, model, out, pause=0.0):
    """Return the command in a process of its own, slowed down by a pause before each batch."""
    code = (
        "import signal, sys, time\n"
        # A shell's background jobs start with Ctrl-C ignored; so may the tests.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from metaphase.cli import main\n"
        "from metaphase.detection.runtimeonnx import OnnxRuntime\n"
        "run = OnnxRuntime.run\n"
        f"OnnxRuntime.run = lambda self, tiles: (time.sleep({pause}), run(self, tiles))[1]\n"
        "main(sys.argv[1:])"
    )
    arguments = ["detect", images, "-m", model, "-o", out, "--mpp", 0.25, "--device", "onnx"]
    return [sys.executable, "-c", code, *map(str, [*arguments, "--batch", 2])]


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    dots = np.random.default_rng(0).uniform(20, 1580, (150, 2))
    for name in "ab":
        save_dots(folder / f"{name}.png", dots, (1600, 1600))
    return folder


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_killed_at_random_it_ends_with_the_same_bytes(large, model, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    started = time.monotonic()
    slow = command(large, model, whole, pause=0.002)
    subprocess.run(slow, check=True, capture_output=True, timeout=120)
    takes = time.monotonic() - started
    moments = random.Random(0)
    killed = 0
    for _ in range(4):
        process = subprocess.Popen(
            command(large, model, out, pause=0.002),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(takes * moments.uniform(0.3, 1.0))
        os.kill(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    assert killed >= 1
    subprocess.run(command(large, model, out), check=True, capture_output=True, timeout=120)
    assert results_in(out) == results_in(whole)


@pytest.mark.skipif(os.name == "nt", reason="signals differ")
def test_an_interrupt_exits_with_130_and_says_how_to_go_on(large, model, tmp_path):
    process = subprocess.Popen(
        command(large, model, tmp_path / "out", pause=0.5), stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    process.stderr.readline()  # it says what runs, and begins
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "the same command resumes" in said
