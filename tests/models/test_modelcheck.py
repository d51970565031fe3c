"""Whether the files of a model are those that its card names."""

from __future__ import annotations

from pathlib import Path

from metaphase.models.modelcheck import INT8_NAME, ONNX_NAME, WEIGHTS_NAME, damage
from tests.models.test_modelfile import make_card

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # SHA-256 of nothing


def problems(folder: Path, *names: str) -> list[str]:
    card = make_card(weights_sha256=dict.fromkeys(names, EMPTY))
    return [problem.message for problem in damage(folder, card, verify=True)]


def test_every_file_that_the_card_names_is_checked(tmp_path: Path) -> None:
    for name in (ONNX_NAME, INT8_NAME):
        (tmp_path / name).write_bytes(b"")
    assert problems(tmp_path, ONNX_NAME, INT8_NAME) == []
    (tmp_path / INT8_NAME).write_bytes(b"other")
    assert problems(tmp_path, ONNX_NAME, INT8_NAME) == ["is not the file that the card names"]
    assert problems(tmp_path, ONNX_NAME, WEIGHTS_NAME) == ["is missing, though the card names it"]


def test_an_8_bit_graph_alone_is_no_model(tmp_path: Path) -> None:
    (tmp_path / INT8_NAME).write_bytes(b"")
    assert problems(tmp_path, INT8_NAME) == ["has no weights"]
    assert "unknown file 'other.bin'" in problems(tmp_path, INT8_NAME, "other.bin")
