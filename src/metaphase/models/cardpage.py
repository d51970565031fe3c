"""The card of a model as a Markdown page.

The page has only what the card has. Entries of ``scores`` with counts or rates (as
``Scores.to_dict`` writes them: "recall", "f1", "intervals", ...) become rows of one table. A
dictionary of such entries becomes several rows. All other entries are listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from metaphase.models.card import ModelCard
from metaphase.models.foreign import ForeignGraph

RESEARCH_USE = "For research use. Not a medical device, not for diagnosis."

_RATES = ("f1", "precision", "recall")
_COUNTS = ("labelled", "tp", "fp", "fn")
_HEAD = ("", "cases", "F1", "precision", "recall", "figures", "TP", "FP", "FN", "FP/mm2")

Row = tuple[str, Mapping[str, Any]]


def card_markdown(card: ModelCard, model_id: str = "") -> str:
    """Return the card as Markdown that ends with a line break."""
    parts = [
        f"# {_text(card.name)}",
        f"**{RESEARCH_USE}**",
        _notes(card),
        _facts(card, model_id),
        "## Input and output\n\n" + _interface(card),
        "## Operating point\n\n" + _threshold(card),
        "## Scores\n\n" + _scores(card.scores.entries) if card.scores.entries else "",
        _list("## Known failures and limits", card.limitations),
        "## Training data\n\n" + _data(card.training_data) if card.training_data else "",
        "## How it was trained\n\n" + _making(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _notes(card: ModelCard) -> str:
    default = ModelCard.model_fields["notes"].default
    return _text(card.notes.strip().removeprefix(default).strip())


def _facts(card: ModelCard, model_id: str) -> str:
    rows = [
        ("Network", card.network),
        ("Created", f"{card.created}, by metaphase {card.metaphase}"),
        ("Id", f"`{model_id}`" if model_id else ""),
        *((name, f"SHA-256 `{value}`") for name, value in card.weights_sha256.items()),
    ]
    return "\n".join(f"- {name}: {_text(value)}" for name, value in rows if value)


def _interface(card: ModelCard) -> str:
    classes = ", ".join(card.head.classes)
    return (
        f"Input: H&E at {card.input.mpp:g} um/px, in tiles of {card.input.tile_px} px that overlap "
        f"by {2 * card.input.margin_px} px. Output: points of {classes}, with a score from 0 to 1. "
        f"Points within {card.merge_radius_um:g} um are merged."
        f"{_second_stage(card)}{_atypical(card)}"
        + ("" if card.foreign is None else f"\n\n{_foreign(card.foreign)}")
    )


def foreign_text(foreign: ForeignGraph) -> str:
    """Return what an imported graph takes and gives, in two sentences."""
    spec, output = foreign.input, foreign.output
    normal = ""
    if any(spec.mean) or spec.std != (1.0, 1.0, 1.0):
        mean, std = (", ".join(f"{v:g}" for v in values) for values in (spec.mean, spec.std))
        normal = f", minus {mean}, divided by {std}"
    scale = "as they are" if spec.divisor == 1 else f"divided by {spec.divisor:g}"
    resize = "" if spec.resize == "none" else f", tiles resized by {spec.resize}"
    unit = ", in shares of the input" if output.unit_boxes else ""
    boxes = "" if output.decoding == "heat-map" else f", boxes {output.box_format}{unit}"
    if output.levels:
        boxes = ", strides " + ", ".join(f"{level.stride:g}" for level in output.levels)
    return (
        f"Input: {spec.layout} {spec.number}, {spec.width_px} x {spec.height_px} px, "
        f"{spec.colour.upper()}, grey levels {scale}{normal}{resize}, batch {spec.batch}.\n"
        f"Outputs: {', '.join(output.names)}, decoded as {output.decoding}{boxes}, scores are "
        f"{output.scores}; classes from {output.first_label}: {', '.join(output.classes)}."
    )


def _foreign(foreign: ForeignGraph) -> str:
    producer = f" (written by {_text(foreign.producer)})" if foreign.producer else ""
    assumed = "".join(f"\n- assumed: {_text(text)}" for text in foreign.assumed)
    lines = "\n".join(f"- {_text(line)}" for line in foreign_text(foreign).splitlines())
    return (
        f"Imported from `{_text(foreign.file)}`{producer}, kind {foreign.kind}:\n\n{lines}{assumed}"
    )


def _second_stage(card: ModelCard) -> str:
    stage = card.second_stage
    if stage is None:
        return ""
    stain = ", normalised to the stains of the training images" if stage.stain else ""
    return (
        f" Second stage: a second network scores a window around each candidate with a score of at "
        f"least {stage.min_score:g}{stain}. It averages up to {stage.symmetries} mirrored and "
        "turned windows. The final score is the geometric mean of both scores (weight of the "
        f"second: {stage.weight:g})."
    )


def _atypical(card: ModelCard) -> str:
    part = card.atypical
    if part is None:
        return ""
    text = (
        " A further network gives the probability that a mitotic figure at or above the threshold "
        f"is atypical; from {part.threshold:g} on a figure is called atypical. It averages "
        f"{part.symmetries} mirrored and turned windows."
    )
    scores = part.scores
    if scores is None:
        return text
    worst = next(iter(scores.scanners.items()), None)
    on_worst = ""
    if worst is not None and worst[1].get("balanced_accuracy") is not None:
        on_worst = f", worst scanner {worst[1]['balanced_accuracy']:.3f} ({_text(worst[0])})"
    return (
        f"{text} Balanced accuracy on {scores.figures} figures of {scores.cases} left-out cases: "
        f"{scores.balanced_accuracy:.3f}{on_worst}; sensitivity {scores.sensitivity:.3f}, "
        f"specificity {scores.specificity:.3f}."
    )


def _threshold(card: ModelCard) -> str:
    threshold = card.threshold
    f1 = "" if threshold.f1 is None else f" F1 there: {threshold.f1:.3f}."
    return (
        f"{threshold.value:g}, chosen on {_text(threshold.chosen_on)} "
        f"({_text(threshold.protocol)}).{f1}"
    )


def _scores(scores: Mapping[str, Any]) -> str:
    rows = [row for name, value in scores.items() for row in _rows(name, value)]
    parts = []
    if rows:
        cells = [_cells(name, score) for name, score in rows]
        used = [i for i in range(len(_HEAD)) if any(row[i] for row in cells)]
        parts.append(_table([_HEAD[i] for i in used], [[row[i] for i in used] for row in cells]))
        if any(score.get("intervals") for _, score in rows):
            parts.append("In brackets: 95 % intervals, by bootstrap unless stated otherwise.")
    rest = {name: value for name, value in scores.items() if not list(_rows(name, value))}
    if rest:
        parts.append("\n".join(_items(rest)))
    return "\n\n".join(parts)


def _rows(name: str, value: Any) -> Iterator[Row]:
    """Yield the table rows of an entry of ``scores``; none if it has no counts or rates."""
    if not isinstance(value, Mapping):
        return
    if any(isinstance(value.get(rate), int | float) for rate in _RATES):
        yield name, value
    else:
        for inner, score in value.items():
            for more, row in _rows(inner, score):
                yield f"{name}, {more}", row


def _cells(name: str, score: Mapping[str, Any]) -> list[str]:
    intervals = score.get("intervals") or {}
    rates = [_rate(score.get(rate), intervals.get(rate)) for rate in _RATES]
    counts = [_number(score.get(count)) for count in _COUNTS]
    per_mm2 = score.get("fp_per_mm2")
    if per_mm2 is None and score.get("area_mm2") and score.get("fp") is not None:
        per_mm2 = score["fp"] / score["area_mm2"]
    return [_text(name), _number(score.get("cases")), *rates, *counts, _number(per_mm2)]


def _rate(value: Any, interval: Any) -> str:
    if value is None:
        return ""
    low, high = _ends(interval)
    between = "" if low is None or high is None else f" ({low:.3f} to {high:.3f})"
    return f"{value:.3f}{between}"


def _ends(interval: Any) -> tuple[float | None, float | None]:
    if isinstance(interval, Mapping):
        return interval.get("low"), interval.get("high")
    if isinstance(interval, list | tuple) and len(interval) == 2:
        return interval[0], interval[1]
    return None, None


def _data(sources: list[dict[str, Any]]) -> str:
    head = ("data", "cases", "mitotic figures", "scanners", "terms")
    rows = [
        [
            _text(source.get("name", "")),
            _number(source.get("cases")),
            _number(source.get("mitotic_figures")),
            _text(", ".join(source.get("scanners", ()))),
            _text(source.get("terms") or "not stated"),
        ]
        for source in sources
    ]
    return _table(head, rows)


def _making(card: ModelCard) -> str:
    name = card.recipe.get("name", card.name) if card.recipe else card.name
    if card.foreign is not None:
        command = f"\n\n```console\n$ {card.command.strip()}\n```" if card.command else ""
        return f"It was trained elsewhere, and imported.{command}"
    parts = [f"Recipe `{_text(str(name))}` (whole in `card.json`), seed {card.seed}."]
    if card.command:
        parts.append("\n\n```console\n$ " + card.command.strip() + "\n```\n\n")
    versions = ", ".join(f"{library} {version}" for library, version in card.versions.items())
    if versions:
        parts.append(f"With {versions}.")
    text = " ".join(parts) if not card.command else "".join(parts)
    return text.strip()


def _items(values: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    for name, value in values.items():
        indent = "  " * depth
        if isinstance(value, Mapping):
            yield f"{indent}- {_text(str(name))}:"
            yield from _items(value, depth + 1)
        elif value is not None and value != []:
            shown = ", ".join(map(_number, value)) if isinstance(value, list | tuple) else value
            yield f"{indent}- {_text(str(name))}: {_text(_number(shown))}"


def _list(heading: str, items: tuple[str, ...]) -> str:
    return heading + "\n\n" + "\n".join(f"- {_text(item)}" for item in items) if items else ""


def _table(head: Any, rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _number(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _text(value: str) -> str:
    """Return text without line breaks and cell borders."""
    return " ".join(value.split()).replace("|", "\\|")
