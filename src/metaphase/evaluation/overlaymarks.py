"""What an overlay shows where there are labels: found, false and missed figures."""

from __future__ import annotations

from collections.abc import Sequence

from metaphase.detection.batch import Marks
from metaphase.detection.inputs import Job
from metaphase.detection.overlay import Mark, marks_against, marks_of
from metaphase.evaluation.matching import match
from metaphase.figures import Detections, Label, points_of
from metaphase.labels.dataset import Dataset
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.units import um_to_px


def label_marks(dataset: Dataset) -> Marks:
    """Return marks that compare detections with the labels of a data set.

    An image that belongs to no labelled case gets the marks of its detections alone.
    """

    def marks(job: Job, detections: Detections) -> Sequence[Mark]:
        case = job.case
        if case is None and job.image.stem in dataset:
            case = dataset[job.image.stem]
        if case is None or not case.labelled:
            return marks_of(detections)
        counted = detections.above_threshold().with_label(Label.MITOTIC)
        truth = points_of(case.figures)
        radius = um_to_px(MATCH_RADIUS_UM, detections.provenance.mpp)
        matching = match(truth, counted.points, counted.score, radius)
        missed = truth[matching.point_of_truth < 0]
        return marks_against(counted, matching.truth_of_point >= 0, missed)

    return marks
