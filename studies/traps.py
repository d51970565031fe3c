"""The cost of the exercise's settings (docs/traps.md).

``python -m studies.traps OUT`` trains every missing variant of ``trapvariants``, one thread per
process, and prints the tables. ``--only NAME...`` and ``--seeds N`` train a part, to divide the
work between processes; interrupted runs resume. ``--folds FOLDER`` (the output of ``metaphase
cross-validate``) and ``--midog MIDOG.json`` add what needs no training.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from studies.trapvariants import VARIANTS, Variant, make_data, narrow_retina, recipe_of, split_of

RESULT = "trap.json"


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the missing variants and print Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--only", nargs="*", default=[v.name for v in VARIANTS], metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--print", action="store_true", help="train nothing, print what is there")
    parser.add_argument("--folds", type=Path, help="a finished cross-validation")
    parser.add_argument("--midog", type=Path, help="MIDOG 2021's MIDOG.json")
    chosen = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"
    make_data(chosen.out / "data")
    if not chosen.print:
        for seed in range(chosen.seeds):
            for variant in VARIANTS:
                if variant.name in chosen.only:
                    measure(variant, seed, chosen.out)
    print(training_table(chosen.out))
    if (chosen.out / "retina-0" / RESULT).is_file():
        print(_merging(chosen.out))
    if chosen.midog:
        from studies.trapfacts import facts_table

        print(facts_table(chosen.midog))
    if chosen.folds:
        from studies.trapfolds import folds_table

        print(folds_table(chosen.folds))


def measure(variant: Variant, seed: int, out: Path) -> dict[str, Any]:
    """Train a variant if it is missing, test it, and return its scores."""
    import torch

    from metaphase.training.train import train

    torch.set_num_threads(1)
    folder = out / f"{variant.name}-{seed}"
    if (folder / RESULT).is_file():
        return dict(json.loads((folder / RESULT).read_text(encoding="utf-8")))
    recipe = recipe_of(variant, seed, out / "data")
    with narrow_retina() if variant.retina else nullcontext():
        train(recipe, out=folder, show=False)
    result = test(folder, out / "data")
    (folder / RESULT).write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(f"{folder.name}: {json.dumps(result)}", flush=True)
    return result


def test(folder: Path, data: Path) -> dict[str, Any]:
    """Return the scores of a finished run on the test cases, at its frozen threshold."""
    from metaphase.evaluation.evaluate import evaluate
    from metaphase.labels.read import load_dataset
    from metaphase.models.modelfile import load_model
    from metaphase.training.fit.thresholdselection import detect_cases

    model = load_model(folder / "model")
    cases = load_dataset(data / "MIDOG.json", images=data / "images")
    parts = split_of(data)
    result: dict[str, Any] = {"threshold": model.card.threshold.value}
    for part in ("seen", "unseen"):
        some = cases.select(parts[part])
        found = detect_cases(model, some, folder / part, min_score=0.02, show=False)
        scores = evaluate(found, some)
        half = evaluate(found, some, threshold=0.5)
        result[part] = {
            "f1": scores.f1,
            "precision": scores.precision,
            "recall": scores.recall,
            "ap": scores.average_precision,
            "f1_at_half": half.f1,
            "hard_negatives": scores.overall.mistakes["hard negative"],
            "figures": scores.overall.labelled,
        }
    return result


def _merging(out: Path) -> str:
    from metaphase.labels.read import load_dataset
    from studies.trapmerge import merging_table

    data = out / "data"
    cases = load_dataset(data / "MIDOG.json", images=data / "images")
    return merging_table(out / "retina-0", cases.select(split_of(data)["unseen"]))


def training_table(out: Path) -> str:
    """Return the table of all finished variants: mean over seeds, and the cost."""
    found = {v.name: _results(out, v.name) for v in VARIANTS}
    lines = [
        "| trained with | runs | F1, new scanner | at 0.5 | AP | F1, training scanners "
        "| false positives on hard negatives | cost in F1 (runs) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for variant in VARIANTS:
        results = found[variant.name]
        if not results:
            continue
        unseen = [r["unseen"]["f1"] or 0.0 for r in results]
        cells = [
            variant.trap,
            str(len(results)),
            f"{statistics.mean(unseen):.3f} ({min(unseen):.3f} to {max(unseen):.3f})",
            f"{_mean(results, 'unseen', 'f1_at_half'):.3f}",
            f"{_mean(results, 'unseen', 'ap'):.3f}",
            f"{_mean(results, 'seen', 'f1'):.3f}",
            f"{_mean(results, 'unseen', 'hard_negatives'):.1f}",
            _cost(results, found.get(variant.against, [])),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _results(out: Path, name: str) -> list[dict[str, Any]]:
    paths = sorted(out.glob(f"{name}-[0-9]*/{RESULT}"))
    return [
        {**json.loads(path.read_text(encoding="utf-8")), "seed": path.parent.name} for path in paths
    ]


def _mean(results: list[dict[str, Any]], part: str, name: str) -> float:
    return statistics.mean(r[part][name] or 0.0 for r in results)


def _cost(results: list[dict[str, Any]], right: list[dict[str, Any]]) -> str:
    """Return the loss of F1 on the new scanner, paired by seed."""
    alike = {result["seed"].rpartition("-")[2]: result for result in right}
    pairs = [(r, alike[n]) for r in results if (n := r["seed"].rpartition("-")[2]) in alike]
    if not pairs:
        return ""
    lost = [(b["unseen"]["f1"] or 0.0) - (a["unseen"]["f1"] or 0.0) for a, b in pairs]
    return f"{statistics.mean(lost):+.3f} ({', '.join(f'{x:+.3f}' for x in lost)})"


if __name__ == "__main__":
    main()
