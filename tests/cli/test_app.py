from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from metaphase import __version__
from metaphase.cli import COMMANDS, main


def run(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return ended.value.code, capsys.readouterr()


def test_version(capsys):
    code, output = run(capsys, "--version")
    assert (code, output.out, output.err) == (0, f"metaphase {__version__}\n", "")


@pytest.mark.parametrize(("wrong", "right"), [("detct", "detect"), ("evalute", "evaluate")])
def test_a_mistyped_command_gets_a_suggestion(capsys, wrong, right):
    code, output = run(capsys, wrong)
    assert code == 2
    assert f"Did you mean '{right}'" in output.err


def test_a_mistyped_subcommand_gets_a_suggestion(capsys):
    code, output = run(capsys, "data", "chek")
    assert code == 2
    assert "Did you mean 'check'" in output.err


def test_help_lists_every_command_without_importing_one(capsys):
    code = "import sys, metaphase.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in sys.modules if m.startswith(('metaphase.', 'numpy'))])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, modules = done.stdout.splitlines()
    for name in COMMANDS:
        assert any(f" {name} " in line for line in text)
    own = {"metaphase.cli", "metaphase.errors"}
    own |= {f"metaphase.cli.{name}" for name in ("app", "commandclass", "commands", "terminal")}
    assert set(ast.literal_eval(modules)) == own


@pytest.mark.parametrize(
    ("words", "expected"),
    [("metaphase de", {"demo", "detect"}), ("metaphase detect --ti", {"--tissue"})],
)
def test_the_shell_completes_commands_and_options(words, expected):
    environment = {
        "_METAPHASE_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    import os

    done = subprocess.run(
        [sys.executable, "-m", "metaphase"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert set(done.stdout.split()) == expected
