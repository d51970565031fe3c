"""The slide of DICOM annotations: found by its identifiers, and placed as highdicom places it."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.errors import DetectionsError
from metaphase.exchange.dicomimage import find_image
from metaphase.exchange.read import read_detections

pydicom = pytest.importorskip("pydicom")
hd = pytest.importorskip("highdicom")

WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
ANNOTATIONS = "1.2.840.10008.5.1.4.1.1.91.1"
ROTATED = [0, -1, 0, -1, 0, 0]


def dataset(**values):
    item = pydicom.Dataset()
    for key, value in values.items():
        setattr(item, key, value)
    return item


def save(item, path, kind):
    item.SOPClassUID = kind
    item.file_meta = pydicom.dataset.FileMetaDataset()
    item.file_meta.MediaStorageSOPClassUID = kind
    item.file_meta.MediaStorageSOPInstanceUID = item.SOPInstanceUID
    item.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    item.save_as(path, enforce_file_format=True)
    return path


def level(path, instance, size, spacing_mm, *, kind="VOLUME", orientation=ROTATED, **more):
    """Write the header of one level of a slide."""
    offsets = dataset(XOffsetInSlideCoordinateSystem=10.0, YOffsetInSlideCoordinateSystem=20.0)
    measures = dataset(PixelSpacing=[spacing_mm, spacing_mm])
    values = {
        "SOPInstanceUID": instance,
        "SeriesInstanceUID": "2.25.12",
        "FrameOfReferenceUID": "2.25.14",
        "ImageType": ["ORIGINAL", "PRIMARY", kind, "NONE"],
        "TotalPixelMatrixColumns": size[0],
        "TotalPixelMatrixRows": size[1],
        "TotalPixelMatrixOriginSequence": [offsets],
        "ImageOrientationSlide": orientation,
        "SharedFunctionalGroupsSequence": [dataset(PixelMeasuresSequence=[measures])],
        **more,
    }
    return save(dataset(**values), path, WSI)


def annotations(path, points, *, kind="3D", instance="2.25.1", frame="2.25.14"):
    item = dataset(
        AnnotationGroupNumber=1,
        AnnotationGroupLabel="Mitotic figure",
        GraphicType="POINT",
        DoublePointCoordinatesData=np.asarray(points, "<f8").tobytes(),
    )
    whole = dataset(
        SOPInstanceUID="2.25.99",
        FrameOfReferenceUID=frame,
        ReferencedImageSequence=[dataset(ReferencedSOPInstanceUID=instance)],
        AnnotationCoordinateType=kind,
        ContainerIdentifier="slide",
        AnnotationGroupSequence=[item],
    )
    return save(whole, path, ANNOTATIONS)


@pytest.fixture
def slides(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    level(folder / "level0", "2.25.1", (4000, 2000), 0.00025)
    level(folder / "level1.dcm", "2.25.2", (1000, 500), 0.001)
    level(folder / "label.dcm", "2.25.3", (9000, 9000), 0.01, kind="LABEL")
    level(folder / "other.dcm", "2.25.4", (8000, 8000), 0.0005,
          SeriesInstanceUID="2.25.50", FrameOfReferenceUID="2.25.51")  # fmt: skip
    (folder / "notes.txt").write_text("x")
    (folder / "damaged.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    return folder


@pytest.mark.parametrize("orientation", [ROTATED, [1, 0, 0, 0, 1, 0], [0, 1, 0, -1, 0, 0]])
def test_mm_are_placed_as_highdicom_places_them(tmp_path, orientation):
    level(tmp_path / "a.dcm", "2.25.1", (4000, 2000), 0.00025, orientation=orientation)
    place = hd.spatial.ImageToReferenceTransformer([10.0, 20.0, 0.0], orientation, [0.00025] * 2)
    pixels = np.array([[0.0, 0.0], [100.5, 20.25], [4000, 2000]])
    points = place(pixels)
    path = annotations(tmp_path / "points.dcm", points)
    image = find_image(pydicom.dcmread(path), [tmp_path])
    assert image.from_mm(points) == pytest.approx(pixels, abs=1e-6)
    assert (image.mpp, image.size) == (pytest.approx(0.25), (4000, 2000))


def test_positions_in_mm_are_read_with_the_slide_beside_them_or_named(tmp_path, slides):
    points = [[10 - 0.00025 * 19.5, 20 - 0.00025 * 99.5, 0.0]]  # x 100, y 20
    path = annotations(tmp_path / "points.dcm", points)
    with pytest.raises(DetectionsError, match="--images"):
        read_detections(path)
    for images in (slides, slides / "level0"):
        (read,) = read_detections(path, images=images).values()
        assert read.points == pytest.approx(np.array([[100, 20]]), abs=1e-6)
        assert read.provenance.mpp == pytest.approx(0.25)
        assert (read.provenance.width_px, read.provenance.height_px) == (4000, 2000)
    annotations(slides / "points.dcm", points)
    (beside,) = read_detections(slides).values()
    assert beside.points == pytest.approx(np.array([[100, 20]]), abs=1e-6)


def test_pixels_of_the_level_that_was_annotated_are_scaled(tmp_path, slides):
    path = annotations(tmp_path / "points.dcm", [[25.0, 5.0]], kind="2D", instance="2.25.2")
    (read,) = read_detections(path, images=slides).values()
    assert read.points.tolist() == [[100, 20]]
    assert read.provenance.mpp == pytest.approx(0.25)
    (alone,) = read_detections(path, mpp=1.0).values()
    assert alone.points.tolist() == [[25, 5]]


def test_the_level_of_2d_annotations_is_not_guessed(tmp_path, slides):
    path = annotations(tmp_path / "points.dcm", [[25.0, 5.0]], kind="2D", instance="2.25.77")
    (read,) = read_detections(path, images=slides, mpp=1.0).values()
    assert (read.points.tolist(), read.provenance.mpp) == ([[25, 5]], 1.0)


@pytest.mark.parametrize(
    "more",
    [
        {"TotalPixelMatrixOriginSequence": []},
        {"ImageOrientationSlide": [0, 0, 0, 0, 0, 0]},
        {"SharedFunctionalGroupsSequence": []},
    ],
)
def test_an_image_without_a_place_is_no_help(tmp_path, more):
    level(tmp_path / "a.dcm", "2.25.1", (4000, 2000), 0.00025, **more)
    path = annotations(tmp_path / "points.dcm", [[1.0, 2.0, 0.0]])
    assert find_image(pydicom.dcmread(path), [tmp_path]) is None


def test_annotations_of_another_slide_find_nothing(tmp_path, slides):
    path = annotations(tmp_path / "a.dcm", [[1.0, 2.0, 0.0]], instance="2.25.7", frame="2.25.8")
    assert find_image(pydicom.dcmread(path), [slides]) is None
