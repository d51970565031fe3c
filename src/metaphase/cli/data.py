"""``metaphase data``: check, show, split, convert and download labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, option, out_file

if TYPE_CHECKING:
    from metaphase.errors import Problem
    from metaphase.labels.audit import Audit
    from metaphase.labels.split import Split
    from metaphase.labels.summary import Counts

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
    from metaphase.labels.findings import finding_lines

    result = audit(
        labels, images=images, kind=labels_format, cases=case_table, mpp=mpp, scanner=scanner
    )
    problems = (*result.problems, *(_image_problems(result) if images else ()))
    _print_counts(result)
    for word, title, findings in (
        ("note", "worth knowing", result.notes),
        ("problem", "wrong", problems),
    ):
        if findings:
            plural = "s" if len(findings) > 1 else ""
            typer.echo(f"\n{title}: {len(findings)} {word}{plural}")
            typer.echo("\n".join(finding_lines(findings, every=all_findings)))
    if problems:
        raise typer.Exit(2)
    typer.echo(f"{labels}: nothing is wrong")


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
    from metaphase.labels.summary import CASE_LIST_COLUMNS, case_list

    dataset = load_dataset(labels, images=images, kind=labels_format, cases=case_table)
    if case is None:
        for row in (CASE_LIST_COLUMNS, *case_list(dataset)):
            typer.echo("\t".join(row))
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
    from metaphase.labels.formats.table import save_table
    from metaphase.labels.read import load_dataset
    from metaphase.locks import locked_folder

    dataset = load_dataset(
        labels, images=images, kind=labels_format, cases=case_table, mpp=mpp, scanner=scanner
    )
    with locked_folder(out):
        for path in save_table(dataset, out):
            typer.echo(f"wrote {path}")


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
    from metaphase.labels.stratify import stratified_split

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
    from metaphase.labels.stratify import leave_one_out, split_file_name
    from metaphase.locks import locked_folder

    dataset = load_dataset(labels, kind=labels_format, cases=case_table)
    splits = leave_one_out(
        dataset, by, validation=validation_share, validate_on=validate_on, seed=seed
    )
    with locked_folder(out):
        for value, split in splits.items():
            _write_split(split, out / split_file_name(value))


@split_app.command("published", cls=_Command)
def published_(
    published: Annotated[
        Literal["midog21-official", "exercise", "exercise-as-handed-out"], argument("published")
    ],
    out: Annotated[Path, out_file()] = Path("split.json"),
) -> None:
    """Write a published list of MIDOG 2021: the challenge's own, or the exercise's."""
    from metaphase.labels.publishedsplits import PUBLISHED

    _write_split(PUBLISHED[published](), out)


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
    from metaphase.labels.split import check_split, load_split

    content = load_split(split)
    check_split(content, load_dataset(labels, kind=labels_format, cases=case_table))
    typer.echo(f"{split}: fits {labels} ({_sizes(content)})")


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
    """Download MIDOG 2021 or MIDOG++ from its public record; run it again to resume."""
    from metaphase.cli.downloadbar import DownloadBar
    from metaphase.labels.download.midog import download as fetch
    from metaphase.labels.download.records import RECORDS
    from metaphase.locks import locked_folder

    typer.echo(f"{RECORDS[dataset].title}; terms: {RECORDS[dataset].terms}")
    with locked_folder(out), DownloadBar() as bar:
        done = fetch(
            dataset,
            out,
            scanners=only_scanner or (),
            tumours=only_tumour or (),
            verify=verify,
            api=api,
            progress=bar,
        )
    typer.echo(
        f"{done.folder}: {len(done.fetched)} files downloaded, {len(done.kept)} were there already"
    )


def _image_problems(result: Audit) -> list[Problem]:
    from rich.console import Console

    from metaphase.slides.labelcheck import check_images

    with Console(stderr=True).status("opening images") as status:
        return list(check_images(result.dataset, lambda id_: status.update(f"opening {id_}")))


def _print_counts(result: Audit) -> None:
    from rich.console import Console
    from rich.text import Text

    from metaphase.labels.summary import count, counts, known_domains

    dataset = result.dataset
    shown = [by for by in known_domains(dataset) if by != "group"]
    console = Console()
    console.print(Text(dataset.name, style="bold"), f"({result.kind})", highlight=False)
    groups = len(dataset.by_domain("group"))
    if groups < len(dataset):
        console.print(f"{len(dataset)} cases in {groups} groups", highlight=False)
    for by in (*shown, "mpp"):
        rows = counts(dataset, by)
        console.print(_table(by, rows, count(dataset) if len(rows) > 1 else None))


def _table(by: str, rows: list[Counts], total: Counts | None) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(show_edge=False, pad_edge=False, show_footer=False)
    table.add_column(by, overflow="fold")
    for name in ("cases", "labelled", "no mitotic", "mitotic", "hard negative"):
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(Text(row.value), *_numbers(row))
    if total is not None:
        table.add_section()
        table.add_row(total.value, *_numbers(total))
    return table


def _numbers(row: Counts) -> list[str]:
    values = (row.cases, row.labelled, row.without_mitotic, row.mitotic, row.hard_negatives)
    return [f"{value:,}" for value in values]


def _write_split(split: Split, out: Path) -> None:
    from metaphase.labels.split import save_split

    save_split(split, out)
    typer.echo(f"wrote {out}: {_sizes(split)}")


def _sizes(split: Split) -> str:
    return ", ".join(f"{part} {len(ids)}" for part, ids in split.parts().items() if ids)
