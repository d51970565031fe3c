from __future__ import annotations

import pytest

from metaphase.training.checks import network
from metaphase.training.checks.finding import Level, Patient
from metaphase.training.data.load import load_data
from metaphase.training.recipe.recipe import parse_recipe
from tests.training.checks.patients import found, recipe


def test_a_patch_that_does_not_fit_the_strides_is_an_error(folder):
    odd = recipe(folder, sampling={"patch_px": 100})
    assert "patch_px = 96" in found(odd, Level.ERROR)["sampling.patch_px"].way_out


def test_a_network_too_coarse_for_the_figures_is_a_trap(folder):
    coarse = recipe(folder, network={"mpp": 1.0})
    assert "stride" in found(coarse, Level.TRAP)["network.mpp"].message


@pytest.mark.parametrize(
    ("sections", "where"),
    [
        ({"network": {"weights": "absent.pt"}}, "network.weights"),
        ({"sampling": {"mined": "absent.csv"}}, "sampling.mined"),
    ],
)
def test_missing_files_are_errors(folder, sections, where):
    assert "missing" in found(recipe(folder, **sections), Level.ERROR)[where].message


def test_anchors_from_labels_fit(folder):
    retina = {"kind": "retinanet_resnet50_fpn_v2", "weights": "none"}
    patient = recipe(folder)
    patient = parse_recipe(patient.model_dump(mode="json") | {"network": retina}, folder=folder)
    (finding,) = network.anchors(Patient(patient, load_data(patient)))
    assert (finding.level, finding.measured[:4]) == (Level.OK, "100%")


@pytest.mark.parametrize(("side", "level"), [(12.5, Level.OK), (40.0, Level.TRAP)])
def test_the_anchor_of_the_compact_network_is_measured(folder, side, level):
    patient = recipe(folder, network={"head": "anchors", "anchor_um": side})
    finding = {f.where: f for f in network.anchors(Patient(patient, load_data(patient)))}
    assert finding["network.anchor_um"].level is level
    if level is Level.TRAP:
        assert finding["network.anchor_um"].way_out == "anchor_um = 12.5"


def test_memory_grows_with_the_batch(folder):
    pytest.importorskip("torch")
    two, four = recipe(folder), recipe(folder, trainer={"batch_size": 4})
    once = network.memory_needed(two)
    assert once > 10e6
    assert once < network.memory_needed(four) < 2 * once + 1
    half = recipe(folder, trainer={"precision": "bf16"})
    assert network.memory_needed(half) < once


def test_what_backward_keeps_is_counted(folder, monkeypatch):
    torch = pytest.importorskip("torch")
    from metaphase.models import networks

    side = recipe(folder).sampling.patch_px
    net = torch.nn.Conv2d(3, 4, 1)
    forward = net.forward
    net.forward = lambda x: forward(x.permute(0, 3, 1, 2).float())
    monkeypatch.setattr(networks, "build_network", lambda *a, **k: net)
    # A 1x1 convolution keeps its input, 3 floats a pixel and patch; and has 16 weights.
    expected = 2 * side * side * 3 * 4 + 16 * 16
    assert network.memory_needed(recipe(folder)) == expected


def test_a_batch_that_does_not_fit_is_an_error(folder, monkeypatch):
    pytest.importorskip("torch")
    big = recipe(folder, trainer={"batch_size": 8})
    need = network.memory_needed(big)
    monkeypatch.setattr(network, "memory_available", lambda recipe: (need / 2.5, "GPU"))
    finding = found(big, Level.ERROR)["trainer.batch_size"]
    assert "batch_size = 3 with accumulate = 3" in finding.way_out


def test_a_computer_has_memory():
    assert network.computer_memory() > 1e6
