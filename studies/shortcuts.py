"""Does a model use a shortcut: the centre of a crop, a seam, a scanner, the JPEG history?

    python -m studies.shortcuts RUN --crops $METAPHASE_DATA/ami_br/annotations.json \\
        --crops-only @recipes/ami_br_held_out.txt

Four measurements, all at the frozen threshold:

1. ``mosaics``: images assembled of figure-free strips of the crops, which contain that scanner and
   seams but no figures; compared with the unchanged crops, away from their figures. More false
   positives per mm2 in mosaics than in crops are caused by the assembly (which also cuts and
   doubles nuclei, so that they look like metaphase plates); more in crops than in whole fields by
   the scanner. ``--limit`` does not apply: mosaics of few strips repeat the same nuclei.
2. ``fields``: F1 on the left-out fields, unchanged, recompressed as JPEG, and blurred.
3. ``off centre``: windows of the crops blended into a field, the figure in the centre of the window
   or near its border; and the whole crop away from the centre of the tile.
4. ``replaced``: the unchanged crop; the figure replaced by a figure-free piece of the same slide's
   crops (recall that remains does not depend on the figure); and the figure replaced by another
   figure with the same blending (the cost of the blending).
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from metaphase.arrays import Pixels
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections, points_of
from metaphase.labels.dataset import Dataset
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.stain.colourstatistics import colour_statistics, transfer_colours
from metaphase.training.patches.augment import compressed
from metaphase.training.patches.crops import Crops
from metaphase.units import area_mm2
from studies.backgrounds import Grounds, disc_replaced, pasted
from studies.common import (
    Crop,
    Subject,
    add_crop_arguments,
    all_crops,
    arguments,
    best_score,
    central,
    crop_cases,
    detect_fields,
    detect_pixels,
    finish,
    print_table,
    read_crops,
    reflected,
    subjects,
)
from studies.crops_recall import SIDE_PX, warn_of_leaks

Change = Callable[[Pixels], Pixels]
Laid = tuple[Pixels, float, float]

WINDOW_PX, SHIFT_PX = 88, 20
DISC_PX, PIECE_PX = 20, 56
MOSAICS = 64
MOSAIC_PX = 512
RIM_UM = 5.0
LEAST_CROPS = 5
"""Crops of a slide: mosaics of fewer would repeat the same strips."""


def blurred(pixels: Pixels, sigma_px: float) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma_px)))


CHANGES: dict[str, Change] = {
    "plain": lambda pixels: pixels,
    **{f"JPEG {q}": partial(compressed, quality=q, subsampling=2) for q in (80, 60, 40)},
    **{f"blur {sigma:g} px": partial(blurred, sigma_px=sigma) for sigma in (0.7, 1.0, 1.5)},
}


def changed_fields(subject: Subject) -> dict[str, dict[str, Detections]]:
    """Return the detections of a subject's fields under each change."""
    runtime = subject.runtime()
    return {name: detect_fields(subject, runtime, change) for name, change in CHANGES.items()}


def field_scores(who: list[Subject], found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the scores of each change, pooled over all subjects' fields."""
    fields = Dataset([case for subject in who for case in subject.fields])
    result = {}
    for name in CHANGES:
        every = {k: v for one in found for k, v in one[name].items()}
        score = evaluate(every, fields).overall
        counts = score.counts
        result[name] = {
            "f1": counts.f1, "tp": counts.tp, "fp": counts.fp, "fn": counts.fn,
            "fp_per_mm2": counts.fp / score.area_mm2,
        }  # fmt: skip
    return result


def mosaics(cases: Dataset, seed: int, count: int) -> dict[str, list[tuple[Pixels, float]]]:
    """Return figure-free mosaics of each scanner's crops, with their resolution."""
    found = {}
    many = [s for s in cases.by_domain("group").values() if len(s) >= LEAST_CROPS]
    cases = Dataset([case for slide in many for case in slide])
    for scanner, part in cases.by_domain().items():
        rng = np.random.default_rng([seed, 1])
        crops, mpp = Crops(part), float(part.cases[0].mpp or 0)
        found[scanner] = [
            (crops.mosaic(rng, crops.group(rng), mpp, MOSAIC_PX).image, mpp) for _ in range(count)
        ]
    return found


def mosaic_rates(
    who: list[Subject], assembled: dict[str, list[tuple[Pixels, float]]]
) -> dict[str, dict[str, float]]:
    """Return the false positives per mm2 on each scanner's mosaics, over all subjects."""
    result = {}
    for scanner, pictures in assembled.items():
        false, area = 0, 0.0
        for subject in who:
            runtime = subject.runtime()
            for pixels, mpp in pictures:
                found = detect_pixels(pixels, mpp, subject, runtime)
                false += len(found.above_threshold())
                area += area_mm2(pixels.shape[1], pixels.shape[0], mpp)
        result[scanner] = _rate(false, area)
    return result


def crop_rates(who: list[Subject], crops: list[Crop]) -> dict[str, dict[str, float]]:
    """Return the false positives per mm2 in each scanner's crops, away from labelled figures."""
    false: dict[str, int] = {}
    area: dict[str, float] = {}
    for subject in who:
        runtime = subject.runtime()
        for crop in crops:
            pixels, x, y = reflected(crop.pixels, crop.x_px, crop.y_px, SIDE_PX)
            found = detect_pixels(pixels, crop.mpp, subject, runtime).above_threshold()
            scanner = crop.case.domain()
            places = np.stack([found.x_px - x + crop.x_px, found.y_px - y + crop.y_px], axis=1)
            free = free_of_figures(crop)
            inside = (places >= 0).all(axis=1) & (places < free.shape[::-1]).all(axis=1)
            columns, rows = places[inside].astype(int).T
            false[scanner] = false.get(scanner, 0) + int(free[rows, columns].sum())
            area[scanner] = area.get(scanner, 0.0) + float(free.sum()) * crop.mpp**2 * 1e-6
    return {scanner: _rate(false[scanner], area[scanner]) for scanner in false}


def free_of_figures(crop: Crop) -> np.ndarray:
    """Return the mask [h, w] of a crop's pixels that are far from its figures and its border.

    Far is the matching radius; at the border, reflection turns half nuclei into plates.
    """
    height, width = crop.pixels.shape[:2]
    figures = points_of(crop.case.figures, None)
    # The central figure's position is in the crop's pixels, without black padding.
    middle = central(crop.case, crop.case.width_px or width, crop.case.height_px or height)
    rows, columns = np.mgrid[:height, :width] + 0.5
    rim = RIM_UM / crop.mpp
    free = (np.minimum(columns, width - columns) > rim) & (np.minimum(rows, height - rows) > rim)
    for x, y in figures - [middle.x_px - crop.x_px, middle.y_px - crop.y_px]:
        free &= np.hypot(columns - x, rows - y) * crop.mpp > MATCH_RADIUS_UM
    return free


def _rate(false: int, area: float) -> dict[str, float]:
    return {"fp": false, "area_mm2": area, "fp_per_mm2": false / area}


def windows(crop: Crop, rng: np.random.Generator, grounds: Grounds) -> dict[str, Laid]:
    """Return a window of a crop on a field: the figure in its centre, near its border, and whole
    crops reflected with the figure in and off the middle of the tile."""
    ground = grounds.draw(rng, SIDE_PX, crop.mpp)
    ground = transfer_colours(
        ground, colour_statistics(ground), colour_statistics(crop.pixels), 1.0
    )
    turn = rng.uniform(0, 2 * np.pi)
    shift = SHIFT_PX * np.array([np.cos(turn), np.sin(turn)])
    whole, x, y = reflected(crop.pixels, crop.x_px, crop.y_px, 2 * SIDE_PX)
    off = np.round(rng.uniform(0.15, 0.3, 2) * rng.choice([-1, 1], 2) * SIDE_PX).astype(int)
    return {
        "figure in the window's middle": _window(crop, np.zeros(2), ground),
        "figure near the window's rim": _window(crop, shift, ground),
        "crop in the tile's middle": _part(whole, x, y, np.zeros(2, int)),
        "crop off the tile's middle": _part(whole, x, y, off),
    }


def _part(whole: Pixels, x_px: float, y_px: float, off: np.ndarray) -> Laid:
    """Return SIDE_PX of a larger picture, moved by ``off`` from its centre."""
    x, y = ((np.array(whole.shape[1::-1]) - SIDE_PX) // 2 + off).tolist()
    return whole[y : y + SIDE_PX, x : x + SIDE_PX], x_px - x, y_px - y


def _window(crop: Crop, shift: np.ndarray, ground: Pixels) -> Laid:
    height, width = crop.pixels.shape[:2]
    half = WINDOW_PX / 2
    middle = np.array([crop.x_px, crop.y_px]) + shift
    corner = np.clip(
        np.round(middle - half), 0, np.maximum(np.array([width, height]) - 2 * half, 0)
    )
    x, y = corner.astype(int)
    piece = crop.pixels[y : y + WINDOW_PX, x : x + WINDOW_PX]
    return pasted(piece, crop.x_px - x, crop.y_px - y, ground)


def replaced(crop: Crop, rng: np.random.Generator, others: list[Crop]) -> dict[str, Laid]:
    """Return a crop unchanged, without its figure, and with another figure, all reflected."""
    same = [o for o in others if o.case.domain("group") == crop.case.domain("group")]
    alike = [o for o in others if o.case.domain() == crop.case.domain() and o is not crop]
    free = [piece for o in same for piece in _free_pieces(o)]
    free = free or [piece for o in alike for piece in _free_pieces(o)]
    figures = [o for o in alike if _whole(o)]
    if not free or not figures or not _whole(crop):
        return {}
    empty = free[rng.integers(len(free))]
    other = figures[rng.integers(len(figures))]
    figure = _around(other)
    result = {}
    for name, piece in (("as it is", None), ("no figure", empty), ("another figure", figure)):
        pixels = crop.pixels
        if piece is not None:
            now, wanted = colour_statistics(piece), colour_statistics(pixels)
            piece = transfer_colours(piece, now, wanted, 1.0) if piece is empty else piece
            pixels = disc_replaced(pixels, crop.x_px, crop.y_px, piece, DISC_PX)
        result[name] = reflected(pixels, crop.x_px, crop.y_px, SIDE_PX)
    return result


def _whole(crop: Crop) -> bool:
    """Whether the piece around the figure lies in the crop."""
    height, width = crop.pixels.shape[:2]
    reach = PIECE_PX / 2 + 1
    x, y = crop.x_px, crop.y_px
    return bool(min(x, y, width - x, height - y) >= reach)


def _around(crop: Crop) -> Pixels:
    x, y = round(crop.x_px - PIECE_PX / 2), round(crop.y_px - PIECE_PX / 2)
    return crop.pixels[y : y + PIECE_PX, x : x + PIECE_PX]


def _free_pieces(crop: Crop) -> list[Pixels]:
    """Return the corners of a whole crop in whose discs no labelled figure reaches."""
    height, width = crop.pixels.shape[:2]
    if (width, height) != (crop.case.width_px, crop.case.height_px):
        return []
    figures = points_of(crop.case.figures, None)
    found = []
    for x in (0, width - PIECE_PX):
        for y in (0, height - PIECE_PX):
            middle = np.array([x, y]) + PIECE_PX / 2
            if np.hypot(*(figures - middle).T).min() > 6 / crop.mpp + DISC_PX:
                found.append(crop.pixels[y : y + PIECE_PX, x : x + PIECE_PX])
    return found


def compare(
    who: list[Subject], crops: list[Crop], lay: Callable[[Subject, int, Crop], dict[str, Laid]]
) -> dict[str, dict[str, float]]:
    """Return recall and mean score at the figure's place of each way of laying the same crops."""
    scores: dict[str, list[tuple[float, bool]]] = {}
    for subject in who:
        runtime = subject.runtime()
        for number, crop in enumerate(crops):
            for name, (pixels, x, y) in lay(subject, number, crop).items():
                score = best_score(detect_pixels(pixels, crop.mpp, subject, runtime), x, y)
                scores.setdefault(name, []).append((score, score >= subject.threshold))
    return {
        name: {
            "crops": len(values) // len(who),
            "recall": float(np.mean([right for _, right in values])),
            "mean_score": float(np.mean([score for score, _ in values])),
        }
        for name, values in scores.items()
    }


def measure(given: Namespace) -> dict[str, Any]:
    who, cases = subjects(given), crop_cases(given)
    everyone = all_crops(given)
    result: dict[str, Any] = {"crops_seen_in_training": warn_of_leaks(who, everyone)}
    crops = read_crops(cases)
    result["mosaics"] = mosaic_rates(who, mosaics(everyone, given.seed, given.mosaics))
    result["crops"] = crop_rates(who, read_crops(everyone))
    if all(len(subject.fields) for subject in who):
        result["fields"] = field_scores(who, [changed_fields(subject) for subject in who])
        grounds = {subject.name: Grounds(subject.fields) for subject in who}
        result["off centre"] = compare(
            who,
            crops,
            lambda subject, number, crop: windows(
                crop, np.random.default_rng([given.seed, 2, number]), grounds[subject.name]
            ),
        )
    result["replaced"] = compare(
        who,
        crops,
        lambda subject, number, crop: replaced(
            crop, np.random.default_rng([given.seed, 3, number]), crops
        ),
    )
    return result


def main() -> None:
    parser = arguments(__doc__)
    add_crop_arguments(parser)
    parser.add_argument("--mosaics", type=int, default=MOSAICS, help="of each scanner, 512 px")
    given = parser.parse_args()
    result = measure(given)
    rates = []
    for scanner, crops in result["crops"].items():
        assembled = result["mosaics"].get(scanner, {})
        both = [r.get(k, "") for r in (assembled, crops) for k in ("fp", "area_mm2", "fp_per_mm2")]
        rates.append([scanner, *both])
    if "fields" in result:
        plain = result["fields"]["plain"]
        rates.append(["whole fields", "", "", "", plain["fp"], "", plain["fp_per_mm2"]])
    head = ["", "FP in mosaics", "mm2", "per mm2", "FP in crops", "mm2", "per mm2"]
    print_table(
        "1. False positives in mosaics of figure-free strips, and in the unchanged crops",
        head,
        rates,
    )
    if "fields" in result:
        rows = [
            [name, f["f1"] or 0.0, (f["f1"] or 0.0) - (plain["f1"] or 0.0), f["tp"], f["fp"]]
            for name, f in result["fields"].items()
        ]
        head = ["", "F1", "change", "TP", "FP"]
        print_table("2. Left-out fields, recompressed and blurred", head, rows)
    for number, kind in ((3, "off centre"), (4, "replaced")):
        if kind in result:
            rows = [
                [name, r["crops"], r["recall"], r["mean_score"]] for name, r in result[kind].items()
            ]
            print_table(f"{number}. Crops: {kind}", ["", "crops", "recall", "mean score"], rows)
    finish(result, given.json)


if __name__ == "__main__":
    main()
