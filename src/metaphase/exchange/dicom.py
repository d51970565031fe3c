"""DICOM Microscopy Bulk Simple Annotations (Supplement 222), through highdicom (extra ``dicom``).

One group of points a label, in pixels of the total pixel matrix (2D, origin at the corner of the
first pixel, as here), as doubles, with the score as the measurement "Probability". Annotations
refer to the image that they belong to: give the slide's DICOM file as ``source``. Without one they
refer to a stand-in with generated identifiers, and the content description says so; in a viewer the
image has to be chosen by hand.

Annotations of other programs are read too: points, and the centres of polygons, rectangles and
ellipses. Positions in mm of the slide (3D), and in pixels of a lower level, become pixels of the
full resolution with the slide's DICOM files, which may lie in the same folder.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metaphase import __version__
from metaphase.classnames import label_of, mentions_mitosis
from metaphase.errors import DetectionsError, MissingExtraError
from metaphase.exchange.dicomannotations import AnnotationGroup, annotation_groups
from metaphase.exchange.dicomimage import find_image
from metaphase.exchange.importedfile import ImageFacts, ImportedFile, ImportedImage
from metaphase.figures import LABELS, SCORE_DECIMALS, Detections, Label
from metaphase.files import open_regular, whole_file
from metaphase.labels.casenames import image_name
from metaphase.qupath.classes import CLASS_NAMES, COLOURS
from metaphase.values import printable_name

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

    made_by = detections.provenance
    algorithm = hd.AlgorithmIdentificationSequence(
        name=made_by.model or _MAKER,
        family=codes.DCM.ArtificialIntelligence,
        version=made_by.metaphase or __version__,
        parameters={"threshold": repr(made_by.threshold), "mpp": repr(made_by.mpp)},
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
            label=CLASS_NAMES[label],
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
    """Return the private code of a label: no public code means mitotic figure."""
    value = {Label.MITOTIC: "mitotic-figure", Label.HARD_NEGATIVE: "hard-negative"}[label]
    return hd.sr.CodedConcept(value, "99METAPHASE", CLASS_NAMES[label])


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
    made_by = detections.provenance
    size = image.get("TotalPixelMatrixColumns"), image.get("TotalPixelMatrixRows")
    if made_by.width_px and None not in size and size != (made_by.width_px, made_by.height_px):
        raise DetectionsError.of(
            path,
            f"is an image of {size[0]} x {size[1]} px, the detections are of {made_by.image}, "
            f"{made_by.width_px} x {made_by.height_px} px",
            way_out="give the file of the full-resolution level",
        )
    return image


def _stand_in(detections: Detections) -> Dataset:
    """Return an image data set with identifiers generated from the image's hash."""
    from pydicom import Dataset

    made_by = detections.provenance
    image = Dataset()
    image.SOPClassUID = _IMAGE_CLASS
    for level in ("SOPInstance", "SeriesInstance", "StudyInstance", "FrameOfReference"):
        setattr(image, f"{level}UID", _uid(f"{made_by.image_sha256 or made_by.image}/{level}"))
    image.Modality = "SM"
    image.PatientID = image.PatientName = image.PatientBirthDate = image.PatientSex = ""
    image.StudyID = image.AccessionNumber = image.StudyDate = image.StudyTime = ""
    image.ReferringPhysicianName = ""
    image.PositionReferenceIndicator = "SLIDE_CORNER"
    image.ContainerIdentifier = printable_name(made_by.image)
    image.TotalPixelMatrixColumns, image.TotalPixelMatrixRows = made_by.width_px, made_by.height_px
    return image


def _uid(text: str) -> str:
    """Return a UID of the 2.25 root (ISO/IEC 9834-8), the same for the same text."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def looks_like(path: Path) -> bool:
    """Return whether a file is DICOM."""
    with open_regular(path) as stream:
        stream.seek(128)
        return stream.read(4) == b"DICM"


def read(
    path: str | Path,
    facts: ImageFacts | None = None,
    *,
    image: str | None = None,
    slides: str | Path | None = None,
) -> dict[str, Detections]:
    """Read points, and the centres of shapes, of the labels that metaphase knows.

    The score is the group's measurement "Probability", or 1. ``slides`` is a folder or a file of
    the slide; files beside the annotations are found. Raises DetectionsError with everything that
    is wrong, or MissingExtraError.
    """
    _extra()
    path = Path(path)
    file = ImportedFile(path, "dicom", facts or ImageFacts())
    with warnings.catch_warnings():
        # pydicom warns of values that the standard does not allow: they are checked here.
        warnings.simplefilter("ignore")
        try:
            _read_groups(file, _annotations(path), image, slides)
        except DetectionsError:
            raise
        except Exception as error:  # pydicom raises errors of any kind for damaged files
            raise DetectionsError.of(
                path, f"is a damaged DICOM file: {type(error).__name__}: {error}"
            ) from error
    return file.detections()


def _annotations(path: Path) -> Dataset:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        with open_regular(path) as stream:
            data = dcmread(stream)
    except (OSError, InvalidDicomError) as error:
        raise DetectionsError.of(path, f"is not a DICOM file: {error}") from error
    if data.get("SOPClassUID") != _ANN_CLASS:
        raise DetectionsError.of(path, "is DICOM, but no Microscopy Bulk Simple Annotations")
    return data


def _read_groups(
    file: ImportedFile, data: Dataset, image: str | None, slides: str | Path | None
) -> None:
    name = image or str(data.get("ContainerIdentifier") or "") or image_name(file.path)
    target = file.image(name)
    slide = find_image(data, [file.path.parent, *([Path(slides)] if slides else [])])
    for group in annotation_groups(data, slide):
        if isinstance(group, AnnotationGroup):
            _read_group(file, target, group)
        else:
            file.problem(*group)
    of_level = slide is not None and slide.scale is not None
    if slide is not None and (of_level or data.get("AnnotationCoordinateType") == "3D"):
        target.mpp, target.size = slide.mpp, slide.size


def _label(group: AnnotationGroup) -> Label | None:
    """Return the label of the group's own name, or else of its property type."""
    name, *meanings = group.names
    label = label_of(name)
    if label is None and not mentions_mitosis(name):
        label = next((found for m in meanings if (found := label_of(m)) is not None), None)
    return label


def _read_group(file: ImportedFile, target: ImportedImage, group: AnnotationGroup) -> None:
    label = _label(group)
    target.model = group.algorithm or target.model
    target.threshold = group.parameters.get("threshold", target.threshold)
    target.mpp = group.parameters.get("mpp") or target.mpp
    rows = zip(group.points.tolist(), group.sizes.tolist(), group.scores.tolist(), strict=True)
    for i, ((x, y), size, score) in enumerate(rows, 1):
        record = f"{group.record}, {i}"
        if not file.is_region(target, record, *size):
            file.add(target, record, x, y, round(score, SCORE_DECIMALS), label)
