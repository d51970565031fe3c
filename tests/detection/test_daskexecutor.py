"""A cluster of real processes on loopback: the same bytes, whoever dies on the way."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("distributed")

import distributed

from metaphase.cli import main
from metaphase.detection import daskexecutor, dasktasks
from metaphase.detection.plan import Settings, make_plan
from metaphase.detectionfile import load_detections
from metaphase.errors import InputError, MissingExtraError, Problem, SlideError
from metaphase.models.modelfile import load_model
from metaphase.slides.open import open_slide
from tests.detection.scenes import DotSlide, results_in
from tests.models import tiny

SIDE = 1600
PATIENCE_S = 300  # a busy computer takes long to start processes

# Dask closes its sockets and loops later than pytest likes.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "tiny").folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    dots = np.random.default_rng(0).uniform(20, SIDE - 20, (150, 2))
    for name, side in (("a", SIDE), ("b", SIDE), ("small", 300)):
        pixels = DotSlide(side, side, 0.25, dots[(dots < side).all(axis=1)])
        Image.fromarray(pixels.read(0, 0, side, side)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def alone(images, model, tmp_path_factory):
    """The result of one machine."""
    out = tmp_path_factory.mktemp("alone")
    assert call(images, model, out) == 0
    return results_in(out)


def call(images, model, out, *more):
    """Return the exit code of the command line, in this process."""
    try:
        main([*arguments(images, model, out), *map(str, more)])
    except SystemExit as done:
        return done.code or 0
    return 0


def arguments(images, model, out):
    known = ["-m", model, "-o", out, "--mpp", 0.25, "--device", "onnx", "--batch", 2]
    return ["detect", *map(str, [images, *known])]


@contextmanager
def running(command, **options):
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def scheduler(folder):
    """Run a scheduler as a process and give its address, and the process."""
    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)  # that of one before, which nobody answers at any more
    command = [sys.executable, "-m", "dask", "scheduler", "--host", "127.0.0.1", "--port", "0"]
    command += ["--no-dashboard", "--scheduler-file", str(file)]
    with running(command) as process:
        until(file.exists)
        time.sleep(0.1)
        yield str(file), process


def worker(file, name, pause=0.0, hidden="", version=""):
    """Return the command of a worker that is slowed down by a pause before each batch.

    ``hidden`` is a folder whose files it does not have, ``version`` the version that it has.
    """
    code = (
        "import sys, time\n"
        f"version, hidden = {version!r}, {hidden!r}\n"
        "from metaphase.detection import dasktasks\n"
        "dasktasks.__version__ = version or dasktasks.__version__\n"
        "from metaphase.errors import SlideError\n"
        "from metaphase.detection.inputs import Job\n"
        "opened = Job.open\n"
        "def open_here(job):\n"
        "    if hidden and str(job.image).startswith(hidden):\n"
        "        raise SlideError.of(job.image, 'there is no such file')\n"
        "    return opened(job)\n"
        "Job.open = open_here\n"
        "from distributed.cli.dask_worker import main\n"
        "from metaphase.detection.runtimeonnx import OnnxRuntime\n"
        "run = OnnxRuntime.run\n"
        f"OnnxRuntime.run = lambda self, tiles: (time.sleep({pause}), run(self, tiles))[1]\n"
        "main(sys.argv[1:])"
    )
    options = ["--scheduler-file", file, "--name", name, "--no-nanny", "--no-dashboard"]
    more = ["--nthreads", "1", "--death-timeout", str(PATIENCE_S)]
    return [sys.executable, "-c", code, *options, *more]


def until(condition):
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < PATIENCE_S, "nothing happened"
        time.sleep(0.02)


def command(file, images, model, out):
    code = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from metaphase.cli import main\n"
        "main(sys.argv[1:])"
    )
    return [sys.executable, "-c", code, *arguments(images, model, out), "--cluster", file]


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_but_time(images, model, alone, tmp_path):
    out = tmp_path / "out"
    with (
        scheduler(tmp_path) as (file, _),
        running(worker(file, "first", pause=0.02)) as first,
        running(worker(file, "second", pause=0.02)) as second,
        running(command(file, images, model, out)) as run,
    ):
        until(lambda: len(list(out.glob("*/.blocks/*.npz"))) >= 2)
        os.kill(first.pid, signal.SIGKILL)
        assert run.poll() is None, "it was over before the worker was killed"
        assert run.wait(2 * PATIENCE_S) == 0
        assert second.poll() is None
    assert results_in(out) == alone


@pytest.mark.slow
def test_killed_itself_or_without_a_scheduler_it_goes_on_where_it_was(
    images, model, alone, tmp_path
):
    out = tmp_path / "out"
    blocks = lambda: len(list(out.glob("*/.blocks/*.npz")))  # noqa: E731
    with scheduler(tmp_path) as (file, process), running(worker(file, "first", pause=0.02)):
        with running(command(file, images, model, out)) as run:
            until(lambda: blocks() >= 1)
            os.kill(run.pid, signal.SIGKILL)
        with running(command(file, images, model, out)) as run:
            until(lambda: blocks() >= 2)
            os.kill(run.pid, signal.SIGINT)
            assert run.wait(PATIENCE_S) == 130
        known = blocks()  # one more than that only once the next run has found the scheduler
        with running(command(file, images, model, out)) as run:
            until(lambda: blocks() > known or not list(out.glob("a/.blocks")))
            process.kill()
            assert run.wait(PATIENCE_S) == 130
    assert not (out / "failures.csv").exists()
    with scheduler(tmp_path) as (file, _), running(worker(file, "third")):
        assert call(images, model, out, "--cluster", file) == 0
    assert results_in(out) == alone


@pytest.mark.slow
def test_a_worker_without_the_file_and_one_of_another_version_are_named(
    images, model, tmp_path, capsys
):
    """Real processes: one runs where the images are not, one has another version of metaphase."""
    with scheduler(tmp_path) as (file, _):
        with running(worker(file, "blind", hidden=str(images))):
            assert call(images, model, tmp_path / "out", "--cluster", file) == 1
        reasons = (tmp_path / "out" / "failures.csv").read_text()
        assert "by the same paths" in reasons
    capsys.readouterr()
    with scheduler(tmp_path) as (file, _), running(worker(file, "old", version="0.0.1")):
        assert call(images, model, tmp_path / "old", "--cluster", file) == 2
    assert "0.0.1" in " ".join(capsys.readouterr().err.split())


@pytest.fixture(scope="module")
def local():
    """A scheduler with two workers in this process."""
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as started:
        yield started.scheduler_address


def test_the_result_is_that_of_one_machine(local, images, model, alone, tmp_path, capsys):
    out = tmp_path / "out"
    assert call(images, model, out, "--cluster", local) == 0
    said = capsys.readouterr()
    assert "3 images: 3 done" in said.out
    assert "2 workers" in said.err
    assert results_in(out) == alone
    assert call(images, model, out, "--cluster", local) == 0
    assert "3 finished before" in capsys.readouterr().out
    assert call(images, model, out) == 0  # and one machine takes it for its own
    assert "3 finished before" in capsys.readouterr().out


def test_a_region_of_interest_is_kept(local, images, model, tmp_path):
    roi = tmp_path / "roi.geojson"
    ring = "[[100,100],[800,100],[800,900],[100,900],[100,100]]"
    roi.write_text(f'{{"type": "Polygon", "coordinates": [{ring}]}}')
    assert call(images / "a.png", model, tmp_path / "one", "--roi", roi) == 0
    assert call(images / "a.png", model, tmp_path / "many", "--roi", roi, "--cluster", local) == 0
    assert results_in(tmp_path / "many") == results_in(tmp_path / "one")
    assert 0 < len(load_detections(tmp_path / "one" / "a")) < 150


def test_the_model_is_opened_once_a_worker(local, images, model, tmp_path, monkeypatch):
    opened = []
    real = dasktasks.open_runtime
    monkeypatch.setattr(dasktasks, "_opened", {})
    monkeypatch.setattr(
        dasktasks, "open_runtime", lambda *a, **k: (opened.append(1), real(*a, **k))[1]
    )
    assert call(images, model, tmp_path / "out", "--cluster", local) == 0
    assert len(opened) == 1  # both workers live in this process


def test_a_failed_image_is_listed_and_the_others_go_on(local, model, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(DotSlide(300, 300, 0.25, [(60, 50)]).read(0, 0, 300, 300)).save(
        folder / "good.png"
    )
    (folder / "bad.png").write_bytes(b"no")
    assert call(folder, model, tmp_path / "out", "--cluster", local) == 1
    assert "2 images: 1 done, 1 failed" in capsys.readouterr().out
    assert "bad.png" in (tmp_path / "out" / "failures.csv").read_text()


def test_trouble_at_a_worker_is_tried_again_and_then_told(
    local, images, model, tmp_path, capsys, monkeypatch
):
    tries = []
    real = dasktasks.find_candidates

    def shaky(*given, **options):
        tries.append(1)
        if len(tries) <= failures:
            raise SlideError.of("a.png", "went away for a moment")
        return real(*given, **options)

    monkeypatch.setattr(dasktasks, "find_candidates", shaky)
    failures = daskexecutor.RETRIES
    assert call(images / "small.png", model, tmp_path / "one", "--cluster", local) == 0
    assert len(tries) == 1 + daskexecutor.RETRIES
    failures, tries[:] = 100, []
    assert call(images / "small.png", model, tmp_path / "two", "--cluster", local) == 1
    reasons = (tmp_path / "two" / "failures.csv").read_text()
    assert "went away for a moment" in reasons
    assert "by the same paths" in reasons


def test_a_block_is_sent_small(images, model):
    with open_slide(images / "a.png", mpp=0.25) as slide:
        plan = make_plan(slide, load_model(model), Settings(tissue=True))
    plan.area_px()  # fills the cache of the grid
    part = daskexecutor.part_of_plan(plan, plan.tiles[:64])
    assert len(pickle.dumps(part)) < 8 * 64 + 4000
    assert part.grid.corner(5) == plan.grid.corner(5)


def test_nobody_there(model, images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(daskexecutor, "CONNECT_S", 0.5)
    for address, message in (
        ("tcp://127.0.0.1:9", "no Dask scheduler answers"),
        ("gone.json", "no such scheduler file"),
        ("nonsense://x", "no Dask scheduler answers"),
    ):
        assert call(images, model, tmp_path / "out", "--cluster", address) == 2
        assert message in " ".join(capsys.readouterr().err.split())


def test_without_workers_it_says_how_to_start_one(model, images, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(daskexecutor, "WORKERS_S", 0.2)
    with distributed.LocalCluster(n_workers=0, processes=False, dashboard_address=None) as empty:
        address = empty.scheduler_address
        assert call(images, model, tmp_path / "out", "--cluster", address) == 2
    assert "dask worker" in " ".join(capsys.readouterr().err.split())


def test_without_the_extra_it_is_named(model, images, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert call(images, model, tmp_path / "out", "--cluster", "tcp://127.0.0.1:9") == 2
    assert "metaphase[cluster]" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        SlideError.of("a.png", "is damaged", record="page 1", way_out="copy it again"),
        InputError([Problem("a", "b", "c"), Problem("d", "e", "f")]),
        MissingExtraError("openvino", "running"),
    ],
)
def test_errors_come_back_whole(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_missing_groups_become_blocks_between_the_saved_parts():
    groups = [np.arange(3 * i, 3 * i + 3) for i in range(12)]
    blocks = list(daskexecutor.missing_blocks(groups, {2: 1, 9: 2}))
    assert [(block.first, block.count) for block in blocks] == [(0, 2), (3, 4), (7, 2), (11, 1)]
    assert blocks[0].tiles.tolist() == list(range(6))
    assert list(daskexecutor.missing_blocks(groups, {0: 12})) == []
