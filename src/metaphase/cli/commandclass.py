"""The classes of commands: help without noise, old names of options, options that need others."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

REMOVED_IN = "0.3"
"""The version in which the old names are no longer accepted."""

Legacy = Callable[[dict[str, Any], list[str]], str | None]
"""Moves values of an old form of a command line; returns a message if it was used."""


class Group(TyperGroup):
    """A group of commands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.help = join_lines(self.help)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; flags show no type."""
        return _without_flag_types(super().get_params(ctx))


class Command(TyperCommand):
    """A command that also accepts the command line of the release before.

    ``renamed`` maps old options to new ones, ``removed`` maps options without effect to the
    reason. ``positionals`` are parameters that were positional arguments and are options now, in
    their order. ``legacy`` moves values where that is not enough. ``needs`` maps an option to
    another without which it has no effect; ``excludes`` maps an option to those that it cannot be
    combined with.
    """

    renamed: Mapping[str, str] = {}
    removed: Mapping[str, str] = {}
    positionals: Sequence[str] = ()
    legacy: Legacy | None = None
    needs: Mapping[str, str] = {}
    excludes: Mapping[str, Sequence[str]] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.help = join_lines(self.help)

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters; flags show no type."""
        return _without_flag_types(super().get_params(ctx))

    def make_parser(self, ctx: Any) -> Any:
        """Return a parser that also understands the positional arguments of the release before."""
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_args(args: list[str]) -> Any:
            values, rest, order = parse(args=args)
            self._move_values(values, rest)
            return values, rest, order

        parser.parse_args = parse_args  # type: ignore[method-assign]
        return parser

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command. Raises typer.BadParameter."""
        rest = super().parse_args(ctx, list(self._with_new_names(args)))
        if not ctx.resilient_parsing:
            self._check_combinations(ctx)
            self._report_settings(ctx)
        return rest

    def _with_new_names(self, args: Sequence[str]) -> list[str]:
        words: list[str] = []
        for number, word in enumerate(args):
            if word == "--":
                return [*words, *args[number:]]
            name, equals, value = word.partition("=")
            if name in self.removed:
                notice(f"{name} has no effect any more: {self.removed[name]}")
            elif name in self.renamed:
                renamed(name, self.renamed[name])
                words.append(f"{self.renamed[name]}{equals}{value}")
            else:
                words.append(word)
        return words

    def _move_values(self, values: dict[str, Any], rest: list[str]) -> None:
        if self.legacy is not None and (message := type(self).legacy(values, rest)):  # type: ignore[misc]
            notice(message)
        for name in self.positionals:
            if rest and name not in values:
                values[name] = rest.pop(0)
                renamed("the position of this value", f"--{name.replace('_', '-')}")

    def _check_combinations(self, ctx: Any) -> None:
        parameters = {
            word: parameter
            for parameter in self.params
            for word in (*parameter.opts, *parameter.secondary_opts)
        }

        def source_of(option: str) -> str:
            source = ctx.get_parameter_source(parameters[option].name)
            return "" if source is None else str(source.name)

        def is_given(option: str) -> bool:
            return source_of(option) == "COMMANDLINE"

        for option, other in self.needs.items():
            if is_given(option) and not is_given(other):
                raise typer.BadParameter(f"{option} has no effect without {other}", ctx=ctx)
        for option, others in self.excludes.items():
            for other in others:
                if not is_given(option):
                    continue
                if is_given(other):
                    raise typer.BadParameter(f"{option} has no effect with {other}", ctx=ctx)
                if source_of(other) == "DEFAULT_MAP":  # a file's default gives way to an option
                    parameter = parameters[other]
                    ctx.params[parameter.name] = parameter.default

    def _report_settings(self, ctx: Any) -> None:
        """Print which defaults a configuration file sets, because they change results."""
        used: dict[str, list[str]] = {}
        for name, setting in getattr(ctx.default_map, "settings", {}).items():
            source = ctx.get_parameter_source(name)
            if source is not None and source.name == "DEFAULT_MAP":
                used.setdefault(str(setting.file), []).append(f"{setting.option}={setting.value}")
        if not ctx.params.get("quiet"):
            for file, words in used.items():
                notice(f"{file} sets {' '.join(words)}")


def command_class(**attributes: Any) -> type[Command]:
    """Return a subclass of Command with the given attributes."""
    if "legacy" in attributes:
        attributes["legacy"] = staticmethod(attributes["legacy"])
    return type("Command", (Command,), attributes)


def notice(message: str) -> None:
    """Print a line to stderr."""
    typer.echo(f"note: {message}", err=True)


def renamed(old: str, new: str) -> None:
    """Print which name replaces an old one."""
    notice(f"{old} is deprecated and will be refused by version {REMOVED_IN}: use {new}")


def join_lines(text: str | None) -> str | None:
    """Return a help text with one line for each paragraph, so that it wraps at any width."""
    if text is None:
        return None
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _without_flag_types(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters
