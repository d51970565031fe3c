"""Output in any encoding, and orderly ends."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

from metaphase.cli import terminal
from metaphase.cli.terminal import accept_all_characters, system_error_text
from metaphase.errors import DeprecatedNameWarning


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_every_character_can_be_written(encoding, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    accept_all_characters()
    print("日本 µm ┃ \udcff")
    sys.stdout.flush()
    text = raw.getvalue().decode("utf-8" if encoding == "ascii" else encoding)
    assert r"\u65e5\u672c" in text if encoding == "cp1252" else "日本" in text
    assert r"\udcff" in text


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_commands_write_to_files_that_are_not_utf8(encoding, tmp_path):
    (tmp_path / "labels.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "日本.png", "width": 9, "height": 9}],
                "annotations": [],
                "categories": [{"id": 1, "name": "mitotic figure"}],
            }
        )
    )
    for words in (
        ["--help"],
        ["detect", "--help"],
        ["data", "show", "labels.json"],
        ["data", "check", "labels.json"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "metaphase", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert b"Traceback" not in done.stderr
        text = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)
        assert text.strip()
        if encoding == "ascii":  # printed by rich, and by typer, which writes UTF-8 by itself
            assert "\\u" not in text


CODE = """
import sys, time, types, typer
import metaphase.cli as cli
app = typer.Typer(add_completion=False)
@app.command()
def slow() -> None:
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("cleaning", flush=True)
        time.sleep(60 if "hangs" in sys.argv else 0)
sys.modules["slow_command"] = types.SimpleNamespace(app=app)
cli.COMMANDS.clear()
cli.COMMANDS["slow"] = ("slow_command", "Sleep.")
hangs = "hangs" in sys.argv
sys.argv[1:] = ["slow"]
if hangs:
    app.registered_commands[0].callback.__globals__["sys"] = types.SimpleNamespace(argv=["hangs"])
cli.main()
"""


def start(*words):
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + CODE
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_ends_with_a_line_and_130():
    program = start()
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    output, errors = program.communicate(timeout=60)
    assert program.returncode == 130
    assert output == "cleaning\n"
    assert errors == "metaphase: interrupted\n"


def test_a_second_ctrl_c_ends_at_once():
    program = start("hangs")
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    assert program.stdout.readline() == "cleaning\n"
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode == 130
    assert errors == ""


@pytest.mark.parametrize("delay", [0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_while_the_program_starts(delay):
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import metaphase.cli as cli, sys\n"
        "print('ready', flush=True)\n"
        "sys.argv[1:] = ['detect', '--help']\n"
        "cli.main()"
    )
    program = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert program.stdout.readline() == "ready\n"
    time.sleep(delay)
    program.send_signal(signal.SIGINT)
    _, errors = program.communicate(timeout=60)
    assert program.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in errors


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        terminal.end_at_second_interrupt()
        terminal.end_at_next_interrupt()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_system_errors_name_the_file():
    assert system_error_text(OSError(28, "No space left on device", "a/b")) == (
        "a/b: No space left on device"
    )
    assert system_error_text(OSError(28, "No space left on device")) == "No space left on device"
    assert "memory" in system_error_text(MemoryError())


def test_old_names_are_notes_and_other_warnings_are_shown_as_before(capsys, monkeypatch):
    others = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *place: others.append(message))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with terminal.old_names_as_notes():
            warnings.warn("r.toml: second is an old name", DeprecatedNameWarning, stacklevel=1)
            warnings.warn("something else", UserWarning, stacklevel=1)
        warnings.warn("after", DeprecatedNameWarning, stacklevel=1)
    assert capsys.readouterr().err == "note: r.toml: second is an old name\n"
    assert [str(message) for message in others] == ["something else", "after"]
