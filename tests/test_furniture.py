"""Files that describe the project agree with each other."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import metaphase
from tests.dependencies import normalised

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == metaphase.__version__
    assert f"version: {metaphase.__version__}\n" in text_of("CITATION.cff")


def test_the_licence_is_the_same_everywhere() -> None:
    assert f"license: {PROJECT['license']}\n" in text_of("CITATION.cff")
    assert "Apache License" in text_of("LICENSE")


@pytest.mark.parametrize(
    "name",
    [
        "SECURITY.md",
        "CODE_OF_CONDUCT.md",
        ".github/ISSUE_TEMPLATE/bug.yml",
        ".github/ISSUE_TEMPLATE/feature.yml",
        ".github/PULL_REQUEST_TEMPLATE.md",
        ".github/workflows/ci.yml",
        "docs/releasing.md",
    ],
)
def test_the_file_exists(name: str) -> None:
    assert len(text_of(name)) > 300


def test_every_tested_python_has_a_classifier() -> None:
    matrix = re.search(r"python: \[(.*)\]", text_of(".github/workflows/ci.yml"))
    assert matrix is not None
    tested = re.findall(r'"(3\.\d+)"', matrix.group(1))
    classifiers = [c.split(" :: ")[-1] for c in PROJECT["classifiers"] if "Python :: 3." in c]
    assert sorted(tested) == sorted(classifiers)


def test_ci_builds_the_documents_and_runs_the_same_commands_as_people() -> None:
    workflow = text_of(".github/workflows/ci.yml")
    for command in (".ci/run", "make docs", "make test-base", "make test-oldest"):
        assert f"- run: {command}" in workflow
    assert "make check" in text_of(".ci/run")
    assert "make test" in text_of(".ci/run")


def test_the_container_runs_without_rights_and_network() -> None:
    assert re.search(r"^USER metaphase$", text_of("Dockerfile"), re.MULTILINE)
    assert "network_mode: none" in text_of("compose.yaml")
    assert "read_only: true" in text_of("compose.yaml")


def test_every_make_target_is_described() -> None:
    targets = re.findall(r"^([a-z][a-z -]*):(?!=)(.*)$", text_of("Makefile"), re.MULTILINE)
    assert [name for name, rest in targets if "## " not in rest] == []


def test_the_lock_has_every_dependency_in_an_allowed_version_with_hashes() -> None:
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", text_of("requirements.lock"), flags=re.M))
    locked = {}
    for entry in entries:
        requirement = Requirement(entry.partition(" \\\n")[0])
        locked.setdefault(requirement.name, []).append(str(requirement.specifier)[2:])
        assert "--hash=sha256:" in entry, requirement
    assert len(locked) > 100
    extras = PROJECT["optional-dependencies"]
    for text in [*PROJECT["dependencies"], *(t for extra in extras.values() for t in extra)]:
        needed = Requirement(text)
        versions = locked[normalised(needed.name)]
        assert all(needed.specifier.contains(version) for version in versions), (text, versions)


def test_pages_are_in_the_navigation() -> None:
    navigation = text_of("mkdocs.yml")
    pages = [p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")]
    assert [page for page in pages if page not in navigation] == []
