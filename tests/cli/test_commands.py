"""Every command has a module with one or several commands in it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from metaphase.cli.commands import COMMANDS, load


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_loaded_with_its_help(name: str) -> None:
    command = typer.main.get_command(load(name))
    assert command.help or getattr(command, "commands", None)
    assert COMMANDS[name][1].endswith(".")


def test_no_command_is_imported_for_the_list() -> None:
    code = (
        "import sys, metaphase.cli.commands as c; c.COMMANDS; "
        "print([n for n in sys.modules if n.startswith('metaphase.cli.') and 'commands' not in n])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
