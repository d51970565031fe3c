"""``metaphase data``: check, show, split, convert and download labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option, out_file

if TYPE_CHECKING:
    from metaphase.errors import Problem
    from metaphase.labels.audit import Audit, Counts
    from metaphase.labels.dataset import Dataset
    from metaphase.labels.split import Split

app = typer.Typer(add_completion=False, no_args_is_help=True)
split_app = typer.Typer(add_completion=False, no_args_is_help=True)
app.add_typer(split_app, name="split", help="Make, publish or check a split.")

Labels = Annotated[Path, argument("labels")]
Images = Annotated[Path | None, option("--images")]
Format = Annotated[str | None, option("--labels-format")]
CaseTable = Annotated[Path | None, option("--case-table")]
Mpp = Annotated[float | None, option("--mpp")]
Scanner = Annotated[str | None, option("--scanner")]
Seed = Annotated[int, option("--seed")]

_OLD_NAMES = {"--kind": "--labels-format", "--cases": "--case-table"}
_Command = command_class(renamed=_OLD_NAMES)
_SplitCommand = command_class(
    renamed={**_OLD_NAMES, "--validation": "--validation-share", "--test": "--test-share"}
)
_SHOWN = 3


@app.command(cls=command_class(renamed={**_OLD_NAMES, "--all": "--all-findings"}))
def check(
    labels: Labels,
    images: Images = None,
    labels_format: Format = None,
    case_table: CaseTable = None,
    mpp: Mpp = None,
    scanner: Scanner = None,
    all_findings: Annotated[bool, option("--all-findings")] = False,
) -> None:
    """Report every problem of labels and their images, with counts. Exit code 2 for any problem."""
    from metaphase.labels.audit import audit

    result = audit(
        labels, images=images, kind=labels_format, cases=case_table, mpp=mpp, scanner=scanner
    )
    _print_tables(result)
    _print_findings("note", "worth knowing", result.notes, all_findings)
    _print_findings("problem", "wrong", result.problems, all_findings)
    if not result.ok:
        raise typer.Exit(2)
    _print(f"{labels}: nothing is wrong")


@app.command(cls=_Command)
def show(
    labels: Labels,
    images: Images = None,
    labels_format: Format = None,
    case_table: CaseTable = None,
    case: Annotated[str | None, option("--case")] = None,
) -> None:
    """Print the cases of a file of labels, or the figures of one case, as tab-separated text."""
    from metaphase.errors import LabelError
    from metaphase.labels.read import load_dataset

    dataset = load_dataset(labels, images=images, kind=labels_format, cases=case_table)
    if case is None:
        _list_cases(dataset)
    elif case in dataset:
        typer.echo("id\tx_px\ty_px\tlabel")
        for figure in dataset[case].figures:
            typer.echo(f"{figure.id}\t{figure.x_px:g}\t{figure.y_px:g}\t{figure.label}")
    else:
        raise LabelError.of(labels, f"case {case!r} is not in it")


@app.command(cls=_Command)
def convert(
    labels: Labels,
    out: Annotated[Path, option("--out")],
    images: Images = None,
    labels_format: Format = None,
    case_table: CaseTable = None,
    mpp: Mpp = None,
    scanner: Scanner = None,
) -> None:
    """Write labels of any format as a plain table: figures.csv and cases.csv in a folder."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.table import save_table

    dataset = load_dataset(
        labels, images=images, kind=labels_format, cases=case_table, mpp=mpp, scanner=scanner
    )
    for path in save_table(dataset, out):
        _print(f"wrote {path}")


@split_app.command(cls=_SplitCommand)
def stratified(
    labels: Labels,
    out: Annotated[Path, out_file()] = Path("split.json"),
    validation_share: Annotated[float, option("--validation-share")] = 0.2,
    test_share: Annotated[float, option("--test-share")] = 0.0,
    seed: Seed = 0,
    labels_format: Format = None,
    case_table: CaseTable = None,
) -> None:
    """Split by shares, stratified by scanner and by having figures. Groups are not divided."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.splits import stratified_split

    dataset = load_dataset(labels, kind=labels_format, cases=case_table)
    _write_split(
        stratified_split(dataset, validation=validation_share, test=test_share, seed=seed), out
    )


@split_app.command("leave-one-out", cls=_SplitCommand)
def leave_one_out_(
    labels: Labels,
    out: Annotated[Path, option("--out")] = Path("splits"),
    by: Annotated[str, option("--by")] = "scanner",
    validation_share: Annotated[float, option("--validation-share")] = 0.2,
    validate_on: Annotated[str, option("--validate-on")] = "share",
    seed: Seed = 0,
    labels_format: Format = None,
    case_table: CaseTable = None,
) -> None:
    """Write a split for each scanner (tumour, group, ...), with that scanner as the test part."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.splits import leave_one_out

    dataset = load_dataset(labels, kind=labels_format, cases=case_table)
    splits = leave_one_out(
        dataset, by, validation=validation_share, validate_on=validate_on, seed=seed
    )
    for value, split in splits.items():
        _write_split(split, out / f"without-{_file_name(value)}.json")


@split_app.command("published", cls=_Command)
def published_(
    published: Annotated[
        Literal["midog21-official", "exercise", "exercise-as-handed-out"], argument("published")
    ],
    out: Annotated[Path, out_file()] = Path("split.json"),
) -> None:
    """Write a published list of MIDOG 2021: the challenge's own, or the exercise's."""
    from metaphase.labels.splits import exercise_split, midog21_official

    official = published == "midog21-official"
    _write_split(midog21_official() if official else exercise_split(published == "exercise"), out)


def _split_first(values: dict[str, Any], rest: list[str]) -> str | None:
    """Accept ``check SPLIT LABELS``."""
    if "split" in values or not rest:
        return None
    values["split"], values["labels"] = values["labels"], rest.pop(0)
    return "the split's position is deprecated: use 'check LABELS --split SPLIT'"


@split_app.command("check", cls=command_class(renamed=_OLD_NAMES, legacy=_split_first))
def check_(
    labels: Labels,
    split: Annotated[Path, option("--split")],
    labels_format: Format = None,
    case_table: CaseTable = None,
) -> None:
    """Report unknown, repeated, unlabelled or leaking cases of a split. Exit code 2 for any."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.splits import check_split, load_split

    found = load_split(split)
    check_split(found, load_dataset(labels, kind=labels_format, cases=case_table))
    _print(f"{split}: fits {labels} ({_sizes(found)})")


@app.command(
    cls=command_class(
        renamed={"--scanner": "--only-scanner", "--tumour": "--only-tumour"},
        removed={"--no-verify": "it is the default"},
    )
)
def download(
    dataset: Annotated[Literal["midog21", "midogpp"], argument("dataset")],
    out: Annotated[Path, option("--out")],
    only_scanner: Annotated[list[str] | None, option("--only-scanner")] = None,
    only_tumour: Annotated[list[str] | None, option("--only-tumour")] = None,
    verify: Annotated[bool, option("--verify")] = False,
    api: Annotated[str | None, option("--api")] = None,
) -> None:
    """Download MIDOG 2021 or MIDOG++ from its public record; run it again to go on."""
    from metaphase.cli.downloadbar import DownloadBar
    from metaphase.labels.download import download as fetch
    from metaphase.labels.records import RECORDS

    _print(f"{RECORDS[dataset].title}; terms: {RECORDS[dataset].terms}")
    with DownloadBar() as bar:
        done = fetch(
            dataset,
            out,
            scanners=only_scanner or (),
            tumours=only_tumour or (),
            verify=verify,
            api=api,
            watcher=bar,
        )
    _print(f"{done.folder}: {len(done.fetched)} files came, {len(done.kept)} were there")


def _print(text: str) -> None:
    typer.echo(text)


def _list_cases(dataset: Dataset) -> None:
    typer.echo("id\tlabelled\tmitotic\thard_negative\tscanner\ttumour\tmpp\tgroup\timage")
    for case in dataset:
        known = (case.scanner, case.tumour, case.mpp, case.group, case.image)
        values = [case.id, "yes" if case.labelled else "no", *_figures(case), *known]
        typer.echo("\t".join("" if value is None else str(value) for value in values))


def _figures(case: Any) -> tuple[int, int]:
    from metaphase.figures import Label

    return case.count(Label.MITOTIC), case.count(Label.HARD_NEGATIVE)


def _print_tables(result: Audit) -> None:
    from rich.console import Console

    from metaphase.labels.audit import count, counts, known_domains

    dataset = result.dataset
    shown = [by for by in known_domains(dataset) if by != "group"]
    console = Console()
    console.print(f"[bold]{dataset.name}[/] ({result.kind})", highlight=False)
    groups = len(dataset.by_domain("group"))
    if groups < len(dataset):
        console.print(f"{len(dataset)} cases in {groups} groups", highlight=False)
    for by in (*shown, "mpp"):
        rows = counts(dataset, by)
        console.print(_table(by, rows, count(dataset) if len(rows) > 1 else None))


def _table(by: str, rows: list[Counts], total: Counts | None) -> Any:
    from rich.table import Table

    table = Table(show_edge=False, pad_edge=False, show_footer=False)
    table.add_column(by, overflow="fold")
    for name in ("cases", "labelled", "no mitotic", "mitotic", "hard negative"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(row.value, *_numbers(row))
    if total is not None:
        table.add_section()
        table.add_row(total.value, *_numbers(total))
    return table


def _numbers(row: Counts) -> list[str]:
    values = (row.cases, row.labelled, row.without_mitotic, row.mitotic, row.hard_negatives)
    return [f"{value:,}" for value in values]


def _print_findings(word: str, title: str, findings: tuple[Problem, ...], every: bool) -> None:
    """List findings; many of one kind share a line with the first as an example."""
    if not findings:
        return
    typer.echo(f"\n{title}: {len(findings)} {word}{'s' if len(findings) > 1 else ''}")
    sorts: dict[tuple[str, str], list[Problem]] = {}
    for finding in findings:
        sorts.setdefault((finding.file, finding.message.partition(":")[0]), []).append(finding)
    for (file, message), group in sorts.items():
        if every or len(group) <= _SHOWN:
            for finding in group:
                typer.echo(f"  - {finding}")
        else:
            rest = group[0].message.removeprefix(message).lstrip(": ")
            example = f"{group[0].record}{': ' if rest else ''}{rest}"
            typer.echo(f"  - {file}: {len(group)} times: {message} (the first: {example})")
            if group[0].way_out:
                typer.echo(f"    ({group[0].way_out})")
            typer.echo("    (--all-findings lists them)")


def _write_split(split: Split, out: Path) -> None:
    from metaphase.labels.splits import save_split

    save_split(split, out)
    _print(f"wrote {out}: {_sizes(split)}")


def _sizes(split: Split) -> str:
    return ", ".join(f"{part} {len(ids)}" for part, ids in split.parts().items() if ids)


def _file_name(value: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in value.strip().lower())
    return kept.strip(".-") or "unknown"
