from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.cli import main
from metaphase.labels.read import load_dataset
from metaphase.labels.split import load_split
from tests.labels.files import image, mark, write_coco
from tests.labels.server import Site, serve

IMAGES = [image(i, f"{i}.png", scanner=f"S{i % 2}", slide=f"g{i // 2}") for i in range(1, 13)]
MARKS = [mark(i, i, [595, 299, 30, 40]) for i in range(1, 13)]


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for row in IMAGES:
        (tmp_path / "images" / row["file_name"]).touch()
    return write_coco(tmp_path / "annotations.json", IMAGES, MARKS)


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(argument) for argument in arguments])
    return int(caught.value.code or 0)


def test_check_tells_counts(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "check", labels, "--mpp", 0.25) == 0
    out = capsys.readouterr().out
    assert "12 cases in 7 groups" in out
    assert "nothing is wrong" in out
    assert "S0" in out
    assert "0.25 (labels)" in out


def test_check_tells_everything_and_exits_2(
    labels: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = [mark(100 + i, 1, [5000, 5000, 9, 9]) for i in range(5)]
    write_coco(labels, IMAGES, [*MARKS, *wrong, mark(1, 2, [1])])
    (labels.parent / "images" / "3.png").unlink()
    assert run("data", "check", labels) == 2
    out = capsys.readouterr().out
    assert "wrong: 8 problems" in out
    assert "its id appears 2 times" in out
    assert "not four numbers" in out
    assert "case 3: its image is missing" in out
    assert "5 times: lies outside its image" in out
    assert "annotation 104" not in out
    assert run("data", "check", labels, "--all-findings") == 2
    assert "annotation 104" in capsys.readouterr().out


def test_check_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "check", tmp_path / "nowhere.json") == 2
    captured = capsys.readouterr()
    assert "No such file" in captured.err
    assert "Traceback" not in captured.err


def test_show_lists_cases_and_figures(labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "show", labels) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("\t")[:4] == ["id", "labelled", "mitotic", "hard_negative"]
    assert lines[1].split("\t")[:5] == ["1", "yes", "1", "0", "S1"]
    assert len(lines) == 13
    assert run("data", "show", labels, "--case", "2") == 0
    assert capsys.readouterr().out.splitlines()[1] == "2\t610\t319\tmitotic figure"
    assert run("data", "show", labels, "--case", "x") == 2


def test_convert_writes_the_plain_table(labels: Path, tmp_path: Path) -> None:
    assert run("data", "convert", labels, "--out", tmp_path / "table") == 0
    there = load_dataset(tmp_path / "table", images=labels.parent / "images")
    assert there.cases == load_dataset(labels).cases


def test_split_by_shares(labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.json"
    assert run("data", "split", "stratified", labels, "--out", out, "--validation-share", 0.3) == 0
    split = load_split(out)
    assert len(split.training) + len(split.validation) == 12
    assert run("data", "split", "check", labels, "--split", out) == 0


def test_split_leaving_scanners_out(labels: Path, tmp_path: Path) -> None:
    # Each slide of the other tests was scanned twice; here every case is its own.
    write_coco(labels, [{k: v for k, v in i.items() if k != "slide"} for i in IMAGES], MARKS)
    assert run("data", "split", "leave-one-out", labels, "--out", tmp_path / "s") == 0
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == [
        "without-s0.json",
        "without-s1.json",
    ]
    split = load_split(tmp_path / "s" / "without-s0.json")
    assert split.test == ("2", "4", "6", "8", "10", "12")


def test_split_leaving_groups_out_by_the_next(labels: Path, tmp_path: Path) -> None:
    arguments = ["--by", "group", "--validate-on", "next", "--out", tmp_path / "s"]
    assert run("data", "split", "leave-one-out", labels, *arguments) == 0
    assert len(list((tmp_path / "s").iterdir())) == 7


def test_published_splits_and_the_refusal_of_the_one_handed_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    midog = write_coco(tmp_path / "MIDOG.json", [image(n) for n in range(1, 201)], [])
    for name, code in (("midog21-official", 0), ("exercise", 0), ("exercise-as-handed-out", 2)):
        out = tmp_path / f"{name}.json"
        assert run("data", "split", "published", name, "--out", out) == 0
        assert run("data", "split", "check", midog, "--split", out) == code
    error = capsys.readouterr().err
    assert "40 unlabelled cases (152, 153" in error
    assert "would be taken for background" in error


def test_download(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serve(Site({"001.tiff": b"pixels", "051.tiff": b"other", "MIDOG.json": b"{}"})) as site:
        arguments = ["midog21", "--out", tmp_path / "d", "--only-scanner", "hamamatsu xr"]
        assert run("data", "download", *arguments, "--api", site.url) == 0
    captured = capsys.readouterr()
    assert "2 files downloaded, 0 were there already" in captured.out
    assert "CC BY-NC-ND" in captured.out
    assert "2 of 2 files" in captured.err, "progress is on stderr"
    assert sorted(p.name for p in (tmp_path / "d").iterdir()) == ["001.tiff", "MIDOG.json"]


def test_download_of_an_unknown_scanner(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "download", "midogpp", "--out", tmp_path, "--only-scanner", "Zeiss") == 2
    assert "it has Hamamatsu XR" in capsys.readouterr().err


@pytest.mark.needs_data
def test_check_of_midogpp(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("data", "check", data_dir / "midog" / "MIDOG++.json") == 0
    out = capsys.readouterr().out
    for text in ("11,937", "14,349", "553", "503", "canine lung cancer", "Leica GT450"):
        assert text in out
    assert "274 times: box crosses the image border" in out


def test_splits_are_files_to_read(labels: Path, tmp_path: Path) -> None:
    out = tmp_path / "split.json"
    run("data", "split", "stratified", labels, "--out", out)
    data = json.loads(out.read_text())
    assert list(data) == ["name", "training", "validation", "test", "unlabelled", "note"]
    assert "seed 0" in data["note"]
