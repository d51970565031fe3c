"""Downloads MIDOG 2021 and MIDOG++ from their public records.

Downloads can be resumed: a partial file stays, and the same call continues it. A file gets its name
only when its md5 is the published one. Addresses are in ``metaphase.labels.download.records``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from metaphase.errors import InputError, InterruptedRunError, Problem
from metaphase.labels.download.http import Fetcher, has_md5, is_complete, part_of
from metaphase.labels.download.records import RECORDS, Record, RemoteFile, chosen_files, list_files
from metaphase.labels.formats.midogfacts import FACTS
from metaphase.units import scanner_name


class DownloadProgress:
    """Receives the progress of a download; the command line draws it. Does nothing by itself."""

    def listed(self, done: int, total: int) -> None:
        """``done`` of ``total`` pages of the record have been read."""

    def planned(self, files: list[RemoteFile], missing: list[RemoteFile]) -> None:
        """The chosen files, and those of them that are not complete yet."""

    def grew(self, file: RemoteFile, size: int) -> None:
        """``size`` bytes of a file have been written."""


@dataclass(frozen=True)
class Downloaded:
    """Names of the files that were downloaded, and of those that were there already."""

    folder: Path
    fetched: tuple[str, ...]
    kept: tuple[str, ...]


def download(
    key: str,
    out: str | Path,
    *,
    scanners: Iterable[str] = (),
    tumours: Iterable[str] = (),
    verify: bool = False,
    api: str | None = None,
    fetcher: Fetcher | None = None,
    progress: DownloadProgress | None = None,
) -> Downloaded:
    """Download ``midog21`` or ``midogpp`` into a folder: label files and images, side by side.

    ``scanners`` and ``tumours`` choose images (none: all); label files are always downloaded.
    ``verify`` checks the md5 of files that are there and downloads wrong ones again. ``api`` is
    another address of the record's API, for mirrors and tests.

    A file that fails does not stop the others. Raises InputError for unknown names, too small a
    disk and, at the end, for the files that failed; InterruptedRunError on Ctrl-C.
    """
    record, out = _record(key, api), Path(out)
    fetcher, progress = fetcher or Fetcher(), progress or DownloadProgress()
    chosen = chosen_files(_scanners(record, scanners), _tumours(record, tumours))
    try:
        files = list_files(record, fetcher.json, chosen, progress.listed)
        if verify:
            _remove_damaged(files, out)
        missing = [file for file in files if not is_complete(file, out)]
        _check_space(missing, out)
        progress.planned(files, missing)
        failed = _fetch_all(missing, out, fetcher, progress)
    except KeyboardInterrupt as error:
        raise InterruptedRunError(
            f"interrupted; partial files stay in {out}: run the same command again to resume"
        ) from error
    if failed:
        raise InputError(failed)
    kept = tuple(file.name for file in files if file not in missing)
    return Downloaded(out, tuple(file.name for file in missing), kept)


def _fetch_all(
    files: list[RemoteFile], out: Path, fetcher: Fetcher, progress: DownloadProgress
) -> list[Problem]:
    problems: list[Problem] = []
    for file in files:
        try:
            fetcher.file(file, out, _listener(file, progress))
        except InputError as error:
            problems += error.problems
    return problems


def _listener(file: RemoteFile, progress: DownloadProgress) -> Callable[[int], None]:
    return lambda size: progress.grew(file, size)


def _record(key: str, api: str | None) -> Record:
    if key not in RECORDS:
        raise InputError.of(
            "download", f"unknown data set {key!r}", way_out=f"one of {', '.join(RECORDS)}"
        )
    return RECORDS[key] if api is None else replace(RECORDS[key], api=api.rstrip("/"))


def _scanners(record: Record, names: Iterable[str]) -> tuple[str, ...]:
    return _check_names(record, "scanner", [scanner_name(name) or "" for name in names])


def _tumours(record: Record, names: Iterable[str]) -> tuple[str, ...]:
    return _check_names(record, "tumour", [" ".join(name.lower().split()) for name in names])


def _check_names(record: Record, what: str, names: list[str]) -> tuple[str, ...]:
    last = 200 if record.key == "midog21" else FACTS[-1].last
    held = [facts for facts in FACTS if facts.last <= last]
    if record.key == "midogpp":
        held = [facts for facts in held if facts.labelled]  # it comes without the last fifty
    possible = list(dict.fromkeys(getattr(facts, what) for facts in held))
    unknown = [name for name in names if name not in possible]
    if unknown:
        raise InputError.of(
            record.title,
            f"has no {what} {', '.join(map(repr, unknown))}",
            way_out=f"it has {', '.join(possible)}",
        )
    return tuple(names)


def _remove_damaged(files: list[RemoteFile], out: Path) -> None:
    for file in files:
        if is_complete(file, out) and not has_md5(file, out):
            (out / file.name).unlink()


def _check_space(missing: list[RemoteFile], out: Path) -> None:
    needed = sum(file.size for file in missing)
    for file in missing:
        part = part_of(file, out)
        needed -= min(part.stat().st_size, file.size) if part.is_file() else 0
    existing = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(existing).free
    if needed > free:
        raise InputError.of(
            out,
            f"{needed / 1e9:.1f} GB are still to come, but only {free / 1e9:.1f} GB are free",
            way_out="name another folder, or choose some with --only-scanner",
        )
