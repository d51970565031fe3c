"""The real part of ``studies.generalization``: crops of a left-out scanner."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from studies.generalization_plan import Plan, Table, with_method

if TYPE_CHECKING:
    from metaphase.labels.dataset import Dataset
    from metaphase.models.modelfile import Model

SCANNERS = {
    "XR": "Hamamatsu XR",
    "S360": "Hamamatsu S360",
    "CS2": "Aperio CS2",
    "TUPAC16": "TUPAC16",
}
ROWS = ("nothing", "augment", "best")
FP_PER_MM2 = 10.0
MIN_SCORE = 0.005
TILE_PX = 512


def real_plan(plan: Plan) -> list[str]:
    """Return the names of all runs: ``without:XR:METHOD`` and ``with:XR:best``."""
    rows = plan.rows(ROWS)
    names = [f"without:{key}:{method}" for key in SCANNERS for method in rows]
    names += [f"with:{key}:{rows[-1]}" for key in SCANNERS]
    return names[:1] if plan.tiny else names


def data_folder() -> Path:
    return Path(os.environ["METAPHASE_DATA"]).absolute()


def second_half(cases: Dataset, key: str) -> list[str]:
    """Return the groups of a scanner that are tested and never trained on."""
    groups = {c.domain("group") for c in cases if c.domain("scanner").startswith(SCANNERS[key])}
    order = sorted(groups, key=lambda group: (crc32(group.encode()), group))
    return sorted(order[: len(order) // 2])


def load_crops() -> Dataset:
    from metaphase.labels.read import load_dataset

    folder = data_folder() / "ami_br"
    return load_dataset(folder / "annotations.json", images=folder / "images")


def run_real(plan: Plan, name: str) -> None:
    """Train one model, test it on the crops and the fields, and write its result."""
    import torch

    from metaphase.files import write_json
    from metaphase.models.modelfile import load_model
    from metaphase.training.recipe.recipe import parse_recipe
    from metaphase.training.runfolder import MODEL_NAME
    from metaphase.training.train import train

    torch.set_num_threads(1)
    kind, key, method = name.split(":")
    crops = load_crops()
    held = second_half(crops, key)
    recipe = parse_recipe(real_recipe(plan, name, kind, key, held, plan.parts(method)))
    run = train(recipe, out=plan.result(name).parent / "run", show=False)
    model = load_model(run / MODEL_NAME)
    threshold, area = threshold_at_rate(model)
    tested = crops.where(lambda case: case.domain("group") in set(held))
    found = score_crops(model, tested, most=20 if plan.tiny else None)
    result = {
        "recall": float(np.mean(np.array(found) >= threshold)),
        "figures": len(found),
        "slides": len(held),
        "threshold": threshold,
        "fp_per_mm2": FP_PER_MM2,
        "area_mm2": area,
    }
    write_json(plan.result(name), result)


def real_recipe(
    plan: Plan, name: str, kind: str, key: str, held: list[str], parts: tuple[str, ...]
) -> Table:
    """Return the recipe of a run; unlabelled are the NanoZoomer's fields of the training slides."""
    data = data_folder()
    icpr, ami = data / "icpr2012", data / "ami_br"
    crops = {
        "role": "crops",
        "labels": str(ami / "annotations.json"),
        "images": str(ami / "images"),
    }
    left_out = [f"group:{group}" for group in held]
    scanner = SCANNERS[key]
    if kind == "without":
        left_out = ["group:TUPAC16/*"] if key == "TUPAC16" else [f"scanner:{scanner}"]
    midog = [name for name in left_out if "TUPAC16" not in name]
    tupac = [name for name in left_out if "TUPAC16" in name]
    sources: list[Table] = [
        {
            "name": "icpr",
            "labels": str(icpr / "annotations.json"),
            "images": str(icpr / "images"),
            "scanner": "Aperio XT",
        },
        {
            "name": "nanozoomer",
            "labels": str(data / "icpr2012_hamamatsu" / "images"),
            "kind": "images",
            "scanner": "Hamamatsu NanoZoomer",
            "mpp": 0.2274,
        },
        {**crops, "name": "midog", "without": ["group:TUPAC16/*", *midog]},
    ]
    if not (key == "TUPAC16" and kind == "without"):
        only = {"name": "tupac", "only": ["group:TUPAC16/*"], "mpp": 0.25}
        sources.append({**crops, **only, "without": tupac})
    recipe: Table = {
        "name": name,
        "seed": plan.seed,
        "data": {
            "sources": sources,
            "split": {
                "training": ["icpr/A00_*", "icpr/A01_*", "icpr/A02_*"],
                "test": ["icpr/A04_*"],
                "unlabelled": ["nanozoomer/H00_*", "nanozoomer/H01_*", "nanozoomer/H02_*"],
            },
            "box_um": 12.5,
        },
        "network": {"kind": "compact", "mpp": 0.25, "trainable_backbone_layers": 3},
        "sampling": {
            "patch_px": 64 if plan.tiny else 192,
            "rim_px": 16,
            "patches_per_epoch": 16 if plan.tiny else 640,
            "shares": {"mitotic": 0.4, "hard_negative": 0.3, "random": 0.3},
            "balance_by": "group",
            "crops_share": 0.4,
            "mine_at": [] if plan.tiny else [0.35, 0.65],
        },
        "augment": {"strength": 0.0, "mpp_jitter": 0.0},
        "optimiser": {
            "learning_rate": 1e-3,
            "backbone_factor": 0.5,
            "weight_decay": 1e-2,
            "warmup": 0.15,
        },
        "trainer": {
            "epochs": 1 if plan.tiny else plan.epochs,
            "batch_size": 8 if plan.tiny else 16,
            "precision": "auto",
            "workers": 0,
            "ema": 0.99,
            "keep": "last",
        },
    }
    return with_method(recipe, parts)


def threshold_at_rate(model: Model) -> tuple[float, float]:
    """Return the threshold at which A04's fields have so many false positives, and their area."""
    from metaphase.detection.detect import detect
    from metaphase.detection.runtime import open_runtime
    from metaphase.evaluation.matching import match
    from metaphase.figures import Label, points_of
    from metaphase.labels.read import load_dataset
    from metaphase.radii import MATCH_RADIUS_UM
    from metaphase.slides.open import open_case
    from metaphase.units import area_mm2, um_to_px

    folder = data_folder() / "icpr2012"
    fields = load_dataset(
        folder / "annotations.json", images=folder / "images", scanner="Aperio XT"
    )
    runtime = open_runtime(model, threads=1)
    false: list[float] = []
    area = 0.0
    for case in fields.where(lambda case: case.id.startswith("A04_")):
        with open_case(case) as slide:
            found = detect(slide, model, min_score=MIN_SCORE, runtime=runtime, tissue=False)
            area += area_mm2(slide.width_px, slide.height_px, slide.mpp)
            radius = um_to_px(MATCH_RADIUS_UM, slide.mpp)
        found = found.with_label(Label.MITOTIC)
        matching = match(points_of(case.figures), found.points, found.score, radius)
        false += found.score[matching.truth_of_point < 0].tolist()
    allowed = int(FP_PER_MM2 * area)
    false.sort(reverse=True)
    # Just above the first score that is too many; with fewer in all, the lowest score.
    return (float(np.nextafter(false[allowed], 1)) if len(false) > allowed else MIN_SCORE), area


def score_crops(model: Model, cases: Dataset, most: int | None = None) -> list[float]:
    """Return the best score at each crop's figure, with the crop extended by reflection."""
    from metaphase.detection.detect import detect
    from metaphase.detection.runtime import open_runtime
    from studies.common import as_slide, best_score, read_crops, reflected, with_mpp

    runtime = open_runtime(model, threads=1)
    scores = []
    for crop in read_crops(with_mpp(cases))[:most]:
        pixels, x, y = reflected(crop.pixels, crop.x_px, crop.y_px, TILE_PX)
        with as_slide(pixels, crop.mpp) as slide:
            found = detect(slide, model, min_score=MIN_SCORE, runtime=runtime, tissue=False)
        scores.append(best_score(found, x, y))
    return scores


def real_table(plan: Plan, results: dict[str, Any]) -> str:
    """Return the Markdown table, the scanners left out in columns."""
    rows = plan.rows(ROWS)
    lines = [
        f"Recall at {FP_PER_MM2:g} false positives per mm2. Best: {' + '.join(plan.best)}.",
        "",
        f"| trained | {' | '.join(SCANNERS)} | largest loss against included |",
        "|---|" + "---|" * (len(SCANNERS) + 1),
        f"| crops (slides) | {' | '.join(_tested(results, key) for key in SCANNERS)} | |",
    ]
    included = {key: _recall(results, f"with:{key}:{rows[-1]}") for key in SCANNERS}
    for method in rows:
        values = {key: _recall(results, f"without:{key}:{method}") for key in SCANNERS}
        lines.append(f"| without it, {method} | {_cells(values)} | {_worst(values, included)} |")
    lines.append(f"| with it, {rows[-1]} | {_cells(included)} | |")
    return "\n".join(lines)


def _tested(results: dict[str, Any], key: str) -> str:
    """Return the number of crops and slides of a scanner's recall."""
    known = [r for name, r in results.items() if name.split(":")[1] == key]
    return f"{known[0]['figures']} ({known[0]['slides']})" if known else "–"


def _recall(results: dict[str, Any], name: str) -> float | None:
    return results[name]["recall"] if name in results else None


def _cells(values: dict[str, float | None]) -> str:
    return " | ".join("–" if value is None else f"{value:.1%}" for value in values.values())


def _worst(values: dict[str, float | None], included: dict[str, float | None]) -> str:
    known = [
        (value - base, key)
        for key, value in values.items()
        if value is not None and (base := included[key]) is not None
    ]
    return f"{100 * min(known)[0]:+.1f} points ({min(known)[1]})" if known else "–"
