"""Every path of every command: pipes, circles of links, and places that cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.everypath import COMMANDS, NO_PATHS, commands

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def test_every_command_is_tried() -> None:
    assert {words for words, _ in commands()} == {*COMMANDS, *NO_PATHS}


def run(*words: str) -> str:
    """Run the program in a process of its own: a fork of the tests has too many threads."""
    command = [sys.executable, "-m", "tests.everypath", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    failures = [line for line in done.stdout.splitlines() if not line.startswith("ok: ")]
    assert done.returncode == 0, "\n".join([*failures, done.stderr[-2000:]])
    return done.stdout


def test_readers_of_labels_and_detections() -> None:
    text = run("data check", "exchange convert", "card", "--quick")
    assert "ok: data check labels 'bad/pipe.json': 2" in text


@pytest.mark.slow
def test_all_commands() -> None:
    assert int(run("--quick").splitlines()[-1].split()[0]) > 200
