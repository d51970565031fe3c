"""The command lines of the documents are run, in a folder that has the files they name.

The tutorials have a test of their own (``test_tutorials.py``). What is not run here is listed in
``NOT_RUN`` with the reason, and its options are still checked (``test_documents.py``).
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer

from metaphase.cli import COMMANDS, load, main
from metaphase.phantom.dataset import make_phantom
from metaphase.phantom.scanners import SCANNERS
from metaphase.phantom.slide import make_slide
from metaphase.viewer import serve
from tests.detection.foreign import graphs
from tests.test_documents import PAGES, commands_in, name_of

pytest.importorskip("torch")

RUN = {
    "README.md",
    "docs/config.md",
    "docs/counting.md",
    "docs/exchange.md",
    "docs/generalization.md",
    "docs/import.md",
    "docs/recipes.md",
    "docs/review.md",
    "docs/tutorials/own-scanner.md",
}
ELSEWHERE = {
    "docs/index.md": "the commands of the README",
    "docs/tutorials/exercise.md": "tests/test_tutorials.py",
    "docs/tutorials/first-slide.md": "tests/test_tutorials.py",
    "docs/tutorials/challenge.md": "tests/test_tutorials.py",
    "docs/clusters.md": "need a scheduler: tests/detection/test_daskexecutor.py",
    "docs/own-lab.md": "a person reviews between the commands: tests/cli/test_learn.py",
    "docs/atypical.md": "trains on images that are not in the repository",
    "docs/compact.md": "train for hours on images that are not in the repository",
    "docs/scale.md": "read from servers: tests/slides/test_remote.py",
    "docs/speed.md": "quantises the bundled model: tests/cli/test_export.py",
    "docs/traps.md": "read the recipe of the exercise and MIDOG 2021",
}
"""Pages whose commands are run by other tests, or cannot be run here, and why."""

NOT_RUN = {
    "--cluster": "needs a scheduler: tests/detection/test_daskexecutor.py",
    "recipes/icpr2012.toml": "trains for hours on images that are not in the repository",
    "recipes/": "recipes of the repository, for images that are not in it",
    "metaphase stress": "detects in every image many times: tests/cli/test_stress.py",
    "loop/rounds": "needs the model of a review: tests/cli/test_learn.py",
    "metaphase learn": "a person reviews between the commands: tests/cli/test_learn.py",
    "evaluate found-again/": "needs a finished review: tests/viewer/test_export.py",
    "evaluate found --labels reviewed": "needs a finished review: tests/viewer/test_export.py",
    "shifts.json": "needs measured shifts: tests/cli/test_stress.py",
    "sheet ": "draws the folds of such a training: tests/cli/test_sheet.py",
}
NAMES = {
    "SLIDES...": "slides",
    "SLIDES": "slides",
    "FOUND": "found",
    "NAME": "reader",
    "OTHER": "other",
    "OUT/review.csv": "reviewed/review.csv",
    "OUT": "reviewed",
    "MODEL": "compact",
    "MODEL2": "adapted2",
    "FOLDER": "new-scanner",
    "LABELS": "MIDOG.json",
    "DIR": "changed",
    "RECIPE.toml": "my-recipe.toml",
    "T": "0.4",
}
"""Words that stand for a value."""

RECIPE = """
name = "mine"
[data]
sources = [{ labels = "MIDOG.json", images = "images" }]
split = { training = ["synthetic_00[1-6]"], validation = ["synthetic_00[7-9]"] }
[network]
kind = "compact"
weights = "none"
[sampling]
patch_px = 64
patches_per_epoch = 8
[trainer]
epochs = 1
batch_size = 4
workers = 0
"""


def executed(page: Path) -> list[str]:
    """Return the command lines of a page that name all of their inputs."""
    lines = [line.partition("  #")[0].strip() for line in commands_in(page.read_text("utf-8"))]
    return [line for line in lines if len(shlex.split(line)) > 2 and is_whole(line)]


def is_whole(line: str) -> bool:
    """Return whether no required argument or value is missing."""
    words = [NAMES.get(word, word) for word in shlex.split(line, comments=True)[1:]]
    if words[0] not in COMMANDS or any("|" in word for word in words):  # a list of choices
        return False
    command: Any = typer.main.get_command(load(words[0]))
    while hasattr(command, "commands"):
        if len(words) < 2:
            return False
        words = words[1:]
        command = command.commands[words[0]]
    try:
        command.make_context(words[0], words[1:])
    except Exception as error:
        if type(error).__name__ in ("MissingParameter", "BadOptionUsage"):
            return False
        raise
    return True


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, labels, a slide and recipes, each under all its names."""
    folder = tmp_path_factory.mktemp("base")
    everything = [replace(scanner, labelled=True) for scanner in SCANNERS]
    labels = make_phantom(
        folder / "data", seed=1, cases_per_scanner=3, size_px=512, scanners=everything
    )
    shutil.copytree(folder / "data" / "images", folder / "images")
    for name in ("MIDOG.json", "labels.json"):
        shutil.copy(labels, folder / name)
    two = sorted((folder / "images").iterdir())[:2]
    for name in ("slides", "fields", "other-fields", "new-scanner"):
        (folder / name).mkdir()
        for image in two:
            shutil.copy(image, folder / name)
    make_slide(folder / "slide.tiff", 2048, 2048, tissue_mm2=0.05, blocks=5)
    (folder / "slide.tiff").rename(folder / "slide.svs")
    for name in ("my-recipe.toml", "recipe.toml"):
        (folder / name).write_text(RECIPE, encoding="utf-8")
    graphs.yolo(folder / "yolo.onnx", side=640, classes=2)
    (folder / "evaluation.json").write_text(json.dumps({"tp": 8, "fp": 2, "fn": 2}))
    return folder


@pytest.fixture
def workplace(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the base as the working folder; the page is not served."""
    shutil.copytree(base, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(serve, "serve", lambda app, socket, ready: socket.close())
    return tmp_path / "work"


def prepare(folder: Path, line: str) -> None:
    """Make what a line names and its page describes in words."""
    split = [word.strip("/") for word in shlex.split(line)]
    words = set(split)
    written = split[split.index("--out") + 1] if "--out" in words else None
    needs = bool(words & {"found", "FOUND"}) and written not in ("found", "FOUND")
    if needs and not (folder / "found").exists():
        assert run("metaphase detect slides --out found") == 0
    if "OTHER" in words and not (folder / "other").exists():
        assert run("metaphase detect slides --threshold 0.3 --out other") == 0
    if "theirs.json" in words and not (folder / "theirs.json").exists():
        assert run("metaphase detect --labels labels.json --images images --out others") == 0
        assert run("metaphase exchange convert others --to coco --out theirs.json") == 0


def run(line: str) -> int:
    """Run a command line in this process and return its exit code."""
    words = [NAMES.get(word, word) for word in shlex.split(line)[1:]]
    try:
        main(words)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(RUN))
def test_the_commands_of_a_page_work(
    name: str, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = next(page for page in PAGES if name_of(page) == name)
    lines = [line for line in executed(page) if not any(part in line for part in NOT_RUN)]
    assert lines
    for line in lines:
        prepare(workplace, line)
        code = run(line)
        said = capsys.readouterr()
        assert code == 0, f"{line}\n{said.out}{said.err}"
        assert "deprecated" not in said.err, line
        if re.search(r"recipes \w+ --out", line):  # "change its sources"
            shutil.copy(workplace / "my-recipe.toml", workplace / "mine.toml")


def test_every_page_with_commands_is_run_or_has_a_reason() -> None:
    pages = {name_of(page) for page in PAGES if executed(page) and page.name != "CHANGELOG.md"}
    assert pages <= RUN | set(ELSEWHERE)
    assert not RUN & set(ELSEWHERE)


def test_what_is_not_run_is_still_in_the_documents() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    assert [part for part in NOT_RUN if part not in text] == []
