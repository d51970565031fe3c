"""Lower precision: a model file of its own, close to the one it came from."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from metaphase.cli import main
from metaphase.detection.runtime import open_runtime
from metaphase.errors import ModelFileError
from metaphase.models.cardscores import Int8Note
from metaphase.models.modelfile import load_model
from metaphase.models.precision import add_int8, export_model
from tests.models import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def tiles(n=8):
    return list(np.random.default_rng(0).integers(0, 256, (n, 128, 128, 3), dtype=np.uint8))


def maps(model):
    return open_runtime(model, "onnx").run(np.stack(tiles(2)))


@pytest.mark.parametrize(("precision", "tolerance"), [("fp16", 0.02), ("int8", 0.1)])
def test_the_maps_stay_close(model, tmp_path, precision, tolerance):
    made = export_model(model, tmp_path / "m", precision, tiles=tiles())
    for a, b in zip(maps(model), maps(load_model(tmp_path / "m")), strict=True):
        assert b.dtype == np.float32
        np.testing.assert_allclose(a, b, atol=tolerance)
    assert made.card.name == f"tiny-{precision}"
    assert made.card.threshold == model.card.threshold
    assert made.card.scores.export.precision == precision
    assert made.card.scores.export.source_id == model.id
    assert made.id != model.id
    assert made.weights_path is None


def test_a_model_can_have_a_graph_in_8_bits_beside_its_own(tmp_path):
    plain = tiny.save_tiny(tmp_path / "m")
    made = add_int8(plain, tiles(), f1_change=-0.001)
    assert made == load_model(tmp_path / "m")
    assert made.id != plain.id
    assert made.card.scores.int8 == Int8Note(calibration_tiles=8, f1_change=-0.001)
    assert made.graph() != made.graph("int8")
    assert plain.graph("int8") == plain.graph()
    exact, rounded = (
        open_runtime(made, "onnx", precision=p).run(np.stack(tiles(2))) for p in ("fp32", "int8")
    )
    assert not np.array_equal(exact[0], rounded[0])
    for a, b in zip(exact, rounded, strict=True):
        np.testing.assert_allclose(a, b, atol=0.1)
    packed = export_model(made, tmp_path / "packed", "packed")
    assert packed.int8_path is None
    assert packed.card.scores.int8 is None
    (tmp_path / "m" / "int8.onnx").write_bytes(b"other")
    with pytest.raises(ModelFileError, match="not the file"):
        load_model(tmp_path / "m")


def test_fp32_is_exported_anew_from_the_weights(model, tmp_path, monkeypatch):
    tiny.register(monkeypatch)
    weights = tiny.save_tiny(tmp_path / "w", onnx=False)
    made = export_model(weights, tmp_path / "m")
    assert made.weights_path is not None
    for a, b in zip(maps(model), maps(made), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_what_cannot_be_is_told(model, tmp_path, monkeypatch):
    tiny.register(monkeypatch)
    with pytest.raises(ModelFileError, match="--calibrate"):
        export_model(model, tmp_path / "m", "int8")
    with pytest.raises(ModelFileError, match="unknown precision"):
        export_model(model, tmp_path / "m", "int4")
    with pytest.raises(ModelFileError, match="fp32 first"):
        export_model(tiny.save_tiny(tmp_path / "w", onnx=False), tmp_path / "m", "fp16")
    assert not (tmp_path / "m").exists()


def call(*arguments):
    try:
        main(["export", *map(str, arguments)])
    except SystemExit as done:
        return done.code or 0
    return 0


def test_the_command(model, tmp_path, capsys):
    from PIL import Image

    for i in range(2):
        picture = np.random.default_rng(i).integers(0, 256, (300, 300, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"{i}.png")
    options = ["--weights", "int8", "--calibrate", tmp_path, "--mpp", 0.25, "--tiles", 8]
    assert call("--model", model.folder, *options, "-o", tmp_path / "m") == 0
    assert "tiny-int8" in capsys.readouterr().out
    assert load_model(tmp_path / "m").card.scores.export.calibration_tiles == 8
    assert call("--model", model.folder, "--weights", "fp16") == 0
    assert load_model(model.folder.with_name("tiny-fp16"))
    assert call("--model", model.folder, "--weights", "int8", "-o", tmp_path / "n") == 2
    assert call("--model", model.folder, "--weights", "int4") == 2
    assert call("--model", model.folder, "-o", model.folder) == 2


def test_packed_weights_give_the_same_maps_in_half_the_space(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from metaphase.models.export import export_onnx
    from metaphase.models.modelfile import load_network, save_model
    from tests.detection.scenes import make_card

    class Wide(tiny.TinyNetwork):
        def __init__(self, options, classes):
            super().__init__(options, classes)
            self.more = torch.nn.Conv2d(3, 64, 9, padding=4)
            self.back = torch.nn.Conv2d(64, 3, 9, padding=4)

        def forward(self, images):
            score, offset = super().forward(images)
            extra = self.back(self.more(self.normalise(images)))
            return score + 0.01 * extra.mean(dim=(1, 2, 3), keepdim=True), offset

    tiny.register(monkeypatch)
    monkeypatch.setitem(tiny.networks.KINDS, "tiny", (Wide, tiny.TinyOptions))
    network = Wide(tiny.TinyOptions(), (tiny.Label.MITOTIC,)).eval()
    graph = export_onnx(network, tmp_path / "wide.onnx")
    card = make_card(
        name="wide",
        network="tiny",
        network_options={"weights": "none", "tile_px": 128},
        input=network.input,
        head=network.head,
    )
    wide = save_model(tmp_path / "wide", card, weights=network.state_dict(), onnx=graph)
    made = export_model(wide, tmp_path / "packed", "packed")
    assert made.card.name == "wide"
    assert b"stack_trace" not in made.onnx_path.read_bytes()
    for a, b in zip(maps(wide), maps(made), strict=True):
        np.testing.assert_allclose(a, b, atol=5e-3)
    for name in ("onnx_path", "weights_path"):
        assert getattr(made, name).stat().st_size < 0.65 * getattr(wide, name).stat().st_size
    again = load_network(made).state_dict()
    for name, value in network.state_dict().items():
        assert again[name].dtype == value.dtype
        torch.testing.assert_close(again[name], value, atol=1e-3, rtol=1e-3)
