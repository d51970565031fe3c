from __future__ import annotations

import re
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from metaphase.cli.view import app
from metaphase.detectionfile import save_detections
from metaphase.errors import InputError
from metaphase.figures import Detections, Label
from metaphase.labels.read import load_dataset
from metaphase.provenance import Provenance
from metaphase.viewer import pagefiles
from metaphase.viewer.store import Decision, ReviewStore, State


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "slides").mkdir()
    Image.fromarray(np.full((80, 100, 3), 200, np.uint8)).save(tmp_path / "slides" / "a.png")
    made = Provenance("a.png", 100, 80, 0.25, threshold=0.5)
    save_detections(Detections([20], [30], [0.9], provenance=made), tmp_path / "found" / "a")
    return tmp_path


def run(folder, *arguments):
    given = [folder / "slides", "--detections", folder / "found", "--store", folder / "r.sqlite"]
    return CliRunner().invoke(app, [str(a) for a in (*given, *arguments)], catch_exceptions=False)


def decide(folder, *decisions):
    store = ReviewStore(folder / "r.sqlite")
    for decision in decisions:
        store.add(decision)
    store.close()


def test_export_without_a_page(folder):
    figure = "d2000_3000_0"
    decide(
        folder,
        Decision("a", figure, State.CONFIRMED, "anna", Label.MITOTIC, 20, 30),
        Decision("a", "", State.COMPLETE, "anna"),
    )
    result = run(folder, "--export", folder / "out")
    assert result.exit_code == 0
    assert "1 of 1 slides" in result.stdout
    assert load_dataset(folder / "out" / "figures.csv")["a"].labelled
    assert not (folder / "out" / "undecided.csv").exists()


def test_a_complete_slide_with_undecided_figures_is_exported_as_unlabelled(folder):
    decide(folder, Decision("a", "", State.COMPLETE, "anna"))
    result = run(folder, "--export", folder / "out")
    assert result.exit_code == 0
    assert "1 undecided figures above the threshold keep it unlabelled" in result.stderr
    assert not load_dataset(folder / "out" / "figures.csv")["a"].labelled


@pytest.mark.parametrize(
    "option",
    [["--partial"], ["--export", "x", "--port", "1"], ["--export", "x", "--compare-with", "y"]],
)
def test_options_without_effect_are_refused(folder, option):
    assert run(folder, *option).exit_code == 2


@pytest.fixture
def served(monkeypatch):
    """What would be served."""
    calls = []
    monkeypatch.setattr(
        "metaphase.cli.reviewserver.serve_page", lambda slides, *_, **__: calls.append(slides)
    )
    return calls


def save(folder, image="a.png", x=21, model="other", **provenance):
    made = Provenance(image, 100, 80, 0.25, threshold=0.4, model=model)
    one = Detections([x], [30], [0.8], provenance=made).with_provenance(**provenance)
    save_detections(one, folder / image[:-4])


def test_two_models_are_compared(folder, served):
    Image.fromarray(np.full((80, 100, 3), 200, np.uint8)).save(folder / "slides" / "b.png")
    save(folder / "second")
    result = run(folder, "--compare-with", folder / "second")
    assert result.exit_code == 0
    ((a, b),) = served
    assert (a.second.against, a.second.name, a.second.threshold) == ("found", "second", 0.4)
    assert b.second is None
    assert "note: b is not compared: second has no detections of this slide." in result.stderr


def test_detections_of_both_models_may_be_in_the_opened_folder(folder, served):
    save(folder / "slides" / "one", x=50, model="one")
    save(folder / "slides" / "two")
    given = [
        folder / "slides",
        "--compare-with",
        folder / "slides" / "two",
        "--store",
        folder / "r",
    ]
    result = CliRunner().invoke(app, [str(a) for a in given], catch_exceptions=False)
    assert result.exit_code == 0
    ((one,),) = served
    assert (one.model, one.second.name) == ("one", "other")
    assert one.columns.x_c.tolist() == [5000, 2100]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": "c.png"}, "detections of none of the 1 opened slides"),
        ({"width_px": 200}, "is of an image of 200 x 80 px, the first detections of 100 x 80 px"),
        ({"mpp": 0.5}, r"was computed at 0\.5 um/px, the first detections at 0\.25 um/px"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder, served, changes, message):
    save(folder / "second", **changes)
    with pytest.raises(InputError, match=message):
        run(folder, "--compare-with", folder / "second")
    assert served == []


def test_the_same_folder_is_not_compared_with_itself(folder):
    with pytest.raises(InputError, match="compared with themselves"):
        run(folder, "--compare-with", folder / "found")


def test_no_token_needs_loopback(folder):
    with pytest.raises(InputError, match="--no-token"):
        run(folder, "--no-token", "--host", "0.0.0.0", "--no-browser")


@pytest.mark.skipif(
    not (pagefiles.VENDOR / pagefiles.NEEDED[0]).is_file(), reason="built without OpenSeadragon"
)
def test_it_serves_on_loopback_behind_a_token(folder):
    command = [sys.executable, "-m", "metaphase", "view", "slides", "-d", "found"]
    server = subprocess.Popen(
        [*command, "--port", "0", "--no-browser"],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        url = server.stdout.readline().strip()
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=[\w-]{43}", url)
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(url, timeout=30) as answer:
            assert b"metaphase" in answer.read()
        with pytest.raises(urllib.error.HTTPError, match="401") as refused:
            urllib.request.urlopen(url.split("?")[0], timeout=30)
        refused.value.close()
    finally:
        server.terminate()
        server.stdout.close()
        assert server.wait(30) is not None
