"""Model files from strangers: nothing runs, nothing hangs, and every refusal names the file."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("safetensors")

from metaphase.errors import ModelFileError
from metaphase.models.modelfile import load_model, load_network, rewrite_card, save_model
from metaphase.models.onnxfile import external_files
from tests.models.test_modelfile import make_card

WEIGHTS = {"a": np.ones(2, np.float32)}


class Harm:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.path,)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_model(tmp_path / "m", make_card(), weights=WEIGHTS).folder


def relabel(folder: Path, name: str, data: bytes) -> None:
    """Replace a weights file and its hash on the card, as its author would."""
    import hashlib

    (folder / name).write_bytes(data)
    card = json.loads((folder / "card.json").read_text())
    card["weights_sha256"][name] = hashlib.sha256(data).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))


@pytest.mark.parametrize("kind", ["pickle", "torch zip", "huge header", "empty", "noise"])
def test_weights_that_are_not_safetensors_are_refused(
    folder: Path, tmp_path: Path, kind: str
) -> None:
    pytest.importorskip("torch")
    harm = pickle.dumps(Harm(tmp_path / "harmed"))
    if kind == "torch zip":
        with zipfile.ZipFile(tmp_path / "z", "w") as archive:
            archive.writestr("archive/data.pkl", harm)
        data = (tmp_path / "z").read_bytes()
    else:
        data = {
            "pickle": harm,
            "huge header": (2**62).to_bytes(8, "little") + b"{}",
            "empty": b"",
            "noise": bytes(range(256)) * 8,
        }[kind]
    relabel(folder, "weights.safetensors", data)
    with pytest.raises(ModelFileError, match=r"weights\.safetensors"):
        load_network(load_model(folder))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("kind", ["pickle", "empty", "noise"])
def test_graphs_that_are_not_onnx_are_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    data = {
        "pickle": pickle.dumps(Harm(tmp_path / "harmed")),
        "empty": b"",
        "noise": bytes(range(256)) * 8,
    }[kind]
    model = save_model(tmp_path / "g", make_card(), onnx=data)
    with pytest.raises(ModelFileError, match=r"model\.onnx"):
        model.graph()
    with pytest.raises(ValueError, match=r"\w"):
        external_files(data)
    assert not (tmp_path / "harmed").exists()


def test_a_graph_that_changes_after_it_was_checked_is_refused(tmp_path: Path) -> None:
    model = save_model(tmp_path / "g", make_card(), onnx=b"one")
    (tmp_path / "g" / "model.onnx").write_bytes(b"two")
    with pytest.raises(ModelFileError, match="not the file that the card names"):
        model.graph()


def wild(**changes: object) -> object:
    return lambda card: card.update(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["input"].update(tile_px=10**9), "tile_px"),
        (lambda c: c["input"].update(mpp=float("inf")), "mpp"),
        (lambda c: c["input"].update(mpp=float("nan")), "mpp"),
        (lambda c: c["input"].update(margin_px=10**6), "margin"),
        (lambda c: c["head"].update(levels=[]), "levels"),
        (lambda c: c["head"].update(classes=[]), "classes"),
        (lambda c: c["head"]["levels"][0].update(stride=1e300), "stride"),
        (lambda c: c["head"]["levels"][0].update(anchors=[[1.0, -2.0]]), "anchors"),
        (lambda c: c["threshold"].update(value=float("nan")), "threshold"),
        (wild(merge_radius_um=1e12), "merge_radius_um"),
        (wild(scores={"export": {"precision": "weird"}}), "scores"),
        (wild(scores={"validation": {"overall": {"tp": "many"}}}), "scores"),
        (wild(scores=[1]), "scores"),
        (wild(weights_sha256="x"), "weights_sha256"),
        (wild(second_stage={"id": 3}), "second_stage"),
        (wild(name=None), "name"),
    ],
)
def test_a_nonsensical_card_is_refused(folder: Path, change, message: str) -> None:
    card = json.loads((folder / "card.json").read_text())
    change(card)
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelFileError, match=message):
        load_model(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "[" * 100_000,
        '{"format": ' + "9" * 5000 + "}",
        "\ud800".encode("utf-8", "surrogatepass"),
        b"\x00" * 100,
        b" " * (17 << 20),
    ],
    ids=["empty", "list", "null", "nested", "digits", "surrogate", "NUL", "17 MiB"],
)
def test_a_card_that_cannot_be_read_is_refused(folder: Path, text: str | bytes) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "card.json").write_bytes(data)
    with pytest.raises(ModelFileError, match=r"card\.json"):
        load_model(folder)


@pytest.mark.parametrize("options", [{"width": 10**9}, {"depth": "deep"}, {"what": 1}, {}])
def test_wild_options_are_refused(folder: Path, options: dict[str, object]) -> None:
    pytest.importorskip("torch")
    model = rewrite_card(load_model(folder), network_options={"weights": "none", **options})
    with pytest.raises(ModelFileError):
        load_network(model)


def test_an_unknown_network_is_refused(folder: Path) -> None:
    pytest.importorskip("torch")
    from metaphase.errors import InputError

    with pytest.raises(InputError, match=r"os\.system"):
        load_network(rewrite_card(load_model(folder), network="os.system"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
@pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
def test_a_pipe_does_not_hang(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(ModelFileError):
        load_model(folder)


@pytest.mark.parametrize("name", ["card.json", "weights.safetensors"])
def test_links_into_nothing_and_in_circles_are_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    for target in ("gone", name):
        (folder / name).symlink_to(target)
        with pytest.raises(ModelFileError):
            load_model(folder)
        (folder / name).unlink()


def test_a_second_stage_inside_itself_is_refused(folder: Path) -> None:
    stage = {"id": "0" * 64}
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, "second_stage": stage}))
    (folder / "second").symlink_to(".")
    with pytest.raises(ModelFileError, match="part of a model that has parts"):
        load_model(folder)


def test_names_that_no_file_can_have_are_refused() -> None:
    for name in ("a\0b", "x" * 5000):
        with pytest.raises(ModelFileError):
            load_model(name)
