from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from metaphase.errors import MetaphaseError
from metaphase.training.checks import doctor, network, run
from metaphase.training.checks.doctor import examine, worst
from metaphase.training.checks.finding import Finding, Level, Patient, shown
from metaphase.training.data.load import load_data
from metaphase.training.recipe.recipe import load_recipe, parse_recipe
from tests.training.helpers import write_image

ROOT = Path(__file__).resolve().parents[3]
SIDE = 300


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Like MIDOG, small: 12 labelled cases of two scanners, 2 unlabelled ones of a third."""
    folder = tmp_path_factory.mktemp("midog")
    rng = np.random.default_rng(0)
    cases, figures = [], []
    for n in range(14):
        name = f"{n:03d}"
        write_image(folder / f"{name}.png", SIDE, SIDE, n)
        scanner = "Aperio CS2" if n < 6 else "Hamamatsu XR" if n < 12 else "Leica GT450"
        cases.append([name, f"{name}.png", scanner, 0.25, n < 12, SIDE, SIDE])
        for label in ("mitotic figure", "hard negative") if n < 12 else ():
            for x, y in rng.uniform(0, SIDE, (6, 2)).round(1):
                box = [x - 25, y - 25, x + 25, y + 25]
                figures.append([name, x, y, label, *box])
    _table(folder / "cases.csv", "id image scanner mpp labelled width_px height_px", cases)
    _table(folder / "figures.csv", "case x_px y_px label x1_px y1_px x2_px y2_px", figures)
    return folder


def _table(path, columns, rows):
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([columns.split(), *rows])


def recipe(folder, split=None, **sections):
    data = {
        "name": "patient",
        "data": {
            "sources": [{"labels": "figures.csv", "images": ".", "cases": "cases.csv"}],
            "split": split
            or {"training": ["00[0-3]", "00[6-9]"], "validation": ["00[45]", "01[01]"]},
        },
        "network": {"kind": "compact", "weights": "none", "width": 16},
        "sampling": {"patch_px": 128, "patches_per_epoch": 200},
        "trainer": {"batch_size": 2, "workers": 0},
    }
    for name, values in sections.items():
        data[name] = {**data.get(name, {}), **values}
    return parse_recipe(data, folder=folder)


def exercise(folder, split):
    """recipes/exercise.toml, its own text, on the small data."""
    return load_recipe(
        ROOT / "recipes" / "exercise.toml",
        [
            f'data.sources=[{{labels="{folder}/figures.csv", images="{folder}"}}]',
            f"data.split={split}",
            "trainer.epochs=200",
            "trainer.batch_size=2",
            "network.weights=none",
        ],
    )


def found(recipe, level=None, **options):
    findings = examine(recipe, **({"measure": False} | options))
    return {f.where: f for f in findings if level is None or f.level == level}


HANDED_OUT = '{training=["00?", "012"], test=["010", "011", "013"]}'


@pytest.fixture(scope="module")
def old(folder):
    return examine(exercise(folder, HANDED_OUT), measure=False)


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("validation.protocol", "% of the held-out pixels"),
        ("network.resize", "a figure of 50 px 78 px"),
        ("network.anchors", "12% of places"),
        ("optimiser.schedule_step", "% of 0.0001 reached"),
        ("network.head", "GroupNorm"),
        ("sampling", "0 % of the patches"),
        ("validation.threshold", "0.5"),
        ("data.split", ""),
        ("sampling.offset", "spread"),
        ("trainer.keep", "epoch 200"),
    ],
)
def test_the_traps_of_the_report_are_named_with_their_numbers(old, where, number):
    traps = [f for f in old if f.level == Level.TRAP and f.where == where]
    assert traps, [f.where for f in old]
    assert any(number in trap.measured for trap in traps)
    assert all(trap.way_out for trap in traps)


def test_unlabelled_cases_of_the_list_handed_out_are_errors(old):
    errors = [f for f in old if f.level == Level.ERROR]
    assert any("unlabelled" in f.message and "012" in f.message for f in errors)
    assert any("013" in f.message for f in errors)


def test_the_rate_of_the_report_is_told(old):
    (told,) = [f for f in old if f.where == "optimiser.schedule_step"]
    assert told.measured.startswith("4e-06 to ")


def test_a_sound_recipe_has_no_traps(folder):
    sound = recipe(folder)
    assert {f.level for f in examine(sound, measure=False)} <= {Level.OK, Level.NOTE}


def test_a_leaking_and_a_doubled_case_are_errors(folder):
    split = {"training": ["00?"], "validation": ["009", "01[01]"]}
    (told,) = [f for f in examine(recipe(folder, split), measure=False) if f.level == Level.ERROR]
    assert "009" in told.where + told.message


def test_a_split_blind_to_the_scanner_is_a_trap(folder):
    split = {"training": ["00?"], "validation": ["01[01]"]}
    whole = recipe(folder, split)
    # 6 of 10 against 0 of 2 cases are of one scanner; the other is trained on.
    traps = found(whole, Level.TRAP)
    assert "blind to the scanner" in traps["data.split"].message


def test_a_scanner_left_out_is_told_as_such(folder):
    split = {"training": ["scanner:Aperio CS2"], "validation": ["scanner:Hamamatsu XR"]}
    assert "not trained on" in found(recipe(folder, split), Level.OK)["data.split"].message


def test_missing_images_are_an_error_and_the_labels_are_examined_all_the_same(folder):
    away = recipe(folder)
    source = away.data.sources[0].model_copy(update={"images": folder / "nowhere"})
    data = away.data.model_copy(update={"sources": (source,)})
    (folder / "elsewhere").mkdir(exist_ok=True)
    alone = folder / "elsewhere"
    for name in ("cases.csv", "figures.csv"):
        (alone / name).write_bytes((folder / name).read_bytes())
    source = source.model_copy(
        update={"labels": alone / "figures.csv", "cases": alone / "cases.csv"}
    )
    data = data.model_copy(update={"sources": (source,)})
    findings = examine(away.model_copy(update={"data": data}), measure=True)
    (error,) = [f for f in findings if f.level == Level.ERROR]
    assert error.measured == "12 of 12 cases"
    assert "nowhere" in error.message
    assert any(f.where == "network" for f in findings)


def test_labels_that_cannot_be_read_are_told(tmp_path):
    (finding,) = examine(recipe(tmp_path), measure=False)
    assert finding.level == Level.ERROR


def test_nobody_to_train_on_is_an_error(folder):
    split = {"validation": ["00?"]}
    assert "no case" in found(recipe(folder, split), Level.ERROR)["data.split"].message


def test_rare_figures_are_a_trap(folder):
    shares = {"shares": {"mitotic": 0.0, "hard_negative": 0.0, "random": 1.0}, "patch_px": 32}
    rare = recipe(folder, sampling=shares | {"rim_px": 4})
    traps = found(rare, Level.TRAP)
    assert "rare" in traps["sampling"].message or "hard" in traps["sampling"].message
    messages = [f.message for f in examine(rare, measure=False) if f.where == "sampling"]
    assert any("rare" in message for message in messages)


def test_a_patch_that_does_not_fit_the_strides_is_an_error(folder):
    odd = recipe(folder, sampling={"patch_px": 100})
    assert "patch_px = 96" in found(odd, Level.ERROR)["sampling.patch_px"].way_out


def test_a_network_too_coarse_for_the_figures_is_a_trap(folder):
    coarse = recipe(folder, network={"mpp": 1.0})
    assert "stride" in found(coarse, Level.TRAP)["network.mpp"].message


def test_pixels_that_would_be_made_up_are_a_trap(folder):
    fine = recipe(folder, network={"mpp": 0.1})
    assert "made up" in found(fine, Level.TRAP)["network.mpp"].message


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


# --- memory and time


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


def test_a_step_and_patches_are_timed(folder, monkeypatch):
    fit = pytest.importorskip("metaphase.training.fit.steptime")
    monkeypatch.setattr(fit, "measure_step", lambda recipe, steps: 0.5 * recipe.trainer.batch_size)
    findings = found(recipe(folder), measure=True)
    # Half a second a patch, 200 patches an epoch, 20 epochs.
    assert "1.00 s a step, 100 s an epoch, 33 min in all" in findings["trainer.epochs"].measured
    assert "patches a second read" in findings["trainer.workers"].measured


def test_a_step_that_cannot_be_measured_is_a_note(folder, monkeypatch):
    fit = pytest.importorskip("metaphase.training.fit.steptime")

    def fail(recipe, steps):
        raise MetaphaseError("no")

    monkeypatch.setattr(fit, "measure_step", fail)
    patient = Patient(recipe(folder), load_data(recipe(folder)))
    (finding,) = run.duration(patient)
    assert finding.level == Level.NOTE


def test_the_gpu_that_is_asked_for_must_be_there(folder):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    asked = recipe(folder, trainer={"accelerator": "gpu"})
    assert "trainer.accelerator" in found(asked, Level.ERROR)


@pytest.mark.parametrize(
    ("asked", "instructions", "level", "chosen"),
    [
        ("auto", "", Level.OK, "fp32"),
        ("auto", "AMX", Level.OK, "bf16"),
        ("bf16", "", Level.TRAP, "bf16"),
        ("bf16", "AMX", Level.OK, "bf16"),
        ("fp32", "AMX", Level.OK, "fp32"),
    ],
)
def test_the_precision_is_named_with_its_reason(
    folder, monkeypatch, asked, instructions, level, chosen
):
    pytest.importorskip("torch")
    from metaphase.training.fit import precision

    monkeypatch.setattr(precision, "cpu_bf16_instructions", lambda: instructions)
    monkeypatch.setattr(run, "cpu_bf16_instructions", lambda: instructions)
    trainer = {"precision": asked, "accelerator": "cpu"}
    patient = recipe(folder, trainer=trainer)
    findings = run.environment(Patient(patient, load_data(patient)))
    (finding,) = (f for f in findings if f.where == "trainer.precision")
    assert finding.level == level
    assert finding.measured.startswith(f"{chosen}: ")
    assert bool(finding.way_out) == (level == Level.TRAP)


# --- the whole


def test_one_check_that_fails_does_not_stop_the_others(folder, monkeypatch):
    from metaphase.errors import LabelError

    def broken(patient):
        """Breaks."""
        raise LabelError.of("x", "is broken")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken, *doctor.CHECKS))
    findings = examine(recipe(folder), measure=False)
    assert findings[0] == Finding(Level.ERROR, "x", "is broken")
    assert len(findings) > 5


def test_checks_say_what_they_are(folder):
    seen = []
    examine(recipe(folder), measure=False, watch=seen.append)
    assert len(seen) == len(doctor.CHECKS)
    assert all(text.endswith(".") for text in seen)


def test_worst():
    assert worst([]) == Level.OK
    levels = [Finding(level, "", "") for level in (Level.NOTE, Level.ERROR, Level.TRAP)]
    assert worst(levels) == Level.ERROR


def test_long_lists_are_cut():
    assert shown(range(3)) == "0, 1, 2"
    assert shown(range(9)) == "0, 1, 2, 3, 4 and 4 more"
