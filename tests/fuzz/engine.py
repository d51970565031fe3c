"""Runs one target on many inputs, in a process of its own.

Inputs are mutations of the corpus. An input with a new answer (a result, or an error whose words
were not seen before) joins the corpus of the run, so that mutations go on from there. With
``coverage``, Atheris (libFuzzer) chooses by the branches of metaphase that an input reaches.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import multiprocessing
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import Target

CPU_LIMIT_S = 20.0
"""CPU time of one input from which it counts as a hang."""

REAL_LIMIT_S = 300.0
"""The same in real time, for reads that wait without computing; generous for busy machines."""

MEMORY_LIMIT = 6 << 30
MOST_KEPT = 400
_LARGEST_KEPT = 1 << 16

_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|[^a-zA-Z ]+")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a run. ``failure`` is empty where all inputs were answered.

    ``cpu_s`` is the time of the processor, which says more than ``seconds`` on a busy computer.
    """

    target: str
    inputs: int
    seconds: float
    cpu_s: float
    failure: str = ""
    saved: Path | None = None


class HangError(BaseException):
    """An input took too long. Not an Exception, so that no reader catches it."""


def run(
    target: Target,
    *,
    inputs: int,
    seconds: float,
    seed: int,
    failures: Path,
    coverage: bool = False,
) -> Outcome:
    """Run a target until ``inputs`` or ``seconds`` are used up, or until the first failure.

    The failing input is saved in the folder ``failures``, also after a crash of the process.
    """
    context = multiprocessing.get_context("fork")
    done: Synchronized[int] = context.Value("q", 0)
    shm = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz-", dir=shm if shm.is_dir() else None))
    loop = _coverage_loop if coverage else _loop
    if not coverage and target.imports:
        # Here, so that the processes of many targets do not import the same again.
        importlib.import_module(target.imports)
    arguments = (target, folder, done, inputs, seconds, seed)
    child = context.Process(target=_child, args=(loop, *arguments))
    start, cpu_before = time.monotonic(), _cpu_of_children()
    child.start()
    child.join()
    report = folder / "failure.txt"
    failure = report.read_text(encoding="utf-8") if report.is_file() else ""
    if not failure and child.exitcode != 0:
        failure = f"the process ended with {child.exitcode}"
    saved = _save(target, folder, failures) if failure else None
    shutil.rmtree(folder, ignore_errors=True)
    seconds, cpu_s = time.monotonic() - start, _cpu_of_children() - cpu_before
    return Outcome(target.name, done.value, seconds, cpu_s, failure, saved)


def _cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _save(target: Target, folder: Path, failures: Path) -> Path | None:
    path = folder / "input" / target.file_name
    if not path.is_file():
        return None
    failures.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    saved = failures / f"{target.name}.{digest}{target.suffix}"
    shutil.copyfile(path, saved)
    return saved


def _mapped() -> int:
    """Return the bytes of address space in use: libraries such as PyTorch map many of them."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()


def _child(loop: Callable[..., None], target: Target, folder: Path, *rest: Any) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + MEMORY_LIMIT, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    logging.disable()
    try:
        loop(target, folder, *rest)
    except BaseException as error:
        _report(folder, error)
        os._exit(1)


def _report(folder: Path, error: BaseException) -> None:
    lines = traceback.format_exception(error)
    text = "".join(lines)[-4000:]
    (folder / "failure.txt").write_bytes(text.encode("utf-8", "replace"))


def _loop(
    target: Target,
    folder: Path,
    done: Synchronized[int],
    inputs: int,
    seconds: float,
    seed: int,
) -> None:
    chance = random.Random(f"{seed}/{target.name}")
    corpus = target.seeds()
    seen: set[str] = set()
    end = time.monotonic() + seconds
    for data in corpus:  # as they are, before anything is changed
        seen.add(answer(target, folder, data))
    while done.value < inputs and time.monotonic() < end:
        data = mutate(chance, chance.choice(corpus), target.suffix)
        signature = answer(target, folder, data)
        done.value += 1
        if signature not in seen:
            seen.add(signature)
            if len(corpus) < MOST_KEPT and len(data) <= _LARGEST_KEPT:
                corpus.append(data)


def answer(target: Target, folder: Path, data: bytes) -> str:
    """Give one input to a target; return the words of its error, or "good".

    Raises whatever the target raises, but for errors of metaphase, which are checked: they have
    problems, and their message can be printed.
    """
    from metaphase.errors import InputError, MetaphaseError

    path = _written(folder / "input", target.file_name, data)
    _limit(CPU_LIMIT_S, REAL_LIMIT_S)
    try:
        target.read(path)
    except MetaphaseError as error:
        message = str(error)
        message.encode("utf-8", "surrogateescape")  # as the command line prints it
        if isinstance(error, InputError) and not error.problems:
            raise AssertionError("an error without a problem") from error
        return _VARIABLE.sub("", message.replace(str(path.parent), ""))[:300]
    finally:
        _limit(0, 0)
    return "good"


def _written(home: Path, name: str, data: bytes) -> Path:
    """Write an input; of what the one before it left, nothing stays in the folder."""
    try:
        others = [entry for entry in os.scandir(home) if entry.name != name]
    except FileNotFoundError:
        home.mkdir()
        others = []
    for entry in others:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            os.unlink(entry.path)
    path = home / name
    path.write_bytes(data)
    return path


def _limit(cpu_s: float, real_s: float) -> None:
    def stop(number: int, frame: object) -> None:
        raise HangError(f"no answer after {cpu_s:g} s of CPU or {real_s:g} s")

    if cpu_s:
        signal.signal(signal.SIGPROF, stop)
        signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_PROF, cpu_s)
    signal.setitimer(signal.ITIMER_REAL, real_s)


def _coverage_loop(
    target: Target,
    folder: Path,
    done: Synchronized[int],
    inputs: int,
    seconds: float,
    seed: int,
) -> None:
    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    corpus = folder / "corpus"
    corpus.mkdir()
    for i, data in enumerate(target.seeds()):
        (corpus / str(i)).write_bytes(data)
    with atheris.instrument_imports(include=["metaphase"], enable_loader_override=False):
        answer(target, folder, target.seeds()[0])  # imports the reader

    def one_input(data: bytes) -> None:
        try:
            answer(target, folder, data)
        except BaseException as error:
            _report(folder, error)
            os._exit(1)
        done.value += 1

    def mutator(data: bytes, most: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        return mutate(chance, data, target.suffix)[:most]

    options = [
        f"-runs={inputs}",
        f"-max_total_time={max(1, round(seconds))}",
        f"-seed={seed or 1}",
        f"-rss_limit_mb={MEMORY_LIMIT >> 20}",
        "-max_len=65536",
        "-timeout=600",
        "-verbosity=0",
        "-print_final_stats=0",
    ]
    sys.stdout.flush()
    atheris.Setup(["fuzz", *options, str(corpus)], one_input, custom_mutator=mutator)
    atheris.Fuzz()
