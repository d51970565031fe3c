"""``metaphase phantom`` makes a data set and says what it made."""

from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.cli import main
from metaphase.labels.read import load_dataset


def _run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stopped:
        main(["phantom", *arguments])
    return int(stopped.value.code or 0)


def test_a_data_set_is_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        _run(
            "--out",
            str(tmp_path / "set"),
            "--cases-per-scanner",
            "1",
            "--size",
            "160",
            "--seed",
            "2",
        )
        == 0
    )
    dataset = load_dataset(tmp_path / "set" / "MIDOG.json")
    assert len(dataset) == 4
    assert all(case.image is not None for case in dataset)
    told = capsys.readouterr().out
    assert "synthetic" in told
    assert "4 images, 3 labelled" in told


@pytest.mark.parametrize("wrong", [("--size", "8"), ("--cases-per-scanner", "0"), ("--seed", "-1")])
def test_impossible_wishes_exit_with_2(tmp_path: Path, wrong: tuple[str, str]) -> None:
    assert _run(str(tmp_path), *wrong) == 2


def test_an_unknown_scanner_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--out", str(tmp_path / "a.tiff"), "--slide", "--only-scanner", "Z") == 2
    assert "Synthetic A" in capsys.readouterr().err


def test_scanners_are_chosen_and_all_are_labelled_on_demand(tmp_path: Path) -> None:
    small = ("--cases-per-scanner", "1", "--size", "512", "--label-all")
    names = ("--only-scanner", "B", "--only-scanner", "D", "--only-scanner", "Synthetic B")
    assert _run(str(tmp_path), *small, *names) == 0
    dataset = load_dataset(tmp_path / "MIDOG.json")
    assert [case.scanner for case in dataset] == ["Synthetic B", "Synthetic D"]
    assert all(case.labelled and case.figures for case in dataset)


def test_a_slide_has_one_scanner(tmp_path: Path) -> None:
    assert (
        _run(
            "--out",
            str(tmp_path / "a.tiff"),
            "--slide",
            "--only-scanner",
            "A",
            "--only-scanner",
            "B",
        )
        == 2
    )


def test_too_much_tissue_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ("--width", "4096", "--height", "4096")
    assert _run("--out", str(tmp_path / "a.tiff"), "--slide", *size, "--tissue-mm2", "9") == 2
    assert "larger slide" in capsys.readouterr().err
