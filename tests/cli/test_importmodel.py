"""``metaphase import``: what it prints and refuses, and that every command takes the result."""

from __future__ import annotations

import json

import pytest

from metaphase.labels.sample import write_sample
from tests.detection.foreign import graphs

MPP = ("--mpp", "0.25")


@pytest.fixture
def graph(tmp_path):
    return graphs.yolo(tmp_path / "theirs.onnx", side=256, classes=2)


def words(graph, out, *more, kind="yolo", classes="mitotic figure,hard negative"):
    return (
        "import",
        graph,
        "--kind",
        kind,
        *MPP,
        "--tile",
        256,
        "--classes",
        classes,
        "--out",
        out,
        *more,
    )


def test_the_result_is_taken_by_the_other_commands(command, graph, tmp_path):
    mine, sample, found = tmp_path / "mine", tmp_path / "sample", tmp_path / "found"
    ended = command(*words(graph, mine))
    assert ended.code == 0, ended.err
    assert "decoded as yolov8, boxes cxcywh, scores are probability" in ended.out
    assert "assumed: colours in the order RGB (--colour)" in ended.out
    assert "Case_10-05.jpg: " in ended.out
    assert (mine / "check.png").is_file()
    labels = write_sample(sample).parent
    for call in (
        ("detect", "--labels", labels, "--model", mine, "--out", found),
        (
            "evaluate",
            found,
            "--labels",
            labels,
            "--choose-threshold",
            "--store",
            mine,
            "--resamples",
            0,
        ),
        ("detect", "--labels", labels, "--model", mine, "--out", found),
        ("count", found, "--out", tmp_path / "counts"),
        ("evaluate", found, "--labels", labels, "--out", tmp_path / "s.json", "--resamples", 0),
        ("report", tmp_path / "s.json", "--out", tmp_path / "report.html"),
        ("compare", mine, found, "--labels", labels, "--resamples", 0),
        ("card", "--model", mine),
    ):
        ended = command(*call)
        assert ended.code == 0, (call, ended.err)
    card = json.loads((mine / "card.json").read_text(encoding="utf-8"))
    assert card["threshold"]["chosen_on"].endswith("3 cases")
    assert "Imported from `theirs.onnx` (written by tests), kind yolo" in ended.out
    assert "It was trained elsewhere, and imported." in ended.out
    assert card["command"] == ""  # called from Python, not from a shell


def test_options_reach_the_card(command, tmp_path):
    path = graphs.heat_map(tmp_path / "a.onnx", sigmoid=False, open_input=True)
    values = {"layout": "nchw", "colour": "bgr", "mean": "0.1,0.2,0.3", "std": "1,1,2"}
    values |= {"scaling": "0-1", "margin": 40, "scores": "logit", "merge-radius-um": 5}
    more = [word for name, value in values.items() for word in (f"--{name}", value)]
    ended = command(*words(path, tmp_path / "mine", *more, kind="points", classes="mf"))
    assert ended.code == 0, ended.err
    card = json.loads((tmp_path / "mine" / "card.json").read_text(encoding="utf-8"))
    assert card["foreign"]["input"]["mean"] == [0.1, 0.2, 0.3]
    assert card["foreign"]["input"]["std"] == [1, 1, 2]
    assert card["foreign"]["input"]["colour"] == "bgr"
    assert card["foreign"]["assumed"] == []
    assert (card["input"]["margin_px"], card["merge_radius_um"]) == (40, 5)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--mean", "1,2"), "is not three numbers"),
        (("--mean", "x,2,3"), "is not a list of numbers"),
        (("--std", "0,1,1"), "is not a list of numbers"),
        (("--strides", "8,-1"), "is not a list of numbers"),
        (("--anchor-sizes", "8;"), "is not a list of numbers"),
        (("--kind", "ssd"), "'ssd' is not one of"),
        (("--classes", "a,,b"), "holds an empty name"),
        (("--check-mpp", "0.5"), "--check-mpp has no effect without --check-image"),
        (("--first-label", "2"), "less than or equal to 1"),
    ],
)
def test_wrong_values_exit_with_2(command, graph, tmp_path, more, said):
    ended = command(*words(graph, tmp_path / "mine", *more))
    assert ended.code == 2
    assert said in ended.words
    assert not (tmp_path / "mine").exists()


def test_a_checkpoint_names_the_way_to_export(command, tmp_path):
    (tmp_path / "best.pt").write_bytes(b"PK\x03\x04data")
    ended = command(*words(tmp_path / "best.pt", tmp_path / "mine"))
    assert ended.code == 2
    assert "executes the code in it" in ended.words
    assert "torch.onnx.export" in ended.words


def test_a_test_image_without_resolution_needs_one(command, graph, tmp_path):
    image = write_sample(tmp_path / "sample").parent / "images" / "Case_10-05.jpg"
    ended = command(*words(graph, tmp_path / "mine", "--check-image", image))
    assert ended.code == 2
    assert "Case_10-05.jpg" in ended.words
    ended = command(*words(graph, tmp_path / "mine", "--check-image", image, "--check-mpp", "0.25"))
    assert ended.code == 0, ended.err


def test_an_imported_graph_is_not_exported_again(command, graph, tmp_path):
    assert command(*words(graph, tmp_path / "mine")).code == 0
    for weights in ("fp32", "fp16", "int8", "packed"):
        ended = command("export", "--model", tmp_path / "mine", "--weights", weights)
        assert ended.code == 2
        assert "is an imported graph" in ended.words
