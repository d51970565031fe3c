"""Begin a loop: detect in every image, keep the candidates, propose the first ones to review."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from metaphase.arrays import Float32Array, Pixels
from metaphase.detection.inputs import Job, jobs_for_paths
from metaphase.detection.resultfolder import ResultFolder
from metaphase.detection.runtime import open_runtime
from metaphase.detection.runtimebase import Runtime
from metaphase.errors import InputError, InterruptedRunError, MetaphaseError, MissingExtraError
from metaphase.files import write_json
from metaphase.learning.candidates import Features, find_slide_candidates, second_stage_of
from metaphase.learning.loopfolder import (
    CANDIDATES,
    DECISIONS,
    LoopFolder,
    LoopImage,
    LoopSettings,
)
from metaphase.learning.rounds import propose_first
from metaphase.locks import locked_folder
from metaphase.models.modelfile import Model, load_model, zoo_names
from metaphase.slides.address import url_of


@dataclass(frozen=True, slots=True)
class ImageOutcome:
    """What became of an image. ``status``: done, skipped (was finished) or failed."""

    image: Path
    status: str
    candidates: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StartOptions:
    """How a loop begins.

    ``mpp`` and ``scanner`` are what the user states of the images. ``decisions``: candidates that
    are proposed for a review. ``candidates``: most candidates of a slide that take part.
    """

    mpp: float | None = None
    scanner: str | None = None
    force_mpp: bool = False
    decisions: int = DECISIONS
    candidates: int = CANDIDATES
    threads: int | None = None


Progress = Callable[[str, float, float], None]
"""Called with the image, and the mm2 that are done and in all."""


def start_loop(
    images: Iterable[str | Path],
    out: str | Path,
    model: str = "compact",
    options: StartOptions | None = None,
    *,
    finished: Callable[[ImageOutcome], None] = lambda outcome: None,
    progress: Progress = lambda name, done, total: None,
) -> list[ImageOutcome]:
    """Begin a loop in the folder ``out``, or resume or extend one.

    Images that are finished are skipped; an image that fails does not stop the others. After an
    interruption the same call resumes. Images may be added to a loop, but its model stays. Raises
    InputError, MissingExtraError, InterruptedRunError.
    """
    options = options or StartOptions()
    opened = load_model(model)
    second_stage_of(opened)
    loop = LoopFolder(Path(out))
    jobs = jobs_for_paths(
        images,
        mpp=options.mpp,
        scanner=options.scanner,
        force_mpp=options.force_mpp,
        out=loop.detections,
    )
    with locked_folder(loop.path):
        settings = _settings(loop, opened, model, jobs, options)
        write_json(loop.settings_file, settings.model_dump(mode="json"))
        try:
            outcomes = _find_all(loop, settings, opened, options, finished, progress)
        except KeyboardInterrupt:
            message = f"interrupted; the same command resumes from {loop.path}"
            raise InterruptedRunError(message) from None
        if not loop.rounds() and any(one.status != "failed" for one in outcomes):
            propose_first(loop)
    return outcomes


def _settings(
    loop: LoopFolder, model: Model, name: str, jobs: Sequence[Job], options: StartOptions
) -> LoopSettings:
    """Return the settings of the loop, with the images that it has already."""
    images = {
        job.name: LoopImage(
            name=job.name,
            path=job.image if url_of(job.image) else job.image.absolute(),
            mpp=job.mpp,
            scanner=job.scanner,
            force_mpp=job.force_mpp,
        )
        for job in jobs
    }
    if loop.settings_file.is_file():
        before = loop.settings()
        if before.model_id != model.id:
            raise InputError.of(
                loop.path,
                f"is a loop of another model ({before.model})",
                way_out="name that model, or choose another --out",
            )
        for image in before.images:
            known = images.get(image.name)
            if known is not None and known.path != image.path:
                raise InputError.of(
                    known.path,
                    f"has the name of another image of the loop, {image.path}",
                    way_out="rename it",
                )
        images = {image.name: image for image in before.images} | images
    return LoopSettings(
        model=name
        if name in zoo_names() and not Path(name).exists()
        else str(model.folder.absolute()),
        model_id=model.id,
        images=tuple(images.values()),
        decisions=options.decisions,
        candidates=options.candidates,
    )


def _find_all(
    loop: LoopFolder,
    settings: LoopSettings,
    model: Model,
    options: StartOptions,
    finished: Callable[[ImageOutcome], None],
    progress: Progress,
) -> list[ImageOutcome]:
    outcomes: list[ImageOutcome] = []
    runtime: Runtime | None = None
    features: Features | None = None
    for image in settings.images:
        if loop.candidates(image.name).is_file():
            outcome = ImageOutcome(image.path, "skipped")
        else:
            # Opened with the first image that needs them.
            runtime = runtime or open_runtime(model, threads=options.threads)
            features = features or second_stage_features(model)
            with _reported(image) as outcomes_of:
                outcomes_of.append(_find(loop, image, model, runtime, features, settings, progress))
            outcome = outcomes_of[0]
        outcomes.append(outcome)
        finished(outcome)
    return outcomes


@contextmanager
def _reported(image: LoopImage) -> Iterator[list[ImageOutcome]]:
    """Turn an error that concerns one image into its outcome."""
    outcomes: list[ImageOutcome] = []
    try:
        yield outcomes
    except (InterruptedRunError, MissingExtraError):
        raise
    except (MetaphaseError, OSError, ValueError) as error:
        outcomes.append(ImageOutcome(image.path, "failed", reason=str(error)))


def _find(
    loop: LoopFolder,
    image: LoopImage,
    model: Model,
    runtime: Runtime,
    features: Features,
    settings: LoopSettings,
    progress: Progress,
) -> ImageOutcome:
    job = Job(image.path, image.name, image.mpp, image.scanner, image.force_mpp)
    folder = ResultFolder(loop.detections / image.name)
    with job.open() as slide:
        found = find_slide_candidates(
            slide,
            model,
            runtime,
            folder,
            features,
            settings.candidates,
            lambda done, total: progress(image.name, done, total),
        )
    found.save(loop.candidates(image.name))
    return ImageOutcome(image.path, "done", len(found))


def second_stage_features(model: Model) -> Features:
    """Return the function that computes the features of windows. Raises MissingExtraError."""
    try:
        from metaphase.training.finetune.features import window_features
        from metaphase.training.finetune.finetunedmodel import load_window_network
    except ImportError as error:
        raise MissingExtraError("train", "learning from a review") from error
    second, stage = second_stage_of(model)
    network = load_window_network(second)

    def features(windows: Pixels) -> Float32Array:
        return window_features(network, windows, stage.symmetries)

    return features
