from __future__ import annotations

import pytest

from metaphase.errors import MetaphaseError
from metaphase.labels.split import Split
from metaphase.training.checks import run
from metaphase.training.checks.finding import Level, Patient
from metaphase.training.data.load import load_data
from metaphase.training.fit import steptime
from tests.training.checks.memory import a_case, a_patient, by_place, only
from tests.training.checks.patients import found, recipe

LONG = {"patches_per_epoch": 1600}


# --- the learning rate


def test_a_rate_that_reaches_its_peak_is_fine() -> None:
    patient = a_patient(sampling=LONG, trainer={"epochs": 20, "batch_size": 16})
    finding = only(run.learning_rate(patient), Level.OK)
    assert "in 2,000 steps: 100% of 0.001 reached" in finding.measured


def test_a_schedule_that_advances_once_an_epoch_is_a_trap() -> None:
    patient = a_patient(
        sampling=LONG,
        trainer={"epochs": 20, "batch_size": 16},
        optimiser={"schedule_step": "epoch"},
    )
    finding = only(run.learning_rate(patient), Level.TRAP)
    assert finding.where == "optimiser.schedule_step"
    assert finding.way_out == "schedule_step = 'step'"
    assert finding.measured.startswith("4e-05 to ")


# --- the validation


def test_the_defaults_have_no_traps() -> None:
    assert list(run.validation(a_patient())) == []


@pytest.mark.parametrize(
    ("sections", "where", "measured"),
    [
        ({"validation": {"threshold": 0.5}}, "validation.threshold", "0.5"),
        ({"trainer": {"keep": "last", "epochs": 7}}, "trainer.keep", "epoch 7"),
    ],
)
def test_choices_made_beforehand_are_traps(
    sections: dict[str, object], where: str, measured: str
) -> None:
    finding = only(run.validation(a_patient(**sections)), Level.TRAP)
    assert (finding.where, finding.measured) == (where, measured)
    assert finding.way_out


@pytest.mark.parametrize(("mitotic", "part"), [(0, "0%"), (1, "1%")])
def test_patches_at_the_labels_leave_most_of_a_region_out(mitotic: int, part: str) -> None:
    """One figure in 1024 px of side, in a patch of 128 px: 1/64, 1.6 %."""
    held_out = a_case("c", mitotic, 5, width_px=1024, height_px=1024)
    patient = a_patient(
        [a_case("a"), a_case("b"), held_out],
        validation={"protocol": "patches"},
        sampling={"patch_px": 112},
    )
    finding = only(run.validation(patient), Level.TRAP)
    assert finding.where == "validation.protocol"
    assert finding.measured.startswith(f"{part} of the held-out pixels")


def test_without_held_out_sizes_nothing_is_divided_by_0() -> None:
    patient = a_patient(split=Split(training=("a", "b")), validation={"protocol": "patches"})
    assert only(run.validation(patient), Level.TRAP).measured.startswith("0%")


# --- the computer


def test_more_workers_than_cores_are_a_note() -> None:
    found = by_place(run.environment(a_patient(trainer={"workers": 1024, "precision": "fp32"})))
    assert found["trainer.workers"].level is Level.NOTE
    assert found["trainer.workers"].measured.startswith("1024 workers, ")
    few = by_place(run.environment(a_patient(trainer={"workers": 0, "precision": "fp32"})))
    assert "trainer.workers" not in few


# --- the time


@pytest.mark.parametrize(
    ("seconds", "level", "words"),
    [
        (0.01, Level.OK, "0.04 s a step, 0 s an epoch, 2 s in all"),
        (1.0, Level.OK, "4.00 s a step, 12 s an epoch, 4 min in all"),
        (1000.0, Level.NOTE, "4000.00 s a step, 3 h an epoch, 3 days in all"),
    ],
)
def test_the_time_of_a_run_is_told_in_fitting_units(
    monkeypatch: pytest.MonkeyPatch, seconds: float, level: Level, words: str
) -> None:
    monkeypatch.setattr(
        steptime, "measure_step", lambda recipe, steps: seconds * recipe.trainer.batch_size
    )
    patient = a_patient(trainer={"batch_size": 4, "epochs": 20, "cache_mb": 0})
    found = by_place(run.duration(patient))
    assert found["trainer.epochs"].level is level
    assert found["trainer.epochs"].measured.startswith(words)
    # These cases have no images: a patch cannot be read.
    assert found["data.sources"].level is Level.ERROR


def test_a_step_that_fails_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(recipe: object, steps: int) -> float:
        raise MetaphaseError("no memory")

    monkeypatch.setattr(steptime, "measure_step", fail)
    finding = only(run.duration(a_patient()), Level.NOTE)
    assert "no memory" in finding.message


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
