"""``metaphase stress``: which sweeps and cases are used, and what is printed of them."""

from __future__ import annotations

import pytest

from metaphase.detection import runtime
from metaphase.stress import stress as work
from metaphase.stress.perturbations import SWEEPS


@pytest.fixture
def calls(monkeypatch):
    """The calls of ``stress``, which is replaced: F1 is 0.8, and 0.6 at the last level."""
    made = []

    def stress(model, dataset, out, *, sweeps, shifts, runtime, progress):
        made.append((model.id, dataset.ids, [one.name for one in sweeps], shifts, runtime))
        progress("hue 0", 0, 2)
        out.mkdir(parents=True)
        return [
            work.Point(
                one.name, level, one.unit, one.shift(level), True, f1, f1, f1, count=4, labelled=5
            )
            for one in sweeps
            for level, f1 in ((one.neutral, 0.8), (one.levels[-1], 0.6))
        ]

    monkeypatch.setattr(work, "stress", stress)
    monkeypatch.setattr(
        runtime, "open_runtime", lambda model, device, *, threads: (device, threads)
    )
    return made


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "labels.csv").write_text("case,x_px,y_px\na,100,100\nb,10,10\n")
    (tmp_path / "cases.csv").write_text("case,image,mpp\na,a.png,0.25\nb,b.png,0.25\n")
    return tmp_path / "labels.csv"


def test_chosen_sweeps_and_cases(command, model, labels, calls, tmp_path):
    words = ("--model", model.folder, "--labels", labels, "--out", tmp_path / "out")
    some = ("--only", "a", "--sweep", "hue", "--device", "cpu", "--threads", 2)
    ended = command("stress", *words, *some)
    assert ended.code == 0, ended.err
    assert calls == [(model.id, ("a",), ["hue"], work.REAL_SHIFTS, ("cpu", 2))]
    first, second, page = ended.out.splitlines()
    assert first.startswith("hue: F1 0: 0.800, ")
    assert first.endswith(": 0.600")
    assert second == "hue: F1 falls by 0.200 at most between real scanners"
    assert page == str(tmp_path / "out" / "stress.html")
    assert (tmp_path / "out" / "stress.html").is_file()


def test_without_a_choice_all_sweeps_are_made(command, model, labels, calls, tmp_path):
    (tmp_path / "shifts.json").write_text('{"largest": {"hue": 12.5}}')
    words = ("--model", model.folder, "--labels", labels, "--out", tmp_path / "out")
    assert command("stress", *words, "--shifts", tmp_path / "shifts.json").code == 0
    ((_, cases, sweeps, shifts, _),) = calls
    assert cases == ("a", "b")
    assert sweeps == [one.name for one in SWEEPS]
    assert shifts == {"hue": 12.5}


def test_errors_exit_with_2(command, model, labels, calls, tmp_path):
    words = ("--model", model.folder, "--labels", labels, "--out", tmp_path / "out")
    unknown = command("stress", *words, "--sweep", "magic")
    assert unknown.code == 2
    assert "no sweep magic: one of" in unknown.words
    (tmp_path / "shifts.json").write_text("[]")
    wrong = command("stress", *words, "--shifts", tmp_path / "shifts.json")
    assert wrong.code == 2
    assert "shifts.json" in wrong.words
    missing = command("stress", "--labels", labels, "--out", tmp_path / "out", "--model", "none")
    assert missing.code == 2
    assert "none" in missing.words
    assert calls == []
