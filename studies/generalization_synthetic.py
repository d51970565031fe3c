"""The synthetic part of ``studies.generalization``."""

from __future__ import annotations

from dataclasses import replace
from statistics import mean
from typing import Any

from studies.generalization_plan import NEEDS_SEVERAL, ROWS, Plan, Table, with_method

LETTERS = "ABCD"
TRAINING, VALIDATION, TEST = (0, 1, 2), (3,), (4, 5)
CASES = 6


def synthetic_plan(plan: Plan) -> list[str]:
    """Return the names of all runs: ``all:-:METHOD``, ``one:A:METHOD``, ``out:A:METHOD``."""
    names = ["all:-:nothing"]
    for method in plan.rows(ROWS):
        if method not in NEEDS_SEVERAL:
            names += [f"one:{letter}:{method}" for letter in LETTERS]
        names += [f"out:{letter}:{method}" for letter in LETTERS]
    return names[:3] if plan.tiny else names


def make_data(plan: Plan) -> None:
    """Draw the four scanners' cases, all labelled, unless they are there."""
    from metaphase.phantom.dataset import LABELS_NAME, make_phantom
    from metaphase.phantom.scanners import SCANNERS

    folder = plan.out / ("data-tiny" if plan.tiny else "data")
    if not (folder / LABELS_NAME).is_file():
        make_phantom(
            folder,
            seed=plan.seed,
            cases_per_scanner=CASES,
            size_px=512 if plan.tiny else 1536,
            scanners=[replace(scanner, labelled=True) for scanner in SCANNERS],
        )


def cases_of(letter: str, numbers: tuple[int, ...]) -> list[str]:
    """Return the ids of a scanner's cases, counted from 0."""
    first = LETTERS.index(letter) * CASES + 1
    return [f"synthetic_{first + number:03d}" for number in numbers]


def run_synthetic(plan: Plan, name: str) -> None:
    """Train one, test it on the scanners that it is to be tested on, and write its result."""
    import torch

    from metaphase.evaluation.evaluate import evaluate
    from metaphase.files import write_json
    from metaphase.labels.read import load_dataset
    from metaphase.models.modelfile import load_model
    from metaphase.training.fit.thresholdselection import detect_cases
    from metaphase.training.recipe.recipe import parse_recipe
    from metaphase.training.runfolder import MODEL_NAME
    from metaphase.training.train import train

    torch.set_num_threads(1)
    kind, letter, method = name.split(":")
    trained = {"all": LETTERS, "one": letter, "out": LETTERS.replace(letter, "")}[kind]
    tested = LETTERS if kind == "all" else "".join(x for x in LETTERS if x not in trained)
    recipe = parse_recipe(recipe_of(plan, name, trained, tested, plan.parts(method)))
    folder = plan.result(name).parent
    run = train(recipe, out=folder / "run", show=False)
    model = load_model(run / MODEL_NAME)
    labels = load_dataset(recipe.data.sources[0].labels, images=recipe.data.sources[0].images)
    scores: dict[str, Any] = {}
    for other in tested:
        cases = labels.select(cases_of(other, TEST))
        found = detect_cases(model, cases, folder / "test", show=False)
        score = evaluate(found, cases)
        counts = score.overall.counts
        scores[other] = {
            "f1": score.f1 or 0.0,
            "ap": score.average_precision or 0.0,
            "tp": counts.tp,
            "fp": counts.fp,
            "fn": counts.fn,
        }
    write_json(plan.result(name), {"scores": scores, "threshold": model.card.threshold.value})


def recipe_of(plan: Plan, name: str, trained: str, tested: str, parts: tuple[str, ...]) -> Table:
    """Return the recipe of a run. The unlabelled images are training cases of the other scanners:
    no test case is ever seen."""
    data = (plan.out / ("data-tiny" if plan.tiny else "data")).absolute()
    split = {
        "training": [c for x in trained for c in cases_of(x, TRAINING)],
        "validation": [c for x in trained for c in cases_of(x, VALIDATION)],
        "unlabelled": [c for x in tested if x not in trained for c in cases_of(x, TRAINING)],
    }
    epochs = 1 if plan.tiny else plan.epochs
    recipe: Table = {
        "name": name,
        "seed": plan.seed,
        "data": {
            "sources": [{"labels": str(data / "MIDOG.json"), "images": str(data / "images")}],
            "split": split,
        },
        "network": {"kind": "compact", "width": 64, "mpp": 0.25, "trainable_backbone_layers": 3},
        "sampling": {
            "patch_px": 128,
            "patches_per_epoch": 32 if plan.tiny else 320,
            "balance_by": "none",
        },
        "augment": {"strength": 0.0, "mpp_jitter": 0.0},
        "optimiser": {"learning_rate": 2e-3, "warmup": 0.15},
        "trainer": {
            "epochs": epochs,
            "batch_size": 16,
            "precision": "auto",
            "workers": 0,
            "ema": 0.95,
            "validate_every": max(1, epochs // 2),
        },
    }
    return with_method(recipe, parts)


def synthetic_table(plan: Plan, results: dict[str, Any]) -> str:
    """Return the Markdown table with the share of the gap in F1 that each method closes.

    Average precision does not depend on the threshold, which was chosen on the training scanners.
    """

    def value_of(name: str, metric: str) -> float | None:
        if name not in results:
            return None
        return mean(score[metric] for score in results[name]["scores"].values())

    def over(kind: str, method: str, metric: str = "f1") -> float | None:
        known = [value_of(f"{kind}:{letter}:{method}", metric) for letter in LETTERS]
        present = [value for value in known if value is not None]
        return mean(present) if len(present) == len(LETTERS) else None

    top, ap = value_of("all:-:nothing", "f1"), value_of("all:-:nothing", "ap")
    best = " + ".join(plan.best)
    lines = [
        f"Trained on all four scanners: F1 {_text(top)}, AP {_text(ap)}. Best: {best}.",
        "",
        "| method | trained on one, F1 | gap closed | AP | left one out, F1 | gap closed | AP |",
        "|---|---|---|---|---|---|---|",
    ]
    for method in plan.rows(ROWS):
        cells = []
        for kind in ("one", "out"):
            value, base = over(kind, method), over(kind, "nothing")
            cells += [_text(value), _share(value, base, top), _text(over(kind, method, "ap"))]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _text(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _share(value: float | None, base: float | None, top: float | None) -> str:
    if value is None or base is None or top is None or value == base or top <= base:
        return "–"
    return f"{(value - base) / (top - base):.0%}"
