"""A split: the cases for training, validation and test, as a JSON file."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from metaphase.errors import Problem, SplitError
from metaphase.files import write_json
from metaphase.labels.casenames import without_suffix
from metaphase.labels.dataset import Dataset
from metaphase.textfile import read_json

LABELLED_PARTS = ("training", "validation", "test")
PARTS = (*LABELLED_PARTS, "unlabelled")


class Split(BaseModel):
    """Case ids by their part. ``unlabelled`` names cases for adaptation, never for scores."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(default="", description="What to call the split in reports.")
    training: tuple[str, ...] = Field(default=(), description="Cases that weights are fitted to.")
    validation: tuple[str, ...] = Field(
        default=(), description="Cases that choose the threshold and the checkpoint."
    )
    test: tuple[str, ...] = Field(default=(), description="Cases that are scored once, at the end.")
    unlabelled: tuple[str, ...] = Field(
        default=(), description="Cases without labels, for adaptation to their scanner."
    )
    note: str = Field(default="", description="Where the split comes from.")

    def parts(self) -> dict[str, tuple[str, ...]]:
        """Return the case ids by part, in the order training, validation, test, unlabelled."""
        return {part: getattr(self, part) for part in PARTS}

    def part_of(self, case: str) -> str | None:
        """Return the part that a case is in, or None."""
        return next((part for part, ids in self.parts().items() if case in ids), None)


def save_split(split: Split, path: str | Path) -> None:
    """Write a split as JSON."""
    write_json(path, split.model_dump())


def load_split(path: str | Path) -> Split:
    """Read a split's JSON. Image names such as ``001.tiff`` stand for their cases.

    Raises SplitError for a file of another form, with all that is wrong.
    """
    path = Path(path)
    data = read_json(path, SplitError)
    try:
        split = Split.model_validate(data)
    except ValidationError as error:
        raise SplitError(
            Problem(
                str(path),
                ".".join(str(place) for place in item["loc"]),
                item["msg"],
                "a split has lists of case ids: " + ", ".join(PARTS),
            )
            for item in error.errors()
        ) from error
    ids = {
        part: tuple(without_suffix(name) for name in names) for part, names in split.parts().items()
    }
    return split.model_copy(update=ids)


def check_split(split: Split, dataset: Dataset) -> None:
    """Refuse a split that leaks or names cases that cannot be used, with all reasons at once.

    Refused are cases that the data set does not have, a case named twice, cases of one group
    (slide, patient) in two parts, and unlabelled cases in training, validation or test, where their
    missing labels would be taken for missing figures. Labelled cases under ``unlabelled`` are
    allowed. Raises SplitError.
    """
    name = split.name or "split"
    problems = [
        Problem(name, record, message, way_out)
        for record, message, way_out in (
            *_unknown(split, dataset),
            *_doubled(split),
            *_without_labels(split, dataset),
            *_leaking_groups(split, dataset),
        )
    ]
    if problems:
        raise SplitError(problems)


_Finding = tuple[str, str, str]


def _unknown(split: Split, dataset: Dataset) -> Iterator[_Finding]:
    for part, ids in split.parts().items():
        for id_ in ids:
            if id_ not in dataset:
                close = get_close_matches(id_, dataset.ids, n=1) or dataset.ids[:1]
                hint = f"a case there is called {close[0]!r}" if close else "it has no cases at all"
                yield part, f"case {id_!r} is not in the data set {dataset.name!r}", hint


def _doubled(split: Split) -> Iterator[_Finding]:
    places: dict[str, list[str]] = {}
    for part, ids in split.parts().items():
        for id_ in ids:
            places.setdefault(id_, []).append(part)
    for id_, parts in places.items():
        if len(parts) > 1:
            yield f"case {id_}", f"is named in {' and in '.join(parts)}", "name it once"


def _without_labels(split: Split, dataset: Dataset) -> Iterator[_Finding]:
    for part in LABELLED_PARTS:
        ids = [id_ for id_ in getattr(split, part) if id_ in dataset and not dataset[id_].labelled]
        if ids:
            shown = ", ".join(ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
            yield (
                part,
                f"{len(ids)} unlabelled cases ({shown}): their figures have no labels and would be "
                "taken for background",
                "name them under 'unlabelled' instead; adaptation can use them there",
            )


def _leaking_groups(split: Split, dataset: Dataset) -> Iterator[_Finding]:
    groups: dict[str, dict[str, str]] = {}
    for part in LABELLED_PARTS:
        for id_ in getattr(split, part):
            if id_ in dataset:
                groups.setdefault(dataset[id_].domain("group"), {}).setdefault(part, id_)
    for group, parts in groups.items():
        if len(parts) > 1 and len(set(parts.values())) > 1:
            places = " and ".join(f"{part} ({id_})" for part, id_ in parts.items())
            yield (
                f"group {group}",
                f"has cases in {places}: the same tissue on both sides",
                "keep a group's cases in one part",
            )
