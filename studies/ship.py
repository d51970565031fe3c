r"""Put a finished run into the package, with the scores of its recipe on left-out slides.

    python -m studies.ship RUN --left-out scores.json [--crops crops.json] [--speed slide.json] \
        [--domain-shift failure.json]

``scores.json`` is what ``studies.left_out RECIPE OUT --json scores.json`` writes. Weights are
stored in half precision, the recipe on the card names no folder of this computer, the threshold is
the one that was chosen on all left-out slides, and the scores are those of models that were trained
without the slides and scanners they were scored on. ``failure.json`` is what
``studies.failure_prediction --json`` writes: the warning of a domain shift says what it meant.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from metaphase.files import write_text
from metaphase.models.card import DomainStatistics, ModelCard, Threshold
from metaphase.models.cardpage import card_markdown
from metaphase.models.modelfile import ZOO, load_model, rewrite_card, save_second_stage
from metaphase.models.precision import export_model
from studies.left_out import BOTH_SCANNERS

LIMITATIONS = (
    "Check the counts of another scanner or laboratory before relying on them. {worst}",
    "Faint prophases, smudged and out-of-focus figures are missed most often.",
    "A late anaphase whose plates are far apart may be detected twice.",
    "False positives are mostly dark, irregular nuclei: pyknotic and apoptotic cells, chromatin as "
    "in prophase, and dark stroma; some look like figures without a label.",
    "All whole fields that it was trained on are breast carcinomas, of two scanners.",
)
HELD_OUT = "crops held out of the folds (by the models of the folds; this one was trained on them)"
PROTOCOL = (
    "leave one scanner out: each scanner was scored by a model that had seen no pixel of it; "
    "each threshold chosen on slides of the other scanner"
)
_COUNTS = ("f1", "precision", "recall", "tp", "fp", "fn", "cases", "area_mm2", "intervals")


def main() -> None:
    """Write the model file into the package's zoo."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--left-out", type=Path, required=True)
    parser.add_argument("--crops", type=Path, help="JSON of studies.crops_recall")
    parser.add_argument("--speed", type=Path, help="JSON of benchmarks --only slide")
    parser.add_argument("--domain-shift", type=Path, help="JSON of studies.failure_prediction")
    parser.add_argument("--name", default="compact")
    given = parser.parse_args()
    result = json.loads(given.left_out.read_text("utf-8"))
    trained = load_model(given.run / "model")
    shipped = export_model(trained, ZOO / given.name, "packed")
    scores = scores_of(result["tables"])
    if given.crops is not None:
        crops = json.loads(given.crops.read_text("utf-8"))
        scores[HELD_OUT] = crops["ways"][crops["quoted"]]
    if given.speed is not None:
        scores["speed"] = _speed(json.loads(given.speed.read_text("utf-8")))
    domains = shipped.card.domains
    if given.domain_shift is not None and domains is not None:
        measured = json.loads(given.domain_shift.read_text("utf-8"))
        domains = DomainStatistics.model_validate({**domains.model_dump(), **measured})
    second, stage = shipped.second_stage, shipped.card.second_stage
    worst = worst_slides(result["tables"])
    shipped = rewrite_card(
        shipped,
        recipe=_recipe(shipped.card, given.name, result["threshold_of_all"]),
        name=given.name,
        command=f"metaphase train recipes/{given.name}.toml --out RUN",
        threshold=Threshold(
            value=result["threshold_of_all"],
            chosen_on="slides that were left out of the training",
            protocol=result["threshold_protocol"],
        ),
        domains=domains,
        limitations=tuple(text.format(worst=worst) for text in LIMITATIONS),
        scores={**scores, "export": shipped.card.scores.entries["export"]},
    )
    if second is not None and stage is not None:
        second = rewrite_card(
            second, recipe=_recipe(second.card, given.name, result["threshold_of_all"])
        )
        save_second_stage(shipped, second, stage)
    model = load_model(given.name)
    write_text(model.folder / "README.md", card_markdown(model.card, model.id))
    size = sum(path.stat().st_size for path in model.folder.rglob("*") if path.is_file())
    print(f"{model.card.name} ({model.id[:12]}), {size / 1e6:.1f} MB in {model.folder.name}/")


def scores_of(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the card's scores: those on scanners that were left out, and each other protocol."""
    counts = {
        table["title"]: {key: table[key] for key in _COUNTS if key in table} for table in tables
    }
    both = counts.pop(BOTH_SCANNERS)
    return {"validation": {"overall": both, "protocol": PROTOCOL}, "left out": counts}


def worst_slides(tables: list[dict[str, Any]], least_figures: int = 20) -> str:
    """Return a sentence on the worst slide of each protocol."""
    sentences = []
    for table in tables:
        slides = [s for s in table["slides"].items() if s[1]["labelled"] >= least_figures]
        if table["title"] == BOTH_SCANNERS or not slides:
            continue
        name, worst = min(slides, key=lambda item: float(item[1]["f1"] or 0))
        sentences.append(
            f"{table['title']}: F1 {table['f1']:.2f}, the worst slide ({name}) {worst['f1']:.2f}"
        )
    return "; ".join(sentences) + "."


def _speed(benchmark: dict[str, Any]) -> dict[str, str]:
    """Return a sentence on the benchmark of whole slides."""
    computer = benchmark["computer"]
    rows = benchmark["benchmarks"]["slide"]["rows"]
    return {
        "computer": f"{computer['cores']} cores, {computer['processor']}",
        **{row["what"]: f"{row['measured']}, {row['against'].partition(';')[0]}" for row in rows},
    }


def _recipe(card: ModelCard, name: str, threshold: float) -> dict[str, Any]:
    """Return the card's recipe with the data's folder as recipes name it, the model's name and
    its threshold."""
    folder = os.environ.get("METAPHASE_DATA", "").rstrip("/")
    text = json.dumps(card.recipe)
    recipe: dict[str, Any] = json.loads(text.replace(folder, "$METAPHASE_DATA") if folder else text)
    chosen = {**recipe.get("validation", {}), "threshold": threshold}
    return {**recipe, "name": name, "validation": chosen}


if __name__ == "__main__":
    main()
