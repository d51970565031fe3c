from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from metaphase.training.fit import precision
from metaphase.training.fit.precision import choose_precision, cpu_bf16_instructions, precision_of
from metaphase.training.recipe.bundled import bundled_recipe
from metaphase.training.recipe.sections import Trainer

CPU = Trainer(accelerator="cpu")


@pytest.fixture
def cpuinfo(tmp_path, monkeypatch):
    """Let the CPU have these flags."""

    def write(flags: str) -> None:
        path = tmp_path / "cpuinfo"
        path.write_text(f"processor : 0\nflags\t\t: fpu sse2 {flags}\n", encoding="utf-8")
        monkeypatch.setattr(precision, "_CPUINFO", path)

    return write


@pytest.mark.parametrize(
    ("flags", "chosen", "word"),
    [
        ("avx512f avx512_vnni", "fp32", "neither"),
        ("avx512f avx512_bf16", "bf16", "AVX512-BF16"),
        ("amx_tile amx_bf16", "bf16", "AMX"),
        ("avx512_bf16x", "fp32", "neither"),  # a flag, not the beginning of one
    ],
)
def test_auto_follows_the_cpu(cpuinfo, flags, chosen, word):
    cpuinfo(flags)
    choice = choose_precision(CPU)
    assert (choice.precision, precision_of(CPU)) == (chosen, chosen)
    assert word in choice.reason


@pytest.mark.parametrize("fixed", ["bf16", "fp16", "fp32"])
def test_a_precision_that_is_named_stays(cpuinfo, fixed):
    cpuinfo("")
    assert precision_of(Trainer(accelerator="cpu", precision=fixed)) == fixed


@pytest.mark.parametrize(("able", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_auto_follows_the_gpu(monkeypatch, able, chosen):
    monkeypatch.setattr(precision, "uses_gpu", lambda trainer: True)
    monkeypatch.setattr(precision, "gpu_computes_bf16", lambda: able)
    assert precision_of(Trainer()) == chosen


def test_without_cpuinfo_pytorch_is_asked(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(precision, "_CPUINFO", tmp_path / "absent")
    monkeypatch.setattr(precision.platform, "machine", lambda: "AMD64")
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True, raising=False)
    assert cpu_bf16_instructions() == "AMX"
    monkeypatch.setattr(precision.platform, "machine", lambda: "arm64")
    assert cpu_bf16_instructions() == ""


@pytest.mark.parametrize("chosen", ["bf16", "fp32", "fp16"])
def test_autocast_computes_in_the_precision(chosen):
    torch = pytest.importorskip("torch")
    trainer = Trainer(accelerator="cpu", precision=chosen)
    with precision.autocast(trainer, torch.device("cpu")):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.float32 if chosen == "fp32" else torch.bfloat16)


@pytest.mark.parametrize("name", ["compact", "demo", "exercise", "midog21", "resnet50"])
def test_shipped_recipes_leave_the_choice_to_the_computer(name):
    table = tomllib.loads(Path(bundled_recipe(name)).read_text(encoding="utf-8"))
    assert table["trainer"].get("precision", "auto") == "auto"


def test_a_choice_is_plain_data():
    from dataclasses import asdict

    assert json.loads(json.dumps(asdict(choose_precision(CPU))))["precision"] in ("bf16", "fp32")
