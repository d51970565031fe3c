"""DICOM annotations as detections: which shapes are figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange import dicom
from metaphase.exchange.importedfile import ImageFacts

pydicom = pytest.importorskip("pydicom")
pytest.importorskip("highdicom")

ANNOTATIONS = "1.2.840.10008.5.1.4.1.1.91.1"


def save(path: Path, kind: str, points: list[tuple[float, float]]) -> Path:
    group = pydicom.Dataset()
    group.AnnotationGroupNumber = 1
    group.AnnotationGroupLabel = "Mitotic figure"
    group.GraphicType = kind
    group.DoublePointCoordinatesData = np.asarray(points, "<f8").tobytes()
    data = pydicom.Dataset()
    data.SOPClassUID = ANNOTATIONS
    data.SOPInstanceUID = "2.25.1"
    data.ContainerIdentifier = "slide"
    data.AnnotationCoordinateType = "2D"
    data.AnnotationGroupSequence = [group]
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.save_as(path, enforce_file_format=True)
    return path


def rectangle(width: float, height: float) -> list[tuple[float, float]]:
    return [(10, 10), (10 + width, 10), (10 + width, 10 + height), (10, 10 + height)]


def test_a_shape_is_read_as_its_centre(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dcm", "RECTANGLE", rectangle(50, 40))
    (one,) = dicom.read(path, ImageFacts(0.25)).values()
    assert one.points.tolist() == [[35, 30]]


def test_a_region_is_no_figure(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dcm", "RECTANGLE", rectangle(40000, 30000))
    with pytest.raises(DetectionsError, match=r"group 1 .*, 1: is 40000 x 30000 px.*single cell"):
        dicom.read(path, ImageFacts(0.25))
