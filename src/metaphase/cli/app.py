"""The group of commands, each imported only when it is called."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from metaphase import __version__
from metaphase.cli import COMMANDS, load


class LazyGroup(TyperGroup):
    """A group that knows its commands by name and short help alone."""

    _calling = False

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of work."""
        return list(COMMANDS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that is called: the one moment when its module is needed."""
        self._calling = True
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the real command when it is called, its name and short help when it is listed."""
        if cmd_name not in COMMANDS:
            return None
        if not self._calling:
            return typer.core.TyperCommand(name=cmd_name, help=COMMANDS[cmd_name][1])
        command = typer.main.get_command(load(cmd_name))
        command.name = cmd_name
        command.help = command.help or COMMANDS[cmd_name][1]
        return command


def group() -> Any:
    """Return the command-line program."""
    app = typer.Typer(
        cls=LazyGroup,
        name="metaphase",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def metaphase(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)
        ] = False,
    ) -> None:
        """Find and count mitotic figures in H&E images."""
        if version:
            typer.echo(__version__)
            raise typer.Exit

    return typer.main.get_command(app)
