"""Downloads MIDOG 2021 and MIDOG++ from their public records.

Resumable: what has come stays, and the same call goes on from there. Checked: a file gets its name
only when its md5 is the published one. The addresses are told in ``metaphase.labels.records``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from metaphase.errors import InputError, InterruptedRunError, Problem
from metaphase.labels.midogfacts import FACTS
from metaphase.labels.records import RECORDS, Record, RemoteFile, list_files, wanted_by
from metaphase.labels.transfer import Fetcher, has_md5, is_whole, part_of
from metaphase.units import scanner_name


class Watcher:
    """Is told how a download goes; the command line draws it. Does nothing by itself."""

    def listed(self, done: int, total: int) -> None:
        """``done`` of ``total`` pages of the record have been read."""

    def planned(self, files: list[RemoteFile], missing: list[RemoteFile]) -> None:
        """These files are wanted; of those ``missing`` at least a part must come."""

    def grew(self, file: RemoteFile, size: int) -> None:
        """``size`` bytes of a file are there."""


@dataclass(frozen=True)
class Downloaded:
    """What a download did: names of the files that came, and of those that were there already."""

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
    watcher: Watcher | None = None,
) -> Downloaded:
    """Download ``midog21`` or ``midogpp`` into a folder: label files and images, side by side.

    ``scanners`` and ``tumours`` choose images (none: all); label files always come. ``verify``
    reads files that are already there and fetches them anew if their md5 is wrong. ``api`` is
    another address of the record's API, for mirrors and tests.

    Raises InputError for unknown names, too small a disk, and, when all others have come, for the
    files that would not come; InterruptedRunError on Ctrl-C, saying how to go on.
    """
    record, out = _record(key, api), Path(out)
    fetcher, watcher = fetcher or Fetcher(), watcher or Watcher()
    wanted = wanted_by(_known_scanners(record, scanners), _known_tumours(record, tumours))
    try:
        files = list_files(record, fetcher.json, wanted, watcher.listed)
        if verify:
            _drop_wrong(files, out)
        missing = [file for file in files if not is_whole(file, out)]
        _check_space(missing, out)
        watcher.planned(files, missing)
        failed = _fetch_all(missing, out, fetcher, watcher)
    except KeyboardInterrupt as error:
        raise InterruptedRunError(
            f"interrupted; what has come is in {out}: run the same command again to go on"
        ) from error
    if failed:
        raise InputError(failed)
    kept = tuple(file.name for file in files if file not in missing)
    return Downloaded(out, tuple(file.name for file in missing), kept)


def _fetch_all(
    files: list[RemoteFile], out: Path, fetcher: Fetcher, watcher: Watcher
) -> list[Problem]:
    problems: list[Problem] = []
    for file in files:
        try:
            fetcher.file(file, out, _listener(file, watcher))
        except InputError as error:
            problems += error.problems
    return problems


def _listener(file: RemoteFile, watcher: Watcher) -> Callable[[int], None]:
    return lambda size: watcher.grew(file, size)


def _record(key: str, api: str | None) -> Record:
    if key not in RECORDS:
        raise InputError.of(
            "download", f"unknown data set {key!r}", way_out=f"one of {', '.join(RECORDS)}"
        )
    return RECORDS[key] if api is None else replace(RECORDS[key], api=api.rstrip("/"))


def _known_scanners(record: Record, names: Iterable[str]) -> tuple[str, ...]:
    return _known(record, "scanner", [scanner_name(name) or "" for name in names])


def _known_tumours(record: Record, names: Iterable[str]) -> tuple[str, ...]:
    return _known(record, "tumour", [" ".join(name.lower().split()) for name in names])


def _known(record: Record, what: str, names: list[str]) -> tuple[str, ...]:
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


def _drop_wrong(files: list[RemoteFile], out: Path) -> None:
    for file in files:
        if is_whole(file, out) and not has_md5(file, out):
            (out / file.name).unlink()


def _check_space(missing: list[RemoteFile], out: Path) -> None:
    needed = sum(file.size for file in missing)
    for file in missing:
        part = part_of(file, out)
        needed -= min(part.stat().st_size, file.size) if part.is_file() else 0
    there = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if needed > free:
        raise InputError.of(
            out,
            f"{needed / 1e9:.1f} GB are still to come, but only {free / 1e9:.1f} GB are free",
            way_out="name another folder, or choose some with --only-scanner",
        )
