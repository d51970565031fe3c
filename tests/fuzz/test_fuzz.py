"""A short run of the fuzzing command, and tests of the command itself."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from metaphase.errors import InputError
from tests.fuzz import __main__ as command
from tests.fuzz import targets
from tests.fuzz.engine import run
from tests.fuzz.mutate import mutate
from tests.fuzz.targets import CORPUS, TARGETS, Target

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@needs_fork
@pytest.mark.parametrize("name", TARGETS)
def test_readers_answer_the_corpus_and_some_changed_inputs(name: str, tmp_path: Path) -> None:
    outcome = run(TARGETS[name], inputs=15, seconds=20, seed=1, failures=tmp_path)
    assert outcome.failure == ""


def test_every_file_of_the_corpus_is_a_seed() -> None:
    names = {path.name for path in CORPUS.iterdir()}
    seeds = {path.name for name in TARGETS for path in CORPUS.glob(f"{name}.*")}
    assert names == seeds
    assert all(target.seeds() for target in TARGETS.values())


@pytest.mark.parametrize("suffix", [".json", ".csv", ".toml", ".png"])
def test_a_seed_gives_the_same_inputs_again(suffix: str) -> None:
    data = b'{"a": [1, {"b": 2}]}' if suffix == ".json" else b"a,b\n1,2\n"
    first, second = random.Random(3), random.Random(3)
    inputs = [mutate(first, data, suffix) for _ in range(200)]
    assert inputs == [mutate(second, data, suffix) for _ in range(200)]
    assert len(set(inputs)) > 50


def refuse(path: Path) -> None:
    raise InputError.of(path, "is refused")


def fail(path: Path) -> None:
    if b"x" not in path.read_bytes():
        raise KeyError("x")


def crash(path: Path) -> None:
    os._exit(9)


def no_problems(path: Path) -> None:
    raise InputError([])


@needs_fork
@pytest.mark.parametrize(
    ("read", "said"),
    [(refuse, ""), (fail, "KeyError"), (crash, "ended with 9"), (no_problems, "without a problem")],
)
def test_what_is_a_failure(
    read: targets.Read, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(targets, "CORPUS", tmp_path)
    (tmp_path / "planted.seed.csv").write_bytes(b"x")
    planted = Target("planted", read, ".csv", "input.csv")
    monkeypatch.setitem(TARGETS, "planted", planted)
    out = tmp_path / "failures"
    arguments = ["planted", "--inputs", "300", "--seconds", "30", "--failures", str(out)]
    assert command.main(arguments) == (1 if said else 0)
    outcome = run(planted, inputs=300, seconds=30, seed=0, failures=out)
    assert said in outcome.failure
    assert (outcome.saved is not None and outcome.saved.is_file()) == bool(said)


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["nothing"]) == 2
    assert "unknown target nothing" in capsys.readouterr().out
    assert command.main(["--list"]) == 0
    assert "labels-coco" in capsys.readouterr().out
