"""Detections of one image.

The result depends on the image, the model and the settings alone: not on the batch, the number of
threads, or whether the work was interrupted and resumed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metaphase import __version__
from metaphase.detection.atypical import with_atypical
from metaphase.detection.candidates import Candidates
from metaphase.detection.checkpoint import Checkpoint
from metaphase.detection.domainshift import with_domain_shift
from metaphase.detection.merge import merge
from metaphase.detection.pipeline import (
    GROUP_TILES,
    Progress,
    candidate_classifier,
    find_candidates,
)
from metaphase.detection.plan import Plan, Region, Settings, make_plan
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.detection.scorenormalisation import with_normalised_scores
from metaphase.detection.secondstage import rescore
from metaphase.figures import Detections
from metaphase.imagefiles.parts import sha256_of_slide
from metaphase.models.modelfile import DEFAULT_NAME, Model, load_model
from metaphase.models.trainingimages import was_trained_on
from metaphase.provenance import Provenance
from metaphase.slides.slide import Slide


def detect(
    slide: Slide | str | Path,
    model: Model | str | Path = DEFAULT_NAME,
    *,
    mpp: float | None = None,
    force_mpp: bool = False,
    scanner: str | None = None,
    threshold: float | None = None,
    min_score: float = 0.05,
    region: Region | None = None,
    roi: str | Path | None = None,
    tissue: bool | None = None,
    keep_stains: bool = False,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    runtime: Runtime | None = None,
    batch: int | None = None,
    checkpoint: str | Path | None = None,
    progress: Progress | None = None,
) -> Detections:
    """Find mitotic figures in an image. Returns all detections with ``score >= min_score``.

    ``model`` is an open model, a folder, or the name of a bundled model. ``mpp`` (um/px) or
    ``scanner`` give the resolution of a path whose file does not state it; with ``force_mpp``,
    ``mpp`` replaces a resolution that the file states. ``threshold`` replaces the model's operating
    point. ``region`` is x, y, width, height in full-resolution pixels; inside of it, the detections
    are those of the whole image, but for scores that the model normalises by what is analysed.
    ``roi`` is a GeoJSON file of polygons. ``tissue`` limits the analysis to tissue (None: on whole
    slides only). ``keep_stains`` switches the stain normalisation of the model off.

    ``runtime`` is an open runtime, for many images. Otherwise ``device``, ``precision`` and
    ``threads`` say which to open (``open_runtime``). ``batch`` is the number of tiles per call.
    ``checkpoint`` is a folder for finished parts: after a crash, the same call resumes from them.
    ``progress`` is called with the mm2 that are done and in all.

    Raises InputError (SlideError, UnknownMppError, ModelFileError) or MissingExtraError.
    """
    model = model if isinstance(model, Model) else load_model(model)
    settings = Settings(
        threshold=threshold,
        min_score=min_score,
        region=region,
        roi=None if roi is None else Path(roi),
        tissue=tissue,
        keep_stains=keep_stains,
    )
    if isinstance(slide, Slide):
        if mpp is not None or scanner is not None or force_mpp:
            raise ValueError("mpp and scanner are for a path: an open slide has its resolution")
        runtime = runtime or open_runtime(model, device, threads=threads, precision=precision)
        return _detect(slide, model, settings, runtime, batch, checkpoint, progress)
    from metaphase.slides.open import open_slide

    with open_slide(slide, mpp=mpp, scanner=scanner, force_mpp=force_mpp) as opened:
        runtime = runtime or open_runtime(model, device, threads=threads, precision=precision)
        return _detect(opened, model, settings, runtime, batch, checkpoint, progress)


def _detect(
    slide: Slide,
    model: Model,
    settings: Settings,
    runtime: Runtime,
    batch: int | None,
    checkpoint: str | Path | None,
    progress: Progress | None,
) -> Detections:
    plan = make_plan(slide, model, settings)
    provenance = provenance_of(slide, model, plan, hash_image(slide), runtime)
    folder = None if checkpoint is None else Path(checkpoint)
    return run_plan(plan, provenance, slide, model, runtime, batch, folder, progress)


def run_plan(
    plan: Plan,
    provenance: Provenance,
    slide: Slide,
    model: Model,
    runtime: Runtime,
    batch: int | None = None,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Detections:
    """Carry out a plan. ``provenance`` is that of the result, ``checkpoint`` a folder for parts."""
    batch = batch or runtime.batch
    parts = None if checkpoint is None else open_checkpoint(checkpoint, plan, provenance, batch)
    candidates = find_candidates(
        slide, model, plan, runtime, batch=batch, checkpoint=parts, progress=progress
    )
    merged = merge_candidates(candidates, plan, provenance)
    return finish_detections(merged, candidates, slide, plan, model, runtime)


def merge_candidates(candidates: Candidates, plan: Plan, provenance: Provenance) -> Detections:
    """Merge candidates to detections and leave out those outside of the region of interest."""
    x, y, score, label = candidates.rounded()
    x1, y1, x2, y2 = plan.box_px
    kept = merge(x, y, score, label, plan.merge_radius_px)
    kept = kept[(x[kept] >= x1) & (x[kept] <= x2) & (y[kept] >= y1) & (y[kept] <= y2)]
    if plan.roi is not None:
        last = np.array([[plan.grid.width_px], [plan.grid.height_px]]) - 1e-6
        kept = kept[plan.roi.covers(*np.minimum([x[kept], y[kept]], last))]
    detections = Detections(x[kept], y[kept], score[kept], label[kept], provenance=provenance)
    return detections.with_parameters(capped_tiles=candidates.capped_tiles)


def finish_detections(
    detections: Detections,
    candidates: Candidates,
    slide: Slide,
    plan: Plan,
    model: Model,
    runtime: Runtime,
) -> Detections:
    """Apply the second stage to merged detections, normalise the scores, recognise atypical
    figures, and measure the domain shift.

    ``candidates`` have the second scores and the statistics of tiles that are known already.
    """
    classifier = candidate_classifier(slide, plan, model, runtime)
    if classifier is not None:
        detections = rescore(detections, classifier, candidates.rescored)
        normalisation = classifier.stage.score_normalisation
        detections = with_normalised_scores(detections, plan, normalisation)
    detections = with_atypical(detections, slide, model, runtime)
    return with_domain_shift(detections, slide, plan, model, runtime, candidates.statistics)


def open_checkpoint(folder: Path, plan: Plan, provenance: Provenance, batch: int) -> Checkpoint:
    """Open the folder of finished parts, for everything that their numbers depend on."""
    depends_on = (
        provenance.image_sha256,
        provenance.model_id,
        provenance.runtime,
        provenance.metaphase,
        str(batch),
        str(GROUP_TILES),
    )
    return Checkpoint(folder, plan.fingerprint(*depends_on))


def provenance_of(
    slide: Slide, model: Model, plan: Plan, image_sha256: str, runtime: Runtime
) -> Provenance:
    """Return the provenance of the result of a plan."""
    return Provenance(
        image=slide.path.name,
        width_px=slide.width_px,
        height_px=slide.height_px,
        mpp=slide.mpp,
        mpp_source=slide.mpp_source,
        image_sha256=image_sha256,
        model=model.card.name,
        model_id=model.id,
        threshold=plan.threshold,
        runtime=runtime.name,
        metaphase=__version__,
        parameters=plan.parameters.updated(
            precision=runtime.precision, **_training_note(model, image_sha256)
        ),
    )


def _training_note(model: Model, image_sha256: str) -> dict[str, bool]:
    """Return whether the model was trained on the image, if that is known."""
    known = was_trained_on(model.card, image_sha256)
    return {} if known is None else {"trained_on": known}


def hash_image(slide: Slide) -> str:
    """Return the SHA-256 of all files of the image ("" for a slide without a file).

    For a slide that is read from a server in parts it is that of its address, size and version.
    """
    if slide.remote_id or not slide.path.is_file():
        return slide.remote_id
    return sha256_of_slide(slide.path)
