"""``metaphase card``: printed, written, and refused for what is no model."""

from __future__ import annotations

from metaphase.models import modelfile
from metaphase.models.modelfile import save_model
from tests.detection.scenes import make_card


def test_the_default_model_is_shown_where_none_is_named(command, tmp_path, monkeypatch):
    monkeypatch.setattr(modelfile, "ZOO", tmp_path / "zoo")
    missing = command("card")
    assert missing.code == 2
    assert "not part of this installation" in missing.words
    assert "--model" in missing.words
    save_model(tmp_path / "zoo" / "compact", make_card(name="default one"), onnx=b"graph")
    shown = command("card")
    assert shown.code == 0
    assert shown.out.startswith("# default one\n")
    assert "model.onnx: SHA-256" in shown.out


def test_a_card_is_written_as_it_is_printed(command, model, tmp_path):
    printed = command("card", "--model", model.folder)
    assert printed.out.startswith("# dots\n")
    assert f"`{model.id}`" in printed.out
    written = command("card", "--model", model.folder, "--out", tmp_path / "card.md")
    assert written.out.strip() == str(tmp_path / "card.md")
    assert (tmp_path / "card.md").read_text() == printed.out


def test_the_old_position_of_the_model_is_read(command, model):
    ended = command("card", model.folder)
    assert ended.code == 0
    assert ended.out.startswith("# dots\n")
    assert "use --model" in ended.words


def test_what_is_no_model_exits_with_2(command, tmp_path):
    ended = command("card", "--model", tmp_path / "none")
    assert ended.code == 2
    assert str(tmp_path / "none") in ended.words
    assert ended.out == ""


def test_a_changed_graph_is_not_described(command, model):
    model.onnx_path.write_bytes(b"another graph")
    ended = command("card", "--model", model.folder)
    assert ended.code == 2
    assert "model.onnx" in ended.words
