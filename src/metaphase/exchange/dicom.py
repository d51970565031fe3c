"""DICOM Microscopy Bulk Simple Annotations (Supplement 222), through highdicom (extra ``dicom``).

One group of points a label, in pixels of the total pixel matrix (2D, origin at the corner of the
first pixel, as here), as doubles, with the score as the measurement "Probability". Annotations
refer to the image they were made on: give the slide's DICOM file as ``source``. Without one they
refer to a stand-in with made-up identifiers, told in the content description; viewers then need to
be told which image is meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaphase import __version__
from metaphase.detection.geojson import COLOURS, class_name
from metaphase.errors import DetectionsError, MissingExtraError
from metaphase.exchange.foreign import Known, Reading, image_name
from metaphase.figures import LABELS, SCORE_DECIMALS, Detections, Label
from metaphase.files import open_regular, whole_file
from metaphase.labels.reading import label_of

if TYPE_CHECKING:
    from pydicom import Dataset

_MAKER = "metaphase"
_IMAGE_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"  # VL Whole Slide Microscopy Image Storage
_ANN_CLASS = "1.2.840.10008.5.1.4.1.1.91.1"
_NEEDED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
_NO_SOURCE = "No DICOM image was given: the reference is a stand-in"


def _extra() -> Any:
    try:
        import highdicom
    except ImportError as error:
        raise MissingExtraError("dicom", "DICOM annotations") from error
    return highdicom


def write(detections: Detections, path: str | Path, *, source: str | Path | None = None) -> None:
    """Write the detections of one slide. ``source`` is a DICOM file of its full-resolution level.

    Raises DetectionsError if the source is another image, MissingExtraError without highdicom.
    """
    hd = _extra()
    image = _stand_in(detections) if source is None else _source(Path(source), detections)
    groups = list(_groups(hd, detections))
    if not groups:
        raise DetectionsError.of(
            detections.provenance.image, "has no detections: DICOM has no empty annotations"
        )
    annotations = hd.ann.MicroscopyBulkSimpleAnnotations(
        source_images=[image],
        annotation_coordinate_type="2D",
        annotation_groups=groups,
        series_instance_uid=hd.UID(),
        series_number=1,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=_MAKER,
        manufacturer_model_name=_MAKER,
        software_versions=__version__,
        device_serial_number="0",
        content_label="MITOTIC_FIGURES",
        content_description=None if source else _NO_SOURCE,
    )
    with whole_file(path) as temporary:
        annotations.save_as(temporary)


def _groups(hd: Any, detections: Detections) -> Iterator[Any]:
    from pydicom.sr.codedict import codes

    made = detections.provenance
    algorithm = hd.AlgorithmIdentificationSequence(
        name=made.model or _MAKER,
        family=codes.DCM.ArtificialIntelligence,
        version=made.metaphase or __version__,
        parameters={"threshold": repr(made.threshold), "mpp": repr(made.mpp)},
    )
    number = 0
    for label in LABELS:
        some = detections.with_label(label)
        if not len(some):
            continue
        number += 1
        score = hd.ann.Measurements(
            name=codes.DCM.Probability,
            values=some.score.astype(np.float32),
            unit=codes.UCUM.NoUnits,
        )
        yield hd.ann.AnnotationGroup(
            number=number,
            uid=hd.UID(),
            label=class_name(label),
            annotated_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            annotated_property_type=_type_code(hd, label),
            graphic_type="POINT",
            graphic_data=[point[None, :] for point in some.points],
            algorithm_type="AUTOMATIC",
            algorithm_identification=algorithm,
            measurements=[score],
            description=str(label),
            display_color=hd.color.CIELabColor.from_rgb(*COLOURS[label]),
        )


def _type_code(hd: Any, label: Label) -> Any:
    """Private codes: no public one was found that says mitotic figure rather than nucleus."""
    value = {Label.MITOTIC: "mitotic-figure", Label.HARD_NEGATIVE: "hard-negative"}[label]
    return hd.sr.CodedConcept(value, "99METAPHASE", class_name(label))


def _source(path: Path, detections: Detections) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with open_regular(path) as stream:
            image = dcmread(stream, stop_before_pixels=True)
    except (OSError, InvalidDicomError) as error:
        raise DetectionsError.of(path, f"is not a DICOM file: {error}") from error
    missing = [name for name in _NEEDED if name not in image]
    if missing:
        raise DetectionsError.of(path, f"cannot be referred to: it lacks {', '.join(missing)}")
    made = detections.provenance
    size = image.get("TotalPixelMatrixColumns"), image.get("TotalPixelMatrixRows")
    if made.width_px and None not in size and size != (made.width_px, made.height_px):
        raise DetectionsError.of(
            path,
            f"is an image of {size[0]} x {size[1]} px, the detections are of {made.image}, "
            f"{made.width_px} x {made.height_px} px",
            way_out="give the file of the full-resolution level",
        )
    return image


def _stand_in(detections: Detections) -> Dataset:
    """Return what annotations need to know of an image, with identifiers made from its hash."""
    from pydicom import Dataset

    made = detections.provenance
    image = Dataset()
    image.SOPClassUID = _IMAGE_CLASS
    for level in ("SOPInstance", "SeriesInstance", "StudyInstance", "FrameOfReference"):
        setattr(image, f"{level}UID", _uid(f"{made.image_sha256 or made.image}/{level}"))
    image.Modality = "SM"
    image.PatientID = image.PatientName = image.PatientBirthDate = image.PatientSex = ""
    image.StudyID = image.AccessionNumber = image.StudyDate = image.StudyTime = ""
    image.ReferringPhysicianName = ""
    image.PositionReferenceIndicator = "SLIDE_CORNER"
    image.ContainerIdentifier = made.image
    image.TotalPixelMatrixColumns, image.TotalPixelMatrixRows = made.width_px, made.height_px
    return image


def _uid(text: str) -> str:
    """Return a UID of the 2.25 root (ISO/IEC 9834-8), the same for the same text."""
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def looks_like(path: Path) -> bool:
    """Tell whether a file is DICOM."""
    with open_regular(path) as stream:
        stream.seek(128)
        return stream.read(4) == b"DICM"


def read(
    path: str | Path, known: Known | None = None, *, image: str | None = None
) -> dict[str, Detections]:
    """Read points of the labels that metaphase knows. Raises DetectionsError or MissingExtraError.

    The score is the group's measurement "Probability", or 1.
    """
    hd = _extra()
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    path = Path(path)
    try:
        with open_regular(path) as stream:
            data = dcmread(stream)
    except (OSError, InvalidDicomError) as error:
        raise DetectionsError.of(path, f"is not a DICOM file: {error}") from error
    if data.get("SOPClassUID") != _ANN_CLASS:
        raise DetectionsError.of(path, "is DICOM, but no Microscopy Bulk Simple Annotations")
    reading = Reading(path, "dicom", known or Known())
    annotations = hd.ann.MicroscopyBulkSimpleAnnotations.from_dataset(data)
    told = str(data.get("ContainerIdentifier") or "")
    found = reading.image(image or told or image_name(path))
    for group in annotations.get_annotation_groups():
        _read_group(reading, found, group, annotations.annotation_coordinate_type)
    return reading.detections()


def _read_group(reading: Reading, found: Any, group: Any, coordinates: Any) -> None:
    from pydicom.sr.codedict import codes

    record = f"group {group.number} ({group.label})"
    label = label_of(str(group.label)) or label_of(group.annotated_property_type.meaning)
    if group.graphic_type.value != "POINT" or coordinates.value != "2D":
        reading.problem(record, "is not points in two dimensions")
        return
    points = group.get_graphic_data(coordinate_type=coordinates)
    _, values, _ = group.get_measurements(name=codes.DCM.Probability)
    scores = values[:, 0] if values.shape[1] else np.ones(len(points))
    for i, (point, score) in enumerate(zip(points, scores, strict=True), 1):
        x, y = np.ravel(point)[:2].tolist()
        value = round(float(score), SCORE_DECIMALS)
        reading.add(found, f"{record}, point {i}", x, y, value, label)
    for item in group.get("AnnotationGroupAlgorithmIdentificationSequence", []):
        found.model = str(item.get("AlgorithmName", ""))
        parameters = dict(
            part.split("=", 1)
            for part in str(item.get("AlgorithmParameters", "")).split(",")
            if "=" in part
        )
        found.threshold = float(parameters.get("threshold", found.threshold))
        found.mpp = float(parameters.get("mpp", 0)) or found.mpp
