from __future__ import annotations

from metaphase.training.checks.doctor import examine
from metaphase.training.checks.finding import Level
from tests.training.checks.patients import found, recipe


def test_a_leaking_and_a_doubled_case_are_errors(folder):
    split = {"training": ["00?"], "validation": ["009", "01[01]"]}
    (told,) = [f for f in examine(recipe(folder, split), measure=False) if f.level == Level.ERROR]
    assert "009" in told.where + told.message


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


def test_pixels_that_would_be_made_up_are_a_trap(folder):
    fine = recipe(folder, network={"mpp": 0.1})
    assert "made up" in found(fine, Level.TRAP)["network.mpp"].message
