from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.labels.dataset import Case
from metaphase.labels.split import Split
from metaphase.training.checks import labels
from metaphase.training.checks.doctor import examine
from metaphase.training.checks.finding import Level
from tests.training.checks.memory import a_case, a_patient, by_place, only
from tests.training.checks.patients import found, recipe
from tests.training.helpers import write_image

ALL = Split(training=("a", "b", "c"))


def at(folder: Path, name: str, **fields: object) -> Case:
    """A case whose image exists."""
    return a_case(name, image=write_image(folder / f"{name}.png", 40, 40), **fields)  # type: ignore[arg-type]


# --- labels


@pytest.mark.parametrize(
    ("mitotic", "level"), [(30, Level.OK), (25, Level.OK), (24, Level.NOTE), (0, Level.ERROR)]
)
def test_figures_are_counted(mitotic: int, level: Level) -> None:
    cases = [a_case(name, mitotic, 5) for name in "abc"]
    finding = only(labels.labels(a_patient(cases)), level)
    assert finding.measured == f"2 cases, {2 * mitotic} mitotic figures, 10 hard negatives"


def test_a_run_needs_a_training_case() -> None:
    finding = only(labels.labels(a_patient(split=Split(validation=("a",)))), Level.ERROR)
    assert finding.where == "data.split"
    assert "training" in finding.way_out


# --- images


def test_images_that_exist_are_no_finding(tmp_path: Path) -> None:
    patient = a_patient([at(tmp_path, name) for name in "abc"])
    assert list(labels.images(patient)) == []


def test_missing_images_are_counted_in_training_and_held_out_cases(tmp_path: Path) -> None:
    cases = [at(tmp_path, "a"), a_case("b", image=tmp_path / "gone.png"), a_case("c")]
    finding = only(labels.images(a_patient(cases)), Level.ERROR)
    assert finding.measured == "2 of 3 cases"
    assert "b, c" in finding.message
    assert finding.where == "data.sources"


def test_a_folder_that_is_absent_is_named(tmp_path: Path) -> None:
    sources = [{"labels": "labels.json", "images": str(tmp_path / "nowhere")}]
    patient = a_patient(data={"sources": sources})
    finding = only(labels.images(patient), Level.ERROR)
    assert str(tmp_path / "nowhere") in finding.message


def test_an_unknown_resolution_is_a_note(tmp_path: Path) -> None:
    cases = [at(tmp_path, "a", mpp=None, scanner="homemade"), at(tmp_path, "b"), at(tmp_path, "c")]
    finding = only(labels.images(a_patient(cases)), Level.NOTE)
    assert finding.measured == "1 of 3 cases"
    assert "mpp" in finding.way_out


@pytest.mark.parametrize(("mpp", "trap"), [(0.25, False), (0.34, False), (0.36, True), (1.0, True)])
def test_slides_coarser_than_the_network_are_a_trap(tmp_path: Path, mpp: float, trap: bool) -> None:
    cases = [at(tmp_path, "a", mpp=mpp), at(tmp_path, "b"), at(tmp_path, "c")]
    found = by_place(labels.images(a_patient(cases)))
    assert ("network.mpp" in found) == trap
    if trap:
        assert found["network.mpp"].level is Level.TRAP
        assert found["network.mpp"].measured == f"{mpp:.3g} against 0.25 um/px"


# --- the split


def test_a_sound_split_is_told_with_its_sizes() -> None:
    finding = only(labels.split(a_patient()), Level.OK)
    assert finding.measured == "2 training, 1 validation"


@pytest.mark.parametrize(
    ("split", "word"),
    [
        (Split(training=("a", "nobody"), validation=("c",)), "nobody"),
        (Split(training=("a", "b"), validation=("b", "c")), "named in"),
        (Split(training=("a", "u"), validation=("c",)), "unlabelled"),
        (Split(training=("a", "b"), validation=("c", "d")), "same tissue"),
    ],
)
def test_every_leak_is_an_error_with_its_case(split: Split, word: str) -> None:
    cases = [a_case("a"), a_case("b", group="g"), a_case("c"), a_case("d", group="g")]
    cases.append(Case("u", labelled=False))
    errors = [f for f in labels.split(a_patient(cases, split)) if f.level is Level.ERROR]
    assert errors
    assert any(word in f.where + f.message for f in errors)
    assert all(f.where.startswith("data.split: ") for f in errors)


def test_without_validation_cases_there_is_a_trap() -> None:
    levels = {f.level: f for f in labels.split(a_patient(split=ALL))}
    assert levels[Level.TRAP].measured == "0 cases"
    assert "stratified" in levels[Level.TRAP].way_out


def test_validation_without_figures_is_an_error() -> None:
    cases = [a_case("a"), a_case("b"), a_case("c", mitotic=0)]
    levels = {f.level: f for f in labels.split(a_patient(cases))}
    assert levels[Level.ERROR].message == "validation has no mitotic figure"


# --- scanners


def scanners(**parts: str) -> list[Case]:
    return [a_case(name, scanner=scanner) for name, scanner in parts.items()]


def test_a_scanner_that_is_left_out_is_fine() -> None:
    patient = a_patient(scanners(a="A", b="A", c="B"))
    finding = only(labels.scanners(patient), Level.OK)
    assert finding.message.endswith("not trained on: B")
    assert finding.measured == "A 100%/0%, B 0%/100%"


def test_equal_parts_are_a_note_that_names_cross_validation() -> None:
    split = Split(training=("a", "b"), validation=("c", "d"))
    patient = a_patient(scanners(a="A", b="B", c="A", d="B"), split)
    finding = only(labels.scanners(patient), Level.NOTE)
    assert "cross-validate" in finding.way_out


def test_unequal_parts_of_the_same_scanners_are_a_trap() -> None:
    split = Split(training=("a", "b"), validation=("c",))
    finding = only(labels.scanners(a_patient(scanners(a="A", b="B", c="A"), split)), Level.TRAP)
    assert finding.measured == "A 50%/100%, B 50%/0%"


@pytest.mark.parametrize("parts", [{"a": "A", "b": "A", "c": "A"}, {"a": "A", "b": "B"}])
def test_one_scanner_or_one_part_says_nothing(parts: dict[str, str]) -> None:
    assert list(labels.scanners(a_patient(scanners(**parts)))) == []


def test_unbalanced_scanners_are_a_note_where_nothing_balances_them() -> None:
    cases = scanners(**{f"a{n}": "A" for n in range(8)}, b="B", c="C")
    split = Split(training=tuple(c.id for c in cases[:-1]), validation=("c",))
    plain = a_patient(cases, split, sampling={"balance_by": "none"})
    assert "sampling.balance_by" in by_place(labels.scanners(plain))
    balanced = a_patient(cases, split)
    assert "sampling.balance_by" not in by_place(labels.scanners(balanced))


# --- crops and pixels


def test_without_crops_there_is_nothing_to_say() -> None:
    assert list(labels.crops(a_patient())) == []


def test_a_crop_of_a_held_out_slide_is_an_error() -> None:
    sources = [
        {"labels": "a.json", "name": "r"},
        {"labels": "b.json", "name": "k", "role": "crops"},
    ]
    cases = [a_case(f"r/{name}", group=f"r/{name}") for name in "abc"]
    split = Split(training=("r/a", "r/b"), validation=("r/c",))

    def crop(slide: str) -> Case:
        return a_case(f"k/{slide}1", 1, 0, group=f"k/{slide}", width_px=64, height_px=64)

    leaking = a_patient(cases, split, [crop("c")], data={"sources": sources})
    errors = [f for f in labels.crops(leaking) if f.level is Level.ERROR]
    assert errors
    assert errors[0].where.startswith("data.sources: ")
    sound = a_patient(cases, split, [crop("x")], data={"sources": sources})
    finding = only(labels.crops(sound), Level.OK)
    assert finding.measured == "1 crops"
    assert "--check-pixels" in finding.way_out


def test_pixels_of_one_part_cannot_be_compared() -> None:
    finding = only(labels.pixels(a_patient(split=ALL)), Level.NOTE)
    assert finding.measured == "3 cases, 0 crops"
    assert "cross-validate --check-pixels" in finding.way_out


def test_a_leaking_and_a_doubled_case_are_errors(folder):
    split = {"training": ["00?"], "validation": ["009", "01[01]"]}
    (found,) = [f for f in examine(recipe(folder, split), measure=False) if f.level == Level.ERROR]
    assert "009" in found.where + found.message


def test_a_split_blind_to_the_scanner_is_a_trap(folder):
    split = {"training": ["00?"], "validation": ["01[01]"]}
    whole = recipe(folder, split)
    # 6 of 10 against 0 of 2 cases are of one scanner; the other is trained on.
    traps = found(whole, Level.TRAP)
    assert "blind to the scanner" in traps["data.split"].message


def test_a_scanner_left_out_is_told_as_such(folder):
    split = {"training": ["scanner:Aperio CS2"], "validation": ["scanner:Hamamatsu XR"]}
    assert "not trained on" in found(recipe(folder, split), Level.OK)["data.split"].message


def test_missing_images_are_an_error_and_the_labels_are_examined_all_the_same(folder):
    away = recipe(folder)
    source = away.data.sources[0].model_copy(update={"images": folder / "nowhere"})
    data = away.data.model_copy(update={"sources": (source,)})
    (folder / "elsewhere").mkdir(exist_ok=True)
    alone = folder / "elsewhere"
    for name in ("cases.csv", "figures.csv"):
        (alone / name).write_bytes((folder / name).read_bytes())
    source = source.model_copy(
        update={"labels": alone / "figures.csv", "cases": alone / "cases.csv"}
    )
    data = data.model_copy(update={"sources": (source,)})
    findings = examine(away.model_copy(update={"data": data}), measure=True)
    (error,) = [f for f in findings if f.level == Level.ERROR]
    assert error.measured == "12 of 12 cases"
    assert "nowhere" in error.message
    assert any(f.where == "network" for f in findings)


def test_nobody_to_train_on_is_an_error(folder):
    split = {"validation": ["00?"]}
    assert "no case" in found(recipe(folder, split), Level.ERROR)["data.split"].message


def test_pixels_that_would_be_interpolated_are_a_trap(folder):
    fine = recipe(folder, network={"mpp": 0.1})
    assert "interpolated" in found(fine, Level.TRAP)["network.mpp"].message
