"""Every option and argument has one meaning in all commands."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import pytest
import typer

from metaphase.cli import COMMANDS, load
from metaphase.cli.options import ARGUMENTS, NETWORK_HELP, OPTIONS


@dataclass(frozen=True)
class Use:
    """How a command declares a parameter."""

    command: str
    flags: tuple[str, ...]
    off: tuple[str, ...]
    help: str
    type: str
    limits: tuple[float | None, float | None]
    required: bool


def walk(command, name):
    """Yield every command that does something, with its full name."""
    if hasattr(command, "commands"):
        for part, inner in command.commands.items():
            yield from walk(inner, f"{name} {part}")
    else:
        yield name, command


def all_commands():
    for name in COMMANDS:
        yield from walk(typer.main.get_command(load(name)), name)


def type_of(parameter):
    annotation = getattr(parameter, "type_descriptor", None)
    text = str(annotation.annotation) if annotation is not None else str(parameter.type)
    return f"{text} {parameter.multiple if hasattr(parameter, 'multiple') else ''}"


def use_of(name, parameter):
    return Use(
        name,
        tuple(parameter.opts),
        tuple(parameter.secondary_opts),
        parameter.help or "",
        type_of(parameter),
        (getattr(parameter, "min", None), getattr(parameter, "max", None)),
        parameter.required,
    )


def visible(kind):
    found = defaultdict(list)
    for name, command in all_commands():
        for parameter in command.params:
            if parameter.param_type_name == kind and not parameter.hidden:
                found[parameter.opts[0]].append(use_of(name, parameter))
    return found


def test_an_option_is_the_same_in_every_command():
    for name, uses in visible("option").items():
        if name in ("--install-completion", "--show-completion"):
            continue
        assert len({(u.flags, u.off, u.type, u.limits) for u in uses}) == 1, (name, uses)
        if name == "--out":
            assert {u.help for u in uses} == {
                "Folder to write the results to.",
                "File to write the results to.",
            }
        elif name in NETWORK_HELP:
            assert {u.help for u in uses} == {OPTIONS[name].help, NETWORK_HELP[name]}, name
        else:
            assert {u.help for u in uses} == {OPTIONS[name].help}, name


def test_an_argument_is_the_same_in_every_command():
    for name, uses in visible("argument").items():
        assert {u.help for u in uses} == {ARGUMENTS[name]}, name


def test_a_word_is_an_option_or_an_argument_by_one_rule():
    """Labels are an argument in 'metaphase data' alone, models and outputs never."""
    arguments = visible("argument")
    assert all(use.command.startswith("data ") for use in arguments["labels"])
    assert not {"model", "out"} & set(arguments)
    for use in visible("option")["--labels"]:
        assert not use.command.startswith("data ")


def test_every_definition_is_used_and_every_help_is_a_sentence():
    used = set(visible("option"))
    assert set(OPTIONS) <= used
    assert set(ARGUMENTS) <= set(visible("argument"))
    for name, text in [*((n, d.help) for n, d in OPTIONS.items()), *ARGUMENTS.items()]:
        assert text.endswith("."), name
        assert "unasked" not in text, name


@pytest.mark.parametrize("name", list(COMMANDS))
def test_flags_show_no_type(name, capsys):
    for path, command in walk(typer.main.get_command(load(name)), name):
        context = command.make_context(path, [], resilient_parsing=True)
        for parameter in command.get_params(context):
            if getattr(parameter, "is_flag", False):
                assert parameter.metavar == "", (path, parameter.name)


def test_every_command_has_a_help_of_whole_sentences():
    for name, command in all_commands():
        assert command.help, name
        assert command.help.split("\n\n")[0].rstrip().endswith("."), (name, command.help)
        assert all("\n" not in part for part in command.help.split("\n\n")), name
