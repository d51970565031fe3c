"""``metaphase config``: what is set, by which file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from metaphase.cli.configfile import CONFIG


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv(CONFIG)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "metaphase.toml"


def test_what_is_set_is_listed_for_every_command(
    command: Callable[..., Any], project: Path
) -> None:
    project.write_text("threads = 3\n[data.check]\nall-findings = true\n")
    ended = command("config", "--json")
    assert ended.code == 0, ended.err
    content = json.loads(ended.out)
    assert [file["read"] for file in content["files"]] == [True, False]
    found = {(v["command"], v["option"]): v["value"] for v in content["values"]}
    assert found["detect", "--threads"] == "3"
    assert found["data check", "--all-findings"] is True
    assert {v["file"] for v in content["values"]} == {"metaphase.toml"}
    assert "metaphase.toml: read" in command("config").out


def test_all_values_of_a_command(command: Callable[..., Any], project: Path) -> None:
    project.write_text("[detect]\nthreads = 3\n")
    content = json.loads(command("config", "detect", "--json").out)
    found = {v["option"]: (v["value"], v["file"]) for v in content["values"]}
    assert found["--threads"] == ("3", "metaphase.toml")
    assert found["--min-score"] == (0.05, None)
    assert found["--model"] == ("(compact)", None)
    assert found["--out"] == ("(required)", None)
    assert "--cases" not in found  # an old name
    shown = command("config", "detect").out
    assert "--min-score" in shown
    assert "default" in shown
    assert json.loads(command("config", "data", "check", "--json").out)["values"]


@pytest.mark.parametrize("text", ["[detect]\nthread = 1", "[count]\ntops = 1", "[data]\nx = 1"])
def test_a_wrong_key_of_any_command_is_an_error(
    command: Callable[..., Any], project: Path, text: str
) -> None:
    project.write_text(text)
    ended = command("config")
    assert ended.code == 2
    assert "metaphase.toml: " in ended.words


def test_without_files_it_says_so(
    command: Callable[..., Any], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "nothing is set" in command("config").out
    monkeypatch.setenv(CONFIG, "")
    assert "no file is read" in command("config").out
    assert command("config", "detct").code == 2
