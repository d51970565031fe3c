"""``metaphase.toml``: defaults of options, set once for a project or a user.

    threads = 4                # every command that has --threads
    [detect]
    device = "onnx"            # metaphase detect --device
    [data.check]
    all-findings = true        # metaphase data check --all-findings

An option on the command line comes first, then ``metaphase.toml`` in the working folder, then the
user's file, then the built-in default. Within a file, a command's table comes before a key outside
of tables. ``METAPHASE_CONFIG`` names one file that replaces both; empty, no file is read.
"""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

from metaphase.cli.commands import COMMANDS
from metaphase.cli.options import OPTIONS
from metaphase.errors import InputError
from metaphase.textfile import read_text
from metaphase.values import shown

CONFIG = "METAPHASE_CONFIG"
FILE_NAME = "metaphase.toml"


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a file sets: for which option (``--threads``), and where."""

    option: str
    value: Any
    file: Path


class Defaults(dict[str, Any]):
    """The defaults of a command by the names of its parameters, and the settings they are from."""

    def __init__(self, settings: Mapping[str, Setting]) -> None:
        super().__init__({name: setting.value for name, setting in settings.items()})
        self.settings = dict(settings)


def config_files() -> list[Path]:
    """Return the files that may hold settings, the one that comes first first."""
    named = os.environ.get(CONFIG)
    if named is not None:
        return [Path(named)] if named else []
    return [Path(FILE_NAME), user_file()]


def user_file() -> Path:
    """Return the path of the user's file."""
    if sys.platform == "win32":
        folder = os.environ.get("APPDATA")
        base = Path(folder) if folder else Path.home() / "AppData" / "Roaming"
    else:
        folder = os.environ.get("XDG_CONFIG_HOME")
        base = Path(folder) if folder else Path.home() / ".config"
    return base / "metaphase" / FILE_NAME


def default_map(name: str, command: Any) -> dict[str, Any]:
    """Return the defaults of a command, or of each subcommand of a group, for its context.

    Raises InputError, with the file and the key, for what is no setting.
    """
    files = [(path, read_config(path)) for path in reversed(config_files()) if is_there(path)]
    if not hasattr(command, "commands"):
        return {name: Defaults(settings_of(files, (name,), command))}
    for path, tables in files:
        _refuse_unknown(path, name, _table(path, tables, (name,)), list(command.commands))
    return {
        name: {
            word: Defaults(settings_of(files, (name, word), inner))
            for word, inner in command.commands.items()
        }
    }


def settings_of(
    files: list[tuple[Path, dict[str, Any]]], words: tuple[str, ...], command: Any
) -> dict[str, Setting]:
    """Return the settings of a command by parameter; ``files`` come with the most important last.

    Raises InputError.
    """
    options = options_of(command)
    context = command.make_context(words[-1], [], resilient_parsing=True)
    settings: dict[str, Setting] = {}
    for path, tables in files:
        common = {key: value for key, value in tables.items() if not isinstance(value, dict)}
        _refuse_unknown(path, "", common, [word[2:] for word in OPTIONS])
        shared = {key: value for key, value in common.items() if flag_of(key) in options}
        own = _table(path, tables, words)
        _refuse_unknown(path, ".".join(words), own, [word[2:] for word in options])
        for place, table in (("", shared), (f"{'.'.join(words)}.", own)):
            for key, value in table.items():
                parameter = options[flag_of(key)]
                checked = _checked(parameter, context, value, path, place + key)
                settings[parameter.name] = Setting(flag_of(key), checked, path)
    return settings


def options_of(command: Any) -> dict[str, Any]:
    """Return the options of a command that a file may set, by their long flags."""
    return {
        parameter.opts[0]: parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and not parameter.hidden
    }


def flag_of(key: str) -> str:
    """Return the option that a key sets; ``min_score`` and ``min-score`` are the same."""
    return f"--{key.replace('_', '-')}"


def is_there(path: Path) -> bool:
    """Return whether a file is to be read. One that ``METAPHASE_CONFIG`` names must exist."""
    return CONFIG in os.environ or path.exists()


def read_config(path: Path) -> dict[str, Any]:
    """Return the content of a file; tables that are no commands are refused. Raises InputError."""
    try:
        content = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:  # a ValueError for thousands of digits
        raise InputError.of(path, f"is not TOML: {error}") from error
    tables = {key: value for key, value in content.items() if isinstance(value, dict)}
    _refuse_unknown(path, "", tables, list(COMMANDS), what="command")
    return content


def all_commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    """Import every command and yield it with its words, such as ``("data", "check")``."""
    from metaphase.cli.commands import load

    for name in COMMANDS:
        command: Any = typer.main.get_command(load(name))
        for word, inner in getattr(command, "commands", {}).items():
            yield (name, word), inner
        if not hasattr(command, "commands"):
            yield (name,), command


def _table(path: Path, tables: Mapping[str, Any], words: tuple[str, ...]) -> dict[str, Any]:
    """Return the table of a command, empty where the file has none."""
    found: Any = tables
    for number, word in enumerate(words, start=1):
        found = found.get(word, {})
        if not isinstance(found, dict):
            message = f"is a table of options, not {shown(found)}"
            raise InputError.of(path, message, record=".".join(words[:number]))
    return dict(found)


def _refuse_unknown(
    path: Path, place: str, table: Mapping[str, Any], known: list[str], *, what: str = "option"
) -> None:
    for key in table:
        if key in known or key.replace("_", "-") in known:
            continue
        near = get_close_matches(key.replace("_", "-"), known, n=1)
        raise InputError.of(
            path,
            f"there is no {what} of this name",
            record=f"{place}.{key}" if place else key,
            way_out=f"did you mean {near[0]!r}?"
            if near
            else "'metaphase config' lists what is set",
        )


def _checked(parameter: Any, context: Any, value: Any, path: Path, key: str) -> Any:
    """Return a value as the option takes it. Raises InputError."""
    way_out = f"see --help of the command for {parameter.opts[0]}"
    is_flag = parameter.is_flag or bool(parameter.secondary_opts)
    if is_flag != isinstance(value, bool):
        expected = "true or false" if is_flag else "a value"
        raise InputError.of(path, f"is {shown(value)}, not {expected}", record=key, way_out=way_out)
    if is_flag:
        return value
    values = value if isinstance(value, list) else [value]
    if isinstance(value, list) and not parameter.multiple:
        raise InputError.of(path, "takes one value, not a list", record=key, way_out=way_out)
    for one in values:
        if isinstance(one, bool) or not isinstance(one, int | float | str):
            raise InputError.of(path, f"is {shown(one)}, not a value", record=key, way_out=way_out)
    try:
        words = [str(one) for one in values]
    except ValueError:  # an integer with more digits than Python prints
        raise InputError.of(path, f"is {shown(value)}", record=key, way_out=way_out) from None
    try:
        parameter.process_value(context, words if parameter.multiple else words[0])
    except typer.BadParameter as error:
        message = f"is {shown(value)}: {error.message}"
        raise InputError.of(path, message, record=key, way_out=way_out) from error
    return words if parameter.multiple else words[0]
