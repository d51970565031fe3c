"""``metaphase doctor``: examine a recipe and its data before training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metaphase.cli.commandclass import Command
from metaphase.cli.options import argument, option

if TYPE_CHECKING:
    from metaphase.training.checks.doctor import Finding

app = typer.Typer(add_completion=False)

_STYLES = {"ok": "green", "note": "cyan", "trap": "yellow", "error": "bold red"}


@app.command(cls=Command)
def doctor(
    recipe: Annotated[Path, argument("recipe")],
    set_: Annotated[list[str] | None, option("--set")] = None,
    measure: Annotated[bool, option("--measure")] = True,
    check_pixels: Annotated[bool, option("--check-pixels")] = False,
    json: Annotated[bool, option("--json")] = False,
) -> None:
    """Examine a recipe and its data before training.

    Finds anchors that miss the figures, a learning rate that never rises, unlabelled or leaking
    cases, and batches that do not fit into memory. Exit code 2 for an error; traps and notes only
    inform.
    """
    from rich.console import Console

    from metaphase.training.checks.doctor import Level, examine, worst
    from metaphase.training.recipe.recipe import load_recipe

    loaded = load_recipe(recipe, set_ or ())
    with Console(stderr=True).status("reading labels") as status:
        findings = examine(loaded, measure=measure, pixels=check_pixels, watch=status.update)
    if json:
        _print_json(findings)
    else:
        _print_table(loaded.name, findings)
    if worst(findings) == Level.ERROR:
        raise typer.Exit(2)


def _print_json(findings: list[Finding]) -> None:
    import json
    from dataclasses import asdict

    typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1, ensure_ascii=False))


def _print_table(name: str, findings: list[Finding]) -> None:
    from collections import Counter

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"doctor: {name}", title_justify="left", expand=True, show_lines=True)
    for column, ratio in (("", None), ("where", 3), ("what", 6), ("measured", 5), ("way out", 4)):
        table.add_column(column, ratio=ratio, overflow="fold")
    for f in findings:
        cells = (f.where, f.message, f.measured, f.way_out)
        table.add_row(Text(f.level, style=_STYLES[f.level]), *(Text(cell) for cell in cells))
    counts = Counter(finding.level.value for finding in findings)
    console = Console()
    console.print(table)
    totals = [f"{counts[level]} {level}" for level in ("error", "trap", "note", "ok")]
    console.print(Text(", ".join(totals)))
