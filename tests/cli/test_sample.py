"""``metaphase sample``: the sample is written, and the next command is named."""

from __future__ import annotations

import metaphase


def test_the_command_names_the_next_one(command, tmp_path):
    ended = command("sample", "--out", tmp_path / "s")
    assert ended.code == 0
    assert f"metaphase detect --labels {tmp_path / 's'}" in ended.out
    assert "CC BY 4.0" in ended.out
    assert len(metaphase.load_dataset(tmp_path / "s")) == 3


def test_the_default_folder_is_named_sample(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert command("sample").code == 0
    assert (tmp_path / "sample" / "annotations.json").is_file()


def test_a_folder_that_cannot_be_written_exits_with_2(command, tmp_path):
    (tmp_path / "file").write_text("kept")
    ended = command("sample", "--out", tmp_path / "file")
    assert ended.code == 2
    assert "choose another --out" in ended.words
    assert (tmp_path / "file").read_text() == "kept"
