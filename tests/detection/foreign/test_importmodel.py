"""An imported graph is a model like any other: checked once, then used everywhere."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from metaphase.detection.detect import detect
from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.importmodel import PICTURE_NAME, import_model
from metaphase.errors import InputError, ModelFileError
from metaphase.figures import Label
from metaphase.models.modelfile import load_model
from tests.detection.foreign import graphs
from tests.detection.scenes import DotSlide

CHOICES = Choices(kind="points", mpp=0.25, tile=128, classes=("mitotic figure",))
DOTS = [(44.0, 44.0), (200.0, 60.0), (124.0, 132.0), (252.0, 252.0), (300.0, 92.0)]


def slide(dots=DOTS, width=320, height=300, mpp=0.25, **more):
    return DotSlide(width, height, mpp, dots, **more)


def imported(path, out, image=None, **stated):
    return import_model(path, out, replace(CHOICES, **stated), image or slide())


def near(detections, dots, within=6.0):
    """Whether there is exactly one detection at each dot."""
    distance = np.hypot(*(detections.points[:, None] - np.array(dots)[None]).T)
    return distance.shape == (len(dots), len(dots)) and bool(
        ((distance < within).sum(axis=0) == 1).all()
        and ((distance < within).sum(axis=1) == 1).all()
    )


YOLO = {"kind": "yolo"}
GRAPHS = {
    "heat map": (graphs.heat_map, {}, {}),
    "heat map, logits": (graphs.heat_map, {"sigmoid": False}, {}),
    "heat map, NHWC": (graphs.heat_map, {"layout": "nhwc", "last": True}, {}),
    "heat map, no batch axis": (graphs.heat_map, {"layout": "chw"}, {}),
    "heat map, HWC": (graphs.heat_map, {"layout": "hwc"}, {}),
    "heat map, uint8": (graphs.heat_map, {"number": "uint8", "divisor": 255.0}, {}),
    "heat map, open input": (graphs.heat_map, {"open_input": True}, {}),
    "heat map, open NHWC": (graphs.heat_map, {"open_input": True, "layout": "nhwc"}, {}),
    "yolov8": (graphs.yolo, {}, YOLO),
    "yolov8, boxes by rows, 0 to 1": (graphs.yolo, {"transposed": True, "unit": True}, YOLO),
    "yolov5": (graphs.yolo, {"version": 5}, YOLO),
    "yolov5, logits, batch of 2": (
        graphs.yolo,
        {"version": 5, "sigmoid": False, "batch": 2},
        YOLO,
    ),
    "half precision": (graphs.yolo, {"number": "float16"}, YOLO),
    "double precision": (graphs.yolo, {"number": "float64"}, YOLO),
    "boxes, scores, labels": (graphs.finished, {}, {"kind": "boxes"}),
    "labels from 1": (graphs.finished, {"first_label": 1}, {"kind": "retinanet"}),
    "labels as floats": (
        graphs.finished,
        {"label_type": np.float32},
        {"kind": "fcos", "first_label": 0},
    ),
    "rows": (graphs.finished, {"form": "rows"}, YOLO),
    "rows with images, 0 to 1": (graphs.finished, {"form": "batch-rows", "unit": True}, YOLO),
}  # fmt: skip


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs_of_all_kinds_find_every_dot_once(name, tmp_path):
    make, how, stated = GRAPHS[name]
    done = imported(make(tmp_path / "net.onnx", **how), tmp_path / "out", **stated)
    assert near(done.detections.above_threshold(), DOTS)
    assert done.warnings == ()
    again = detect(slide(), load_model(tmp_path / "out"))
    assert again.points.tolist() == done.detections.points.tolist()
    assert again.provenance.model_id == done.model.id


def test_the_model_file_states_what_was_found_out(tmp_path):
    done = imported(graphs.yolo(tmp_path / "net.onnx"), tmp_path / "out", kind="yolo")
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["name"] == "net"
    assert card["foreign"]["file"] == "net.onnx"
    assert card["foreign"]["producer"] == "tests"
    assert card["foreign"]["input"]["layout"] == "nchw"
    assert card["foreign"]["output"]["decoding"] == "yolov8"
    assert card["head"] == {"kind": "foreign", "levels": [], "classes": ["mitotic figure"]}
    assert card["input"] == {"mpp": 0.25, "tile_px": 128, "margin_px": 32, "multiple_px": 128}
    assert "colours in the order RGB (--colour)" in done.assumed
    assert (tmp_path / "out" / "model.onnx").read_bytes() == (tmp_path / "net.onnx").read_bytes()
    with Image.open(tmp_path / "out" / PICTURE_NAME) as picture:
        assert picture.width >= 320


@pytest.mark.parametrize("batch", [1, 2, 5, 16])
def test_batch_and_threads_change_no_byte(batch, tmp_path):
    for name, fixed in (("open", "n"), ("fixed", 2)):
        path = graphs.yolo(tmp_path / f"{name}.onnx", version=5, batch=fixed)
        model = imported(path, tmp_path / name, kind="yolo").model
        one = detect(slide(), model, threads=1, batch=1)
        many = detect(slide(), model, threads=3, batch=batch)
        assert one == many


def test_both_labels_and_a_class_that_is_left_out(tmp_path):
    """The second class answers to grey dots more than the first one."""
    labels = [Label.MITOTIC, Label.HARD_NEGATIVE] * 2
    image = slide(DOTS[:4], labels=labels)
    path = graphs.heat_map(tmp_path / "net.onnx", classes=2)
    for classes, present in (
        (("mitotic figure", "hard negative"), {0, 1}),
        (("mitotic figure", "nuclei*"), {0}),
    ):
        done = imported(path, tmp_path / "-".join(classes).replace("*", ""), image, classes=classes)
        assert set(done.detections.label.tolist()) <= present
        assert done.model.card.head.classes == tuple(
            label for label in Label if label.code in present
        )


def test_names_in_the_file_are_the_default(tmp_path):
    path = graphs.yolo(
        tmp_path / "net.onnx", classes=2, metadata={"names": "['mitosis', 'imposter']"}
    )
    done = imported(path, tmp_path / "out", kind="yolo", classes=None)
    assert done.model.card.foreign.output.classes == ("mitosis", "imposter")


def test_a_resized_tile_finds_the_same_places(tmp_path):
    path = graphs.yolo(tmp_path / "net.onnx", side=256, batch=1)
    for resize in ("letterbox", "stretch"):
        done = imported(path, tmp_path / resize, kind="yolo", resize=resize)
        # Half as large cells: the first one that is wholly dark is further from the middle.
        assert near(done.detections.above_threshold(), DOTS, within=9)


def test_openvino_gives_the_same_detections(tmp_path):
    pytest.importorskip("openvino")
    path = graphs.yolo(tmp_path / "net.onnx", version=5, batch=2)
    model = imported(path, tmp_path / "out", kind="yolo").model
    one, other = (detect(slide(), model, device=device) for device in ("auto", "openvino"))
    assert one.provenance.runtime.startswith("onnxruntime")
    assert other.provenance.runtime.startswith("openvino")
    assert other.provenance.parameters.precision == "fp32"
    np.testing.assert_allclose(one.points, other.points, atol=0.02)
    np.testing.assert_allclose(one.score, other.score, atol=1e-4)


def refused(message, path, tmp_path, image=None, kind_of_error=ModelFileError, **stated):
    with pytest.raises(kind_of_error, match=message):
        imported(path, tmp_path / "out", image, **stated)
    assert not (tmp_path / "out").exists()


def test_what_does_not_fit_is_refused_and_nothing_is_written(tmp_path):
    heat = graphs.heat_map(tmp_path / "heat.onnx")
    refused(r"did you mean --kind points\?", heat, tmp_path, kind="yolo")
    refused("it has 1 class", heat, tmp_path, classes=("mitotic figure", "hard negative"))
    refused("'Mitosis\\?': is neither", heat, tmp_path, classes=("Mitosis?",))
    refused("none is a mitotic figure", heat, tmp_path, classes=("hard negative",))
    refused("does not name its classes", heat, tmp_path, classes=None)
    grey = graphs.constant(
        tmp_path / "grey.onnx", np.zeros((1, 1, 8, 8), np.float32), layout="nchw"
    )
    refused("tiles of 16 px", grey, tmp_path, tile=16)
    refused("margin", heat, tmp_path, kind_of_error=InputError, margin=64)


@pytest.mark.parametrize(
    ("outputs", "kind", "message"),
    [
        ([np.full((1, 5, 30), np.nan, np.float32)], "yolo", "not numbers"),
        ([np.zeros((1, 0, 5), np.float32)], "yolo", "do not fit --kind yolo"),
        ([np.zeros((1, 1, 0, 0), np.float32)], "points", "do not fit --kind points"),
        ([np.zeros((1, 9, 16, 16), np.float32)], "points", "it has 9 classes"),
        ([np.zeros((1, 30, 4), np.float32)], "retinanet", "do not fit --kind retinanet"),
        ([np.zeros((1, 1, 8, 8, 8), np.float32)], "points", "do not fit"),
        ([np.array(1.0, np.float32)], "boxes", "do not fit"),
    ],
)
def test_hostile_outputs_are_refused(outputs, kind, message, tmp_path):
    path = graphs.constant(tmp_path / "net.onnx", *outputs)
    refused(message, path, tmp_path, kind=kind)


def test_a_finished_graph_may_detect_nothing(tmp_path):
    empty = np.zeros((1, 0, 6), np.float32)
    done = imported(graphs.constant(tmp_path / "net.onnx", empty), tmp_path / "out", kind="yolo")
    assert len(done.detections) == 0
    assert "no detection" in done.warnings[0]
    assert done.model.card.foreign.output.decoding == "rows"


def test_detections_everywhere_are_a_warning(tmp_path):
    table = np.zeros((1, 5, 3000), np.float32)
    table[0, :2] = np.random.default_rng(0).uniform(0, 128, (2, 3000))
    table[0, 4] = 0.9
    path = graphs.constant(tmp_path / "net.onnx", table)
    done = imported(path, tmp_path / "out", kind="yolo", merge_radius_um=0.5)
    assert "may be wrong" in done.warnings[0]


def test_a_model_file_is_replaced_only_on_request(tmp_path):
    path = graphs.heat_map(tmp_path / "net.onnx")
    first = imported(path, tmp_path / "out")
    with pytest.raises(InputError, match="--overwrite"):
        imported(path, tmp_path / "out")
    again = import_model(
        path, tmp_path / "out", replace(CHOICES, margin=20), slide(), overwrite=True
    )
    assert load_model(tmp_path / "out").id == again.model.id != first.model.id


def test_a_whole_slide_is_no_test_image(tmp_path):
    path = graphs.heat_map(tmp_path / "net.onnx")
    large = slide(width=20_000, height=20_000)
    refused("too much for a check", path, tmp_path, large, kind_of_error=InputError)


def test_a_changed_graph_is_refused_later(tmp_path):
    """A card that does not describe its graph gives an error, not detections."""
    done = imported(graphs.yolo(tmp_path / "net.onnx"), tmp_path / "out", kind="yolo")
    (tmp_path / "out" / "model.onnx").write_bytes(b"x")
    with pytest.raises(ModelFileError, match="is not the file that the card names"):
        detect(slide(), done.model)


def test_pytorch_does_not_run_it(tmp_path):
    model = imported(graphs.heat_map(tmp_path / "net.onnx"), tmp_path / "out").model
    with pytest.raises(ModelFileError, match="is an imported graph, which PyTorch neither runs"):
        detect(slide(), model, device="torch")
