"""The numeric precision of a training run: bfloat16 where the hardware has it, else float32.

A CPU without bfloat16 instructions emulates them: a step then takes three times as long as in
float32.
"""

from __future__ import annotations

import platform
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from metaphase.training.recipe.sections import Trainer

if TYPE_CHECKING:
    import torch

NumericPrecision = Literal["bf16", "fp16", "fp32"]

_BF16_FLAGS = {
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX",
    "bf16": "the bfloat16 instructions of ARMv8.6",
}
"""Flags of /proc/cpuinfo and what they stand for."""
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """The precision of a run and, in words, why."""

    precision: NumericPrecision
    reason: str


def choose_precision(trainer: Trainer) -> PrecisionChoice:
    """Return the precision that a run takes on this computer; ``auto`` depends on its hardware."""
    if trainer.precision != "auto":
        return PrecisionChoice(trainer.precision, "set in the recipe")
    if uses_gpu(trainer):
        if gpu_computes_bf16():
            return PrecisionChoice("bf16", "the GPU computes in bfloat16")
        return PrecisionChoice("fp32", "the GPU does not compute in bfloat16")
    if instructions := cpu_bf16_instructions():
        return PrecisionChoice("bf16", f"the CPU has {instructions}")
    return PrecisionChoice("fp32", "the CPU has neither AVX512-BF16 nor AMX")


def precision_of(trainer: Trainer) -> NumericPrecision:
    """Return the precision that a run takes on this computer."""
    return choose_precision(trainer).precision


def uses_gpu(trainer: Trainer) -> bool:
    """Whether a run trains on a GPU of this computer; False without PyTorch."""
    if trainer.accelerator == "cpu":
        return False
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def gpu_computes_bf16() -> bool:
    """Whether the GPU has bfloat16 units; emulation in software does not count."""
    import torch

    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def cpu_bf16_instructions() -> str:
    """Return the name of the CPU's bfloat16 instructions, empty where it has none.

    From Linux' /proc/cpuinfo; elsewhere from PyTorch, and empty without it.
    """
    try:
        lines = _CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return _instructions_by_torch()
    flags = {
        flag
        for line in lines
        if line.lower().startswith(("flags", "features"))
        for flag in line.split()
    }
    return next((name for flag, name in _BF16_FLAGS.items() if flag in flags), "")


def _instructions_by_torch() -> str:
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return ""
    try:
        import torch
    except ImportError:
        return ""
    # PyTorch has no public function for these two.
    for name, words in (
        ("_is_avx512_bf16_supported", "AVX512-BF16"),
        ("_is_amx_tile_supported", "AMX"),
    ):
        supported = getattr(torch.cpu, name, None)
        if supported is not None and supported():
            return words
    return ""


def autocast(trainer: Trainer, device: torch.device) -> AbstractContextManager[Any]:
    """Return the context in which a run's network computes on a device.

    On a CPU, fp16 becomes bf16: PyTorch's CPU kernels lack float16.
    """
    import torch

    precision = precision_of(trainer)
    half = torch.float16 if precision == "fp16" and device.type != "cpu" else torch.bfloat16
    return torch.autocast(device.type, half, enabled=precision != "fp32")
