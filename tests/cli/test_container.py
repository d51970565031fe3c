"""``metaphase container``, and what its image runs: a process without network, on both interfaces.

Docker is not needed: the folder is read as docker would, and the entry point is run as it stands
in the Dockerfile, with the folders of this test in place of /input, /output and the model's.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from metaphase.cli.container import app
from metaphase.errors import InputError
from metaphase.exchange.grandchallenge import read
from metaphase.exchange.importedfile import ImageFacts
from metaphase.models.modelfile import load_model
from tests.detection.scenes import DotSlide

pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.models import tiny

DOTS = [(60, 50), (200, 150), (290, 30)]
MPP = 0.25
NO_NETWORK = """
import socket

def refused(*arguments, **options):
    raise OSError("no network in this container")

for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refused)
socket.getaddrinfo = socket.create_connection = refused
"""
SOCKET = {
    "interface": {
        "slug": "histopathology-region-of-interest-cropout",
        "kind": "Image",
        "relative_path": "images/histopathology-roi-cropout",
    }
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "tiny").folder


@pytest.fixture(scope="module")
def context(tmp_path_factory, model):
    """The folder that docker builds from."""
    out = tmp_path_factory.mktemp("made") / "context"
    result = CliRunner().invoke(app, [str(out), "--model", str(model)], catch_exceptions=False)
    assert result.exit_code == 0
    assert "README.md" in result.stdout
    return out


def instructions(context):
    text = (context / "Dockerfile").read_text().replace("\\\n", " ")
    lines = (line.split(None, 1) for line in text.splitlines())
    return [tuple(line) for line in lines if line and not line[0].startswith("#")]


def save_image(path, tags=True):
    """Write dots as a TIFF that tells its resolution, as the challenges' regions do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = DotSlide(320, 200, MPP, DOTS).read(0, 0, 320, 200)
    more = {"resolution": (1e4 / MPP, 1e4 / MPP), "resolutionunit": "CENTIMETER"} if tags else {}
    tifffile.imwrite(path, np.asarray(pixels), photometric="rgb", **more)


def start(context, tmp_path, **environment):
    """Run the entry point of the Dockerfile in a process that has no network."""
    (tmp_path / "site").mkdir(exist_ok=True)
    (tmp_path / "site" / "sitecustomize.py").write_text(NO_NETWORK)
    entry = json.loads(dict(instructions(context))["ENTRYPOINT"])
    assert entry[0] == "python"
    folders = {
        "input": tmp_path / "input",
        "output": tmp_path / "output",
        "model": context / "model",
    }
    places = [text for name, path in folders.items() for text in (f"--{name}", str(path))]
    return subprocess.run(
        [sys.executable, *entry[1:], *places],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site"), **environment},
    )  # fmt: skip


def positions(tmp_path):
    """Return what was written and the pixel positions of what counts, by x."""
    path = tmp_path / "output" / "mitotic-figures.json"
    (found,) = read(path, ImageFacts(MPP)).values()
    counted = found.above_threshold().with_label()
    return json.loads(path.read_text()), sorted(counted.points.round(-1).tolist())


def test_what_docker_builds_from(context, model):
    lines = instructions(context)
    names = [name for name, _ in lines]
    said = dict(lines)
    assert said["FROM"].startswith("python:3.11")
    # The last user named has no rights; the files are put in place before, by root.
    assert [text for name, text in lines if name == "USER"] == ["algorithm"]
    assert names.index("USER") > max(i for i, name in enumerate(names) if name in ("RUN", "COPY"))
    assert re.search(r"useradd .*--no-create-home algorithm", said_run(lines, "useradd"))
    assert "EXPOSE" not in names
    assert said["COPY"].split() == ["model", "/opt/algorithm/model"]
    assert load_model(context / "model").id == load_model(model).id
    readme = (context / "README.md").read_text()
    command = shlex.split(readme[readme.index("docker run") : readme.index("docker save")])
    assert command[command.index("--network") + 1] == "none"
    assert "--read-only" in command


def said_run(lines, word):
    return next(text for name, text in lines if name == "RUN" and word in text)


def test_midog_2025_as_a_process(context, tmp_path):
    save_image(tmp_path / "input" / "images" / "histopathology-roi-cropout" / "0a1b.tiff")
    (tmp_path / "input" / "inputs.json").write_text(json.dumps([SOCKET]))
    done = start(context, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("mitotic-figures.json")
    data, points = positions(tmp_path)
    assert (data["name"], data["type"]) == ("Points of interest", "Multiple points")
    assert data["version"] == {"major": 1, "minor": 0}
    assert points == [[60, 50], [200, 150], [290, 30]]
    for point in data["points"]:  # in mm from the corner: all of the image is 0.08 x 0.05 mm
        x, y, z = point["point"]
        assert 0 <= x <= 0.08
        assert 0 <= y <= 0.05
        assert z == 0


def test_midog_2021_as_a_process(context, tmp_path):
    save_image(tmp_path / "input" / "007.tiff")
    done = start(context, tmp_path)
    assert done.returncode == 0, done.stderr
    data, points = positions(tmp_path)
    assert set(data) == {"type", "points", "version"}
    assert points == [[60, 50], [200, 150], [290, 30]]


def test_an_image_without_resolution_needs_it_told(context, tmp_path):
    save_image(tmp_path / "input" / "007.tiff", tags=False)
    done = start(context, tmp_path)
    assert done.returncode == 2
    assert "007.tiff" in done.stderr
    assert "Traceback" not in done.stderr
    assert start(context, tmp_path, METAPHASE_MPP=str(MPP)).returncode == 0
    assert positions(tmp_path)[1] == [[60, 50], [200, 150], [290, 30]]


def test_bad_input_is_told_without_a_traceback(context, tmp_path):
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "broken.tiff").write_bytes(b"II*\0 no")
    done = start(context, tmp_path)
    assert done.returncode == 2
    assert "broken.tiff" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "output").exists()


def test_the_network_guard_of_these_tests_guards(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    code = "import urllib.request as r; r.urlopen('http://127.0.0.1:9')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert "no network in this container" in done.stderr


@pytest.mark.needs_data
def test_the_challenges_own_example_files(context, tmp_path, data_dir):
    example = data_dir / "grand_challenge_2025"
    shutil.copytree(example / "input" / "interf0", tmp_path / "input")
    sockets = json.loads((tmp_path / "input" / "inputs.json").read_text())
    folder = tmp_path / "input" / sockets[0]["interface"]["relative_path"]
    save_image(folder / sockets[0]["image"]["name"])
    done = start(context, tmp_path)
    assert done.returncode == 0, done.stderr
    ours, _ = positions(tmp_path)
    theirs = json.loads((example / "output" / "interf0" / "mitotic-figures.json").read_text())
    assert shape_of(ours) == shape_of(theirs)
    (tmp_path / "input" / "inputs.json").unlink()
    assert start(context, tmp_path).returncode == 0
    ours, _ = positions(tmp_path)
    old = json.loads((data_dir / "grand_challenge_2021_output.json").read_text())
    assert shape_of(ours) == shape_of(old)


def shape_of(data):
    """Return the keys of a file and of its points, the names in use, and the types of values."""
    points = data["points"]
    assert {p["name"] for p in points} <= {"mitotic figure", "non-mitotic figure"}
    return (
        {name: type(value) for name, value in data.items()},
        {name: type(value) for name, value in points[0].items()},
        [type(value) for value in points[0]["point"][:2]],
    )


def test_a_folder_that_is_there_is_left_alone(context, model):
    with pytest.raises(InputError, match="already"):
        CliRunner().invoke(app, [str(context), "--model", str(model)], catch_exceptions=False)
