"""``metaphase compare``: two models or sets of detections on the same cases."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from metaphase.cli.commandclass import command_class
from metaphase.cli.options import argument, check_truth, option
from metaphase.evaluation.bootstrap import Method
from metaphase.evaluation.matching import Rule
from metaphase.radii import MATCH_RADIUS_UM

app = typer.Typer(add_completion=False)

_CASES, _MATCH, _RESULT = "Which cases", "How it is scored", "Results"
_FOREIGN = "Detections of other tools"


@app.command(cls=command_class(needs={"--part": "--split", "--crops": "--out"}))
def compare(
    first: Annotated[str, argument("first")],
    second: Annotated[str, argument("second")],
    labels: Annotated[Path, option("--labels")],
    out: Annotated[Path | None, option("--out", default="print only")] = None,
    images: Annotated[Path | None, option("--images", panel=_CASES)] = None,
    case_table: Annotated[Path | None, option("--case-table", panel=_CASES)] = None,
    split: Annotated[Path | None, option("--split", panel=_CASES)] = None,
    part: Annotated[str | None, option("--part", panel=_CASES, default="test")] = None,
    labelled_only: Annotated[bool, option("--labelled-only", panel=_CASES)] = False,
    detections_format: Annotated[str | None, option("--detections-format", panel=_FOREIGN)] = None,
    mpp: Annotated[float | None, option("--mpp", panel=_FOREIGN)] = None,
    truth: Annotated[Path | None, option("--truth", panel=_FOREIGN, default="--labels")] = None,
    absent_is_empty: Annotated[bool, option("--absent-is-empty", panel=_FOREIGN)] = False,
    merge_radius_um: Annotated[float | None, option("--merge-radius-um", panel=_FOREIGN)] = None,
    radius_um: Annotated[float, option("--radius-um", panel=_MATCH)] = MATCH_RADIUS_UM,
    rule: Annotated[Rule, option("--rule", panel=_MATCH)] = "midog",
    seed: Annotated[int, option("--seed", panel=_MATCH)] = 0,
    by: Annotated[str, option("--by", panel=_RESULT)] = "scanner",
    resamples: Annotated[int, option("--resamples", panel=_RESULT)] = 2000,
    intervals: Annotated[Method, option("--intervals", panel=_RESULT)] = "bca",
    crops: Annotated[int, option("--crops", panel=_RESULT)] = 24,
) -> None:
    """Compare two models, sets of detections or evaluations on the same cases.

    Each side is a model (a folder, or the name of a bundled model), detections of any kind, or the
    JSON of 'metaphase evaluate'. A model first detects in the images of the cases. Each side is
    scored at its own threshold. The differences have 95 % intervals by paired bootstrap over cases,
    stratified by --by.

    With --out, the evaluation of each side, comparison.json, report.html and the detections of
    models are written there; the same command then resumes an interrupted comparison.
    """
    from rich.console import Console

    from metaphase.evaluation.cases import load_cases
    from metaphase.evaluation.settings import EvaluationSettings
    from metaphase.evaluation.tables import comparison, side_by_side
    from metaphase.exchange.foreigndetections import ForeignDetections
    from metaphase.labels.dataset import DOMAINS
    from metaphase.locks import locked_folder
    from metaphase.report.comparison import names_of_sources, score_source, write_comparison

    if by not in DOMAINS:
        raise typer.BadParameter(f"--by is one of {', '.join(DOMAINS)}, not {by!r}")
    dataset = load_cases(
        labels,
        images=images,
        cases=case_table,
        split=split,
        part=part or "test",
        labelled_only=labelled_only,
    )
    settings = EvaluationSettings(
        radius_um=radius_um,
        rule=rule,
        resamples=resamples,
        method=intervals,
        strata=by,
        seed=seed,
    )
    check_truth(truth, first, second)
    foreign = ForeignDetections(
        labels, detections_format, mpp, truth, absent_is_empty, merge_radius_um
    )
    with ExitStack() as stack:
        if out is None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="metaphase-compare-")))
        else:
            folder = stack.enter_context(locked_folder(out))
        sources = (first, second)
        a, b = (
            score_source(source, name, dataset, settings=settings, foreign=foreign, folder=folder)
            for source, name in zip(sources, names_of_sources(sources), strict=True)
        )
        differences = settings.compare(a.scores, b.scores)
        console = Console()
        console.print(side_by_side([a.scores, b.scores], [a.name, b.name], by=by))
        console.print(comparison(differences, a.name, b.name))
        for candidate in (a, b):
            for text in (candidate.scores.training_warning, *candidate.scores.notes):
                if text is not None:
                    console.print(
                        f"{candidate.name}: {text}", style="yellow", highlight=False, markup=False
                    )
        if out is not None:
            files, problems = write_comparison((a, b), differences, out, images=images, crops=crops)
            for line in problems:
                typer.echo(line, err=True)
            for file in files:
                typer.echo(file)
