"""The figure of ``studies.label_budget``: F1 over the number of decisions, as a file of its own."""

from __future__ import annotations

import math
from typing import Any

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 24, 48
NAME_PX = 17
"""Least distance between the names of two lines."""
COLOURS = {"information": "#1f57b5", "random": "#b34700", "score": "#5a5d68"}
NAMES = {
    "information": "by information",
    "random": "at random",
    "score": "highest score first",
}


def draw(summary: dict[str, Any]) -> str:
    """Return the figure as SVG text. The axis of decisions is logarithmic from 25 on."""
    rows = [one for part in summary["strategies"].values() for one in part]
    lines = (summary["bundled"], summary["everything"]["f1"])
    values = [v for one in rows for v in (one["low"], one["high"])] + list(lines)
    low, high = math.floor(min(values) * 20) / 20, math.ceil(max(values) * 20) / 20
    budgets = sorted({one["budget"] for one in rows})

    def x(budget: int) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * budgets.index(budget) / (len(budgets) - 1)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img" font-family="system-ui, sans-serif" '
        'font-size="13">',
        "<title>F1 on left-out slides over the number of decisions</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    ticks = round((high - low) / 0.05)
    for number in range(ticks + 1):
        value = low + 0.05 * number
        parts.append(_line(LEFT, y(value), WIDTH - RIGHT, y(value), "#e3e4e8"))
        parts.append(_text(LEFT - 8, y(value) + 4, f"{value:.2f}", "end"))
    for budget in budgets:
        parts.append(_text(x(budget), HEIGHT - BOTTOM + 20, str(budget), "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "decisions", "middle"))
    parts.append(_text(14, TOP - 8, "F1 on left-out slides", "start"))
    named = (("model as it is", lines[0]), ("all labels", lines[1]))
    apart = max(0.0, NAME_PX - abs(y(lines[0]) - y(lines[1]))) / 2  # so that names do not overlap
    for name, value in named:
        parts.append(_line(LEFT, y(value), WIDTH - RIGHT, y(value), "#1b1c20", "5 4"))
        away = -apart if value == max(lines) else apart
        parts.append(_text(WIDTH - RIGHT + 14, y(value) + 4 + away, name, "start"))
    for number, (name, points) in enumerate(summary["strategies"].items()):
        colour = COLOURS[name]
        shift = 5 * (number - 1)
        path = " ".join(f"{x(p['budget']) + shift:.1f},{y(p['f1']):.1f}" for p in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for p in points:
            at = x(p["budget"]) + shift
            parts.append(_line(at, y(p["low"]), at, y(p["high"]), colour))
            parts.append(f'<circle cx="{at:.1f}" cy="{y(p["f1"]):.1f}" r="3.5" fill="{colour}"/>')
        top = HEIGHT - BOTTOM - 54 + 18 * number
        parts.append(f'<circle cx="{WIDTH - RIGHT + 12}" cy="{top - 4}" r="4" fill="{colour}"/>')
        parts.append(_text(WIDTH - RIGHT + 22, top, NAMES[name], "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashes}/>'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="#1b1c20">{text}</text>'
