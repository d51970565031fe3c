"""All errors that metaphase raises on purpose.

MetaphaseError                  everything metaphase raises on purpose; the command line prints it
|                               without a traceback and exits with 2
+-- InputError                  a file or a value from outside is wrong
|   +-- LabelError              ... a file of annotations (with all its problems)
|   +-- SplitError              ... a split with unknown, repeated, unlabelled or leaking cases
|   +-- SlideError              ... an image file
|   |   +-- UnknownMppError     ... whose resolution is unknown
|   +-- RecipeError             ... a training recipe
|   +-- ModelFileError          ... a model file
|   +-- DetectionsError         ... a file of detections
|   +-- FolderInUseError        ... a folder for results that another command writes to
|   +-- OutputError             a file cannot be written where the user asked for it
+-- MissingExtraError           an optional part of metaphase is not installed
+-- InterruptedRunError         a long job was stopped; the message says how to resume it
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

MAX_PROBLEMS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input: where, what, and what to do about it."""

    file: str
    record: str
    message: str
    way_out: str = ""

    def __str__(self) -> str:
        where = f"{self.file}: {self.record}" if self.record else self.file
        return f"{where}: {self.message}" + (f" ({self.way_out})" if self.way_out else "")


class MetaphaseError(Exception):
    """Base of all errors that metaphase raises on purpose."""

    exit_code = 2


class InputError(MetaphaseError):
    """An input is wrong. ``problems`` holds every problem, not only the first."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__(_message(self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[Problem]]]:
        """Pickle the problems, not the message: errors are passed between processes."""
        return type(self), (self.problems,)

    @classmethod
    def of(
        cls, file: str | Path, message: str, *, record: str = "", way_out: str = ""
    ) -> InputError:
        """Make an error of this class with a single problem."""
        return cls(Problem(str(file), record, message, way_out))


class LabelError(InputError):
    """A file of annotations cannot be used."""


class SplitError(InputError):
    """A split names unknown, repeated, unlabelled or leaking cases."""


class SlideError(InputError):
    """An image file cannot be read."""


class UnknownMppError(SlideError):
    """The resolution of an image is unknown."""


class RecipeError(InputError):
    """A training recipe is not valid."""


class ModelFileError(InputError):
    """A model file is missing, damaged or of an unknown kind."""


class DetectionsError(InputError):
    """A file of detections cannot be used."""


class FolderInUseError(InputError):
    """Another command writes to the folder for results."""


class OutputError(InputError):
    """A file cannot be written where the user asked for it."""


class MissingExtraError(MetaphaseError):
    """An optional part is not installed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        self.extra, self.needed_for = extra, needed_for
        super().__init__(f"{needed_for} needs an extra: pip install 'metaphase[{extra}]'")

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        """Pickle the parts, not the message."""
        return type(self), (self.extra, self.needed_for)


class InterruptedRunError(MetaphaseError):
    """A long job was interrupted; the message says how to resume it."""

    exit_code = 130


class DeprecatedNameWarning(FutureWarning):
    """An old name was read; the message says the present one. Shown by default."""


def _message(problems: list[Problem]) -> str:
    if len(problems) == 1:
        return str(problems[0])
    shown = "\n".join(f"  - {problem}" for problem in problems[:MAX_PROBLEMS_SHOWN])
    hidden = len(problems) - MAX_PROBLEMS_SHOWN
    return f"{len(problems)} problems:\n{shown}" + (
        f"\n  ... and {hidden} more" if hidden > 0 else ""
    )
