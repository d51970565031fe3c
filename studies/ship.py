"""Put a finished run into the package, with the scores of a cross-validation of its recipe.

    python -m studies.ship RUN --cross-validation RUNS [--crops crops.json] [--speed slide.json]

Weights are stored in half precision, the recipe on the card names no folder of this computer, and
the scores are those of the cross-validation: each slide scored by a model that was trained without
it.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from metaphase.files import write_text
from metaphase.models.card import ModelCard
from metaphase.models.cardpage import card_markdown
from metaphase.models.modelfile import ZOO, load_model, rewrite_card, save_second_stage
from metaphase.models.precision import export_model

LIMITATIONS = (
    "Check the counts of another scanner or laboratory before relying on them: slides differ in "
    "how high they score. {spread}",
    "Faint prophases, smudged and out-of-focus figures are missed most often.",
    "A late anaphase whose plates are far apart may be detected twice.",
    "False positives are mostly dark, irregular nuclei: pyknotic and apoptotic cells, chromatin as "
    "in prophase, and ink-dark stroma; some look like figures without a label.",
    "All regions that it learnt negatives from are of one laboratory and one scanner.",
)
MOSAIC = (
    "In a mosaic of crops around figures, stains are estimated wrongly and recall falls (to "
    "{recall:.2f} on {scanner}): give such crops one by one."
)
HELD_OUT = "crops held out of the cross-validation (its models; this one was trained on them)"
_COUNTS = ("f1", "precision", "recall", "tp", "fp", "fn", "cases", "area_mm2", "intervals")


def main() -> None:
    """Write the model file into the package's zoo."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--cross-validation", type=Path, required=True)
    parser.add_argument("--crops", type=Path, help="JSON of studies.crops_recall")
    parser.add_argument("--speed", type=Path, help="JSON of benchmarks --only slide")
    parser.add_argument("--name", default="compact")
    given = parser.parse_args()
    result = json.loads((given.cross_validation / "cross-validation.json").read_text("utf-8"))
    trained = load_model(given.run / "model")
    if trained.card.threshold.value != result["threshold_of_all"]:
        raise SystemExit(
            f"the run's threshold is {trained.card.threshold.value}, that of all left-out slides "
            f"{result['threshold_of_all']}: put that into the recipe and train"
        )
    shipped = export_model(trained, ZOO / given.name, "packed")
    scores: dict[str, Any] = {
        "validation": {
            "overall": {key: result["pooled"][key] for key in _COUNTS},
            "protocol": "leave one slide out; each threshold chosen on the other slides",
        }
    }
    limitations = [text.format(spread=_spread(result)) for text in LIMITATIONS]
    if given.crops is not None:
        crops = json.loads(given.crops.read_text("utf-8"))
        scores[HELD_OUT] = crops["ways"][crops["quoted"]]
        mosaics = crops["ways"]["mosaic"]
        worst = min(mosaics, key=lambda name: mosaics[name]["recall"])
        limitations.append(MOSAIC.format(recall=mosaics[worst]["recall"], scanner=worst))
    if given.speed is not None:
        scores["speed"] = _speed(json.loads(given.speed.read_text("utf-8")))
    second, stage = shipped.second_stage, shipped.card.second_stage
    shipped = rewrite_card(
        shipped,
        **_without_folders(shipped.card),
        name=given.name,
        command=f"metaphase train recipes/{given.name}.toml --out RUN",
        limitations=tuple(limitations),
        scores={**scores, "export": shipped.card.scores.entries["export"]},
    )
    if second is not None and stage is not None:
        save_second_stage(shipped, rewrite_card(second, **_without_folders(second.card)), stage)
    model = load_model(given.name)
    write_text(model.folder / "README.md", card_markdown(model.card, model.id))
    size = sum(path.stat().st_size for path in model.folder.rglob("*") if path.is_file())
    print(f"{model.card.name} ({model.id[:12]}), {size / 1e6:.1f} MB in {model.folder.name}/")


def _spread(result: dict[str, Any]) -> str:
    """Return a sentence on how the left-out slides differ."""
    folds = result["folds"].items()
    scores = "; ".join(
        f"{name}: precision {fold['precision']:.2f}, recall {fold['recall']:.2f}"
        for name, fold in folds
    )
    return f"In its cross-validation, each left out in turn: {scores}."


def _speed(benchmark: dict[str, Any]) -> dict[str, str]:
    """Return a sentence on the benchmark of whole slides."""
    computer = benchmark["computer"]
    rows = benchmark["benchmarks"]["slide"]["rows"]
    return {
        "computer": f"{computer['cores']} cores, {computer['processor']}",
        **{row["what"]: f"{row['measured']}, {row['against'].partition(';')[0]}" for row in rows},
    }


def _without_folders(card: ModelCard) -> dict[str, Any]:
    """Return the card's recipe with the data's folder as recipes name it."""
    folder = os.environ.get("METAPHASE_DATA", "").rstrip("/")
    text = json.dumps(card.recipe)
    return {"recipe": json.loads(text.replace(folder, "$METAPHASE_DATA") if folder else text)}


if __name__ == "__main__":
    main()
