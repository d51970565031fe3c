"""Dockerfile and compose.yaml: what they name exists, and their commands are accepted.

An engine is needed to build them; these tests need none.
"""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.test_documents import problem_of

yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]


def words_of(value: str | list[str]) -> list[str]:
    return shlex.split(value) if isinstance(value, str) else [str(word) for word in value]


def instructions(name: str) -> list[str]:
    """Return the arguments of every instruction of a kind, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", DOCKERFILE)
    return re.findall(rf"^{name} (.*)$", text, re.MULTILINE)


def test_the_image_is_of_a_python_that_is_tested() -> None:
    versions = {m for base in instructions("FROM") for m in re.findall(r"python:(3\.\d+)", base)}
    classifiers = PROJECT["project"]["classifiers"]
    assert versions
    assert all(
        f"Programming Language :: Python :: {version}" in classifiers for version in versions
    )


def test_the_extras_of_the_image_exist() -> None:
    (extras,) = (v for v in instructions("ARG") if v.startswith("EXTRAS="))
    named = extras.removeprefix("EXTRAS=").split(",")
    assert set(named) <= set(PROJECT["project"]["optional-dependencies"])
    assert {"cluster", "dicom"} <= set(named), "the compose file needs Dask"


def test_the_image_starts_a_command_of_the_package_without_rights() -> None:
    (entry,) = instructions("ENTRYPOINT")
    assert entry == '["metaphase"]'
    assert "metaphase" in PROJECT["project"]["scripts"]
    assert DOCKERFILE.index("\nUSER metaphase") < DOCKERFILE.index("\nENTRYPOINT")


def test_what_the_build_needs_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    build = PROJECT["tool"]["hatch"]["build"]
    needed = [
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "src",
        *build["targets"]["wheel"]["packages"],
    ]
    needed += [*build["targets"]["wheel"]["force-include"], build["hooks"]["custom"]["path"]]
    for name in needed:
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] not in ignored


@pytest.mark.parametrize("name", SERVICES)
def test_the_command_of_a_service_is_accepted(name: str) -> None:
    service = SERVICES[name]
    words = words_of(service.get("command", []))
    entry = words_of(service.get("entrypoint", ["metaphase"]))
    if entry == ["metaphase"]:
        assert problem_of(shlex.join(["metaphase", *words])) is None
    else:
        assert entry[0] == "dask"
        assert entry[1] in ("scheduler", "worker")


@pytest.mark.parametrize("name", SERVICES)
def test_paths_of_a_service_are_mounted_and_results_are_writable(name: str) -> None:
    service = SERVICES[name]
    mounts = dict(re.findall(r":(/\w+)(:ro)?$", "\n".join(service["volumes"]), re.MULTILINE))
    words = words_of(service.get("command", []))
    paths = [word for word in words if word.startswith("/") and not word.startswith("/tmp")]
    assert all("/" + path.split("/")[1] in mounts for path in paths)
    for option in ("--out", "--store"):
        if option in words:
            target = words[words.index(option) + 1]
            assert mounts["/" + target.split("/")[1]] == "", f"{target} is read only"
    assert service["read_only"] is True
    assert "/tmp" in service["tmpfs"]


def test_services_reach_no_other_network() -> None:
    for name, service in SERVICES.items():
        if name == "view":
            assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        else:
            assert service.get("network_mode") == "none" or service["networks"] == ["cluster"]
    assert COMPOSE["networks"]["cluster"]["internal"] is True


def test_services_that_are_waited_for_exist_and_the_scheduler_is_addressed_by_its_name() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", [])) <= set(SERVICES)
    text = (ROOT / "compose.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"tcp://(\w+):8786", text)) == {"scheduler"}
    assert "scheduler" in SERVICES
