"""A folder of images without labels, for detection or for adaptation to their scanner."""

from __future__ import annotations

from pathlib import Path

from metaphase.errors import LabelError
from metaphase.imagefiles.find import images_in
from metaphase.labels.casenames import case_id
from metaphase.labels.dataset import Case
from metaphase.labels.labelfile import LabelFile


def read_image_folder(path: Path) -> LabelFile:
    """Make one unlabelled case of each slide in a folder, also of one in several files.

    Raises LabelError if there are none.
    """
    if not path.is_dir():
        raise LabelError.of(path, "is not a folder", way_out="name the folder of the images")
    images = images_in(path)
    if not images:
        raise LabelError.of(path, "holds no images", way_out="name the folder of the images")
    file = LabelFile(path, "images", name=path.name)
    file.cases = [Case(id=case_id(image.name), image=image, labelled=False) for image in images]
    file.drop_repeated_cases()
    return file
