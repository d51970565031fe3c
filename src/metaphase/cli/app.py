"""The group of commands, each imported only when it is called."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from metaphase import __version__
from metaphase.cli.commandclass import Group
from metaphase.cli.commands import COMMANDS, load


class LazyGroup(Group):
    """A group that knows its commands by name and short help, and imports one when it is called."""

    _calling = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        # Placeholders: names for the list of commands and for "Did you mean" suggestions.
        for name, (_, text) in COMMANDS.items():
            self.commands[name] = TyperCommand(name=name, help=text)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of work."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the command that is called; only here its module is imported."""
        self._calling = True
        try:
            return super().resolve_command(ctx, args)
        finally:
            self._calling = False

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command when it is called, otherwise its placeholder."""
        if cmd_name not in COMMANDS or not self._calling:
            return self.commands.get(cmd_name)
        command = typer.main.get_command(load(cmd_name))
        command.name = cmd_name
        command.help = command.help or COMMANDS[cmd_name][1]
        if not ctx.resilient_parsing and cmd_name != "config":
            _read_defaults(ctx, cmd_name, command)
        return command


def _read_defaults(ctx: Any, name: str, command: Any) -> None:
    """Set the defaults of a command that ``metaphase.toml`` gives."""
    from metaphase.cli.configfile import config_files, default_map, is_there

    if any(is_there(path) for path in config_files()):
        ctx.default_map = default_map(name, command)


def group() -> Any:
    """Return the command-line program."""
    app = typer.Typer(
        cls=LazyGroup,
        name="metaphase",
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def metaphase(
        version: Annotated[
            bool,
            typer.Option(
                "--version",
                help="Print the version and exit.",
                is_eager=True,
                callback=_print_version,
            ),
        ] = False,
    ) -> None:
        """Find and count mitotic figures in H&E images."""

    return typer.main.get_command(app)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"metaphase {__version__}")
        raise typer.Exit
