"""The synthetic data set is read like a real one and says what is in it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.labels.read import load_dataset, read_labels
from metaphase.phantom import SCANNERS, make_phantom, render_region
from metaphase.phantom.dataset import case_seed
from metaphase.slides.open import open_case

SIZE = 320


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set: two cases a scanner."""
    return make_phantom(
        tmp_path_factory.mktemp("phantom"),
        seed=5,
        cases_per_scanner=2,
        size_px=SIZE,
        mitotic_per_mm2=300,
        hard_negative_per_mm2=300,
    )


def test_it_is_read_with_scanner_mpp_and_state(labels: Path) -> None:
    for images in (labels.parent / "images", labels.parent, None):
        dataset = load_dataset(labels, images=images)
        assert all(case.image and case.image.is_file() for case in dataset)
    assert [c.scanner for c in dataset] == [s.name for s in SCANNERS for _ in range(2)]
    assert [c.mpp for c in dataset] == [s.mpp for s in SCANNERS for _ in range(2)]
    assert [c.labelled for c in dataset] == [True] * 6 + [False] * 2
    assert "ynthetic" in dataset.name
    assert all(c.tumour == "synthetic tumour" for c in dataset)


def test_its_labels_have_no_problems(labels: Path) -> None:
    assert read_labels(labels).problems == []


def test_images_say_their_resolution_themselves(labels: Path) -> None:
    for case in load_dataset(labels):
        with open_case(case) as slide:
            assert slide.mpp_source == "file"
            assert slide.mpp == pytest.approx(case.mpp, rel=1e-6)
            assert (slide.width_px, slide.height_px) == (SIZE, SIZE)


def test_the_file_holds_the_pixels_that_were_drawn_and_counts_agree(labels: Path) -> None:
    cases = list(load_dataset(labels))
    for place, scanner in enumerate(SCANNERS):
        pixels, figures = render_region(
            *(case_seed(5, scanner, 1), SIZE, SIZE, scanner),
            mitotic_per_mm2=300,
            hard_negative_per_mm2=300,
        )
        case = cases[2 * place + 1]
        with open_case(case) as slide:
            assert np.array_equal(slide.read(0, 0, SIZE, SIZE), pixels)
        if scanner.labelled:
            drawn = [(f.x_px, f.y_px, f.label) for f in figures]
            assert [(f.x_px, f.y_px, f.label) for f in case.figures] == drawn
            assert case.count(Label.MITOTIC) > 0


def test_nothing_is_told_of_the_unlabelled_scanner(labels: Path) -> None:
    data = json.loads(labels.read_text())
    unlabelled = {i["id"] for i in data["images"] if not i["labelled"]}
    assert len(unlabelled) == 2
    assert not unlabelled & {a["image_id"] for a in data["annotations"]}


def test_boxes_are_those_of_midog(labels: Path) -> None:
    for record in json.loads(labels.read_text())["annotations"]:
        x1, y1, x2, y2 = record["bbox"]
        assert x2 - x1 == y2 - y1 == 50
        assert min(x1, y1) >= 0
        assert max(x2, y2) <= SIZE


def _hashes(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        make_phantom(tmp_path / name, seed=seed, cases_per_scanner=1, size_px=160)
    assert _hashes(tmp_path / "one") == _hashes(tmp_path / "two")
    one, other = _hashes(tmp_path / "one"), _hashes(tmp_path / "other")
    assert one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_a_case_does_not_change_with_those_beside_it(tmp_path: Path) -> None:
    few = make_phantom(tmp_path / "few", cases_per_scanner=1, size_px=160, scanners=SCANNERS[1:2])
    more = make_phantom(tmp_path / "more", cases_per_scanner=2, size_px=160)
    first = (few.parent / "images/synthetic_001.tiff").read_bytes()
    assert first == (more.parent / "images/synthetic_003.tiff").read_bytes()


def test_the_usual_density_is_that_of_a_mitotic_tumour() -> None:
    _, figures = render_region(0, 1536, 1536)
    mitotic = sum(f.label is Label.MITOTIC for f in figures)
    assert 6 <= mitotic <= 12
    assert 8 <= len(figures) - mitotic <= 14


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    make_phantom(
        tmp_path,
        cases_per_scanner=1,
        size_px=128,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize("wrong", [{"cases_per_scanner": 0}, {"size_px": 99_999}, {"seed": -1}])
def test_impossible_wishes_are_told(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="cannot make"):
        make_phantom(tmp_path, **wrong)


def test_labels_that_are_not_synthetic_are_never_overwritten(tmp_path: Path) -> None:
    real = tmp_path / "MIDOG.json"
    real.write_text('{"info": {"description": "MIDOG 2021"}}')
    with pytest.raises(InputError, match="not synthetic"):
        make_phantom(tmp_path, cases_per_scanner=1, size_px=128)
    assert "MIDOG 2021" in real.read_text()
    assert list(tmp_path.iterdir()) == [real]


def test_an_interrupted_data_set_has_no_labels(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    make_phantom(tmp_path, cases_per_scanner=1, size_px=128)
    with pytest.raises(KeyboardInterrupt):
        make_phantom(tmp_path, cases_per_scanner=1, size_px=160, progress=stop)
    assert [p.name for p in tmp_path.iterdir()] == ["images"]
    assert all(p.suffix == ".tiff" for p in (tmp_path / "images").iterdir())


def test_a_data_set_needs_a_scanner(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="without a scanner"):
        make_phantom(tmp_path, scanners=())
