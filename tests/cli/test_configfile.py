"""``metaphase.toml``: precedence, and errors that name the file and the key."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from metaphase.cli.commands import load
from metaphase.cli.configfile import (
    CONFIG,
    config_files,
    default_map,
    flag_of,
    read_config,
    user_file,
)
from metaphase.errors import InputError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder and a home folder of their own."""
    monkeypatch.delenv(CONFIG)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def write(place: Path) -> Callable[..., None]:
    """Write the file of the project, or with ``user=True`` that of the user."""

    def save(text: str, *, user: bool = False) -> None:
        path = user_file() if user else place / "metaphase.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return save


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The values with which 'metaphase phantom' makes a data set."""
    from metaphase.phantom import dataset

    values: dict[str, Any] = {}

    def make_phantom(_out: Path, **more: Any) -> None:
        values.update(more)
        raise typer.Exit

    monkeypatch.setattr(dataset, "make_phantom", make_phantom)
    return values


def test_the_command_line_comes_first_then_the_project_then_the_user(
    command: Callable[..., Any], write: Callable[..., None], called: dict[str, Any], place: Path
) -> None:
    write("[phantom]\nsize = 256\nseed = 1\ncases-per-scanner = 7\n", user=True)
    write("[phantom]\nsize = 384\ncases_per_scanner = 2\n")
    ended = command("phantom", "--out", place / "out", "--cases-per-scanner", 3)
    assert ended.code == 0, ended.err
    assert (called["cases_per_scanner"], called["size_px"], called["seed"]) == (3, 384, 1)
    assert "metaphase.toml sets --size=384" in ended.words
    assert "sets --seed=1" in ended.words
    assert "--cases-per-scanner=" not in ended.words


def test_a_table_comes_before_a_key_for_all_commands(
    command: Callable[..., Any], write: Callable[..., None], called: dict[str, Any], place: Path
) -> None:
    write("seed = 4\nsize = 512\nthreads = 2\n[phantom]\nsize = 256\n")
    assert command("phantom", "--out", place / "out").code == 0
    assert (called["seed"], called["size_px"]) == (4, 256)


def test_flags_and_lists_are_set(
    command: Callable[..., Any], write: Callable[..., None], called: dict[str, Any], place: Path
) -> None:
    write('[phantom]\nlabel-all = true\nonly-scanner = ["A", "B"]\n')
    ended = command("phantom", "--out", place / "out")
    assert ended.code == 0, ended.err
    assert "--label-all=True" in ended.words


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        ("[phantom]\nsizes = 256", "phantom.sizes", "did you mean 'size'?"),
        ("[phantm]\nsize = 256", "phantm", "did you mean 'phantom'?"),
        ("sizes = 256", "sizes", "did you mean 'size'?"),
        ("[phantom]\nsize = 5", "phantom.size", "128"),
        ('[phantom]\nsize = "large"', "phantom.size", "large"),
        ("[phantom]\nsize = [256]", "phantom.size", "not a list"),
        ("[phantom]\nsize = true", "phantom.size", "not a value"),
        ("[phantom]\nsize = 1979-05-27", "phantom.size", "not a value"),
        ("[phantom]\nlabel-all = 1", "phantom.label-all", "not true or false"),
        ("phantom = 5", "phantom", "there is no option"),
        ("[data]\ncheck = 5", "data.check", "table of options"),
        ("[data]\nchekc = 5", "data.chekc", "did you mean 'check'?"),
        ("[data.check]\nimages = {}", "data.check.images", "not a value"),
        ("[phantom", "", "is not TOML"),
    ],
)
def test_what_is_no_setting_is_an_error_with_file_and_key(
    command: Callable[..., Any], write: Callable[..., None], text: str, key: str, message: str
) -> None:
    write(text)
    words = ["data", "check", "x"] if "data" in text else ["phantom", "--out", "x"]
    ended = command(*words)
    assert ended.code == 2
    assert ended.words.startswith(f"metaphase: metaphase.toml: {key}")
    assert message in ended.words
    assert "Traceback" not in ended.err


def test_the_keys_of_other_commands_are_no_error(
    command: Callable[..., Any], write: Callable[..., None], called: dict[str, Any], place: Path
) -> None:
    write("[detect]\nthreads = 2\n[data.check]\nall-findings = true\n")
    assert command("phantom", "--out", place / "out").code == 0


def test_an_option_puts_an_excluded_default_aside(
    command: Callable[..., Any], write: Callable[..., None], place: Path
) -> None:
    write("[evaluate]\nthreshold = 0.4\n")
    ended = command("evaluate", "none", "--labels", "none", "--choose-threshold")
    assert "has no effect" not in ended.words
    assert ended.code == 2


def test_a_variable_names_one_file_or_none(
    command: Callable[..., Any],
    write: Callable[..., None],
    called: dict[str, Any],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write("[phantom]\nseed = 1\n")
    (place / "other.toml").write_text("[phantom]\nsize = 256\n")
    monkeypatch.setenv(CONFIG, "other.toml")
    assert command("phantom", "--out", place / "out").code == 0
    assert (called["size_px"], called["seed"]) == (256, 0)
    monkeypatch.setenv(CONFIG, "")
    assert config_files() == []
    monkeypatch.setenv(CONFIG, "gone.toml")
    ended = command("phantom", "--out", place / "out")
    assert ended.code == 2
    assert "gone.toml" in ended.words


@pytest.mark.skipif(os.name == "nt", reason="other variables")
def test_where_the_file_of_the_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    assert user_file() == Path.home() / ".config" / "metaphase" / "metaphase.toml"


def test_keys_may_be_written_with_either_dash() -> None:
    assert flag_of("min_score") == flag_of("min-score") == "--min-score"


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        read_config(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["threads = " + "9" * 5000, "threads = 0x" + "f" * 5000, "a = " + "[" * 20_000, "\x00"],
    ids=["digits", "hexadecimal", "nested", "nul"],
)
def test_absurd_values_are_errors_of_the_file(place: Path, text: str) -> None:
    (place / "metaphase.toml").write_text(text)
    with pytest.raises(InputError, match=r"metaphase\.toml"):
        default_map("detect", typer.main.get_command(load("detect")))
