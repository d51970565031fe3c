"""Documents: commands exist with their options, Python runs and passes mypy, links are right."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import metaphase
from metaphase.cli import COMMANDS, load
from metaphase.phantom.dataset import make_phantom

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`(metaphase [^`]*)`")
EXECUTED = "<!-- executed by tests/test_documents.py -->\n"
LINK = re.compile(r"\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def commands_in(text: str) -> Iterator[str]:
    """Yield every command line of metaphase in a document, comments removed."""
    for language, block in FENCE.findall(text):
        if language in ("", "bash", "sh", "console"):
            for line in re.sub(r"\s*\\\n\s*", " ", block).splitlines():
                found = re.search(r"(?:^|\s)(?:-m )?(metaphase (?![a-z-]*:).*)$", line)
                if found and not line.lstrip().startswith(("pip ", "docker ")):
                    yield found.group(1)
    for line in INLINE.findall(FENCE.sub("", text)):
        yield " ".join(line.split())


def problem_of(line: str) -> str | None:
    """Say what is wrong with a command line: unknown command, option, or argument."""
    words = shlex.split(line, comments=True)[1:]
    if not words or words[0].startswith("-") or words[0] == "COMMAND":
        return None
    name = words.pop(0)
    if name not in COMMANDS:
        return f"no command {name!r}"
    command: Any = typer.main.get_command(load(name))
    while hasattr(command, "commands"):
        if not words:
            return None
        name = words.pop(0)
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    return _wrong_words(command, words)


def _wrong_words(command: Any, words: list[str]) -> str | None:
    options = {
        word: p for p in command.params for word in (*p.opts, *p.secondary_opts) if word[0] == "-"
    }
    options["--help"] = None
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    most = float("inf") if any(p.nargs == -1 for p in arguments) else len(arguments)
    given = 0
    while words:
        word = words.pop(0)
        option, equals, _ = word.partition("=")
        if word.startswith("-") and option not in options:
            return f"no option {option}"
        if not word.startswith("-"):
            given += word not in ("...", "…")
        elif options[option] is not None and not options[option].is_flag and not equals and words:
            words.pop(0)
    return f"{given} arguments, but at most {most} are taken" if given > most else None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist_with_their_options(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # names old commands, too
    lines = list(commands_in(page.read_text(encoding="utf-8")))
    assert [f"{line}: {problem}" for line in lines if (problem := problem_of(line))] == []


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("metaphase detect slide.svs --out found/", None),
        ("metaphase detect a b c -o found --mpp=0.25  # a comment", None),
        ("metaphase data split leave-one-out MIDOG.json --by scanner --out splits/", None),
        ("metaphase detekt slide.svs", "no command 'detekt'"),
        ("metaphase data slice x", "no command 'slice'"),
        ("metaphase detect slide.svs --colour red", "no option --colour"),
        ("metaphase train a.toml b.toml --out x", "2 arguments, but at most 1 are taken"),
    ],
)
def test_the_check_of_commands(line: str, problem: str | None) -> None:
    assert problem_of(line) == problem


def test_commands_are_recognised_in_documents() -> None:
    text = "`metaphase card`\n```\nmetaphase detect x \\\n  --out y  # z\npip install x\n```\n"
    assert list(commands_in(text)) == ["metaphase detect x --out y  # z", "metaphase card"]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    lost = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = page if not name else (page.parent / name).resolve()
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert lost == []


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def python_blocks() -> list[tuple[Path, str]]:
    pattern = re.compile(re.escape(EXECUTED) + r"```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
    return [
        (page, block)
        for page in PAGES
        for block in pattern.findall(page.read_text(encoding="utf-8"))
    ]


def test_all_python_is_executed_by_a_test() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        blocks = text.count("```python\n")
        assert text.count("<!-- executed by ") >= blocks, f"{name_of(page)} has untested Python"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the documents' Python names."""
    folder = tmp_path_factory.mktemp("documents")
    made = folder / "phantom"
    make_phantom(made, seed=1, cases_per_scanner=1, size_px=512)
    shutil.copytree(made / "images", folder / "images")
    shutil.copy(made / "MIDOG.json", folder / "MIDOG.json")
    shutil.copy(next((folder / "images").glob("*.tiff")), folder / "images" / "001.tiff")
    provenance = metaphase.Provenance(
        image="slide.tiff", width_px=9000, height_px=9000, mpp=0.25, threshold=0.5
    )
    found = metaphase.Detections(
        [1000, 1100, 5000], [1000, 1100, 5000], [0.9, 0.8, 0.7], provenance=provenance
    )
    metaphase.save_detections(found, folder / "found" / "slide")
    metaphase.convert(found, folder / "theirs.csv", to="csv")
    return folder


@pytest.mark.parametrize(
    ("page", "block"), python_blocks(), ids=[name_of(p) for p, _ in python_blocks()]
)
def test_the_python_of_the_documents_runs(
    page: Path, block: str, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workplace)
    exec(compile(block, name_of(page), "exec"), {"__name__": "document"})


@pytest.mark.slow
def test_the_python_of_the_documents_passes_mypy(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    for number, (page, block) in enumerate(python_blocks()):
        (tmp_path / f"{page.stem.lower()}_{number}.py").write_text(block, encoding="utf-8")
    config = ["--config-file", str(ROOT / "pyproject.toml")]
    command = [sys.executable, "-m", "mypy", *config, "--follow-imports=silent", str(tmp_path)]
    env = {**os.environ, "MYPYPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tests_that_documents_name_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(" ".join(re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE)).split())
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        files = set(re.findall(r"`(tests/[\w/]+\.py)`", text))
        assert [name for name in sorted(files) if not (ROOT / name).is_file()] == [], page.name
        named = set(re.findall(r"`make ([a-z-]+)`", text))
        assert named <= targets, page.name


MODULE = re.compile(
    r"python -m ((?:studies|tests|metaphase)\.[\w.]+|benchmarks[\w.]*)((?: [^\s`#|)(]+)*)"
)


def module_source(name: str) -> str | None:
    """Return the source of a module that can be run, None if there is none."""
    for folder in (ROOT, ROOT / "src"):
        path = folder.joinpath(*name.split("."))
        for file in (path.with_suffix(".py"), path / "__main__.py"):
            if file.is_file():
                return file.read_text(encoding="utf-8")
    return None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_modules_that_are_run_exist_with_their_options(page: Path) -> None:
    text = re.sub(r"\s*\\\n\s*", " ", page.read_text(encoding="utf-8"))
    for name, words in MODULE.findall(text):
        if name.startswith("metaphase.cli") or name == "metaphase":
            continue  # checked as commands
        source = module_source(name)
        assert source is not None, f"{page.name}: no module {name}"
        for option in re.findall(r"(?<!\S)--[a-z-]+", words):
            known = re.search(rf"\b{option[2:].replace('-', '[-_]')}\b", source)
            assert known or option == "--help", f"{page.name}: {name} has no {option}"


def test_modules_are_recognised_with_their_options() -> None:
    found = MODULE.findall(
        "run `python -m tests.kill detect --times 200` or (`python -m studies.x A`)"
    )
    assert found == [("tests.kill", " detect --times 200"), ("studies.x", " A")]
