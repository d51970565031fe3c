"""A small model with random weights, images with dots, and a loop over them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metaphase.figures import Label
from metaphase.labels.read import load_dataset
from metaphase.learning.candidates import SlideCandidates
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.slidereview import SlideReview
from metaphase.learning.start import StartOptions, start_loop
from metaphase.models.card import SecondStage, Threshold
from metaphase.models.modelfile import Model, save_model, save_second_stage
from metaphase.models.networks import build_network
from metaphase.training.fit.card import network_card
from tests.training.dots import write_dots
from tests.training.finetune.networks import small_network
from tests.training.helpers import make_recipe


def small_model(folder: Path) -> Model:
    """Write a detector that takes every place for a candidate, with a second stage."""
    torch.manual_seed(1)
    options = {"weights": "none", "width": 8, "depth": 0, "tile_px": 192, "dropout": 0.0}
    detector = build_network("compact", options, (Label.MITOTIC,)).eval()
    torch.nn.init.constant_(detector.score.bias, 0.5)
    threshold = Threshold(value=0.3, chosen_on="other slides", protocol="grid")
    card = network_card(make_recipe(), detector, name="small", threshold=threshold)
    model = save_model(folder, card, weights=detector.state_dict())
    network = small_network()
    second = save_model(
        folder / "second", network_card(make_recipe(), network), weights=network.state_dict()
    )
    stage = SecondStage(id=second.id, weight=1.0, symmetries=2, floor=0.0)
    return save_second_stage(model, second, stage)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Model:
    return small_model(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="session")
def dots(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dots")
    write_dots(folder, cases=3)
    return folder


@pytest.fixture(scope="session")
def begun(tmp_path_factory, model, dots) -> LoopFolder:
    """A loop that was begun; tests that change one copy it."""
    out = tmp_path_factory.mktemp("loop") / "loop"
    options = StartOptions(mpp=0.25, decisions=12, candidates=60, threads=1)
    outcomes = start_loop([dots / "images"], out, str(model.folder), options)
    assert [one.status for one in outcomes] == ["done"] * 3
    return LoopFolder(out)


@pytest.fixture
def loop(begun, tmp_path) -> LoopFolder:
    import shutil

    shutil.copytree(begun.path, tmp_path / "loop")
    return LoopFolder(tmp_path / "loop")


@pytest.fixture
def reviews(dots) -> list[SlideReview]:
    """All labels of the dots, as complete reviews."""
    labels = load_dataset(dots / "labels.json", images=dots / "images")
    return [SlideReview.of_case(case) for case in labels]


def candidates_at(points, score=None) -> SlideCandidates:
    """Return candidates without pixels at points [n, 2]."""
    points = np.asarray(points, float).reshape(-1, 2)
    n = len(points)
    score = np.linspace(0.9, 0.1, n) if score is None else np.asarray(score, float)
    return SlideCandidates(
        points[:, 0], points[:, 1], np.full(n, 0.5), score,
        np.zeros((n, 8, 8, 3), np.uint8), np.zeros((n, 2, 4), np.float32),
    )  # fmt: skip
