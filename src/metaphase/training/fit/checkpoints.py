"""Checkpoints of a run: written whole or not at all, read without executing anything.

``torch.load`` with ``weights_only`` builds tensors, numbers, text and containers of them only: a
file that was planted in a run's folder can run no code.
"""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO
from rich.console import Console

from metaphase.errors import InputError
from metaphase.files import whole_file
from metaphase.training.runfolder import RunFolder


class DamagedCheckpointError(InputError):
    """A checkpoint is cut off or damaged."""


class CheckpointFiles(TorchCheckpointIO):
    """Writes checkpoints whole or not at all; keeps the one before the last."""

    def __init__(self, folder: RunFolder) -> None:
        super().__init__()
        self.folder = folder

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint; the last one of before becomes the previous one."""
        with whole_file(path) as part:
            torch.save(checkpoint, part)
            last = self.folder.last_checkpoint
            if Path(path).name == last.name and last.is_file():
                os.replace(last, self.folder.previous_checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; see ``read_checkpoint``."""
        return read_checkpoint(path, "cpu" if map_location is None else map_location)


class RunCheckpoint(ModelCheckpoint):
    """Saves checkpoints in the folder of a run, wherever that folder is.

    Lightning forgets the best checkpoint when a folder was moved or copied, and deletes files by
    the paths in a checkpoint. Here only the names are taken from there, never their folders.
    """

    @property
    def state_key(self) -> str:
        """The key in a checkpoint: Lightning's own, which earlier versions used."""
        key: str = super().state_key
        return key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state, with all paths in the folder of this run."""
        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        moved: dict[str, Any] = {
            name: self._here(state_dict[name]) for name in paths if name in state_dict
        }
        kept = state_dict.get("best_k_models") or {}
        moved["best_k_models"] = {self._here(path): score for path, score in kept.items()}
        super().load_state_dict({**state_dict, **moved, "dirpath": self.dirpath})

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path


def read_checkpoint(path: str | Path, map_location: Any = "cpu") -> dict[str, Any]:
    """Return what a checkpoint holds: tensors, numbers, text and containers of them.

    Raises DamagedCheckpointError for a file that is cut off, and InputError for one that holds
    anything else, which is not built.
    """
    if not _is_archive(path):
        raise DamagedCheckpointError.of(path, "is damaged: not a whole checkpoint")
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError.of(
            path,
            "holds more than tensors and plain values, as no checkpoint of metaphase does; it was "
            "not loaded",
            way_out="remove it if you do not know where it comes from; the run then starts anew",
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpointError.of(path, f"is damaged: {error}") from error
    if not isinstance(content, dict):
        raise DamagedCheckpointError.of(path, "is damaged: it holds no table")
    return content


def _is_archive(path: str | Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:
        return False


def checkpoint_to_resume(folder: RunFolder) -> Path | None:
    """Return the checkpoint that a run is resumed from; None where it starts anew.

    Where the last one is damaged it is the one before, with a message. Raises InputError for a
    checkpoint that is none of metaphase.
    """
    for path in (folder.last_checkpoint, folder.previous_checkpoint):
        if not path.is_file():
            continue
        try:
            read_checkpoint(path)
        except DamagedCheckpointError as error:
            Console(stderr=True).print(f"note: {error}; resuming from an earlier state")
            path.unlink()
            continue
        return path
    return None
