"""``metaphase config``: which defaults the configuration files set, and the effective values."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from metaphase.cli.commandclass import Command
from metaphase.cli.options import argument, option

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class Value:
    """The effective value of an option of a command, and the file that sets it (None: default)."""

    command: str
    option: str
    value: Any
    file: Path | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        plain = self.value if isinstance(self.value, str | int | float | list) else None
        file = None if self.file is None else str(self.file)
        return {"command": self.command, "option": self.option, "value": plain, "file": file}


@app.command(cls=Command)
def config(
    command: Annotated[list[str] | None, argument("command")] = None,
    as_json: Annotated[bool, option("--json")] = False,
) -> None:
    """Print the defaults that metaphase.toml sets, or all effective values of a command.

    Files are read in this order: metaphase.toml in the working folder, then the user's file. The
    first that sets a value decides. Options on the command line come before both.
    """
    from metaphase.cli.configfile import config_files, is_there, read_config

    paths = config_files()
    files = [(path, read_config(path)) for path in reversed(paths) if is_there(path)]
    values = list(_values(files, tuple(command or ())))
    if as_json:
        listed = [{"file": str(path), "read": is_there(path)} for path in paths]
        text = {"files": listed, "values": [value.to_dict() for value in values]}
        typer.echo(json.dumps(text, indent=1))
        return
    for path in paths:
        typer.echo(f"{path}: {'read' if is_there(path) else 'not there'}")
    if not paths:
        typer.echo("no file is read (METAPHASE_CONFIG is empty)")
    _print(values)


def _values(files: list[tuple[Path, dict[str, Any]]], words: tuple[str, ...]) -> Iterator[Value]:
    """Yield all values of one command, or what the files set for any. Raises typer.BadParameter."""
    from metaphase.cli.configfile import all_commands, default_map, options_of, settings_of

    commands = dict(all_commands())
    if words and not any(key[: len(words)] == words for key in commands):
        raise typer.BadParameter(f"there is no command {' '.join(words)!r}")
    for name in {key[0] for key in commands if len(key) == 2}:
        default_map(name, _Group({key[1]: c for key, c in commands.items() if key[0] == name}))
    for key, command in commands.items():
        settings = settings_of(files, key, command)
        if key[: len(words)] != words:
            continue
        for flag, parameter in options_of(command).items():
            found = settings.get(parameter.name)
            if found is not None:
                yield Value(" ".join(key), flag, found.value, found.file)
            elif words:
                yield Value(" ".join(key), flag, _default_of(parameter), None)


@dataclass(frozen=True)
class _Group:
    commands: dict[str, Any]


def _default_of(parameter: Any) -> Any:
    """Return a default as a user may read it: the words of the help where it is worked out."""
    if parameter.required:
        return "(required)"
    if isinstance(parameter.show_default, str):
        return f"({parameter.show_default})"
    value = parameter.default
    return str(value) if isinstance(value, Path) else value


def _print(values: list[Value]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not values:
        typer.echo("nothing is set")
        return
    table = Table("command", "option", "value", "set by", box=box.SIMPLE_HEAD)
    for value in values:
        shown = "" if value.value is None else str(value.value)
        table.add_row(value.command, value.option, shown, str(value.file or "default"))
    Console().print(table)
