from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.training.checks import network
from metaphase.training.checks.finding import Level, Patient
from metaphase.training.data.load import load_data
from metaphase.training.recipe.recipe import parse_recipe
from tests.training.checks.memory import a_case, a_patient, by_place, only
from tests.training.checks.patients import found, recipe

RETINA = {"kind": "retinanet_resnet50_fpn_v2", "weights": "none"}


# --- anchors


@pytest.mark.parametrize(
    ("mpp", "side", "level"), [(0.25, 50, Level.OK), (0.5, 25, Level.OK), (1.0, 12, Level.TRAP)]
)
def test_figures_are_measured_against_the_stride(mpp: float, side: int, level: Level) -> None:
    finding = only(network.anchors(a_patient(network={"mpp": mpp})), level)
    assert finding.measured == f"{side} px against stride 8"


def test_without_figures_there_is_nothing_to_measure() -> None:
    cases = [a_case(name, 0, 0) for name in "abc"]
    assert list(network.anchors(a_patient(cases))) == []


@pytest.mark.parametrize(
    ("anchor_um", "level"), [(12.5, Level.OK), (10.5, Level.NOTE), (40.0, Level.TRAP)]
)
def test_the_anchor_of_the_compact_network_fits_or_not(anchor_um: float, level: Level) -> None:
    settings = {"head": "anchors", "anchor_um": anchor_um}
    found = by_place(network.anchors(a_patient(network=settings)))
    finding = found["network.anchor_um"]
    if level is Level.NOTE:  # between the two limits, or fitting still
        assert finding.level in (Level.NOTE, Level.OK)
    else:
        assert finding.level is level
    if finding.level is not Level.OK:
        assert finding.way_out == "anchor_um = 12.5"


@pytest.mark.parametrize(
    ("anchors", "level"),
    [("from-labels", Level.OK), ([[50.0]], Level.OK), ([[4.0], [8.0]], Level.TRAP)],
)
def test_anchors_of_retinanet_fit_or_not(anchors: object, level: Level) -> None:
    patient = a_patient(network={**RETINA, "anchors": anchors})
    finding = by_place(network.anchors(patient))["network.anchors"]
    assert finding.level is level
    assert finding.measured.endswith("of places have an anchor with IoU >= 0.5")
    if level is Level.TRAP:
        assert finding.message == "anchors miss figures of 50 px"
        assert finding.way_out == "anchors = 'from-labels'"


def test_the_hidden_resize_is_a_trap_with_both_sizes() -> None:
    patient = a_patient(network={**RETINA, "resize": "torchvision"}, sampling={"patch_px": 400})
    finding = by_place(network.anchors(patient))["network.resize"]
    assert finding.level is Level.TRAP
    assert finding.measured == "400 px become 800, a figure of 50 px 100 px"
    assert finding.way_out == "resize = 'none'"


# --- the head


@pytest.mark.parametrize(("patch_px", "fits"), [(96, True), (100, False), (128, True)])
def test_patches_fit_the_strides(patch_px: int, fits: bool) -> None:
    findings = list(network.head(a_patient(sampling={"patch_px": patch_px})))
    assert (findings == []) == fits
    if not fits:
        finding = only(findings, Level.ERROR)
        assert finding.where == "sampling.patch_px"
        assert finding.way_out == "patch_px = 96"


def test_a_plain_head_over_v2_is_a_trap() -> None:
    sampling = {"patch_px": 128}
    plain = a_patient(network={**RETINA, "head": "plain"}, sampling=sampling)
    finding = only(network.head(plain), Level.TRAP)
    assert (finding.where, finding.way_out) == ("network.head", "head = 'v2'")
    assert list(network.head(a_patient(network=RETINA, sampling=sampling))) == []


# --- weights


def test_random_weights_are_a_note() -> None:
    finding = only(network.weights(a_patient()), Level.NOTE)  # weights = "none"
    assert finding.where == "network.weights"
    assert "imagenet" in finding.way_out


def test_published_weights_are_no_finding() -> None:
    assert list(network.weights(a_patient(network={"weights": "imagenet"}))) == []


def test_a_file_of_weights_must_exist(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    found = by_place(network.weights(a_patient(network={"weights": str(path)})))
    assert found["network.weights"].level is Level.ERROR
    assert str(path) in found["network.weights"].message
    path.write_bytes(b"")
    found = by_place(network.weights(a_patient(network={"weights": str(path)})))
    assert all(finding.level is not Level.ERROR for finding in found.values())


# --- memory


@pytest.mark.parametrize(
    ("available", "level", "way_out"),
    [
        (8e9, Level.OK, ""),
        (3.9e9, Level.ERROR, "batch_size = 3 with accumulate = 3"),
        (0.1e9, Level.ERROR, "batch_size = 1 with accumulate = 8"),
    ],
)
def test_a_batch_fits_into_memory_or_is_divided(
    monkeypatch: pytest.MonkeyPatch, available: float, level: Level, way_out: str
) -> None:
    monkeypatch.setattr(network, "memory_needed", lambda recipe: 8e9)
    monkeypatch.setattr(network, "memory_available", lambda recipe: (available, "GPU"))
    finding = only(network.memory(a_patient(trainer={"batch_size": 8})), level)
    assert finding.way_out == way_out
    assert finding.measured == f"about 8.0 GB of {available / 1e9:.1f} GB on this GPU"


def test_patches_that_do_not_fit_the_network_are_left_to_the_check_of_the_head() -> None:
    assert list(network.memory(a_patient(sampling={"patch_px": 100}))) == []


def test_this_computer_has_memory() -> None:
    bytes_, device = network.memory_available(a_patient(trainer={"accelerator": "cpu"}).recipe)
    assert device == "computer"
    assert bytes_ > 1e6


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
