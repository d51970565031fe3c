"""``metaphase data``: check, show, split, convert and download labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from metaphase.errors import Problem
    from metaphase.labels.audit import Audit, Counts
    from metaphase.labels.dataset import Dataset
    from metaphase.labels.split import Split

app = typer.Typer(add_completion=False, no_args_is_help=True)
split_app = typer.Typer(add_completion=False, no_args_is_help=True)
app.add_typer(split_app, name="split", help="Make, publish or check a split.")

Labels = Annotated[Path, typer.Argument(help="File of labels, or a folder that holds one.")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images.")]
Kind = Annotated[
    str | None,
    typer.Option(help="midog, sliderunner, coco, table, qupath or images; recognised by default."),
]
Cases = Annotated[Path | None, typer.Option(help="CSV of cases, for a plain table or for MIDOG++.")]
Mpp = Annotated[float | None, typer.Option(help="um/px, where the labels do not tell it.")]
ScannerName = Annotated[str | None, typer.Option(help="Scanner, where the labels do not tell it.")]
Seed = Annotated[int, typer.Option(help="Another seed, another split.")]
Out = Annotated[Path, typer.Option(help="Where to write.")]
Share = Annotated[float, typer.Option(help="Share of the cases, 0 to 1.")]

_SHOWN = 3


@app.command()
def check(
    labels: Labels,
    images: Images = None,
    kind: Kind = None,
    cases: Cases = None,
    mpp: Mpp = None,
    scanner: ScannerName = None,
    every: Annotated[bool, typer.Option("--all", help="List every finding.")] = False,
) -> None:
    """Tell all that is wrong with labels and their images, with counts; exit 2 if anything is."""
    from metaphase.labels.audit import audit

    result = audit(labels, images=images, kind=kind, cases=cases, mpp=mpp, scanner=scanner)
    _print_tables(result)
    _print_findings("note", "worth knowing", result.notes, every)
    _print_findings("problem", "wrong", result.problems, every)
    if not result.ok:
        raise typer.Exit(2)
    _print(f"{labels}: nothing is wrong")


@app.command()
def show(
    labels: Labels,
    images: Images = None,
    kind: Kind = None,
    cases: Cases = None,
    case: Annotated[str | None, typer.Option(help="Show one case and its figures.")] = None,
) -> None:
    """List the cases of a file of labels, or the figures of one case, as tab-separated text."""
    from metaphase.errors import LabelError
    from metaphase.labels.read import load_dataset

    dataset = load_dataset(labels, images=images, kind=kind, cases=cases)
    if case is None:
        _list_cases(dataset)
    elif case in dataset:
        typer.echo("id\tx_px\ty_px\tlabel")
        for figure in dataset[case].figures:
            typer.echo(f"{figure.id}\t{figure.x_px:g}\t{figure.y_px:g}\t{figure.label}")
    else:
        raise LabelError.of(labels, f"case {case!r} is not in it")


@app.command()
def convert(
    labels: Labels,
    out: Out,
    images: Images = None,
    kind: Kind = None,
    cases: Cases = None,
    mpp: Mpp = None,
    scanner: ScannerName = None,
) -> None:
    """Write any labels as the plain table: figures.csv and cases.csv in a folder."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.table import save_table

    dataset = load_dataset(labels, images=images, kind=kind, cases=cases, mpp=mpp, scanner=scanner)
    for path in save_table(dataset, out):
        _print(f"wrote {path}")


@split_app.command()
def stratified(
    labels: Labels,
    out: Out = Path("split.json"),
    validation: Share = 0.2,
    test: Share = 0.0,
    seed: Seed = 0,
    kind: Kind = None,
    cases: Cases = None,
) -> None:
    """Split by shares, stratified by scanner and by having figures; groups stay together."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.splits import stratified_split

    dataset = load_dataset(labels, kind=kind, cases=cases)
    _write_split(stratified_split(dataset, validation=validation, test=test, seed=seed), out)


@split_app.command("leave-one-out")
def leave_one_out_(
    labels: Labels,
    out: Out = Path("splits"),
    by: Annotated[
        str, typer.Option(help="scanner, tumour, species, laboratory or group.")
    ] = "scanner",
    validation: Share = 0.2,
    validate_on: Annotated[
        str,
        typer.Option(help="share: of the training part; next: the whole next value."),
    ] = "share",
    seed: Seed = 0,
    kind: Kind = None,
    cases: Cases = None,
) -> None:
    """Write one split for each scanner (tumour, group, ...), which is its test part."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.splits import leave_one_out

    dataset = load_dataset(labels, kind=kind, cases=cases)
    splits = leave_one_out(dataset, by, validation=validation, validate_on=validate_on, seed=seed)
    for value, split in splits.items():
        _write_split(split, out / f"without-{_file_name(value)}.json")


@split_app.command()
def published(
    name: Annotated[
        Literal["midog21-official", "exercise", "exercise-as-handed-out"],
        typer.Argument(help="The published list."),
    ],
    out: Out = Path("split.json"),
) -> None:
    """Write a published list of MIDOG 2021: the challenge's own, or the exercise's."""
    from metaphase.labels.splits import exercise_split, midog21_official

    official = name == "midog21-official"
    _write_split(midog21_official() if official else exercise_split(name == "exercise"), out)


@split_app.command("check")
def check_(
    split: Annotated[Path, typer.Argument(help="A split's JSON.")],
    labels: Labels,
    kind: Kind = None,
    cases: Cases = None,
) -> None:
    """Refuse a split with unknown, doubled, unlabelled or leaking cases, and say why; exit 2."""
    from metaphase.labels.read import load_dataset
    from metaphase.labels.splits import check_split, load_split

    found = load_split(split)
    check_split(found, load_dataset(labels, kind=kind, cases=cases))
    _print(f"{split}: fits {labels} ({_sizes(found)})")


@app.command()
def download(
    dataset: Annotated[Literal["midog21", "midogpp"], typer.Argument(help="Which data set.")],
    out: Out,
    scanner: Annotated[
        list[str] | None, typer.Option(help="Only images of this scanner; may be repeated.")
    ] = None,
    tumour: Annotated[
        list[str] | None, typer.Option(help="Only images of this tumour; may be repeated.")
    ] = None,
    verify: Annotated[
        bool, typer.Option(help="Read files that are there again and replace damaged ones.")
    ] = False,
    api: Annotated[str | None, typer.Option(help="Another address of the record's API.")] = None,
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
            scanners=scanner or (),
            tumours=tumour or (),
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
    """List findings; many of one sort are told in one line with the first as an example."""
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
            typer.echo("    (--all lists them)")


def _write_split(split: Split, out: Path) -> None:
    from metaphase.labels.splits import save_split

    save_split(split, out)
    _print(f"wrote {out}: {_sizes(split)}")


def _sizes(split: Split) -> str:
    return ", ".join(f"{part} {len(ids)}" for part, ids in split.parts().items() if ids)


def _file_name(value: str) -> str:
    kept = "".join(c if c.isalnum() or c in "-_." else "-" for c in value.strip().lower())
    return kept.strip(".-") or "unknown"
