from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from metaphase.errors import InputError, OutputError  # noqa: E402
from metaphase.training.fit.checkpoints import (  # noqa: E402
    CheckpointFiles,
    DamagedCheckpointError,
    checkpoint_to_resume,
    read_checkpoint,
)
from metaphase.training.runfolder import RunFolder  # noqa: E402

STATE = {"epoch": 3, "state_dict": {"w": torch.arange(4.0)}, "rows": [{"loss": 0.5}], "note": "x"}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path)


def save(run: RunFolder, epoch: int) -> None:
    CheckpointFiles(run).save_checkpoint(STATE | {"epoch": epoch}, run.last_checkpoint)


def test_a_checkpoint_is_read_back(run: RunFolder) -> None:
    save(run, 3)
    content = CheckpointFiles(run).load_checkpoint(run.last_checkpoint)
    assert content["epoch"] == 3
    assert torch.equal(content["state_dict"]["w"], STATE["state_dict"]["w"])
    assert [path.name for path in run.checkpoints.iterdir()] == ["last.ckpt"]


def test_the_one_before_the_last_is_kept(run: RunFolder) -> None:
    for epoch in range(3):
        save(run, epoch)
    assert read_checkpoint(run.last_checkpoint)["epoch"] == 2
    assert read_checkpoint(run.previous_checkpoint)["epoch"] == 1
    best = run.best_checkpoint
    CheckpointFiles(run).save_checkpoint(STATE, best)
    assert read_checkpoint(run.previous_checkpoint)["epoch"] == 1


def test_a_failure_while_writing_leaves_what_was_there(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, 0)

    def full(content: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        save(run, 1)
    assert read_checkpoint(run.last_checkpoint)["epoch"] == 0
    assert len(list(run.checkpoints.iterdir())) == 1


@pytest.mark.parametrize("part", [0, 1, 100, 0.5, 0.99])
def test_a_checkpoint_that_is_cut_off_is_damaged(run: RunFolder, part: float) -> None:
    save(run, 0)
    save(run, 1)
    data = run.last_checkpoint.read_bytes()
    length = part if isinstance(part, int) else int(part * len(data))
    run.last_checkpoint.write_bytes(data[:length])
    with pytest.raises(DamagedCheckpointError, match="damaged"):
        read_checkpoint(run.last_checkpoint)
    assert checkpoint_to_resume(run) == run.previous_checkpoint
    assert not run.last_checkpoint.exists()


def test_changed_bytes_are_an_error_or_numbers(run: RunFolder) -> None:
    save(run, 0)
    data = bytearray(run.last_checkpoint.read_bytes())
    for place in range(0, len(data), 97):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        run.last_checkpoint.write_bytes(changed)
        try:
            content = read_checkpoint(run.last_checkpoint)
        except InputError:
            continue
        assert isinstance(content, dict)


class Planted:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def test_nothing_in_a_checkpoint_is_executed(run: RunFolder, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    run.checkpoints.mkdir()
    torch.save({"state_dict": {}, "other": Planted(marker)}, run.last_checkpoint)
    with pytest.raises(InputError, match="not loaded") as caught:
        checkpoint_to_resume(run)
    assert not isinstance(caught.value, DamagedCheckpointError)
    assert not marker.exists()
    assert run.last_checkpoint.is_file()


def test_without_a_checkpoint_a_run_starts_anew(run: RunFolder) -> None:
    assert checkpoint_to_resume(run) is None
