"""Training may start from the weights of a model file."""

from __future__ import annotations

import pytest
import torch

from metaphase.errors import ModelFileError
from metaphase.figures import LABELS, Label
from metaphase.models.modelfile import load_model, load_network, names_model
from metaphase.training.startnetwork import starting_network
from tests.learning.conftest import small_model

OPTIONS = {"width": 8, "depth": 0, "tile_px": 192, "dropout": 0.0}
WINDOW = {"tile_px": 32, "mpp": 0.5, "strides": (16,)}
MITOTIC = (Label.MITOTIC,)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("start")
    small_model(path)
    return path


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def test_the_network_has_the_weights_of_the_model(folder):
    network = starting_network("compact", {**OPTIONS, "weights": str(folder)}, MITOTIC)
    assert same(load_network(load_model(folder)).state_dict(), network.state_dict())
    assert network.options["weights"] == str(folder)


def test_a_second_stage_takes_those_of_the_second_stage(folder):
    network = starting_network("window", {**WINDOW, "weights": str(folder)}, MITOTIC)
    second = load_model(folder).second_stage
    assert same(load_network(second).state_dict(), network.state_dict())


@pytest.mark.parametrize(
    ("kind", "options", "classes", "message"),
    [
        ("compact", {**OPTIONS, "width": 16}, MITOTIC, "width is 8 in the model and 16"),
        ("compact", OPTIONS, LABELS, "1 classes, the recipe 2"),
        ("window", {**WINDOW, "strides": (32,)}, MITOTIC, r"strides is \[16\]"),
        ("retinanet_resnet50_fpn_v2", {}, MITOTIC, "holds the network 'compact'"),
    ],
)
def test_what_does_not_fit_is_named(folder, kind, options, classes, message):
    with pytest.raises(ModelFileError, match=message):
        starting_network(kind, {**options, "weights": str(folder)}, classes)


def test_names():
    assert names_model("compact")
    assert not names_model("imagenet")
    assert not names_model("some.pth")
