"""A folder of images that nobody labelled, for detection or for adaptation to their scanner."""

from __future__ import annotations

from pathlib import Path

from metaphase.errors import LabelError
from metaphase.labels.dataset import Case
from metaphase.labels.images import images_in
from metaphase.labels.reading import Reading, case_id


def read_folder(path: Path) -> Reading:
    """Make one unlabelled case of each image in a folder. Raises LabelError if there are none."""
    if not path.is_dir():
        raise LabelError.of(path, "is not a folder", way_out="name the folder of the images")
    found = images_in([path])
    if not found:
        raise LabelError.of(path, "holds no images", way_out="name the folder of the images")
    reading = Reading(path, "images", name=path.name)
    reading.cases = [Case(id=case_id(p.name), image=p, labelled=False) for p in found]
    reading.drop_doubles()
    return reading
