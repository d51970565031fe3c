"""What the studies share: models and their fields, images as slides, intervals, tables."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.detection.detect import detect
from metaphase.detection.runtime import Runtime, open_runtime
from metaphase.evaluation.bootstrap import Units, intervals
from metaphase.figures import Detections, Figure, Label
from metaphase.files import write_json
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.models.modelfile import Model, load_model
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.training.folds.results import is_cross_validation, load_folds
from metaphase.training.patches.picture import valid_part
from metaphase.training.recipe.caselists import expand_lists, matches
from metaphase.units import scanner_mpp, um_to_px

MIN_SCORE = 0.05
CROP_MPP = 0.25
"""Of crops whose scanner is not known (TUPAC16)."""


def as_slide(pixels: Pixels, mpp: float) -> ArraySlide:
    """Return pixels in memory, uint8 [h, w, 3], as a slide."""
    return ArraySlide(pixels, Path("array"), MppHints(user=mpp))


@dataclass(frozen=True)
class Subject:
    """A model with its frozen threshold, and fields that it was not trained on."""

    name: str
    model: Model
    threshold: float
    fields: Dataset
    training: Dataset

    def runtime(self, device: str = "auto") -> Runtime:
        return open_runtime(self.model, device, threads=1)


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every study."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "model", type=Path, help="a model file, or a folder of 'metaphase cross-validate'"
    )
    parser.add_argument("--fields", type=Path, help="labels of whole fields, for a model file")
    parser.add_argument("--images", type=Path, help="folder of their images")
    parser.add_argument("--only", nargs="*", default=[], help="fields to use: ids, patterns, @list")
    parser.add_argument("--threshold", type=float, help="replaces the frozen threshold")
    parser.add_argument("--limit", type=int, help="fields or crops of each kind: for a quick try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the numbers as JSON")
    return parser


def fold_arguments(doc: str | None) -> argparse.ArgumentParser:
    """Return a parser for studies of a cross-validation that keep their detections."""
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="folder of 'metaphase cross-validate'")
    parser.add_argument("out", type=Path, help="folder for the detections")
    parser.add_argument("--json", type=Path, help="file for the numbers as JSON")
    return parser


def subjects(given: argparse.Namespace) -> list[Subject]:
    """Return the models: each fold's with its left-out fields, or one with given fields."""
    if is_cross_validation(given.model):
        folds = load_folds(given.model).folds
        return [
            Subject(
                fold.name,
                fold.model,
                fold.threshold if given.threshold is None else given.threshold,
                some(fold.left_out, given.limit),
                fold.training,
            )
            for fold in folds
        ]
    model = load_model(given.model if given.model.exists() else str(given.model))
    threshold = model.card.threshold.value if given.threshold is None else given.threshold
    fields = Dataset(())
    if given.fields is not None:
        fields = part(load_dataset(given.fields, images=given.images).labelled(), given.only)
    return [Subject(model.card.name, model, threshold, some(fields, given.limit), Dataset(()))]


def part(dataset: Dataset, patterns: Sequence[str]) -> Dataset:
    """Return the cases that match any of the patterns; all if there are none."""
    wanted = expand_lists(patterns)
    return dataset.where(lambda case: not wanted or any(matches(case, p) for p in wanted))


def some(dataset: Dataset, limit: int | None) -> Dataset:
    """Return at most ``limit`` cases, evenly spaced."""
    if limit is None or len(dataset) <= limit:
        return dataset
    return dataset.select([dataset.ids[i * len(dataset) // limit] for i in range(limit)])


# --- crops around a figure


@dataclass(frozen=True)
class Crop:
    """A crop's pixels [h, w, 3] without black padding, and its figure's place in them, px."""

    case: Case
    pixels: Pixels
    mpp: float
    x_px: float
    y_px: float


def add_crop_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crops", type=Path, help="labels of crops, one figure in each centre")
    parser.add_argument("--crop-images", type=Path, help="folder of their images")
    parser.add_argument(
        "--crops-only", nargs="*", default=[], help="crops to use: ids, patterns, domains, @list"
    )


def crop_cases(given: argparse.Namespace) -> Dataset:
    """Return the chosen crops, each with a resolution, at most ``limit`` for each scanner."""
    whole = all_crops(given)
    kept = [i for cases in whole.by_domain().values() for i in some(cases, given.limit).ids]
    return whole.select(kept)


def all_crops(given: argparse.Namespace) -> Dataset:
    """Return the chosen crops, each with a resolution, without a limit."""
    if given.crops is None:
        raise SystemExit("name the labels of crops with --crops")
    images = given.crop_images or given.crops.parent / "images"
    dataset = part(load_dataset(given.crops, images=images), given.crops_only)
    return with_mpp(dataset)


def with_mpp(crops: Dataset) -> Dataset:
    """Return crops each with a resolution: its own, its scanner's, or that of TUPAC16."""
    known = (replace(c, mpp=c.mpp or scanner_mpp(c.scanner) or CROP_MPP) for c in crops)
    return Dataset(known, name=crops.name, source=crops.source)


def read_crops(cases: Dataset) -> list[Crop]:
    """Return the crops with the mitotic figure that each is centred on."""
    found = []
    for case in cases:
        with open_case(case) as slide:
            pixels = slide.read(0, 0, slide.width_px, slide.height_px)
            mpp = slide.mpp
        figure = central(case, pixels.shape[1], pixels.shape[0])
        x1, y1, x2, y2 = valid_part(pixels)
        crop = np.ascontiguousarray(pixels[y1:y2, x1:x2])
        found.append(Crop(case, crop, mpp, figure.x_px - x1, figure.y_px - y1))
    return found


def central(case: Case, width: int, height: int) -> Figure:
    """Return the mitotic figure nearest to the centre of a crop's image."""
    figures = [figure for figure in case.figures if figure.label == Label.MITOTIC]
    return min(figures, key=lambda f: np.hypot(f.x_px - width / 2, f.y_px - height / 2))


def seen_in_training(model: Model, crops: Dataset) -> list[str]:
    """Return the ids of crops that the model's recipe used, as far as its card states."""
    seen = []
    for source in model.card.recipe.get("data", {}).get("sources", []):
        # The same file lies in a folder of the same name, wherever that is.
        same = Path(source["labels"]).parts[-2:] == Path(crops.source).parts[-2:]
        if source.get("role") != "crops" or not same:
            continue
        only, without = source.get("only") or ["*"], source.get("without") or []
        seen += [
            case.id
            for case in crops
            if any(matches(case, p) for p in only) and not any(matches(case, p) for p in without)
        ]
    return seen


def best_score(found: Detections, x_px: float, y_px: float) -> float:
    """Return the best score of a mitotic detection within the matching radius; 0 if none."""
    kept = found.with_label(Label.MITOTIC)
    radius = um_to_px(MATCH_RADIUS_UM, found.provenance.mpp)
    near = np.hypot(kept.x_px - x_px, kept.y_px - y_px) <= radius
    return float(kept.score[near].max()) if near.any() else 0.0


def detect_pixels(pixels: Pixels, mpp: float, subject: Subject, runtime: Runtime) -> Detections:
    """Detect in an image with the default settings."""
    with as_slide(pixels, mpp) as slide:
        return detect_slide(slide, subject, runtime)


def detect_slide(
    slide: Slide, subject: Subject, runtime: Runtime, *, keep_stains: bool = False
) -> Detections:
    """Detect in a whole slide with the default settings."""
    return detect(
        slide,
        subject.model,
        threshold=subject.threshold,
        min_score=MIN_SCORE,
        keep_stains=keep_stains,
        runtime=runtime,
        tissue=False,
    )


def detect_fields(
    subject: Subject,
    runtime: Runtime,
    change: Callable[[Pixels], Pixels] = lambda pixels: pixels,
) -> dict[str, Detections]:
    """Return the detections of every field of a subject, after changing its pixels."""
    found = {}
    for case in subject.fields:
        with open_case(case) as slide:
            pixels = slide.read(0, 0, slide.width_px, slide.height_px)
            found[case.id] = detect_pixels(change(pixels), slide.mpp, subject, runtime)
    return found


def reflected(pixels: Pixels, x_px: float, y_px: float, side: int) -> tuple[Pixels, float, float]:
    """Extend an image by reflection to [side, side, 3], with the position in the centre."""
    height, width = pixels.shape[:2]
    left, top = max(0, round(side / 2 - x_px)), max(0, round(side / 2 - y_px))
    rest = (max(0, side - top - height), max(0, side - left - width))
    whole = np.pad(pixels, ((top, rest[0]), (left, rest[1]), (0, 0)), mode="symmetric")
    return whole, x_px + left, y_px + top


# --- tables


def share_interval(
    right: Sequence[float], of: Sequence[float], groups: Sequence[str], seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of sum(right) / sum(of): bootstrap over groups.

    With fewer than two groups, or where all are alike, Wilson's interval (1927) of the counts.
    """
    rows = np.stack([np.asarray(right, float), np.asarray(of, float)], axis=1)
    units = Units.gather(rows, list(groups), ["all"] * len(groups))
    with np.errstate(invalid="ignore", divide="ignore"):
        by_name = intervals(units, {"share": lambda sums: sums[:, 0] / sums[:, 1]}, seed=seed)
    interval = by_name["share"]
    if interval.low is not None and interval.high is not None and interval.low < interval.high:
        return interval.low, interval.high
    return wilson(rows[:, 0].sum(), rows[:, 1].sum())


def wilson(right: float, of: float, z: float = 1.96) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share."""
    p = right / of
    middle, spread = p + z * z / (2 * of), z * np.sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return float((middle - spread) / (1 + z * z / of)), float((middle + spread) / (1 + z * z / of))


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; floats to three digits."""
    for row in (head, ["---"] * len(head), *rows):
        yield "| " + " | ".join(f"{c:.3f}" if isinstance(c, float) else str(c) for c in row) + " |"


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    print(f"\n{title}\n", *table(head, rows), sep="\n", flush=True)


def finish(result: dict[str, Any], path: Path | None) -> None:
    """Write the numbers as JSON, to a file or below the tables."""
    if path is not None:
        write_json(path, result)
        print(f"\n{path}")
    else:
        print("\n```json", json.dumps(result, indent=1), "```", sep="\n")
