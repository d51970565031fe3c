"""Checks of the run: learning rate, threshold, hardware, time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import numpy as np

from metaphase.errors import MetaphaseError
from metaphase.figures import Label
from metaphase.labels.dataset import Case
from metaphase.training.checks.finding import Finding, Level, Patient
from metaphase.training.fit.precision import choose_precision, cpu_bf16_instructions, uses_gpu
from metaphase.training.fit.schedule import rates

_REACHED = 0.5
_LONG_H = 48
_READ = 24
_MEASURED_PIXELS = 4 * 512**2


def learning_rate(patient: Patient) -> Iterator[Finding]:
    """Start, peak and end of the learning rate, and how much of the peak is reached."""
    optimiser, trainer = patient.recipe.optimiser, patient.recipe.trainer
    steps = patient.steps_per_epoch
    course = rates(optimiser, steps_per_epoch=steps, epochs=trainer.epochs)
    reached = max(course) / optimiser.learning_rate
    measured = (
        f"{course[0]:.2g} to {max(course):.2g} to {course[-1]:.2g} in {len(course):,} steps: "
        f"{reached:.0%} of {optimiser.learning_rate:.2g} reached"
    )
    if optimiser.schedule_step == "epoch" and reached < _REACHED:
        yield Finding(
            Level.TRAP,
            "optimiser.schedule_step",
            "the schedule is planned over steps but advances once an epoch: it hardly moves",
            measured,
            "schedule_step = 'step'",
        )
    elif reached < _REACHED:
        message, way_out = "the learning rate hardly rises", "more epochs, or a shorter warmup"
        yield Finding(Level.TRAP, "optimiser", message, measured, way_out)
    else:
        yield Finding(Level.OK, "optimiser", "the learning rate reaches its peak", measured)


def validation(patient: Patient) -> Iterator[Finding]:
    """How threshold and epoch are chosen, and on what the score is based."""
    recipe = patient.recipe
    if recipe.validation.protocol == "patches":
        yield Finding(
            Level.TRAP,
            "validation.protocol",
            "patches are placed at the labels, so that most of the image is not scored",
            f"{_scored_part(patient):.0%} of the held-out pixels are in patches",
            "protocol = 'regions'",
        )
    if recipe.validation.threshold != "chosen":
        yield Finding(
            Level.TRAP,
            "validation.threshold",
            "the threshold is fixed beforehand: scores of different models do not compare",
            f"{recipe.validation.threshold:g}",
            "threshold = 'chosen' freezes the best one on validation in the model file",
        )
    if recipe.trainer.keep == "last":
        yield Finding(
            Level.TRAP,
            "trainer.keep",
            "the last epoch is kept, whether or not it is the best",
            f"epoch {recipe.trainer.epochs}",
            "keep = 'best'",
        )


def _scored_part(patient: Patient) -> float:
    """Return the part of the held-out regions that lies in two patches around each figure."""
    size = patient.recipe.sampling.patch_px
    seen = total = 0.0
    for case in patient.held_out:
        if case.width_px and case.height_px:
            seen += _covered(case, size) * case.width_px * case.height_px
            total += case.width_px * case.height_px
    return seen / total if total else 0.0


def _covered(case: Case, size: int, cell: int = 16) -> float:
    """Return the part of a case within patches with a mitotic figure's corner in the centre."""
    width, height = -(-(case.width_px or 0) // cell), -(-(case.height_px or 0) // cell)
    grid = np.zeros((height, width), dtype=bool)
    for figure in case.figures:
        if figure.label != Label.MITOTIC:
            continue
        left, top = (int((v - size / 2) // cell) for v in (figure.x_px, figure.y_px))
        right, bottom = left + size // cell, top + size // cell
        grid[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return float(grid.mean())


def environment(patient: Patient) -> Iterator[Finding]:
    """Whether this computer suits the recipe."""
    trainer = patient.recipe.trainer
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if cores and trainer.workers > cores:
        yield Finding(
            Level.NOTE,
            "trainer.workers",
            "more workers than cores",
            f"{trainer.workers} workers, {cores} cores",
            f"workers = {cores}",
        )
    try:
        import torch
    except ImportError:
        way_out = "pip install 'metaphase[train]'"
        yield Finding(Level.NOTE, "trainer", "PyTorch is not installed here", "", way_out)
        return
    yield precision(patient)
    gpus = torch.cuda.device_count()
    if trainer.accelerator == "gpu" and not gpus:
        yield Finding(Level.ERROR, "trainer.accelerator", "there is no GPU here", "0 GPUs")
    elif trainer.precision == "fp16" and not gpus:
        message, way_out = "fp16 needs a GPU", "precision = 'auto'"
        yield Finding(Level.ERROR, "trainer.precision", message, "0 GPUs", way_out)


def precision(patient: Patient) -> Finding:
    """Which precision the run takes here and why; a note where the hardware emulates it."""
    trainer = patient.recipe.trainer
    choice = choose_precision(trainer)
    measured = f"{choice.precision}: {choice.reason}"
    emulated = not uses_gpu(trainer) and not cpu_bf16_instructions()
    if choice.precision == "bf16" and emulated:
        return Finding(
            Level.TRAP,
            "trainer.precision",
            "this CPU has no bfloat16 instructions: a step takes three times as long as in fp32",
            measured,
            "precision = 'auto'",
        )
    return Finding(Level.OK, "trainer.precision", "precision of the computation", measured)


def duration(patient: Patient) -> Iterator[Finding]:
    """Seconds of a step on this computer, and of the whole run."""
    recipe = patient.recipe
    # Few patches are enough; the whole batch might not fit into memory.
    pixels = recipe.sampling.patch_px**2
    few = max(1, min(recipe.trainer.batch_size, _MEASURED_PIXELS // (4 * pixels)))
    small = recipe.model_copy(
        update={"trainer": recipe.trainer.model_copy(update={"batch_size": few})}
    )
    try:
        from metaphase.training.fit.steptime import measure_step

        per_patch = measure_step(small, steps=1) / few
    except (ImportError, MetaphaseError) as error:
        yield Finding(Level.NOTE, "trainer", f"no step could be measured: {error}")
        return
    epoch_s = per_patch * patient.patches_per_epoch
    hours = epoch_s * recipe.trainer.epochs / 3600
    measured = (
        f"{per_patch * recipe.trainer.batch_size:.2f} s a step, {_time(epoch_s)} an epoch, "
        f"{_time(hours * 3600)} in all on this CPU, without validation"
    )
    level = Level.NOTE if hours > _LONG_H else Level.OK
    way_out = "a GPU, fewer epochs, smaller patches" if level == Level.NOTE else ""
    yield Finding(level, "trainer.epochs", "time of the run", measured, way_out)
    yield from _reading(patient, per_patch)


def _reading(patient: Patient, per_patch: float) -> Iterator[Finding]:
    """Whether workers read as fast as the network is trained."""
    from metaphase.training.patches.dataset import patch_dataset

    recipe = patient.recipe
    quick = recipe.trainer.model_copy(update={"cache_mb": 0})
    try:
        patches = patch_dataset(recipe.model_copy(update={"trainer": quick}), patient.training)
        start = time.perf_counter()
        for index in range(min(_READ, len(patches))):
            patches[index]
        each = (time.perf_counter() - start) / min(_READ, len(patches))
        patches.slides.close()
    except MetaphaseError as error:
        yield Finding(Level.ERROR, "data.sources", f"a patch cannot be read: {error}")
        return
    workers = max(1, recipe.trainer.workers)
    measured = (
        f"{workers / each:.0f} patches a second read, {1 / per_patch:.0f} trained on this CPU"
    )
    yield Finding(Level.OK, "trainer.workers", "reading patches", measured)


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"
