"""Recall on crops around mitotic figures, per scanner, and false positives on fields.

    python -m studies.crops_recall RUN --crops $METAPHASE_DATA/ami_br/annotations.json \\
        --crops-only @recipes/ami_br_held_out.txt

A crop (32 um) is smaller than the network's tile (128 um), so it needs surroundings. Four kinds are
measured:

- ``reflected``: the crop extended by reflection, the figure in the centre of the tile.
- ``mosaic``: the same, all crops of a slide side by side in one image, large enough for stain
  normalisation. The estimate of its stains is wrong, because figures cover a twentieth of it (less
  than a thousandth of a slide): this is the worst case of stain normalisation.
- ``white``: white surroundings, as beyond the border of an image.
- ``pasted``: blended into a figure-free part of a field, with the crop's colours.

Quote ``reflected``: it contains only pixels of that scanner, and no composition as in training. A
model that relies on blending gains with ``pasted``, and a model that never saw an image's border
loses with ``white``. The three should agree within their intervals.

A figure is detected if a detection at or above the frozen threshold lies within 7.5 um. Only the
figure at the centre of a crop counts, so that each figure counts once. With a cross-validation, the
model of every fold is applied to every crop, and the shares are pooled. Intervals: bootstrap over
slides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.detection.runtime import Runtime
from metaphase.evaluation.evaluate import evaluate
from metaphase.labels.dataset import Dataset
from metaphase.stain.colourstatistics import colour_statistics, transfer_colours
from studies.backgrounds import Grounds, pasted
from studies.common import (
    Crop,
    Subject,
    add_crop_arguments,
    arguments,
    best_score,
    crop_cases,
    detect_fields,
    detect_pixels,
    finish,
    print_table,
    read_crops,
    reflected,
    seen_in_training,
    share_interval,
    subjects,
)

SIDE_PX = 512
QUOTED = "reflected"

Laid = tuple[Pixels, float, float]


def ways(grounds: Grounds | None) -> dict[str, Callable[[Crop, np.random.Generator], Laid]]:
    """Return the ways to surround a crop: pixels and the figure's position in them."""

    def on_field(crop: Crop, rng: np.random.Generator) -> Laid:
        assert grounds is not None
        ground = grounds.draw(rng, SIDE_PX, crop.mpp)
        source, target = colour_statistics(ground), colour_statistics(crop.pixels)
        ground = transfer_colours(ground, source, target, 1.0)
        return pasted(crop.pixels, crop.x_px, crop.y_px, ground)

    found: dict[str, Callable[[Crop, np.random.Generator], Laid]] = {
        QUOTED: lambda crop, rng: reflected(crop.pixels, crop.x_px, crop.y_px, SIDE_PX),
        "white": lambda crop, rng: (crop.pixels, crop.x_px, crop.y_px),
    }
    return found if grounds is None else {**found, "pasted": on_field}


def scores_of(subject: Subject, crops: list[Crop], seed: int) -> dict[str, list[float]]:
    """Return the best score at each crop's figure for each way."""
    grounds = Grounds(subject.fields) if len(subject.fields) else None
    runtime = subject.runtime()
    found: dict[str, list[float]] = {"mosaic": scores_of_mosaics(subject, runtime, crops)}
    for way, lay in ways(grounds).items():
        found[way] = []
        for number, crop in enumerate(crops):
            pixels, x, y = lay(crop, np.random.default_rng([seed, number]))
            found[way].append(best_score(detect_pixels(pixels, crop.mpp, subject, runtime), x, y))
    return found


def scores_of_mosaics(subject: Subject, runtime: Runtime, crops: list[Crop]) -> list[float]:
    """Return the best score at each crop's figure, the crops of a slide in one image."""
    slides: dict[tuple[str, float], list[int]] = {}
    for number, crop in enumerate(crops):
        slides.setdefault((crop.case.domain("group"), crop.mpp), []).append(number)
    scores = np.zeros(len(crops))
    for (_, mpp), members in slides.items():
        laid = [reflected(crops[n].pixels, crops[n].x_px, crops[n].y_px, SIDE_PX) for n in members]
        image, points = side_by_side(laid)
        found = detect_pixels(image, mpp, subject, runtime)
        scores[members] = [best_score(found, x, y) for x, y in points]
    return scores.tolist()


def side_by_side(laid: list[Laid]) -> tuple[Pixels, list[tuple[float, float]]]:
    """Return pictures of one size as a square of them, the first ones again where it is not full,
    and the places of their figures."""
    columns = int(np.ceil(np.sqrt(len(laid))))
    rows = -(-len(laid) // columns)
    height, width = laid[0][0].shape[:2]
    image = np.zeros((rows * height, columns * width, 3), np.uint8)
    points = []
    for n in range(rows * columns):
        pixels, x, y = laid[n % len(laid)]
        top, left = n // columns * height, n % columns * width
        image[top : top + height, left : left + width] = pixels
        points.append((x + left, y + top))
    return image, points[: len(laid)]


def field_rate(subject: Subject) -> dict[str, Any]:
    """Return the scores of the subject on its fields at its threshold."""
    scores = evaluate(detect_fields(subject, subject.runtime()), subject.fields)
    counts, area = scores.overall.counts, scores.overall.area_mm2
    return {
        "tp": counts.tp, "fp": counts.fp, "fn": counts.fn, "f1": scores.f1, "area_mm2": area,
        "fp_per_mm2": counts.fp / area,
    }  # fmt: skip


def per_scanner(crops: list[Crop], found: list[list[bool]], seed: int) -> dict[str, dict[str, Any]]:
    """Return the recall of each scanner; ``found`` is a list for every subject."""
    hits = np.mean(found, axis=0)
    scanners = np.array([crop.case.domain() for crop in crops])
    result = {}
    for scanner in dict.fromkeys(scanners.tolist()):
        who = np.flatnonzero(scanners == scanner)
        groups = [crops[i].case.domain("group") for i in who]
        low, high = share_interval(hits[who], np.ones(len(who)), groups, seed)
        result[scanner] = {
            "figures": len(who),
            "slides": len(set(groups)),
            "recall": float(hits[who].mean()),
            "intervals": {"recall": [low, high]},
        }
    return result


def warn_of_leaks(who: list[Subject], cases: Dataset) -> dict[str, int]:
    """Print which models were trained on the crops that they are tested on."""
    seen = {subject.name: len(seen_in_training(subject.model, cases)) for subject in who}
    for name, count in seen.items():
        if count:
            print(f"WARNING: {name} was trained on {count} of these {len(cases)} crops.")
    return seen


def main() -> None:
    parser = arguments(__doc__)
    add_crop_arguments(parser)
    given = parser.parse_args()
    who, cases = subjects(given), crop_cases(given)
    seen = warn_of_leaks(who, cases)
    crops = read_crops(cases)
    values = [scores_of(subject, crops, given.seed) for subject in who]
    result: dict[str, Any] = {
        "quoted": QUOTED,
        "thresholds": {subject.name: subject.threshold for subject in who},
        "crops_seen_in_training": seen,
        "ways": {},
        "fields": {subject.name: field_rate(subject) for subject in who if len(subject.fields)},
    }
    for way in values[0]:
        found = [
            [score >= subject.threshold for score in scores[way]]
            for subject, scores in zip(who, values, strict=True)
        ]
        result["ways"][way] = per_scanner(crops, found, given.seed)
    _print(result)
    finish(result, given.json)


def _print(result: dict[str, Any]) -> None:
    rows = []
    for scanner, quoted in result["ways"][QUOTED].items():
        low, high = quoted["intervals"]["recall"]
        others = [w[scanner]["recall"] for name, w in result["ways"].items() if name != QUOTED]
        interval = f"{low:.3f} to {high:.3f}"
        rows.append(
            [scanner, quoted["figures"], quoted["slides"], quoted["recall"], interval, *others]
        )
    others = [name for name in result["ways"] if name != QUOTED]
    head = ["scanner", "figures", "slides", "recall", "95 % interval", *others]
    print_table(f"Recall on crops, {QUOTED} (others for comparison)", head, rows)
    if result["fields"]:
        fields = result["fields"].values()
        fp, area = sum(f["fp"] for f in fields), sum(f["area_mm2"] for f in fields)
        rows = [
            [name, result["thresholds"][name], f["f1"] or 0.0, f["fp"], f["fp_per_mm2"]]
            for name, f in result["fields"].items()
        ]
        rows.append(["pooled", "", "", fp, fp / area])
        head = ["", "threshold", "F1", "FP", "FP/mm2"]
        print_table("On the fields, at the same threshold", head, rows)


if __name__ == "__main__":
    main()
