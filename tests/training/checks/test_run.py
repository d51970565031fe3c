from __future__ import annotations

import pytest

from metaphase.errors import MetaphaseError
from metaphase.training.checks import run
from metaphase.training.checks.finding import Level, Patient
from metaphase.training.data.load import load_data
from tests.training.checks.patients import found, recipe


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
