"""Compares the images of a data set with their labels: readable, same size, same resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from metaphase.errors import Problem, SlideError, UnknownMppError
from metaphase.labels.dataset import Case, Dataset
from metaphase.slides.mpp import DISAGREEMENT
from metaphase.slides.open import open_case


def check_images(
    dataset: Dataset, progress: Callable[[str], None] = lambda case_id: None
) -> Iterator[Problem]:
    """Yield what is wrong with the images of cases; absent images are left out.

    Reported are images that cannot be read, of another size than in the labels, or whose own tags
    give a resolution that differs by over 5 % from that in the labels.
    """
    for case in dataset:
        if case.image is not None and case.image.is_file():
            progress(case.id)
            yield from _check(case)


def _check(case: Case) -> Iterator[Problem]:
    try:
        # The labels' resolution is left out, so that only the image's own tags can give one.
        with open_case(replace(case, mpp=None, scanner=None)) as slide:
            if case.mpp and abs(slide.mpp / case.mpp - 1) > DISAGREEMENT:
                yield Problem(
                    str(case.image),
                    f"case {case.id}",
                    f"its tags say {slide.mpp:.4g} um/px, the labels {case.mpp:.4g} um/px",
                    "correct the labels, or give the resolution that is right with --mpp "
                    "--force-mpp where you detect",
                )
    except UnknownMppError:
        pass  # the labels' resolution is the only one
    except SlideError as error:
        yield from error.problems
