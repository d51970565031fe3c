"""Detections of one image: tiles are read ahead, run in batches, decoded, and merged once.

The result depends on the image, the model and the settings alone: not on the batch, the number of
threads, or on whether the work was interrupted and taken up again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaphase import __version__
from metaphase.detection.checkpoint import BLOCK_TILES, Candidates, Checkpoint
from metaphase.detection.decode import TileCandidates, decode
from metaphase.detection.domainshift import with_domain_shift
from metaphase.detection.merge import merge
from metaphase.detection.plan import Plan, Region, Settings, make_plan
from metaphase.detection.prefetch import prefetch
from metaphase.detection.runtime import Runtime, open_runtime, runtime_precision, streams_of
from metaphase.detection.secondstage import CandidateClassifier, rescore
from metaphase.figures import POSITION_DECIMALS, SCORE_DECIMALS, Detections
from metaphase.files import sha256_of_file
from metaphase.models.modelfile import DEFAULT_NAME, Model, load_model
from metaphase.models.trainingimages import was_trained_on
from metaphase.provenance import Parameters, Provenance
from metaphase.slides.slide import Pixels, Slide
from metaphase.units import area_mm2

_BATCH = 4  # for a runtime that does not say what it does best with
_READERS = 2  # at least
_AHEAD = 12  # tiles read before they are needed, beside the batch: 10 MB of 512 px tiles
_LOOK_EVERY = 32
"""Tiles after which their candidates are looked at again: what was decoded of the slide for the
tiles is then still in memory."""

Progress = Callable[[float, float], None]
"""Called with the mm2 that are done and the mm2 in all."""


def detect(
    slide: Slide | str | Path,
    model: Model | str | Path = DEFAULT_NAME,
    *,
    mpp: float | None = None,
    scanner: str | None = None,
    threshold: float | None = None,
    min_score: float = 0.05,
    region: Region | None = None,
    roi: str | Path | None = None,
    tissue: bool | None = None,
    own_stains: bool = False,
    device: str = "auto",
    precision: str = "auto",
    runtime: Runtime | None = None,
    batch: int | None = None,
    blocks: Path | None = None,
    progress: Progress | None = None,
) -> Detections:
    """Find mitotic figures in an image. Returns all with ``score >= min_score``.

    ``model`` is an open model, a folder, or the name of a model inside the package.
    ``mpp`` (um/px) or ``scanner`` are for a path whose file does not tell its resolution.
    ``threshold`` replaces the model's own as the operating point. ``region`` is x, y, width, height
    in full-resolution pixels: what lies in it is found as in the whole image; ``roi`` is a GeoJSON
    file of polygons. ``tissue`` limits the look to tissue (None: on whole slides). ``own_stains``
    keeps the image's stains where the model would exchange them. ``runtime`` is an open one to use
    (for many images), else ``device`` and ``precision`` say which to open (``open_runtime``).
    ``blocks`` is a folder in which finished parts are kept, so that the same call after a crash
    goes on where it was.
    Raises InputError (SlideError, UnknownMppError, ModelFileError) or MissingExtraError.
    """
    model = model if isinstance(model, Model) else load_model(model)
    settings = Settings(
        threshold=threshold,
        min_score=min_score,
        region=region,
        roi=None if roi is None else Path(roi),
        tissue=tissue,
        own_stains=own_stains,
    )
    if isinstance(slide, Slide):
        if mpp is not None or scanner is not None:
            raise ValueError("mpp and scanner are for a path; an open slide knows its own")
        runtime = runtime or open_runtime(model, device, precision=precision)
        return _detect(slide, model, settings, runtime, batch, blocks, progress)
    from metaphase.slides.open import open_slide

    with open_slide(slide, mpp=mpp, scanner=scanner) as opened:
        runtime = runtime or open_runtime(model, device, precision=precision)
        return _detect(opened, model, settings, runtime, batch, blocks, progress)


def _detect(
    slide: Slide,
    model: Model,
    settings: Settings,
    runtime: Runtime,
    batch: int | None,
    blocks: Path | None,
    progress: Progress | None,
) -> Detections:
    plan = make_plan(slide, model, settings)
    made = provenance(slide, model, plan, fingerprint_of_image(slide), runtime)
    return carry_out(plan, made, slide, model, runtime, batch, blocks, progress)


def carry_out(
    plan: Plan,
    made: Provenance,
    slide: Slide,
    model: Model,
    runtime: Runtime,
    batch: int | None = None,
    blocks: Path | None = None,
    progress: Progress | None = None,
) -> Detections:
    """Do what a plan says. ``made`` is the provenance that the result will have."""
    batch = batch or int(getattr(runtime, "batch", _BATCH))
    store = None if blocks is None else block_store(blocks, plan, made, batch)
    found = find(slide, model, plan, runtime, batch=batch, store=store, progress=progress)
    return complete(finish(found, plan, made), found.seen, slide, plan, model, runtime)


def complete(
    found: Detections,
    seen: NDArray[np.float64],
    slide: Slide,
    plan: Plan,
    model: Model,
    runtime: Runtime,
) -> Detections:
    """Do what is done with merged detections and the slide: the card says what.

    ``seen`` is what was looked at again already (``Candidates.seen``).
    """
    classifier = candidate_classifier(slide, plan, model, runtime)
    told = found if classifier is None else rescore(found, classifier, seen)
    return with_domain_shift(told, slide, plan, model, runtime)


def candidate_classifier(
    slide: Slide, plan: Plan, model: Model, runtime: Runtime
) -> CandidateClassifier | None:
    """Return what looks again at candidates, None where the model looks once.

    ``runtime`` is the one that runs the model: it brings the one for the second stage with it.
    """
    second, look = model.second_stage, model.card.second_stage
    if second is None or look is None:
        return None
    again: Runtime = getattr(runtime, "second_stage", None) or open_runtime(second)
    return CandidateClassifier(slide, look, second, again, plan.stain)


def block_store(folder: Path, plan: Plan, made: Provenance, batch: int) -> Checkpoint:
    """Open the folder of finished blocks, for everything that their numbers depend on."""
    depends_on = (made.image_sha256, made.model_id, made.runtime, made.metaphase, str(batch))
    return Checkpoint(folder, plan.fingerprint(*depends_on))


def provenance(
    slide: Slide, model: Model, plan: Plan, image_sha256: str, runtime: Runtime
) -> Provenance:
    """Return what a result that follows a plan will say of itself."""
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
        parameters=Parameters.model_validate(
            {
                **plan.parameters,
                "precision": runtime_precision(runtime),
                **_training_note(model, image_sha256),
            }
        ),
    )


def _training_note(model: Model, image_sha256: str) -> dict[str, bool]:
    """Return whether the model was trained on the image, if that is known."""
    known = was_trained_on(model.card, image_sha256)
    return {} if known is None else {"trained_on": known}


def fingerprint_of_image(slide: Slide) -> str:
    """Return the SHA-256 of the image's file ("" for a slide that is none).

    MIRAX keeps its pixels in a folder beside the file: that is in the hash too. Of the other
    formats in several files (Hamamatsu VMS, DICOM) the named file alone is.
    """
    if not slide.path.is_file():
        return ""
    own = sha256_of_file(slide.path)
    beside = slide.path.with_suffix("")
    if slide.path.suffix.lower() != ".mrxs" or not beside.is_dir():
        return own
    parts = [f"{p.name}:{sha256_of_file(p)}" for p in sorted(beside.iterdir()) if p.is_file()]
    return hashlib.sha256("\n".join([own, *parts]).encode()).hexdigest()


def find(
    slide: Slide,
    model: Model,
    plan: Plan,
    runtime: Runtime,
    *,
    batch: int | None = None,
    store: Checkpoint | None = None,
    progress: Progress | None = None,
) -> Candidates:
    """Look at the plan's tiles and return their candidates, not yet merged.

    Blocks that the store has are not looked at again.
    """
    size = batch or int(getattr(runtime, "batch", _BATCH))
    blocks = blocks_of(plan)
    stored = [store.load(i) if store else None for i in range(len(blocks))]
    missing = [tiles for tiles, found in zip(blocks, stored, strict=True) if found is None]
    tell = Teller(plan, slide.mpp, progress)
    scale, side = plan.grid.scale, plan.grid.tile

    def read(number: int) -> Pixels:
        x, y = plan.grid.corner(number)
        return slide.read(x * scale, y * scale, side, side, plan.mpp)

    todo = (int(number) for tiles in missing for number in tiles)
    streams = streams_of(runtime)
    pixels = prefetch(read, todo, workers=max(_READERS, streams), depth=streams * size + _AHEAD)
    groups = [g for tiles in missing for g in _batches(tiles, max(size, _LOOK_EVERY))]
    batches = [numbers for group in groups for numbers in _batches(group, size)]

    def run(job: tuple[NDArray[np.int64], Pixels]) -> Candidates:
        numbers, tiles = job
        found = decode(runtime.run(tiles), model.card.head, min_score=plan.min_score)
        return Candidates.join(
            [found_in_tile(plan, n, c) for n, c in zip(numbers, found, strict=True)]
        )

    def gather() -> Iterator[Candidates]:
        for group in groups:
            parts = []
            for numbers in _batches(group, size):
                parts.append(next(found))
                tell(numbers)
            yield Candidates.join(parts)

    # Three stages side by side, each some steps ahead of the next: reading, network, second stage.
    fed = ((numbers, np.stack([next(pixels) for _ in numbers])) for numbers in batches)
    found = prefetch(run, fed, workers=streams, depth=2 * streams)
    classifier = candidate_classifier(slide, plan, model, runtime) if missing else None
    looked = prefetch(
        partial(score_candidates, plan=plan, classifier=classifier), gather(), workers=1, depth=2
    )
    results = []
    with closing(pixels), closing(found), closing(looked):
        for index, (tiles, known) in enumerate(zip(blocks, stored, strict=True)):
            if known is None:
                known = Candidates.join(
                    [next(looked) for _ in _batches(tiles, max(size, _LOOK_EVERY))]
                )
                if store:
                    store.save(index, known)
            else:
                tell(tiles)
            results.append(known)
    return Candidates.join(results)


def score_candidates(
    found: Candidates, plan: Plan, classifier: CandidateClassifier | None
) -> Candidates:
    """Return candidates with the second scores of those that are likely to stay.

    Which do is known when all are merged; by then few are left to look at.
    """
    if classifier is None:
        return found
    x, y, score, label = _as_in_files(found)
    kept = merge(x, y, score, label, plan.merge_radius_px)
    kept = kept[classifier.wants(label[kept], score[kept])]
    points = np.stack([x[kept], y[kept]], axis=1)
    second = classifier.scores(points, score[kept])
    return replace(found, seen=np.column_stack([points, score[kept], second]))


def blocks_of(plan: Plan) -> list[NDArray[np.int64]]:
    """Return the plan's tiles in blocks."""
    return [plan.tiles[i : i + BLOCK_TILES] for i in range(0, len(plan.tiles), BLOCK_TILES)]


def finish(found: Candidates, plan: Plan, made: Provenance) -> Detections:
    """Merge candidates to detections, at the precision of the files.

    They are rounded first, so that merging what a file holds changes nothing.
    """
    x, y, score, label = _as_in_files(found)
    x1, y1, x2, y2 = plan.box_px
    kept = merge(x, y, score, label, plan.merge_radius_px)
    kept = kept[(x[kept] >= x1) & (x[kept] <= x2) & (y[kept] >= y1) & (y[kept] <= y2)]
    if plan.roi is not None:
        last = np.array([[plan.grid.width_px], [plan.grid.height_px]]) - 1e-6
        kept = kept[plan.roi.covers(*np.minimum([x[kept], y[kept]], last))]
    return Detections(
        x[kept],
        y[kept],
        score[kept],
        label[kept],
        provenance=made,
    ).with_parameters(capped_tiles=found.capped_tiles)


def _as_in_files(
    found: Candidates,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int8]]:
    """Return x, y, score and label of candidates, rounded."""
    x, y = np.round(found.rows[:, :2].T, POSITION_DECIMALS)
    return x, y, np.round(found.rows[:, 2], SCORE_DECIMALS), found.rows[:, 3].astype(np.int8)


def _batches(tiles: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    return (tiles[i : i + size] for i in range(0, len(tiles), size))


def found_in_tile(plan: Plan, number: int, candidates: TileCandidates) -> Candidates:
    """Return a tile's candidates in full-resolution pixels, those that are its own to tell."""
    grid = plan.grid
    left, top = grid.corner(int(number))
    x, y = (left + candidates.x) * grid.scale, (top + candidates.y) * grid.scale
    keep = grid.keeps(int(number), x, y, plan.slack_px)
    # Just outside the image is a figure that the border cuts: its point is put on the border.
    x, y = np.clip(x, 0, grid.width_px), np.clip(y, 0, grid.height_px)
    rows = np.stack([x, y, candidates.score, candidates.label.astype(np.float64)], axis=1)
    return Candidates(rows[keep], int(candidates.capped))


class Teller:
    """Adds up the area that is done and tells it."""

    def __init__(self, plan: Plan, mpp: float, progress: Progress | None) -> None:
        areas = plan.area_px()
        self._area = dict(zip(plan.tiles.tolist(), areas.tolist(), strict=True))
        self._mm2 = area_mm2(1, 1, mpp)
        self._done, self._total = 0.0, float(areas.sum())
        self._progress = progress
        self([])

    def __call__(self, tiles: Iterable[int]) -> None:
        """Add tiles that are done."""
        self._done += sum(self._area[int(number)] for number in tiles)
        if self._progress is not None:
            self._progress(min(self._done, self._total) * self._mm2, self._total * self._mm2)
