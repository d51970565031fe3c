"""Pages of the documentation that are made from the code when it is built."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

from mkdocs.structure.files import File, Files


def on_files(files: Files, config: Any) -> Files:
    """Add the reference of the commands and of the Python names."""
    for name, text in (("commands", commands_page()), ("python", python_page())):
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    return files


def commands_page() -> str:
    """Return all commands with their options, in Markdown."""
    import typer

    from metaphase.cli import COMMANDS, load

    parts = ["# Commands\n", _EXIT_CODES]
    for name in COMMANDS:
        command: Any = typer.main.get_command(load(name))
        if hasattr(command, "commands"):
            parts.append(f"## metaphase {name}\n\n{_text(command.help)}\n")
            for word, inner in command.commands.items():
                parts += _command(f"metaphase {name} {word}", inner, level=3)
        else:
            parts += _command(f"metaphase {name}", command, level=2)
    return "\n".join(parts)


_EXIT_CODES = """
| exit code | meaning |
|---|---|
| 0 | success |
| 1 | some items of a batch failed; the others are finished |
| 2 | wrong input or usage: the message names the file, the record and the way out; or `data check`\
 or `doctor` found problems |
| 130 | interrupted; the same command resumes |
"""


def _command(title: str, command: Any, *, level: int) -> Iterator[str]:
    arguments = [p for p in command.params if _is_argument(p)]
    words = [f"{p.name.upper()}{'...' if p.nargs == -1 else ''}" for p in arguments]
    yield f"{'#' * level} {title}\n"
    yield f"```\n{' '.join([title, *words, '[OPTIONS]'])}\n```\n"
    yield f"{_text(command.help)}\n"
    yield "| option | meaning | default |\n|---|---|---|"
    for parameter in command.params:
        if not _is_argument(parameter) and not getattr(parameter, "hidden", False):
            names = ", ".join(f"`{word}`" for word in (*parameter.opts, *parameter.secondary_opts))
            yield f"| {names} | {_cell(parameter.help)} | {_default(parameter)} |"
    yield ""


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return _cell(parameter.show_default)
    if parameter.required:
        return "required"
    value = parameter.default
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return f"`{value}`" if plain else ""


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def _text(text: str | None) -> str:
    return inspect.cleandoc(text or "")


def python_page() -> str:
    """Return all public names with their signatures and docstrings, in Markdown."""
    import metaphase

    parts = ["# Python\n", "All public names, as `metaphase.NAME`.\n"]
    for name in metaphase.__all__:
        if name != "__version__":
            parts.append(_name(name, getattr(metaphase, name)))
    return "\n".join(parts)


def _name(name: str, value: Any) -> str:
    text = f"## {name}\n\n```python\n{_signature(name, value)}\n```\n\n{_docstring(value)}\n"
    if not inspect.isclass(value) or issubclass(value, Exception):
        return text
    for method, member in vars(value).items():
        if method.startswith("_") or not member.__doc__ or _foreign(member):
            continue
        if isinstance(member, property):
            text += f"\n**`.{method}`** {_docstring(member)}\n"
        elif callable(getattr(value, method)):
            text += f"\n**`.{_signature(method, getattr(value, method))}`** {_docstring(member)}\n"
    return text


def _foreign(member: Any) -> bool:
    module = getattr(member, "__module__", None) or "metaphase"
    return not module.startswith("metaphase")


def _docstring(value: Any) -> str:
    return (inspect.getdoc(value) or "").replace("``", "`").replace("<", "&lt;")


def _signature(name: str, value: Any) -> str:
    try:
        return f"{name}{inspect.signature(value)}"
    except (TypeError, ValueError):
        return name
