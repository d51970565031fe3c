"""The counts of many slides, with the same options; slides that fail do not stop the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from metaphase.counting.analysedregion import analysed_region, pixels_in
from metaphase.counting.count import MitoticCount, count_slide
from metaphase.counting.hotspot import LEAST_TISSUE
from metaphase.counting.review import ReviewDecision
from metaphase.counting.validation import ValidationSource, validation_of
from metaphase.counting.window import WindowShape
from metaphase.detectionfile import JSON_NAME, load_provenance
from metaphase.errors import DetectionsError, MetaphaseError
from metaphase.figures import Detections, points_of
from metaphase.labels.casenames import case_id
from metaphase.labels.dataset import Dataset


@dataclass(frozen=True, slots=True)
class SlideDetections:
    """The detections of one slide, read when ``load`` is called.

    ``folder`` is that of ``metaphase detect``, with the masks of tissue and region of interest.
    """

    name: str
    load: Callable[[], Detections]
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class CountOptions:
    """The options of all counts of a run; see ``count_slide``.

    ``threshold`` None is that of the detections. ``validation`` None is that of their model.
    ``images`` is the folder of the images, for tissue that is not beside the detections. ``labels``
    are counted in the same windows.
    """

    shape: WindowShape = field(default_factory=WindowShape)
    least_tissue: float = LEAST_TISSUE
    top: int = 1
    threshold: float | None = None
    validation: ValidationSource | None = None
    decisions: Sequence[ReviewDecision] | None = None
    complete: bool = False
    field_diameter_mm: float | None = None
    images: Path | None = None
    labels: Dataset | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True)
class CountedSlide:
    """The count of one slide, and how many labelled figures its first window holds (None:
    unlabelled)."""

    name: str
    result: MitoticCount
    labelled: int | None = None


@dataclass(frozen=True, slots=True)
class CountFailure:
    """A slide that could not be counted, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


def count_slides(
    slides: Iterable[SlideDetections],
    options: CountOptions,
    write: Callable[[CountedSlide, Detections], None] | None = None,
) -> tuple[list[CountedSlide], list[CountFailure]]:
    """Count every slide; return the counts and the failures, each in the order of the slides.

    ``write`` is called with each count and its detections, which are then released.
    """
    counted: list[CountedSlide] = []
    failures: list[CountFailure] = []
    slides = list(slides)
    twice = _repeated_images(slides) if options.decisions else frozenset()
    for slide in slides:
        try:
            detections = slide.load()
            decisions = _decisions_of(slide, detections, options, twice)
            if options.threshold is not None:
                detections = detections.with_provenance(threshold=options.threshold)
            result = _count(detections, slide.folder, replace(options, decisions=decisions))
            one = CountedSlide(slide.name, result, _labelled(slide.name, result, options.labels))
            if write is not None:
                write(one, detections)
            counted.append(one)
        except MetaphaseError as error:
            failures.append(CountFailure(slide.name, str(error)))
    return counted, failures


def _repeated_images(slides: Sequence[SlideDetections]) -> frozenset[str]:
    """Return the case ids of images of which several slides have the name."""
    times = Counter(case_id(_image_of(slide)) for slide in slides)
    return frozenset(id_ for id_, n in times.items() if n > 1)


def _image_of(slide: SlideDetections) -> str:
    if slide.folder is None:
        return slide.name
    try:
        return load_provenance(slide.folder / JSON_NAME).image
    except DetectionsError:  # reported when the slide is counted
        return slide.name


def _decisions_of(
    slide: SlideDetections, detections: Detections, options: CountOptions, twice: frozenset[str]
) -> Sequence[ReviewDecision] | None:
    """Return the decisions about a slide. Raises DetectionsError where they may be another's."""
    if options.decisions is None:
        return None
    image = detections.provenance.image
    own = [d for d in options.decisions if d.concerns(image, slide.name)]
    if case_id(image) in twice and any(d.image and not d.names_folder for d in own):
        raise DetectionsError.of(
            slide.name,
            f"several slides are called {image}, and the review does not say which one it is about",
            way_out="name the images in the review with their folder, as in patient1/01.png",
        )
    return own


def _count(detections: Detections, folder: Path | None, options: CountOptions) -> MitoticCount:
    provenance = detections.provenance
    source = options.validation or validation_of(provenance)
    return count_slide(
        detections,
        options.shape,
        analysed=analysed_region(provenance, folder, pixels_in(options.images, provenance)),
        least_tissue=options.least_tissue,
        top=options.top,
        validation=source.at(provenance.threshold) if source else None,
        decisions=options.decisions,
        complete=options.complete,
        field_diameter_mm=options.field_diameter_mm,
        seed=options.seed,
    )


def _labelled(name: str, result: MitoticCount, labels: Dataset | None) -> int | None:
    if labels is None:
        return None
    for key in (name, case_id(result.image)):
        if key in labels and labels[key].labelled:
            points = points_of(labels[key].figures)
            return int(result.hotspots[0].hotspot.window.contains(points).sum())
    return None
