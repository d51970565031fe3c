"""Commands as a user calls them: exit code and what they print."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from metaphase.cli import main
from metaphase.models.modelfile import Model, save_model
from tests.detection.scenes import make_card


@dataclass(frozen=True)
class Ended:
    """How a command ended. ``words`` is stderr without frames and line breaks."""

    code: int
    out: str
    err: str

    @property
    def words(self) -> str:
        return " ".join(self.err.replace("│", " ").split())


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Call ``metaphase`` with words, in this process."""

    def call(*words: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        shown = capsys.readouterr()
        return Ended(int(ended.value.code or 0), shown.out, shown.err)

    return call


@pytest.fixture
def model(tmp_path) -> Model:
    """A model file with a card and a graph that no runtime could run."""
    return save_model(tmp_path / "models" / "dots", make_card(), onnx=b"graph")
