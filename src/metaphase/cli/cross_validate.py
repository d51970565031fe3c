"""``metaphase cross-validate RECIPE.toml --by group``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option

app = typer.Typer(add_completion=False)


@app.command(cls=command_class(renamed={"--threshold": "--threshold-from"}))
def cross_validate(
    recipe: Annotated[Path, argument("recipe")],
    by: Annotated[str, option("--by")] = "group",
    out: Annotated[Path | None, option("--out", default="runs/NAME-by-BY")] = None,
    threshold_from: Annotated[
        Literal["other-folds", "inner"], option("--threshold-from")
    ] = "other-folds",
    set_: Annotated[list[str] | None, option("--set")] = None,
    check_pixels: Annotated[bool, option("--check-pixels")] = False,
    hold_out: Annotated[list[str] | None, option("--hold-out")] = None,
    jobs: Annotated[int, option("--jobs")] = 1,
    quiet: Annotated[bool, option("--quiet")] = False,
) -> None:
    """Train and score, leaving out one group at a time. Finished folds are not repeated."""
    from rich.console import Console

    from metaphase.training.folds.crossvalidation import cross_validate
    from metaphase.training.recipe.recipe import load_recipe
    from metaphase.training.runfolder import CrossValidationFolder

    loaded = load_recipe(recipe, set_ or ())
    folder = out or Path("runs") / f"{loaded.name}-by-{by}"
    result = cross_validate(
        loaded,
        out=folder,
        by=by,
        threshold=threshold_from,
        hold_out=held_out_patterns(hold_out or ()),
        check_pixels=check_pixels,
        jobs=jobs,
        show=not quiet,
        progress=Console(stderr=True).print if not quiet else lambda message: None,
    )
    console = Console()
    console.print(_table(result))
    console.print(_interval(result))
    typer.echo(CrossValidationFolder(folder).result)


def held_out_patterns(given: Sequence[str]) -> tuple[str, ...]:
    """Return patterns of crops with each list (``@list.txt``) expanded. Raises RecipeError."""
    from metaphase.errors import RecipeError
    from metaphase.training.recipe.caselists import expand_lists

    try:
        return expand_lists(given)
    except ValueError as error:
        way_out = "name a file with one pattern a line after the @"
        raise RecipeError.of("--hold-out", str(error), way_out=way_out) from None


def _table(result: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"{result['recipe']}: leave one {result['left_out']} out")
    for column in ("left out", "threshold", "F1", "precision", "recall", "TP", "FP", "FN"):
        table.add_column(column, justify="left" if column == "left out" else "right")
    for name, fold in result["folds"].items():
        table.add_row(name, f"{fold['threshold']:.3f}", *_cells(fold))
    table.add_section()
    table.add_row("pooled", "", *_cells(result["pooled"]))
    return table


def _interval(result: dict[str, Any]) -> str:
    f1 = result["pooled"]["intervals"].get("f1")
    if f1 is None or f1["low"] is None:
        return ""
    between = f"{f1['low']:.3f} to {f1['high']:.3f}"
    return f"pooled F1, 95 % interval by bootstrap over {f1['units']} groups: {between}"


def _cells(scores: dict[str, Any]) -> list[str]:
    rates = [scores[name] for name in ("f1", "precision", "recall")]
    counts = [scores[name] for name in ("tp", "fp", "fn")]
    return [f"{r:.3f}" if r is not None else "-" for r in rates] + [str(c) for c in counts]
