"""``make bench``: run every benchmark and print its rows."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from benchmarks import evaluation, patches, startup, viewer


def main() -> None:
    console = Console()
    for module in (startup, patches, evaluation, viewer):
        table = Table(title=(module.__doc__ or "").strip().splitlines()[0])
        for column in ("what", "measured", "against", "ratio"):
            table.add_column(column)
        for row in module.rows():
            table.add_row(*row)
        console.print(table)


if __name__ == "__main__":
    main()
