"""Draws a download on stderr: one bar for all bytes, one for the current file."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from metaphase.labels.download.midog import DownloadProgress
from metaphase.labels.download.records import RemoteFile


class DownloadBar(DownloadProgress):
    """Draws the progress of a download."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._whole = self._progress.add_task("reading the record", total=None)
        self._one = self._progress.add_task("", total=None, visible=False)
        self._sizes: dict[str, int] = {}

    def __enter__(self) -> DownloadBar:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def listed(self, done: int, total: int) -> None:
        """Show how many articles of a collection have been read."""
        self._progress.update(self._whole, description=f"reading the record: {done} of {total}")

    def planned(self, files: list[RemoteFile], missing: list[RemoteFile]) -> None:
        """Start the bar of all bytes."""
        total = sum(file.size for file in missing)
        text = f"{len(missing)} of {len(files)} files"
        self._progress.update(self._whole, description=text, total=total, completed=0)

    def grew(self, file: RemoteFile, size: int) -> None:
        """Move both bars."""
        self._sizes[file.name] = size
        self._progress.update(self._whole, completed=sum(self._sizes.values()))
        self._progress.update(
            self._one, description=file.name, total=file.size, completed=size, visible=True
        )
