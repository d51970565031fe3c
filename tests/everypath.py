"""``python -m tests.everypath [COMMAND...] [--quick]``: every path of every command, named wrongly.

Each option and argument that takes a path gets named pipes, devices, absent files, links in a
circle, names that are too long or not UTF-8, damaged files and folders; each output a place that
cannot be written, or a disk that is full. A command must end in time, with 0, 1 or 2 and without a
traceback; a named pipe and an absent file must be refused. Each call is a fork of this process.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import signal
import stat
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

Words = tuple[str, ...]
Values = dict[str, str]

LIMIT_S = 120
NAMES = {"model", "validation", "first", "second"}
"""Parameters of text that may be paths."""
OUTPUTS = {"out", "log_file", "export", "store"}
FULL = "(a full disk)"

_FIELD = {"labels": "sample"}
_IMAGE = {"images": "a.png", "mpp": "0.25"}
COMMANDS: dict[Words, Values] = {
    ("sample",): {"out": "o"},
    ("phantom",): {"out": "o", "cases_per_scanner": "1", "size": "128", "only_scanner": "A"},
    ("data", "check"): _FIELD,
    ("data", "show"): _FIELD,
    ("data", "convert"): {**_FIELD, "out": "o"},
    ("data", "split", "stratified"): {**_FIELD, "out": "o.json"},
    ("data", "split", "leave-one-out"): {**_FIELD, "out": "o"},
    ("data", "split", "published"): {"published": "midog21-official", "out": "o.json"},
    ("data", "split", "check"): {**_FIELD, "split": "split.json"},
    ("data", "download"): {"dataset": "midog21", "out": "o", "api": "file:///nothing/"},
    ("doctor",): {"recipe": "r.toml"},
    ("recipes",): {"name": "demo", "out": "o.toml"},
    ("train",): {"recipe": "r.toml", "out": "o"},
    ("adapt",): {**_IMAGE, "out": "o"},
    ("cross-validate",): {"recipe": "r.toml", "out": "o"},
    ("detect",): {**_IMAGE, "out": "o"},
    ("evaluate",): {"detections": "found", **_FIELD, "resamples": "0"},
    ("compare",): {"first": "found", "second": "found", **_FIELD, "resamples": "10"},
    ("stress",): {**_FIELD, "out": "o", "sweep": "no such sweep"},
    ("count",): {"detections": "found"},
    ("report",): {"results": "scores.json", "out": "o.html"},
    ("sheet",): {"detections": "found", **_FIELD, "out": "o"},
    ("card",): {},
    ("export",): {"out": "o", "weights": "packed"},
    ("import",): {"graph": "a.onnx", "kind": "yolo", "mpp": "0.25", "out": "o"},
    ("exchange", "convert"): {"detections": "found", "to": "csv", "out": "o.csv"},
    ("container",): {"out": "o"},
    ("view",): {**_IMAGE, "export": "e"},
    ("learn", "start"): {**_IMAGE, "out": "o"},
    ("learn", "review"): {"loop": "loop"},
    ("learn", "train"): {"loop": "loop"},
    ("learn", "status"): {"loop": "loop"},
}
"""A call of each command, by the names of its parameters."""
IMPORTED = (
    *("detection.batch", "slides.open", "slides.tiff", "slides.openslide", "labels.audit"),
    *("exchange.convert", "evaluation.evaluate", "report.page", "report.comparison"),
    *("counting.batch", "viewer.app", "training.train", "training.checks.run", "learning.rounds"),
    *("training.folds.crossvalidation", "training.adapt.existing", "stress.stress"),
    "detection.foreign.importmodel",
)
NO_PATHS = {("config",), ("demo",)}  # demo: its commands are among the others

MISSING = ("bad/missing", "bad/file/x", f"bad/{'n' * 300}", "bad/circle", "bad/no\udcff.json")
PIPES = ("bad/pipe.txt", "bad/pipe.json", "bad/pipe.csv", "bad/pipe.png")
OTHERS = (
    *("/dev/zero", "bad/empty.json", "bad/damaged.json", "bad/damaged.csv", "bad/damaged.sqlite"),
    *("bad/folder", "bad/pipes"),
)
PLACES = (
    *("bad/pipe", "bad/pipe.json", "bad/file/x", f"bad/{'n' * 300}", "bad/circle"),
    *(
        "bad/circle/x",
        "bad/broken",
        "/proc/nothing",
        "/proc/1/x/y",
        "/dev/null/x",
        "bad/null",
        FULL,
    ),
)
QUICK_INPUTS, QUICK_PLACES = ("bad/pipe.json", "bad/circle"), ("bad/file/x", "bad/pipe")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended. ``wrong`` says why that is a failure, empty where it is none."""

    words: Words
    option: str
    value: str
    code: int
    seconds: float
    output: str
    wrong: str

    def __str__(self) -> str:
        last = (self.output.strip().splitlines() or [""])[-1]
        call = f"{' '.join(self.words)} {self.option} {ascii(self.value)[:50]}"
        end = f"{self.code} in {self.seconds:.1f} s: {ascii(last)[:200]}"
        return f"{self.wrong or 'ok'}: {call}: {end}"


def try_all(only: Sequence[str] = (), *, quick: bool = False) -> Iterator[Ended]:
    """Yield how each call ended, in a temporary folder that becomes the working folder."""
    with tempfile.TemporaryDirectory() as name:
        before = Path.cwd()
        os.chdir(name)
        try:
            _prepare()
            for words, command in commands():
                if words in COMMANDS and (not only or " ".join(words) in only):
                    yield from _try_command(words, command, quick)
        finally:
            os.chdir(before)


def commands() -> Iterator[tuple[Words, Any]]:
    """Yield every command with its words."""
    import typer

    from metaphase.cli.commands import COMMANDS as NAMES_OF_COMMANDS
    from metaphase.cli.commands import load

    def inner(words: Words, command: Any) -> Iterator[tuple[Words, Any]]:
        if not hasattr(command, "commands"):
            yield words, command
        for name, each in getattr(command, "commands", {}).items():
            yield from inner((*words, name), each)

    for name in NAMES_OF_COMMANDS:
        yield from inner((name,), typer.main.get_command(load(name)))


def path_parameters(command: Any) -> list[Any]:
    """Return the parameters of a command that are paths, or may be."""
    return [p for p in command.params if not p.hidden and (p.name in NAMES or _is_path(p))]


def _is_path(parameter: Any) -> bool:
    described = getattr(parameter, "type_descriptor", None)  # of newer versions of typer
    kind = parameter.type if described is None else described.annotation
    return "path" in str(kind).lower()


def _try_command(words: Words, command: Any, quick: bool) -> Iterator[Ended]:
    for parameter in path_parameters(command):
        is_output = parameter.name in OUTPUTS
        inputs, places = (
            (QUICK_INPUTS, QUICK_PLACES)
            if quick
            else (
                (*MISSING, *PIPES, *OTHERS),
                PLACES,
            )
        )
        for value in places if is_output else inputs:
            shutil.rmtree("bad", ignore_errors=True)
            _make_bad()
            given = "o-full" if value == FULL else value
            values = {**_base(words, parameter.name), parameter.name: given}
            started = time.monotonic()
            code, output = call(
                _arguments(words, command, values), _fill if value == FULL else None
            )
            seconds = time.monotonic() - started
            wrong = _wrong(code, output, must_fail=not is_output and value in (*MISSING, *PIPES))
            yield Ended(words, parameter.opts[0], value, code, seconds, output, wrong)
            _remove_results()


def _base(words: Words, name: str) -> Values:
    values = COMMANDS[words]
    if words == ("detect",) and name in ("split", "image_folder"):
        return {"out": "o", **_FIELD}  # these have no effect on images that are named
    if name == "case_table":
        return {**values, "labels": "figures.csv"}
    if name == "check_image":
        return {**values, "check_mpp": "0.25"}
    if name == "masked":
        return {**values, "method": "mean-teacher"}
    if name == "calibrate":
        return {**values, "weights": "int8", "mpp": "0.25"}
    return values


def _wrong(code: int, output: str, *, must_fail: bool) -> str:
    if code == -signal.SIGALRM:
        return "HANGS"
    if "Traceback" in output or code not in (0, 1, 2):
        return "FAILS"
    return "ACCEPTED" if must_fail and code == 0 else ""


def _arguments(words: Words, command: Any, values: Values) -> list[str]:
    options, arguments = [], []
    for parameter in command.params:
        if parameter.name in values and parameter.param_type_name == "argument":
            arguments.append(values[parameter.name])
        elif parameter.name in values:
            options += [parameter.opts[0], values[parameter.name]]
    return [*words, *options, *arguments]


def call(arguments: list[str], prepare: Callable[[], None] | None = None) -> tuple[int, str]:
    """Call ``metaphase`` in a fork and return its exit code (negative: a signal) and output."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(arguments, writing, prepare)
    os.close(writing)
    data = b""
    while part := os.read(reading, 1 << 16):
        data += part
    os.close(reading)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), data.decode("utf-8", "replace")


def _child(arguments: list[str], output: int, prepare: Callable[[], None] | None) -> None:
    from metaphase.cli import main

    code = 99
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        signal.alarm(LIMIT_S)
        if prepare is not None:
            prepare()
        main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _fill() -> None:
    """Let every file end after 100 bytes, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))


def _prepare() -> None:
    """Write what the calls read, and import what they need."""
    import numpy as np
    from PIL import Image

    from metaphase.detectionfile import save_detections
    from metaphase.figures import Detections
    from metaphase.labels.read import load_dataset
    from metaphase.labels.sample import write_sample
    from metaphase.provenance import Provenance

    os.environ["METAPHASE_CONFIG"] = ""
    for name in IMPORTED:  # once, not in every fork; PyTorch may not be installed
        with suppress(ImportError):
            import_module(f"metaphase.{name}")
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(100, 255, (200, 220, 3), dtype=np.uint8)).save("a.png")
    for case in load_dataset(write_sample("sample")):
        made_by = Provenance(f"{case.id}.jpg", 1360, 1024, 0.25, threshold=0.5)
        x, y = [f.x_px for f in case.figures], [f.y_px for f in case.figures]
        found = Detections(x, y, [0.9] * len(x), provenance=made_by)
        save_detections(found, Path("found", case.id))
    Path("figures.csv").write_text("case,x_px,y_px\na,1,2\n")
    for arguments in (
        ["evaluate", "found", "--labels", "sample", "--out", "scores.json", "--resamples", "10"],
        ["recipes", "demo", "--out", "r.toml"],
        ["data", "split", "published", "midog21-official", "--out", "split.json"],
    ):
        code, output = call(arguments)
        assert code == 0, output


def _make_bad() -> None:
    folder = Path("bad")
    (folder / "pipes").mkdir(parents=True)
    (folder / "folder").mkdir()
    names = ("card.json", "detections.json", "detections.csv", "annotations.json", "loop.json")
    for name in (*names, "a.png", "a.tif", "cases.csv", "figures.csv", "metrics.csv", "a.txt"):
        os.mkfifo(folder / "pipes" / name)
    for name in ("pipe", "pipe.txt", "pipe.json", "pipe.csv", "pipe.png"):
        os.mkfifo(folder / name)
    (folder / "file").write_bytes(b"x")
    (folder / "empty.json").touch()
    noise = bytes(range(256)) * 2
    for name in ("damaged.json", "damaged.csv"):
        (folder / name).write_bytes(noise)
    (folder / "damaged.sqlite").write_bytes(b"SQLite format 3\0" + noise)
    (folder / "circle").symlink_to("circle")
    (folder / "broken").symlink_to("nowhere")
    with suppress(PermissionError):  # devices are made by root alone
        os.mknod(folder / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))


def _remove_results() -> None:
    for path in map(Path, ("o", "o.json", "o.csv", "o.html", "o.toml", "e", "o-full")):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def main() -> None:
    """Print how each call ended, and exit with 1 where one failed."""
    parser = argparse.ArgumentParser("python -m tests.everypath", description=__doc__)
    parser.add_argument("commands", nargs="*", metavar="COMMAND", help="such as 'data check'")
    parser.add_argument("--quick", action="store_true", help="one pipe, circle and bad place each")
    options = parser.parse_args()
    number = failed = 0
    for ended in try_all(options.commands, quick=options.quick):
        print(ended, flush=True)
        number, failed = number + 1, failed + bool(ended.wrong)
    print(f"{number} calls, {failed} failures")
    raise SystemExit(1 if failed else 0)


if __name__ == "__main__":
    main()
