"""Licences and the bill of materials of the installed dependencies."""

from __future__ import annotations

import json

import pytest

from tests.dependencies import (
    EXTRAS,
    bill_of_materials,
    direct_requirements,
    is_accepted,
    licence_of,
    needed,
    page_packages,
)


def test_every_dependency_has_an_accepted_licence() -> None:
    packages = needed(EXTRAS)
    assert {"numpy", "openslide-bin", "pydantic-core"} <= set(packages)
    assert not {"pytest", "metaphase"} & set(packages)
    wrong = {n: licence_of(p) for n, p in packages.items() if not is_accepted(n, licence_of(p))}
    assert wrong == {}


def test_the_base_install_needs_no_pytorch() -> None:
    base = set(needed())
    assert not base & {"torch", "torchvision", "timm", "pytorch-lightning", "tensorboard", "onnx"}
    assert not base & {"matplotlib", "pandas", "opencv-python", "dask"}
    assert len(base & {"openvino", "onnxruntime"}) == 1, "one runtime for models"


def test_every_requirement_has_a_lower_and_an_upper_bound_or_a_reason() -> None:
    """Packages with calendar versions have no upper bound: a new year breaks nothing by itself."""
    for requirement in direct_requirements(EXTRAS):
        operators = {specifier.operator for specifier in requirement.specifier}
        lower = next(s.version for s in requirement.specifier if s.operator == ">=")
        calendar = int(lower.split(".")[0]) > 2000
        assert operators == ({">="} if calendar else {">=", "<"}), requirement


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("MIT License", True),
        ("BSD-3-Clause AND MIT", True),
        ("LGPL-2.1-only AND BSD-3-Clause", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("GPL-3.0-only", False),
        ("GNU General Public License v2 (GPLv2)", False),
        ("AGPL-3.0", False),
        ("GPL-2.0-or-later OR MIT", True),
        ("UNKNOWN", False),
        ("", False),
    ],
)
def test_which_licences_are_accepted(licence: str, accepted: bool) -> None:
    assert is_accepted("some-package", licence) is accepted


def test_the_bill_of_materials_names_every_package_once() -> None:
    packages = needed(EXTRAS)
    bill = bill_of_materials(packages)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    references = [component["bom-ref"] for component in bill["components"]]
    assert len(references) == len(set(references)) == len(packages) + len(page_packages())
    assert any(r.startswith("pkg:npm/openseadragon@") for r in references)
    assert bill["dependencies"][0]["dependsOn"] == references
    assert bill == bill_of_materials(packages), "the same environment gives the same document"
    assert json.loads(json.dumps(bill)) == bill
