"""Compares the images of a data set with their labels: readable, same size, same resolution."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace

from metaphase.errors import Problem, SlideError, UnknownMppError
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.labelfile import numbered
from metaphase.slides.mpp import DISAGREEMENT
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide

_ANY_MPP = 0.25  # for images without one, of which only the size is asked


def check_images(
    dataset: Dataset, progress: Callable[[str], None] = lambda case_id: None
) -> Iterator[Problem]:
    """Yield what is wrong with the images of cases; absent images are left out.

    Reported are images that cannot be read, of another size than in the labels, with figures
    outside of them, or whose own tags give a resolution that differs by over 5 % from that in the
    labels.
    """
    for case in dataset:
        if case.image is not None and os.path.isfile(case.image):
            progress(case.id)
            yield from _check(case)


def _check(case: Case) -> Iterator[Problem]:
    try:
        slide, tagged = _open(case)
    except SlideError as error:
        yield from error.problems
        return
    with slide:
        yield from _outside(case, slide)
        if tagged and case.mpp and abs(slide.mpp / case.mpp - 1) > DISAGREEMENT:
            yield Problem(
                str(case.image),
                f"case {case.id}",
                f"its tags say {slide.mpp:.4g} um/px, the labels {case.mpp:.4g} um/px",
                "correct the labels, or give the resolution that is right with --mpp "
                "--force-mpp where you detect",
            )


def _open(case: Case) -> tuple[Slide, bool]:
    """Open the image of a case, and say whether its own tags give a resolution."""
    try:
        return open_case(replace(case, mpp=None, scanner=None)), True
    except UnknownMppError:
        return open_case(case, mpp=_ANY_MPP), False


def _outside(case: Case, slide: Slide) -> Iterator[Problem]:
    """Yield a problem where figures lie outside of the image, whose size few labels state."""
    width, height = slide.width_px, slide.height_px
    lost = [f.id for f in case.figures if not (0 <= f.x_px <= width and 0 <= f.y_px <= height)]
    if lost:
        yield Problem(
            str(case.image),
            f"case {case.id}",
            f"figures lie outside of its {width} x {height} px: {numbered(lost)}",
            "check that it is the image that was labelled, and that positions are pixels at full "
            "resolution",
        )
