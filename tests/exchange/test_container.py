"""The build context of a container."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.errors import InputError
from metaphase.exchange.container import write_container
from metaphase.locks import locked_folder


@pytest.fixture
def model(tmp_path):
    pytest.importorskip("safetensors")
    from metaphase.models.card import HeadSpec, InputSpec, Level, ModelCard, Threshold
    from metaphase.models.modelfile import save_model

    card = ModelCard(
        name="Tiny one: 1",
        created="2025-01-01T00:00:00Z",
        metaphase="0.1.0",
        network="compact",
        network_options={},
        input=InputSpec(mpp=0.25),
        head=HeadSpec(kind="centre", levels=(Level(stride=8),)),
        normalisation={"mean": (0, 0, 0), "std": (1, 1, 1)},
        merge_radius_um=5,
        threshold=Threshold(value=0.5, chosen_on="nothing", protocol="none"),
        training_data=[],
        recipe={},
        seed=0,
        versions={},
    )
    weights = {"w": np.zeros(1, np.float32)}
    return save_model(tmp_path / "model", card, weights=weights, onnx=b"not run here").folder


def test_the_build_context(tmp_path, model):
    out = write_container(tmp_path / "context", model, mpp=0.25)
    text = (out / "Dockerfile").read_text()
    lines = text.splitlines()
    assert lines[-1] == 'ENTRYPOINT ["python", "-m", "metaphase.exchange.algorithm"]'
    assert lines[-2] == "USER algorithm"
    assert "METAPHASE_MPP=0.25" in text
    assert {p.name for p in (out / "model").iterdir()} == {p.name for p in model.iterdir()}
    assert "--network none" in (out / "README.md").read_text()
    with pytest.raises(InputError, match="already"):
        write_container(out, model)


def test_a_wheel_instead_of_the_index(tmp_path, model):
    wheel = tmp_path / "metaphase-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"zip")
    out = write_container(tmp_path / "context", model, wheel=wheel)
    assert f"COPY {wheel.name} " in (out / "Dockerfile").read_text()
    assert (out / wheel.name).read_bytes() == b"zip"
    with pytest.raises(InputError, match="wheel"):
        write_container(tmp_path / "other", model, wheel=tmp_path / "none.whl")


def test_only_the_files_of_the_model_are_copied(tmp_path, model):
    (model / "notes.txt").write_text("mine")
    (model / "out").symlink_to(tmp_path)
    out = write_container(tmp_path / "context", model)
    assert sorted(p.name for p in (out / "model").iterdir()) == [
        "card.json",
        "model.onnx",
        "weights.safetensors",
    ]


def test_a_folder_that_another_command_writes_to_is_refused(tmp_path, model):
    with locked_folder(tmp_path / "context"), pytest.raises(InputError):
        write_container(tmp_path / "context", model)
