"""Old command lines, combinations that have no effect, and help texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from metaphase.cli.commandclass import REMOVED_IN, command_class, join_lines


def pair_first(values: dict[str, Any], rest: list[str]) -> str | None:
    if not rest:
        return None
    values["pair"], values["names"] = values["names"][0], (*values["names"][1:], rest.pop(0))
    return "the pair's position is deprecated"


@pytest.fixture
def run():
    app = typer.Typer(add_completion=False)

    @app.command(
        cls=command_class(
            renamed={"--again": "--overwrite", "--kind": "--format"},
            removed={"--glance": "it is the default"},
            positionals=("model", "labels"),
            needs={"--part": "--split"},
            excludes={"--whole": ("--split", "--part")},
        )
    )
    def work(
        labels: Annotated[str, typer.Option()],
        model: Annotated[str | None, typer.Option()] = None,
        overwrite: Annotated[bool, typer.Option("--overwrite")] = False,
        format: Annotated[str | None, typer.Option()] = None,
        split: Annotated[Path | None, typer.Option()] = None,
        part: Annotated[str, typer.Option()] = "test",
        whole: Annotated[bool, typer.Option("--whole")] = False,
    ) -> None:
        """Do one thing, described in a sentence
        that is wrapped.

        And a second paragraph.
        """
        typer.echo([labels, model, overwrite, format, split, part, whole])

    return lambda *words: CliRunner().invoke(app, list(words))


def test_old_names_work_and_say_the_new_one(run):
    old = run("--labels", "l", "--again", "--kind=coco")
    assert old.exit_code == 0
    assert old.stdout == run("--labels", "l", "--overwrite", "--format", "coco").stdout
    assert f"--again is deprecated and will be refused by version {REMOVED_IN}" in old.stderr
    assert "use --overwrite" in old.stderr
    assert "--kind is deprecated" in old.stderr


def test_new_names_say_nothing(run):
    assert run("--labels", "l", "--overwrite").stderr == ""


def test_an_option_without_effect_is_dropped_with_a_message(run):
    result = run("--labels", "l", "--glance")
    assert result.exit_code == 0
    assert "--glance has no effect any more: it is the default" in result.stderr


def test_old_positions_become_options(run):
    old = run("compact", "labels.json")
    assert old.exit_code == 0
    assert old.stdout == run("--model", "compact", "--labels", "labels.json").stdout
    assert "use --model" in old.stderr
    assert "use --labels" in old.stderr


def test_an_option_comes_before_an_old_position(run):
    result = run("--model", "m", "labels.json")
    assert result.exit_code == 0
    assert result.stdout.startswith("['labels.json', 'm'")
    assert run("--model", "m", "labels.json", "more").exit_code == 2


def test_a_missing_value_is_still_an_error(run):
    result = run("compact")
    assert result.exit_code == 2
    assert "--labels" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "test"], "--part has no effect without --split"),
        (["--whole", "--split", "s"], "--whole has no effect with --split"),
        (["--whole", "--split", "s", "--part", "x"], "--whole has no effect with --split"),
    ],
)
def test_options_without_effect_are_refused(run, words, message):
    result = run("--labels", "l", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("│", " ").split())


def test_a_default_is_no_given_value(run):
    assert run("--labels", "l", "--whole").exit_code == 0
    assert run("--labels", "l", "--split", "s", "--part", "x").exit_code == 0


def test_words_after_two_dashes_are_values(run):
    result = run("--labels", "l", "--", "--again")
    assert result.stdout.startswith("['l', '--again', False")


def test_other_forms_are_moved_by_a_function():
    app = typer.Typer(add_completion=False)

    @app.command(cls=command_class(legacy=pair_first))
    def work(
        names: Annotated[tuple[str, str], typer.Argument()],
        pair: Annotated[str | None, typer.Option()] = None,
    ) -> None:
        typer.echo([*names, pair])

    assert CliRunner().invoke(app, ["a", "b", "c"]).stdout == "['b', 'c', 'a']\n"
    assert CliRunner().invoke(app, ["b", "c", "--pair", "a"]).stdout == "['b', 'c', 'a']\n"


def test_help_wraps_by_paragraph(run):
    text = run("--help").stdout
    assert "in a sentence that is wrapped." in text
    assert "<bool>" not in text
    assert join_lines("a\n b\n\nc\n") == "a b\n\nc"
    assert join_lines(None) is None
