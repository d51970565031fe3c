from __future__ import annotations

from metaphase.training.checks.doctor import examine
from metaphase.training.checks.finding import Level
from tests.training.checks.patients import found, recipe


def test_rare_figures_are_a_trap(folder):
    shares = {"shares": {"mitotic": 0.0, "hard_negative": 0.0, "random": 1.0}, "patch_px": 32}
    rare = recipe(folder, sampling=shares | {"rim_px": 4})
    traps = found(rare, Level.TRAP)
    assert "rare" in traps["sampling"].message or "hard" in traps["sampling"].message
    messages = [f.message for f in examine(rare, measure=False) if f.where == "sampling"]
    assert any("rare" in message for message in messages)
