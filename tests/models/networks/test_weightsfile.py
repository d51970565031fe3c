"""Weights that a recipe names: tensors only, and one error for everything else."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from metaphase.errors import ModelFileError  # noqa: E402
from metaphase.models.networks.weightsfile import read_weights  # noqa: E402


class Planted:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_tensors_are_read_alone_or_as_a_state_dict(tmp_path: Path) -> None:
    state = {"a": torch.ones(2), "b": torch.zeros(3)}
    for content in (state, {"state_dict": state, "epoch": 3}):
        torch.save(content, tmp_path / "w.pt")
        read = read_weights(tmp_path / "w.pt", "none")
        assert list(read) == ["a", "b"]
        assert torch.equal(read["a"], state["a"])


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04", pickle.dumps({"a": 1})])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    with pytest.raises(ModelFileError) as caught:
        read_weights(tmp_path / "w.pt", "name another")
    assert caught.value.problems[0].way_out == "name another"


@pytest.mark.parametrize("content", [[1], {"a": 1}, {1: torch.ones(1)}])
def test_other_content_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match="no table of tensors"):
        read_weights(tmp_path / "w.pt", "")


def test_nothing_is_executed(tmp_path: Path) -> None:
    torch.save({"a": Planted(tmp_path / "marker")}, tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match="more than tensors"):
        read_weights(tmp_path / "w.pt", "")
    assert not (tmp_path / "marker").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_named_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "w.pt")
    with pytest.raises(ModelFileError, match="named pipe"):
        read_weights(tmp_path / "w.pt", "")
