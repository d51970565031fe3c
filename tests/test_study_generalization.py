from __future__ import annotations

from pathlib import Path

import pytest
from studies import generalization_plan as runs
from studies import generalization_real as real
from studies import generalization_synthetic as synthetic
from studies.generalization_plan import PARTS, Plan

from metaphase.training.recipe.recipe import parse_recipe


def plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "out": Path("out"),
        "best": ("augment", "stain-transfer", "align"),
        "epochs": 2,
        "seed": 0,
        "tiny": False,
    }
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


def test_every_synthetic_run_has_a_recipe_that_sees_no_test_case() -> None:
    names = synthetic.synthetic_plan(plan())
    assert len(names) == len(set(names)) == 1 + 6 * 4 + 7 * 4
    test = {c for x in synthetic.LETTERS for c in synthetic.cases_of(x, synthetic.TEST)}
    for name in names:
        kind, letter, method = name.split(":")
        trained = {"all": "ABCD", "one": letter, "out": "ABCD".replace(letter, "")}[kind]
        tested = "".join(x for x in "ABCD" if x not in trained)
        parts = plan().parts(method)
        recipe = parse_recipe(synthetic.recipe_of(plan(), name, trained, tested, parts))
        split = recipe.data.split
        seen = {*split.training, *split.validation, *split.unlabelled}  # type: ignore[union-attr]
        assert not seen & test
        assert bool(recipe.adapt) == bool({"balance", "align", "teacher", "adabn"} & set(parts))


@pytest.mark.parametrize("parts", [(name,) for name in PARTS] + [tuple(PARTS)], ids="+".join)
def test_every_method_fits_a_recipe(parts: tuple[str, ...]) -> None:
    recipe = parse_recipe(synthetic.recipe_of(plan(), "x", "AB", "C", parts))
    if parts == ("stain-transfer",):
        assert recipe.augment.strength > 0
        assert recipe.augment.stain.probability == 0
    if parts == ("nothing",):
        assert recipe.augment.strength == 0


def test_a_part_of_the_gap_is_closed() -> None:
    def result(value: float, letters: str) -> dict[str, object]:
        return {"scores": {letter: {"f1": value, "ap": 0.5} for letter in letters}}

    results = {"all:-:nothing": result(0.8, "ABCD")}
    for letter in "ABCD":
        others = "ABCD".replace(letter, "")
        results |= {
            f"one:{letter}:nothing": result(0.4, others),
            f"one:{letter}:best": result(0.6, others),
            f"out:{letter}:nothing": result(0.7, letter),
            f"out:{letter}:best": result(0.65, letter),
        }
    table = synthetic.synthetic_table(plan(), results)
    assert "| nothing | 0.400 | – | 0.500 | 0.700 | – | 0.500 |" in table
    assert "| best | 0.600 | 50% | 0.500 | 0.650 | -50% | 0.500 |" in table
    assert "| balance | – | – | – | – | – | – |" in table


@pytest.mark.parametrize("key", real.SCANNERS)
@pytest.mark.parametrize("kind", ["with", "without"])
def test_a_left_out_scanner_is_left_out(
    key: str, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("METAPHASE_DATA", str(tmp_path))
    held = ["TUPAC16/01"] if key == "TUPAC16" else ["MIDOG21/002.tiff"]
    table = real.real_recipe(plan(), "x", kind, key, held, ("augment",))
    recipe = parse_recipe(table)
    without = [name for source in recipe.data.sources for name in source.without]
    if kind == "with":
        assert f"group:{held[0]}" in without
    elif key == "TUPAC16":
        assert "tupac" not in [source.name for source in recipe.data.sources]
    else:
        assert f"scanner:{real.SCANNERS[key]}" in without
    assert "icpr/A04_*" in recipe.data.split.test  # type: ignore[union-attr]


@pytest.mark.needs_data
def test_the_halves_of_a_scanner_are_apart(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAPHASE_DATA", str(data_dir))
    crops = real.load_crops()
    for key, scanner in real.SCANNERS.items():
        groups = {c.domain("group") for c in crops if c.domain("scanner").startswith(scanner)}
        held = real.second_half(crops, key)
        assert set(held) < groups
        assert abs(len(held) - len(groups) / 2) < 1


def test_the_methods_are_those_of_the_rows() -> None:
    for row in synthetic.ROWS:
        assert set(plan().parts(row)) <= set(runs.method_names())
