"""The cases to score: a file of labels, or one part of its split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from metaphase.errors import SplitError
from metaphase.evaluation.leakage.images import refuse_shared_images
from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset
from metaphase.labels.split import check_split, load_split


def load_cases(
    labels: str | Path,
    *,
    images: str | Path | None = None,
    cases: str | Path | None = None,
    split: str | Path | None = None,
    part: str = "test",
    labelled_only: bool = False,
    check_pixels: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Dataset:
    """Return the cases of a file of labels, or those of one ``part`` of a ``split`` file.

    ``images`` is the folder of the images, ``cases`` the CSV of cases for formats that need one.
    ``check_pixels`` compares the images of all parts and refuses a split that has one image on two
    sides; ``progress`` is called with the id of each case that is read for it.

    Raises LabelError, and SplitError for an unknown or empty part and for shared images.
    """
    dataset = load_dataset(labels, images=images, cases=cases)
    if split is not None:
        loaded = load_split(split)
        check_split(loaded, dataset)
        parts = {name: ids for name, ids in loaded.parts().items() if ids}
        if part not in parts:
            raise SplitError.of(
                split, f"has no cases in {part!r}", way_out=f"it has cases in {', '.join(parts)}"
            )
        if check_pixels:
            data = {name: dataset.select(ids) for name, ids in parts.items()}
            refuse_shared_images(data, progress=progress)
        dataset = dataset.select(parts[part])
    return dataset.labelled() if labelled_only else dataset
